//! Credentials that could not be had, as callers see them.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;

use crate::cause::cause;

/// Why credentials could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whether another attempt may succeed: the source did not answer, answered 5xx or asked for patience.
    pub is_transient: bool,
    /// The source with its file or address, and the cause, in one line. Holds no secret.
    pub message: String,
}

/// The reason why a request was not sent for want of credentials; none where `error` has another cause.
pub fn failure(error: &(dyn StdError + 'static)) -> Option<Failure> {
    if let Some(failure) = find::<Failure>(error) {
        return Some(failure.clone());
    }
    // Of a provider that is not ours.
    let error = find::<CredentialsError>(error)?;
    let cause = cause(error);
    Some(Failure { is_transient: cause.is_transient, message: cause.text })
}

/// The first error of this type in the chain of causes.
pub fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(<dyn StdError>::downcast_ref)
}

/// An error and its causes.
pub(crate) fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An error and its causes in one line, leaving out what the line says already.
pub fn flatten(error: &(dyn StdError + 'static)) -> String {
    let mut line = String::new();
    for error in causes(error) {
        let text = one_line(&error.to_string());
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn causes_in_one_line_without_repetitions() {
        let error = Layer(
            "io error: connect\n failed",
            Some(Box::new(Layer("connect failed", Some(Box::new(Layer("refused", None)))))),
        );
        assert_eq!(flatten(&error), "io error: connect failed: refused");
    }

    #[test]
    fn credentials_of_other_providers_are_judged_too() {
        let late = CredentialsError::provider_timed_out(std::time::Duration::from_secs(5));
        assert!(failure(&late).unwrap().is_transient);
        let none = CredentialsError::not_loaded("nothing configured");
        assert!(!failure(&none).unwrap().is_transient);
        assert_eq!(failure(&std::io::Error::other("reset")), None);
    }
}
