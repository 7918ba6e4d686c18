//! Amazon ECR: a login for twelve hours in exchange for AWS credentials.

use std::io::Write as _;

use aws_config::BehaviorVersion;
use aws_config::web_identity_token::StaticConfiguration;
use aws_credentials::{Refusal, failure, flatten, wrong_clock};
use aws_sdk_ecr::config::Region;
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_ecr::operation::get_authorization_token::GetAuthorizationTokenError;
use base64::Engine as _;
use deploy_config::{Secret, WebIdentity};

use super::{AuthError, Credentials, ecr_host};

/// Asks ECR for a login to `host`. `endpoint` stands in for AWS's address in tests.
///
/// # Errors
/// There are no AWS credentials, or they lack `ecr:GetAuthorizationToken`.
pub async fn credentials(
    host: &str,
    web_identity: Option<&WebIdentity>,
    endpoint: Option<&str>,
) -> Result<Credentials, AuthError> {
    let Some((account, region)) = ecr_host(host) else {
        return Err(AuthError::Aws(format!("{host} is not a registry of ECR")));
    };
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    // The SDK reads the token from a file alone; this one lives as long as the request.
    let token_file = web_identity
        .map(token)
        .transpose()
        .map_err(|error| AuthError::Aws(format!("the step's token could not be kept in a file: {error}")))?;
    let role = web_identity.zip(token_file.as_ref()).map(|(identity, file)| StaticConfiguration {
        web_identity_token_file: file.path().to_owned(),
        role_arn: identity.role.clone(),
        session_name: identity.session.clone().unwrap_or_else(|| "image-tagger".to_owned()),
    });
    let config = aws_credentials::load(loader, Region::new(region.to_owned()), role).await;
    let answer = aws_sdk_ecr::Client::new(&config).get_authorization_token().send().await;
    drop(token_file);
    let answer = answer.map_err(|error| auth_error(account, &error))?;
    let token = answer.authorization_data().first().and_then(|data| data.authorization_token());
    token.and_then(decode).ok_or_else(|| AuthError::Aws("the answer holds no login".to_owned()))
}

/// Keeps the token in a file that only this user can read.
fn token(identity: &WebIdentity) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(identity.token.reveal().as_bytes())?;
    file.flush()?;
    Ok(file)
}

/// `user:password` in base64.
fn decode(token: &str) -> Option<Credentials> {
    let text = base64::engine::general_purpose::STANDARD.decode(token).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credentials::Basic { username: username.to_owned(), password: Secret::new(password) })
}

/// What a failed `GetAuthorizationToken` means.
fn auth_error(account: &str, error: &SdkError<GetAuthorizationTokenError, HttpResponse>) -> AuthError {
    let failed = |cause: &str| format!("GetAuthorizationToken for account {account} failed: {cause}");
    if let Some(failure) = failure(error) {
        let message = failed(&format!("no AWS credentials: {}", failure.message));
        return if failure.is_transient { AuthError::AwsTransient(message) } else { AuthError::Aws(message) };
    }
    let SdkError::ServiceError(service) = error else {
        // Some status, but no answer of ECR's; or no answer at all, or not in time.
        let is_lasting = matches!(error, SdkError::ConstructionFailure(_))
            || error.raw_response().is_some_and(|response| matches!(response.status().as_u16(), 400..=407 | 409..=428));
        let message = failed(&flatten(error));
        return if is_lasting { AuthError::Aws(message) } else { AuthError::AwsTransient(message) };
    };
    let (code, text) = (service.err().code(), service.err().message().unwrap_or_default());
    let date = service.raw().headers().get("date");
    let refusal = Refusal { code, message: text, date, body: None };
    if let Some(clock) = wrong_clock(&refusal, std::time::SystemTime::now()) {
        return AuthError::Aws(failed(&clock));
    }
    let message = failed(&format!("{}: {text}", code.unwrap_or("no reason given")));
    let status = service.raw().status().as_u16();
    let is_throttled = code.is_some_and(|code| code.contains("Throttl") || code == "TooManyRequestsException");
    if matches!(status, 408 | 429 | 500..) || is_throttled {
        return AuthError::AwsTransient(message);
    }
    AuthError::Aws(format!("{message}. Check the AWS credentials, and that they allow ecr:GetAuthorizationToken"))
}
