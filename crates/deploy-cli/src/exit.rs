//! How this program ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use asset_sync::ErrorClass;

use crate::commands::Done;
use crate::failure::Failure;

/// What an end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    class: ErrorClass,
    /// The signal that ended it, where one did.
    signal: Option<u8>,
}

impl Exit {
    /// Ended by a signal of this number; `None` where nobody knows which it was.
    pub(crate) fn interrupted(signal: Option<u8>) -> Self {
        Self { class: ErrorClass::Interrupted, signal }
    }

    /// By the class of an error; the signal counts where that was the reason.
    pub(crate) fn of(class: ErrorClass, signal: Option<u8>) -> Self {
        if class == ErrorClass::Interrupted { Self::interrupted(signal) } else { class.into() }
    }

    /// The exit code. That of a signal is 128 and its number, as shells have it.
    pub(crate) fn code(self) -> u8 {
        self.signal.map_or_else(|| self.class.exit_code(), |signal| 128 + signal)
    }

    /// Its name in the result object.
    pub(crate) fn name(self) -> &'static str {
        self.class.name()
    }
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Self {
        Self { class, signal: None }
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
        Err(Failure::new(ErrorClass::Bug, message).hinted(
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
            (ErrorClass::Bug.into(), 1),
            (ErrorClass::Usage.into(), 2),
            (ErrorClass::NotPermitted.into(), 3),
            (ErrorClass::Conflict.into(), 4),
            (ErrorClass::Transient.into(), 5),
            (ErrorClass::Verification.into(), 6),
            (ErrorClass::Refused.into(), 7),
            (ErrorClass::Unfinished.into(), 8),
            (Exit::of(ErrorClass::Refused, Some(15)), 7),
            (Exit::interrupted(None), 130),
            (Exit::interrupted(Some(2)), 130),
            (Exit::of(ErrorClass::Interrupted, Some(15)), 143),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn a_panic_is_a_bug() {
        let text = String::from("index 3 of 2");
        let failure = catching_panics(move || std::panic::panic_any(text)).unwrap_err();
        assert_eq!(failure.exit, ErrorClass::Bug.into());
        assert!(failure.message.contains("index 3 of 2. This is a bug"), "{}", failure.message);
    }
}
