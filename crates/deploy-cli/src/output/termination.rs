//! The termination log: how a run ended, in one line, for whoever looks at the pod.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use deploy_config::{Environment, Program, Source};

use crate::failure::Failure;

/// Where Kubernetes reads it unless the pod says otherwise.
const DEFAULT: &str = "/dev/termination-log";
/// Kubernetes limits: of a termination message, 4096 bytes are kept.
const MOST_BYTES: usize = 4096;

/// The file to write to, if any; known whatever else is wrong with the configuration.
pub(super) fn file(environment: &Environment) -> Option<PathBuf> {
    let table = environment.table(Program::Deploy);
    let row = table.rows.iter().find(|row| row.variable == "DEPLOY_TERMINATION_LOG");
    match row.filter(|row| row.source != Source::NotSet).and_then(|row| row.value.as_deref()) {
        // An expression that Harness left, or no text: reported as such, and no file's name.
        Some(text) if text == "null" || text.contains("<+") || text == "(not UTF-8)" => None,
        Some(text) => Some(text.into()),
        None => Some(PathBuf::from(DEFAULT)).filter(|file| file.exists()),
    }
}

/// Writes the line, in place of what was there.
pub(super) fn write(file: &Path, line: &str) -> io::Result<()> {
    fs::write(file, cut(&one_line(line)))
}

/// A failure, with what to do about it.
pub(super) fn failed(failure: &Failure) -> String {
    let Failure { exit, message, hint, .. } = failure;
    let mut line = format!("failed ({}, exit code {}): {}", exit.name(), exit.code(), one_line(message));
    if let Some(hint) = hint {
        line = format!("{line}. Hint: {hint}");
    }
    line
}

/// Says that the command line was not understood, to whoever looks at the pod.
pub(crate) fn usage_failed(message: &str, environment: &Environment) {
    let failure = Failure::usage(message.trim());
    if let Some(file) = file(environment)
        && let Err(error) = write(&file, &failed(&failure))
    {
        super::say(&format!("warning: DEPLOY_TERMINATION_LOG: cannot write {}: {error}", file.display()));
    }
}

fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push_str(if line.ends_with(':') { " " } else { "; " });
        }
        line.push_str(part);
    }
    line
}

fn cut(line: &str) -> String {
    const MORE: &str = "…";
    if line.len() <= MOST_BYTES {
        return line.to_owned();
    }
    let end = line.floor_char_boundary(MOST_BYTES - MORE.len());
    format!("{}{MORE}", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lines_become_one() {
        let failure = Failure::usage("two problems:\n  A: is bad\nB: is worse").hinted("mend them");
        assert_eq!(
            failed(&failure),
            "failed (usage, exit code 2): two problems: A: is bad; B: is worse. Hint: mend them"
        );
    }

    #[test]
    fn no_more_than_kubernetes_keeps() {
        for text in ["x".repeat(5000), "ä".repeat(3000), format!("x{}", "ä".repeat(3000))] {
            let line = cut(&text);
            assert!(line.len() <= MOST_BYTES && line.len() > MOST_BYTES - 4 && line.ends_with('…'), "{}", line.len());
        }
        assert_eq!(cut(&"x".repeat(MOST_BYTES)).len(), MOST_BYTES);
    }

    #[test]
    fn the_file_is_known_from_its_variable_unless_that_is_no_file() {
        let of = |text: &str| file(&Environment::new([("DEPLOY_TERMINATION_LOG".into(), text.into())]));
        assert_eq!(of("/tmp/end"), Some(PathBuf::from("/tmp/end")));
        assert_eq!(of("<+pipeline.file>"), None);
        assert_eq!(of("null"), None);
    }
}
