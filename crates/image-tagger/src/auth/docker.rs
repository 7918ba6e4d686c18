//! Docker's `config.json` and the credential helpers it names.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use deploy_config::Secret;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};

use super::{AuthError, Credentials};

/// How long a helper may take; some ask the network.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The name under which docker keeps the login to Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The login for `host`; none where the configuration has none or is not there.
pub(super) async fn credentials(directory: &Path, host: &str) -> Result<Option<Credentials>, AuthError> {
    let path = directory.join("config.json");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AuthError::Docker { path, reason: error.to_string() }),
    };
    let server = match host {
        "docker.io" | "index.docker.io" => DOCKER_HUB.to_owned(),
        host => host.to_owned(),
    };
    let lookup = tokio::task::spawn_blocking(move || get_credential_from_reader(io::BufReader::new(file), &server));
    let failed = |reason: String| AuthError::Docker { path: path.clone(), reason };
    let found = match tokio::time::timeout(TIMEOUT, lookup).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("its credential helper did not answer within {} s", TIMEOUT.as_secs()))),
    };
    match found {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Credentials::Basic { username, password: Secret::new(password) }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credentials::IdentityToken(Secret::new(token)))),
        Err(error) => match explain(&error) {
            Some(reason) => Err(failed(reason)),
            None => Ok(None),
        },
    }
}

/// Why a lookup failed; nothing where it only found no login. What a helper printed is not repeated: a secret may be among it.
fn explain(error: &CredentialRetrievalError) -> Option<String> {
    match error {
        CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound => None,
        // The text that docker's own helpers print on standard output, and docker looks for.
        CredentialRetrievalError::HelperFailure { stdout, .. } if stdout.contains("credentials not found") => None,
        CredentialRetrievalError::HelperFailure { helper, .. } => {
            Some(format!("the credential helper {helper} failed: run `{helper} get` by hand to see why"))
        }
        CredentialRetrievalError::HelperCommunicationError => {
            Some("a credential helper it names could not be started: install it, or remove it from the file".to_owned())
        }
        CredentialRetrievalError::MalformedHelperResponse => {
            Some("a credential helper it names gave no JSON".to_owned())
        }
        CredentialRetrievalError::CredentialDecodingError => {
            Some("a login in it is not base64 of `user:password`".to_owned())
        }
        CredentialRetrievalError::CredentialMismatchError => Some("a login in it contradicts itself".to_owned()),
        CredentialRetrievalError::ConfigReadError => Some("is not JSON of the form docker writes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lookup(config: &str, host: &str) -> Result<Option<Credentials>, AuthError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        credentials(directory.path(), host).await
    }

    #[tokio::test]
    async fn logins_in_the_file() {
        // ci:hunter2
        let config = r#"{"auths": {"r.io": {"auth": "Y2k6aHVudGVyMg=="}, "https://index.docker.io/v1/": {"identitytoken": "t"}}}"#;
        let basic = Credentials::Basic { username: "ci".to_owned(), password: Secret::new("hunter2") };
        assert_eq!(lookup(config, "r.io").await.unwrap(), Some(basic));
        assert_eq!(lookup(config, "docker.io").await.unwrap(), Some(Credentials::IdentityToken(Secret::new("t"))));
        assert_eq!(lookup(config, "other.io").await.unwrap(), None);
        assert_eq!(lookup("{}", "r.io").await.unwrap(), None);
        let missing = tempfile::tempdir().unwrap();
        assert_eq!(credentials(missing.path(), "r.io").await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_broken_is_explained() {
        assert!(lookup("{", "r.io").await.unwrap_err().to_string().contains("is not JSON"));
        let absent = r#"{"credHelpers": {"r.io": "no-such-helper-anywhere"}}"#;
        assert!(lookup(absent, "r.io").await.unwrap_err().to_string().contains("could not be started"));
        assert_eq!(lookup(absent, "other.io").await.unwrap(), None);
    }

    #[test]
    fn what_a_helper_printed_is_not_repeated() {
        let failure = |stdout: &str| CredentialRetrievalError::HelperFailure {
            helper: "docker-credential-x".to_owned(),
            stdout: stdout.to_owned(),
            stderr: "hunter2".to_owned(),
        };
        assert_eq!(explain(&failure("credentials not found in native keychain")), None);
        let reason = explain(&failure("hunter2")).unwrap();
        assert!(reason.contains("docker-credential-x") && !reason.contains("hunter2"), "{reason}");
    }
}
