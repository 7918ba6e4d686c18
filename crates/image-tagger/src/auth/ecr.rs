//! Amazon ECR: a login for twelve hours in exchange for AWS credentials.

use std::io::Write as _;

use aws_config::BehaviorVersion;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_sdk_ecr::config::Region;
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
    let region = Region::new(region.to_owned());
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region.clone());
    // The SDK reads the token from a file alone; this one lives as long as the request.
    let mut token_file = None;
    if let Some(identity) = web_identity {
        let file = token(identity)
            .map_err(|error| AuthError::Aws(format!("the step's token could not be kept in a file: {error}")))?;
        let provider_config = aws_config::provider_config::ProviderConfig::default().with_region(Some(region));
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .configure(&provider_config)
            .static_configuration(StaticConfiguration {
                web_identity_token_file: file.path().to_owned(),
                role_arn: identity.role.clone(),
                session_name: identity.session.clone().unwrap_or_else(|| "image-tagger".to_owned()),
            })
            .build();
        loader = loader.credentials_provider(provider);
        token_file = Some(file);
    }
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let client = aws_sdk_ecr::Client::new(&loader.load().await);
    let answer = client.get_authorization_token().send().await;
    drop(token_file);
    let answer = answer.map_err(|error| {
        AuthError::Aws(format!(
            "GetAuthorizationToken for account {account} failed: {}. Check the AWS credentials, and that they allow ecr:GetAuthorizationToken",
            causes(&error)
        ))
    })?;
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

/// An error with its causes: the SDK's own text is but "service error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
