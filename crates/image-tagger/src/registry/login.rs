//! Requests with the login that the registry asks for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::answer::{Task, read};
use super::challenge::{self, Challenge};
use super::http::HttpOptions;
use super::{RegistryError, RegistryErrorKind};
use crate::auth::Credentials;
use crate::reference::Repository;

/// The largest token that is read.
const LARGEST_TOKEN: usize = 1 << 20;

/// What a request needs the right to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Access {
    host: String,
    /// As the token specification writes them: `repository:webapp:pull,push`.
    scopes: Vec<String>,
}

impl Access {
    pub(super) fn pull(repository: &Repository) -> Self {
        Self { host: repository.registry().to_owned(), scopes: vec![format!("repository:{}:pull", repository.path())] }
    }

    pub(super) fn push(repository: &Repository) -> Self {
        Self {
            host: repository.registry().to_owned(),
            scopes: vec![format!("repository:{}:pull,push", repository.path())],
        }
    }

    pub(super) fn and_pull(mut self, repository: &Repository) -> Self {
        self.scopes.push(format!("repository:{}:pull", repository.path()));
        self
    }
}

/// Sends requests, and keeps the logins it has found.
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) options: HttpOptions,
    credentials: Mutex<HashMap<String, Credentials>>,
    authorizations: Mutex<HashMap<Access, String>>,
    requests: AtomicU64,
}

impl Sender {
    /// Makes a client. Nothing is requested yet.
    pub(super) fn new(options: HttpOptions) -> Result<Self, RegistryError> {
        let client = Client::builder()
            .user_agent(concat!("image-tagger/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeout.min(Duration::from_secs(15)))
            .build()
            .map_err(|error| Task::new("setting up HTTPS", &"this machine").network(&error))?;
        let (credentials, authorizations) = (Mutex::default(), Mutex::default());
        Ok(Self { client, options, credentials, authorizations, requests: AtomicU64::new(0) })
    }

    /// Number of requests made so far.
    pub(super) fn made(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether the registry is spoken to by plain HTTP.
    pub(super) fn is_insecure(&self, host: &str) -> bool {
        self.options.insecure.iter().any(|insecure| insecure == host)
    }

    /// Makes one request, with a login where the registry asks for it. `make` may be called twice.
    pub(super) async fn send(
        &self,
        access: &Access,
        task: &Task,
        make: impl Fn(&Client) -> Result<RequestBuilder, RegistryError>,
    ) -> Result<Response, RegistryError> {
        let known = self.authorizations.lock().await.get(access).cloned();
        let response = self.send_once(task, make(&self.client)?, known.as_deref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = challenge::parse(headers) else {
            return Err(task.refused(response).await);
        };
        let Some(authorization) = self.authorize(access, challenge, task).await? else {
            return Err(task.refused(response).await);
        };
        // A password that was refused a moment ago would be refused again.
        if known.as_deref() == Some(authorization.as_str()) {
            return Err(task.refused(response).await);
        }
        self.authorizations.lock().await.insert(access.clone(), authorization.clone());
        self.send_once(task, make(&self.client)?, Some(&authorization)).await
    }

    /// Makes one request, with this login.
    pub(super) async fn send_once(
        &self,
        task: &Task,
        request: RequestBuilder,
        authorization: Option<&str>,
    ) -> Result<Response, RegistryError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = match authorization {
            Some(authorization) => {
                let mut value = reqwest::header::HeaderValue::from_str(authorization).map_err(|_| {
                    task.error(RegistryErrorKind::Credentials, "the login holds characters that no header can")
                })?;
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            None => request,
        };
        request.send().await.map_err(|error| task.network(&error))
    }

    /// The header that a challenge asks for; none where there is no login for it.
    async fn authorize(
        &self,
        access: &Access,
        challenge: Challenge,
        task: &Task,
    ) -> Result<Option<String>, RegistryError> {
        let credentials = self.credentials(&access.host, task).await?;
        match (challenge, credentials) {
            (Challenge::Basic, Credentials::Basic { username, password }) => {
                Ok(Some(basic(&username, password.reveal())))
            }
            (Challenge::Basic, Credentials::Anonymous | Credentials::IdentityToken(_)) => Ok(None),
            (Challenge::Bearer { realm, service, scope }, credentials) => {
                let realm = Url::parse(&realm).map_err(|error| {
                    task.error(RegistryErrorKind::Rejected, format!("the registry's token address is none: {error}"))
                })?;
                if realm.scheme() != "https" && !self.is_insecure(&access.host) {
                    let message = "the registry sends logins to an address without HTTPS, where others could read the password: stopped";
                    return Err(task.error(RegistryErrorKind::Unsafe, message));
                }
                let mut scopes = access.scopes.clone();
                // What the registry asks for beyond what was foreseen.
                scopes.extend(scope.filter(|scope| !access.scopes.iter().any(|known| known == scope)));
                self.token(&realm, service, &scopes, &credentials).await.map(Some)
            }
        }
    }

    /// A token, as docker's token specification has it; an identity token is exchanged by OAuth 2.
    async fn token(
        &self,
        realm: &Url,
        service: Option<String>,
        scopes: &[String],
        credentials: &Credentials,
    ) -> Result<String, RegistryError> {
        let task = Task::new("asking for a token", &realm.host_str().unwrap_or("the token server"));
        let mut query = realm.clone();
        {
            let mut pairs = query.query_pairs_mut();
            if let Some(service) = &service {
                pairs.append_pair("service", service);
            }
            if let Credentials::IdentityToken(token) = credentials {
                pairs.append_pair("scope", &scopes.join(" "));
                pairs.append_pair("grant_type", "refresh_token");
                pairs.append_pair("client_id", "image-tagger");
                pairs.append_pair("refresh_token", token.reveal());
            } else {
                for scope in scopes {
                    pairs.append_pair("scope", scope);
                }
            }
        }
        let (request, authorization) = match credentials {
            Credentials::Anonymous => (self.client.get(query), None),
            Credentials::Basic { username, password } => {
                (self.client.get(query), Some(basic(username, password.reveal())))
            }
            Credentials::IdentityToken(_) => {
                let form = query.query().unwrap_or_default().to_owned();
                let request = self
                    .client
                    .post(realm.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form);
                (request, None)
            }
        };
        let response = self.send_once(&task, request.timeout(self.options.timeout), authorization.as_deref()).await?;
        if !response.status().is_success() {
            return Err(task.refused(response).await);
        }
        let body = read(response, LARGEST_TOKEN, &task).await?;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = ["token", "access_token"].iter().find_map(|key| json.get(key)?.as_str());
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| task.error(RegistryErrorKind::Transient, "the answer holds no token"))
    }

    async fn credentials(&self, host: &str, task: &Task) -> Result<Credentials, RegistryError> {
        let mut known = self.credentials.lock().await;
        if let Some(credentials) = known.get(host) {
            return Ok(credentials.clone());
        }
        let credentials = self.options.keychain.credentials(host).await;
        let credentials = credentials.map_err(|error| {
            let late = error.is_transient();
            let kind = if late { RegistryErrorKind::Transient } else { RegistryErrorKind::Credentials };
            task.error(kind, error.to_string())
        })?;
        known.insert(host.to_owned(), credentials.clone());
        Ok(credentials)
    }
}

fn basic(username: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}
