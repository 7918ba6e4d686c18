//! How this program ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use asset_sync::ErrorClass;

use crate::commands::Done;
use crate::failure::Failure;

/// What an end means. Each has an exit code of its own, so that a Job's policy can tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A bug in this program.
    Bug,
    /// Usage or configuration.
    Usage,
    /// Credentials or permissions.
    NotPermitted,
    /// A conflict that no retry cures.
    Conflict,
    /// Worth a retry.
    Transient,
    /// What is served is not what was deployed.
    Verification,
    /// Refused for the site's safety.
    Refused,
    /// Ended by a signal of this number.
    Interrupted(u8),
}

impl Exit {
    pub(crate) fn of(class: ErrorClass, signal: Option<u8>) -> Self {
        /// `SIGINT`, where nobody knows which it was.
        const SIGINT: u8 = 2;
        match class {
            ErrorClass::Bug => Self::Bug,
            ErrorClass::Usage => Self::Usage,
            ErrorClass::NotPermitted => Self::NotPermitted,
            ErrorClass::Conflict => Self::Conflict,
            ErrorClass::Transient => Self::Transient,
            ErrorClass::Verification => Self::Verification,
            ErrorClass::Refused => Self::Refused,
            ErrorClass::Interrupted => Self::Interrupted(signal.unwrap_or(SIGINT)),
        }
    }

    /// The exit code. That of a signal is 128 and its number, as shells have it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Usage => 2,
            Self::NotPermitted => 3,
            Self::Conflict => 4,
            Self::Transient => 5,
            Self::Verification => 6,
            Self::Refused => 7,
            Self::Interrupted(signal) => 128 + signal,
        }
    }

    /// Its name in the result object.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bug => "bug",
            Self::Usage => "usage",
            Self::NotPermitted => "not-permitted",
            Self::Conflict => "conflict",
            Self::Transient => "transient",
            Self::Verification => "verification",
            Self::Refused => "refused",
            Self::Interrupted(_) => "interrupted",
        }
    }
}

/// Runs `work`; a panic in it becomes a failure like any other.
///
/// The panic's own message was printed by the hook by then.
pub(crate) fn catching_panics(work: impl FnOnce() -> Result<Done, Failure>) -> Result<Done, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        let message = format!("internal error: {message}. This is a bug in deploy {}", env!("CARGO_PKG_VERSION"));
        Err(Failure::new(Exit::Bug, message).hinted(
            "Please report it with the lines above. If it happened while writing, the next run finishes the work",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_code_of_its_own() {
        let codes = [
            (Exit::Bug, 1),
            (Exit::Usage, 2),
            (Exit::NotPermitted, 3),
            (Exit::Conflict, 4),
            (Exit::Transient, 5),
            (Exit::Verification, 6),
            (Exit::Refused, 7),
            (Exit::Interrupted(2), 130),
            (Exit::Interrupted(15), 143),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn a_panic_is_a_bug() {
        let text = String::from("index 3 of 2");
        let failure = catching_panics(move || std::panic::panic_any(text)).unwrap_err();
        assert_eq!(failure.exit, Exit::Bug);
        assert!(failure.message.contains("index 3 of 2. This is a bug"), "{}", failure.message);
    }
}
