//! The page `docs/configuration.md`.

use std::fmt::Write as _;

use crate::variable::{Group, Owner, Presence, Reader, Variable};
use crate::variables::registry;

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the registry in crates/deploy-config. Change it there, then run:
     cargo run -p deploy-config --example configuration-md > docs/configuration.md -->

The tools are configured by environment variables. `deploy config` and `image-tagger config` show \
each with the value in effect and where that is from.

A deploy needs few of them:

```sh
export DEPLOY_SOURCE=dist                        # the built site
export DEPLOY_VERSION=1.4.2
export DEPLOY_BUCKET=webapp-production
export DEPLOY_REGION=eu-central-1
export DEPLOY_DISTRIBUTION_IDS=E2QWRUHEXAMPLE    # what serves it, if CloudFront does
deploy plan                                      # what would happen
deploy
```

## How values are read

- Whitespace around a value is dropped, so the newline at the end of a file does no harm. A value \
that is then empty counts as not set.
- A command-line flag wins over its variable.
- **Durations** are numbers with units: `90s`, `15m`, `1h 30m`, `7d`. A number without a unit is \
refused.
- **Sizes** are numbers with units, of 1024 (`8MiB`, `1GiB`) or of 1000 (`8MB`, `1GB`). A number \
without a unit is in bytes.
- **Names of values** (`exact`, `true`) may be in capitals.
- `null`, or a value with `<+` in it, is a Harness expression that was not resolved. It is refused, \
whatever the variable.
- All problems are reported at once, each under its variable's name, before any request is made; \
the exit code is then 2. The value of a secret is never shown.
- A name that begins with `DEPLOY_` or `IMAGE_` and is nearly that of a variable below is taken for a slip and \
refused. Any other unknown one is ignored with a warning, as an older image may meet a newer \
environment.
";

/// The text of `docs/configuration.md`, made from the registry.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in Group::ALL {
        let variables: Vec<_> = registry().filter(|variable| variable.group == group).collect();
        let _ = write!(page, "\n## {}\n\n{}\n\n", group.title(), group.introduction());
        page.push_str("| Variable | What it is | Default |\n|---|---|---|\n");
        for variable in &variables {
            let _ = writeln!(
                page,
                "| [`{name}`](#{anchor}) | {summary} | {default} |",
                name = variable.name,
                anchor = variable.name.to_lowercase(),
                summary = variable.summary,
                default = default(variable),
            );
        }
        for variable in &variables {
            push_variable(&mut page, variable);
        }
    }
    page
}

fn push_variable(page: &mut String, variable: &Variable) {
    let _ = write!(page, "\n### `{}`\n\n{}.", variable.name, variable.summary);
    if !variable.details.is_empty() {
        let _ = write!(page, " {}", variable.details);
    }
    let _ = write!(page, "\n\n- Value: {}", variable.format.describe());
    if variable.secret {
        page.push_str("; never shown\n");
    } else {
        let _ = writeln!(page, "; for example `{}`", variable.example);
    }
    let if_not_set = match variable.presence {
        Presence::Required(_) => "- Required\n".to_owned(),
        Presence::Default(text) => format!("- Default: `{text}`\n"),
        Presence::Derived(how) => format!("- Default: {how}\n"),
        Presence::Optional(meaning) => format!("- Not set: {meaning}\n"),
    };
    page.push_str(&if_not_set);
    let readers: Vec<_> = variable.read_by.iter().map(reader).collect();
    let by_sdk = match variable.owner {
        Owner::Ours | Owner::Bitbucket | Owner::Convention => "",
        Owner::AwsSdk => ", through the AWS SDK",
    };
    let _ = writeln!(page, "- Read by: {}{by_sdk}", readers.join("; "));
}

fn default(variable: &Variable) -> String {
    match variable.presence {
        Presence::Required(_) => "**required**".to_owned(),
        Presence::Default(text) => format!("`{text}`"),
        Presence::Derived(how) => how.to_owned(),
        Presence::Optional(_) => "–".to_owned(),
    }
}

fn reader(reader: &Reader) -> String {
    let name = reader.program.name();
    if reader.commands.is_empty() {
        return format!("`{name}`");
    }
    let commands: Vec<_> = reader.commands.iter().map(|command| format!("`{name} {command}`")).collect();
    commands.join(", ")
}
