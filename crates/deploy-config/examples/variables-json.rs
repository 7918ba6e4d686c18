//! Writes the registry of variables to standard output as JSON, for checks of files that set them.

use std::io::Write as _;

use deploy_config::{Presence, Variable, registry};
use serde_json::{Value, json};

fn described(variable: &Variable) -> Value {
    let readers: Vec<_> = variable
        .read_by
        .iter()
        .map(|reader| json!({ "program": reader.program.name(), "commands": reader.commands }))
        .collect();
    json!({
        "name": variable.name,
        "owner": variable.owner,
        "required": matches!(variable.presence, Presence::Required(_)),
        "default": variable.default_text(),
        "secret": variable.secret,
        "read_by": readers,
    })
}

fn main() -> std::io::Result<()> {
    let variables: Vec<_> = registry().map(described).collect();
    writeln!(std::io::stdout(), "{:#}", Value::from(variables))
}
