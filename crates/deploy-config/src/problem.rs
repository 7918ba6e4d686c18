//! What is wrong with a configuration, and what is merely odd about it.

use std::collections::BTreeMap;
use std::fmt;

use crate::variable::Variable;

/// What is wrong with one variable. No text in it is a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Required and not set (or set to nothing but whitespace).
    #[error("is not set. {remedy}")]
    NotSet {
        /// What to set it to, as a sentence.
        remedy: &'static str,
    },
    /// Its value is not UTF-8.
    #[error("is not valid UTF-8. Set it to plain text")]
    NotUnicode,
    /// Harness left an expression unresolved.
    #[error(
        "is {shown}, an expression that Harness did not resolve. Check the name it refers to, or \
         leave the variable out"
    )]
    Unresolved {
        /// The value, quoted and cut short; `(hidden)` for a secret.
        shown: String,
    },
    /// Its value breaks its format.
    #[error("is {shown}: {reason}")]
    Invalid {
        /// The value, quoted and cut short; `(hidden)` for a secret.
        shown: String,
        /// What is wrong with it and what to write.
        reason: String,
    },
    /// Its value does not go with another variable's.
    #[error("{reason}")]
    Conflict {
        /// Names the other variable, says what is wrong and what to do.
        reason: String,
    },
    /// No variable has this name, and one has nearly the same.
    #[error("is not a known variable. Did you mean {suggestion}?")]
    Misspelt {
        /// The known variable's name.
        suggestion: &'static str,
    },
    /// The variables could not be taken as a whole.
    #[error("could not be read")]
    Unreadable,
}

/// One variable and what is wrong with it; displayed as `DEPLOY_BUCKET: is not set. …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}{}: {fault}", Given(.given_by.as_deref()))]
#[non_exhaustive]
pub struct Problem {
    /// The variable's name.
    pub variable: String,
    /// The command-line flag that gave the value, where one did.
    pub given_by: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

struct Given<'a>(Option<&'a str>);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(flag) => write!(f, " (from {flag})"),
            None => Ok(()),
        }
    }
}

/// Every problem of a configuration, at least one; displayed one a line, without a final newline.
///
/// They come in the order of the registry, misspelt names last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// The problems, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Something odd that does not stop the run; displayed as `DEPLOY_COLOUR: is not known …`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The variable's name.
    pub variable: String,
    /// What is odd and what happens.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

/// Collects problems and warnings while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    /// Values that differ from the texts given: normalised, or worked out from other variables.
    pub(crate) worked_out: BTreeMap<&'static str, String>,
}

impl Report {
    pub(crate) fn problem(&mut self, variable: &str, given_by: Option<&str>, fault: Fault) {
        self.problems.push(Problem { variable: shown_name(variable), given_by: given_by.map(str::to_owned), fault });
    }

    pub(crate) fn conflict(&mut self, variable: &Variable, reason: String) {
        self.problem(variable.name, None, Fault::Conflict { reason });
    }

    pub(crate) fn warn(&mut self, variable: &str, message: impl Into<String>) {
        self.warnings.push(Warning { variable: shown_name(variable), message: message.into() });
    }

    /// The problems in the order of the registry; nothing where there are none.
    pub(crate) fn into_problems(mut self) -> Option<Problems> {
        let position = |problem: &Problem| {
            crate::registry().position(|variable| variable.name == problem.variable).unwrap_or(usize::MAX)
        };
        self.problems.sort_by_cached_key(position);
        (!self.problems.is_empty()).then_some(Problems(self.problems))
    }
}

/// Characters of a value that a report shows.
const SHOWN: usize = 60;

/// A value as a report shows it: quoted, control characters escaped, cut short.
pub(crate) fn shown(variable: &Variable, value: &str) -> String {
    if variable.secret {
        return "(hidden)".to_owned();
    }
    let value = hide_user_info(value);
    let cut: String = value.chars().take(SHOWN).collect();
    let more = if cut.len() < value.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}

/// A foreign name as a report shows it: control characters escaped, cut short.
fn shown_name(name: &str) -> String {
    let cut: String = name.chars().take(SHOWN).collect();
    let more = if cut.len() < name.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_debug())
}

/// Takes out of anything that looks like a URL what may be secret. User and password: everything up to
/// the last `@`, since a password that was not percent-encoded may hold any character. And the query.
pub(crate) fn hide_user_info(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, host)) => ("(hidden)@", host),
        None => ("", rest),
    };
    match rest.split_once('?') {
        Some((place, _)) => format!("{scheme}://{user}{place}?(hidden)"),
        None => format!("{scheme}://{user}{rest}"),
    }
}
