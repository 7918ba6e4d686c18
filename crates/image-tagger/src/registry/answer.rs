//! Answers, and what they mean where they are not what was wanted.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

use super::{RegistryError, RegistryErrorKind};

/// The largest error that is read.
const LARGEST_ERROR: usize = 1 << 20;

/// Names a request in errors.
#[derive(Debug, Clone)]
pub(super) struct Task {
    operation: &'static str,
    subject: String,
}

impl Task {
    pub(super) fn new(operation: &'static str, subject: &impl ToString) -> Self {
        Self { operation, subject: subject.to_string() }
    }

    pub(super) fn error(&self, kind: RegistryErrorKind, message: impl Into<String>) -> RegistryError {
        RegistryError {
            kind,
            operation: self.operation,
            subject: self.subject.clone(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// The network failed.
    pub(super) fn network(&self, error: &reqwest::Error) -> RegistryError {
        // reqwest's Display leaves out its causes, and may hold a URL with a signature in it.
        let mut message = String::new();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(error) = cause {
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&error.to_string());
            cause = error.source();
        }
        if error.is_timeout() {
            return self.error(RegistryErrorKind::Transient, "no answer in time");
        }
        if message.is_empty() {
            return self.error(RegistryErrorKind::Transient, "the connection failed");
        }
        // rustls' names for an answer that is not TLS, and for a certificate nobody here trusts.
        if error.is_connect() && message.contains("InvalidContentType") {
            let message = "it does not speak HTTPS; a test registry can be named in IMAGE_INSECURE_REGISTRIES";
            return self.error(RegistryErrorKind::Rejected, message);
        }
        let kind = if error.is_connect() && message.contains("invalid peer certificate") {
            RegistryErrorKind::Rejected
        } else {
            RegistryErrorKind::Transient
        };
        self.error(kind, message)
    }

    /// The registry answered with an error.
    pub(super) async fn refused(&self, response: Response) -> RegistryError {
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let said = read(response, LARGEST_ERROR, self).await.unwrap_or_default();
        let errors = errors(&said);
        let kind = match status {
            // The manifest is pushed after every blob was found there: of the registry's own parts one does not
            // know yet what the other has stored.
            _ if errors.iter().any(|(code, _)| code == "MANIFEST_BLOB_UNKNOWN") => RegistryErrorKind::Transient,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryErrorKind::Denied,
            StatusCode::NOT_FOUND => RegistryErrorKind::NotFound,
            StatusCode::TOO_MANY_REQUESTS => RegistryErrorKind::Throttled,
            StatusCode::REQUEST_TIMEOUT => RegistryErrorKind::Transient,
            status if status.is_server_error() => RegistryErrorKind::Transient,
            _ => RegistryErrorKind::Rejected,
        };
        let mut error = self.error(kind, describe(status, &errors, &said));
        error.retry_after = retry_after.map(Duration::from_secs);
        error
    }
}

/// The errors in an answer's body, each a code and a message (distribution specification, "Error Codes").
fn errors(body: &[u8]) -> Vec<(String, String)> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = body.get("errors").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |error: &serde_json::Value, key| {
        error.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    errors.iter().map(|error| (text(error, "code"), text(error, "message"))).collect()
}

/// An answer as words: the status, and the errors in the body or else the body itself.
fn describe(status: StatusCode, errors: &[(String, String)], body: &[u8]) -> String {
    const SHOWN: usize = 300;
    let errors: Vec<_> = errors.iter().map(|(code, message)| format!("{code} {message}").trim().to_owned()).collect();
    let text = if errors.is_empty() { String::from_utf8_lossy(body).into_owned() } else { errors.join("; ") };
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if text.is_empty() { status.to_string() } else { format!("{status}: {text}") }
}

/// Reads an answer of a bounded size.
pub(super) async fn read(mut response: Response, largest: usize, task: &Task) -> Result<Bytes, RegistryError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| task.network(&error))? {
        if bytes.len() + chunk.len() > largest {
            return Err(task.error(RegistryErrorKind::Rejected, format!("the answer is larger than {largest} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}
