//! Says what `deploy` would say of environments, without running it.
//!
//! Reads from standard input a JSON array of `{"command": "run", "variables": {"NAME": "value"}}` and writes an array
//! of the same length: what is wrong with each, and what is odd, as `{"problems": [["NAME", "text"]], "warnings": []}`;
//! and under `settings` the durations (seconds) and sizes (bytes) that it would work with, where nothing is wrong.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};

use deploy_config::{Environment, Requirements};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Given {
    command: String,
    variables: BTreeMap<String, String>,
}

fn judged(given: Given) -> Value {
    let requirements =
        if matches!(given.command.as_str(), "run" | "plan") { Requirements::Publish } else { Requirements::Target };
    let variables = given.variables.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    match Environment::new(variables).settings(requirements) {
        Ok((settings, warnings)) => json!({
            "problems": [],
            "warnings": warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "settings": {
                "request_timeout": settings.request_timeout.as_secs_f64(),
                "lease": settings.lease.as_secs_f64(),
                "lease_wait": settings.lease_wait.as_secs_f64(),
                "invalidation_timeout": settings.invalidation_timeout.as_secs_f64(),
                "buffer": settings.buffer,
            },
        }),
        Err(problems) => {
            let problems: Vec<_> = problems.iter().map(|p| [p.variable.clone(), p.fault.to_string()]).collect();
            json!({ "problems": problems, "warnings": [] })
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let given: Vec<Given> = serde_json::from_str(&text)?;
    let judged: Vec<_> = given.into_iter().map(judged).collect();
    writeln!(std::io::stdout(), "{}", Value::from(judged))?;
    Ok(())
}
