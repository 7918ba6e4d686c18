//! Whether the cause of failed credentials may pass by itself.

use std::error::Error as StdError;

use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_ssooidc::operation::create_token::CreateTokenError;
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};

use crate::clock::{Refusal, wrong_clock};
use crate::error::{causes, find, flatten, one_line};

/// A cause, in one line.
pub(crate) struct Cause {
    pub(crate) is_transient: bool,
    pub(crate) text: String,
}

/// The cause of `error`, from the first answer, or the lack of one, in its chain.
pub(crate) fn cause(error: &CredentialsError) -> Cause {
    let answered = causes(error).find_map(|error| {
        of_service::<AssumeRoleWithWebIdentityError>(error)
            .or_else(|| of_service::<AssumeRoleError>(error))
            .or_else(|| of_service::<GetRoleCredentialsError>(error))
            .or_else(|| of_service::<CreateTokenError>(error))
            .or_else(|| of_answer::<TokenError>(error, |_, status| http(status)))
            .or_else(|| of_answer::<CredentialsError>(error, |_, status| http(status)))
            .or_else(|| of_instance(error))
    });
    answered.or_else(|| of_text(error)).unwrap_or_else(|| Cause {
        is_transient: matches!(error, CredentialsError::ProviderTimedOut(_)) || is_unreachable(error),
        text: innermost(error),
    })
}

/// What the SDK's own lines are about, which say only that something failed.
fn innermost(error: &CredentialsError) -> String {
    let last = causes(error).filter_map(<dyn StdError>::downcast_ref::<CredentialsError>).last();
    let last = last.unwrap_or(error);
    last.source().map_or_else(|| one_line(&last.to_string()), flatten)
}

/// Whether a connection failed, or none was answered.
pub(crate) fn is_unreachable(error: &(dyn StdError + 'static)) -> bool {
    find::<ConnectorError>(error).is_some_and(|error| !error.is_user())
}

fn of_service<E>(error: &(dyn StdError + 'static)) -> Option<Cause>
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    of_answer::<E>(error, |answer, status| {
        let (error, response) = answer;
        let (code, message) = (error.code(), error.message().map(one_line).unwrap_or_default());
        let refusal = Refusal { code, message: &message, date: response.headers().get("date"), body: None };
        if let Some(text) = wrong_clock(&refusal, std::time::SystemTime::now()) {
            return Cause { is_transient: false, text };
        }
        let text = match code {
            Some(code) if message.is_empty() => format!("{code} (HTTP {status})"),
            Some(code) => format!("{code}: {message}"),
            None => format!("HTTP {status}"),
        };
        Cause { is_transient: passes(status) || code.is_some_and(|code| code_passes(code, &message)), text }
    })
}

/// A request of the SDK that failed; `judge` is for an answer.
fn of_answer<E: StdError + 'static>(
    error: &(dyn StdError + 'static),
    judge: impl Fn((&E, &HttpResponse), u16) -> Cause,
) -> Option<Cause> {
    let error = error.downcast_ref::<SdkError<E, HttpResponse>>()?;
    let cause = || error.source().map_or_else(|| one_line(&error.to_string()), flatten);
    Some(match error {
        SdkError::ServiceError(service) => {
            // What a credentials error within an answer says of the status is in its text.
            if let Some(inner) = find::<CredentialsError>(service.err()) {
                return of_text(inner);
            }
            judge((service.err(), service.raw()), service.raw().status().as_u16())
        }
        SdkError::TimeoutError(_) => Cause { is_transient: true, text: format!("no answer in time: {}", cause()) },
        SdkError::DispatchFailure(failure) => {
            Cause { is_transient: !failure.is_user(), text: format!("no answer: {}", cause()) }
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status();
            let is_transient = status.is_success() || passes(status.as_u16());
            Cause { is_transient, text: format!("unreadable answer (HTTP {}): {}", status.as_u16(), cause()) }
        }
        _ => Cause { is_transient: false, text: cause() },
    })
}

fn http(status: u16) -> Cause {
    Cause { is_transient: passes(status), text: format!("HTTP {status}") }
}

/// Of the instance's metadata service, whose other failures are of the kinds above.
fn of_instance(error: &(dyn StdError + 'static)) -> Option<Cause> {
    match error.downcast_ref::<ImdsError>()? {
        ImdsError::ErrorResponse(answer) => Some(http(answer.response().status().as_u16())),
        ImdsError::IoError(_) => Some(Cause { is_transient: true, text: flatten(error) }),
        _ => None,
    }
}

/// What the SDK gives as text alone: answers of a container's provider and of the instance, and a host name
/// that does not resolve. A test asks the real SDK for each.
fn of_text(error: &CredentialsError) -> Option<Cause> {
    let text = error.source().map(flatten)?;
    let within = |before: &str, after: char| Some(text.split_once(before)?.1.split_once(after)?.0.trim());
    if let Some(status) = text.split_once("Non-success status from HTTP credential provider: ") {
        let status: String = status.1.chars().filter(char::is_ascii_digit).take(3).collect();
        return Some(http(status.parse().unwrap_or_default()));
    }
    let code = within("failed to load credentials [", ']').or_else(|| {
        let rest = text.split_once("Error retrieving credentials from IMDS: ")?.1;
        rest.split_whitespace().next()
    });
    if code.is_none() && text.contains("failed to perform DNS lookup") {
        // The text shows the whole address, in whose path a secret may be.
        return Some(Cause { is_transient: true, text: "its host name does not resolve".to_owned() });
    }
    let is_transient = code_passes(code?, &text);
    Some(Cause { is_transient, text })
}

fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// Whether AWS advises to try again after an error with this code. STS documents it for
/// `IDPCommunicationError`; the rest are the codes that the SDK itself retries, and names of a 5xx.
fn code_passes(code: &str, message: &str) -> bool {
    match code {
        "IDPCommunicationError"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerException" => true,
        // STS could not reach the issuer of the token ("Couldn't retrieve verification key from your identity
        // provider"). Pipelines retry it: linz/geoprocessor#115.
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => message.contains("retrieve verification key"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sts::error::ErrorMetadata;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;

    use super::*;

    fn answered(status: u16, code: Option<&str>, message: &str) -> Cause {
        let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), "".into());
        let mut metadata = ErrorMetadata::builder().message(message);
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let error = AssumeRoleWithWebIdentityError::generic(metadata.build());
        cause(&CredentialsError::provider_error(SdkError::service_error(error, response)))
    }

    #[test]
    fn answers_of_sts() {
        for (status, code, message, expected) in [
            (503, None, "", true),
            (500, Some("InternalFailure"), "", true),
            (429, None, "", true),
            (400, Some("Throttling"), "Rate exceeded", true),
            (400, Some("IDPCommunicationError"), "The request could not be completed", true),
            (
                400,
                Some("InvalidIdentityToken"),
                "Couldn't retrieve verification key from your identity provider, please reference documentation",
                true,
            ),
            (400, Some("InvalidIdentityToken"), "No OpenIDConnect provider found in your account for https://x", false),
            (403, Some("AccessDenied"), "Not authorized to perform sts:AssumeRoleWithWebIdentity", false),
            (400, Some("ExpiredTokenException"), "Token expired: current date/time must be before", false),
            (400, Some("ValidationError"), "1 validation error detected", false),
            (404, None, "", false),
        ] {
            let cause = answered(status, code, message);
            assert_eq!(cause.is_transient, expected, "{status} {code:?} {message}");
            assert!(cause.text.contains(code.unwrap_or(&status.to_string())), "{}", cause.text);
        }
    }

    #[test]
    fn what_is_known_by_its_text() {
        for (text, expected) in [
            ("Non-success status from HTTP credential provider: StatusCode(503)", true),
            ("Non-success status from HTTP credential provider: StatusCode(404)", false),
            ("failed to load credentials [ThrottlingException]: Rate exceeded", true),
            ("failed to load credentials [AccessDeniedException]: no", false),
            ("Error retrieving credentials from IMDS: InternalError try later", true),
            ("Error retrieving credentials from IMDS: Failed no", false),
            ("invalid full URI for ECS provider (failed to perform DNS lookup while validating URI): http://x", true),
            ("external process exited with code 1", false),
        ] {
            assert_eq!(cause(&CredentialsError::provider_error(text)).is_transient, expected, "{text}");
        }
    }
}
