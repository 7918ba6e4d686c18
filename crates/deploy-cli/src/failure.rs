//! A run that did not succeed, as it is told: one message, and what to do about it.

use std::path::Path;

use asset_sync::site::RulesError;
use asset_sync::{Error, ErrorClass, NotVerified, Refusal};
use deploy_config::{Fault, Problems};

use crate::exit::Exit;
use crate::hint::{Surroundings, hint};

/// A run that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What went wrong; may have several lines.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The release that was deployed and did not show on the live site.
    pub(crate) not_verified: Option<Box<NotVerified>>,
}

impl Failure {
    pub(crate) fn new(exit: impl Into<Exit>, message: impl Into<String>) -> Self {
        Self { exit: exit.into(), message: message.into(), hint: None, not_verified: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Usage, message)
    }

    pub(crate) fn bug(message: &str) -> Self {
        Self::new(ErrorClass::Bug, format!("internal error: {message}. This is a bug"))
    }

    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Told to stop, before anything was begun.
    pub(crate) fn interrupted(signal: Option<u8>) -> Self {
        Self::new(Exit::interrupted(signal), "interrupted before anything was written")
    }

    /// An error of the library.
    pub(crate) fn of(error: &Error, surroundings: &Surroundings, signal: Option<u8>) -> Self {
        let not_verified = match error.cause() {
            Error::NotVerified(seen) => Some(Box::new(seen.clone())),
            _ => None,
        };
        let hint = hint(error, surroundings);
        let mut message = error.to_string();
        let says_so = matches!(error, Error::Refused(Refusal::Preflight { .. }));
        if matches!(error, Error::Refused(_) | Error::Distributions(_)) && !says_so {
            message.push_str(". Nothing was written");
        }
        Self { hint, not_verified, ..Self::new(Exit::of(error.class(), signal), message) }
    }

    /// Two results of which both must be good; what is wrong with either is in the failure.
    pub(crate) fn both<A, B>(one: Result<A, Self>, other: Result<B, Self>) -> Result<(A, B), Self> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (Err(failure), Ok(_)) | (Ok(_), Err(failure)) => Err(failure),
            (Err(one), Err(other)) => Err(Self {
                message: format!("{}\n{}", one.message, other.message),
                hint: one.hint.or(other.hint),
                ..one
            }),
        }
    }

    /// A configuration that does not hold; `also` is one more problem with it.
    pub(crate) fn configuration(problems: &Problems, also: Option<&str>) -> Self {
        let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.extend(also.map(str::to_owned));
        let message = match lines.len() {
            1 => lines.remove(0),
            several => format!("the configuration has {several} problems:\n{}", lines.join("\n")),
        };
        let no_source =
            problems.iter().any(|p| p.variable == "DEPLOY_SOURCE" && matches!(p.fault, Fault::NotSet { .. }));
        Self::usage(message).hinted(if no_source {
            "Name the directory of the built site with --source DIR or in DEPLOY_SOURCE. `deploy config` shows all variables"
        } else {
            "`deploy config` shows all variables with the values in effect"
        })
    }

    /// A rules file that cannot be read.
    pub(crate) fn unreadable_rules(path: &Path, source: &std::io::Error) -> Self {
        Self::usage(format!("DEPLOY_RULES: cannot read {}: {source}", path.display()))
            .hinted("Set it to a TOML file of rules, or leave it out to go by the built-in ones")
    }

    /// A rules file whose content does not hold.
    pub(crate) fn rules(path: &Path, error: &RulesError) -> Self {
        Self::usage(format!("DEPLOY_RULES: {}: {error}", path.display()))
    }
}
