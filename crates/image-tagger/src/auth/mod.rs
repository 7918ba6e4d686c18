//! Logins for registries.
//!
//! For each registry the first that has one is taken: user and password from the settings (for the
//! registry of the repository they are meant for), docker's configuration with its credential
//! helpers, AWS credentials where the registry is Amazon's; else requests are anonymous.

use std::path::PathBuf;

use async_trait::async_trait;
use deploy_config::{Login, Secret, WebIdentity};

mod docker;
#[cfg(feature = "ecr")]
pub mod ecr;

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// None.
    Anonymous,
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that a token server exchanges for another (docker's identity token).
    IdentityToken(Secret),
}

/// Why a login could not be had. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Docker's configuration or a helper it names failed.
    #[error("docker's configuration {}: {reason}", path.display())]
    Docker {
        /// The configuration file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// AWS gave no login.
    #[error("no login to ECR from AWS: {0}")]
    Aws(String),
    /// AWS gave no login, and may give one at another attempt.
    #[error("no login to ECR from AWS yet: {0}")]
    AwsTransient(String),
    /// The registry is Amazon's, there is no login for it, and AWS is not asked by this build.
    #[error(
        "this build asks no AWS credentials (feature `ecr`): use docker's credential helper for ECR, or IMAGE_USERNAME and IMAGE_PASSWORD"
    )]
    NoEcr,
}

impl AuthError {
    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::AwsTransient(_))
    }
}

/// Where logins come from.
#[async_trait]
pub trait Keychain: Send + Sync {
    /// The login for a registry's host.
    async fn credentials(&self, host: &str) -> Result<Credentials, AuthError>;
}

/// The keychain of the module's documentation.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// The login for one registry's host.
    pub login: Option<(String, Login)>,
    /// The directory of docker's `config.json`.
    pub docker: Option<PathBuf>,
    /// A role at AWS, where the SDK would not find it by itself.
    pub web_identity: Option<WebIdentity>,
}

#[async_trait]
impl Keychain for Chain {
    async fn credentials(&self, host: &str) -> Result<Credentials, AuthError> {
        if let Some((meant_for, login)) = &self.login
            && meant_for == host
        {
            return Ok(Credentials::Basic { username: login.username.clone(), password: login.password.clone() });
        }
        if let Some(directory) = &self.docker
            && let Some(credentials) = docker::credentials(directory, host).await?
        {
            return Ok(credentials);
        }
        if is_ecr(host) {
            #[cfg(feature = "ecr")]
            return ecr::credentials(host, self.web_identity.as_ref(), None).await;
            #[cfg(not(feature = "ecr"))]
            return Err(AuthError::NoEcr);
        }
        Ok(Credentials::Anonymous)
    }
}

/// Whether a host is a private registry of Amazon ECR.
fn is_ecr(host: &str) -> bool {
    ecr_host(host).is_some()
}

/// Account and region of a private registry of Amazon ECR.
fn ecr_host(host: &str) -> Option<(&str, &str)> {
    let rest = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let mut parts = rest.split('.');
    let (account, dkr, ecr, region, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next());
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && dkr == "dkr" && (ecr == "ecr" || ecr == "ecr-fips") && end.is_none()).then_some((account, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_ecr() {
        assert_eq!(ecr_host("123456789012.dkr.ecr.eu-central-1.amazonaws.com"), Some(("123456789012", "eu-central-1")));
        assert_eq!(ecr_host("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"), Some(("123456789012", "cn-north-1")));
        for other in [
            "public.ecr.aws",
            "evil.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.x.amazonaws.com.evil.com",
            "docker.io",
        ] {
            assert_eq!(ecr_host(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_login_is_for_its_registry_alone() {
        let login = Login { username: "ci".to_owned(), password: Secret::new("hunter2") };
        let chain = Chain { login: Some(("r.io".to_owned(), login)), ..Chain::default() };
        assert!(matches!(chain.credentials("r.io").await.unwrap(), Credentials::Basic { .. }));
        assert_eq!(chain.credentials("other.io").await.unwrap(), Credentials::Anonymous);
        assert!(!format!("{chain:?}").contains("hunter2"));
    }
}
