//! The registry over HTTP: the OCI distribution specification 1.1, as far as it is needed.
//!
//! Each operation makes its requests once; [`Retrying`](super::Retrying) is what tries again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use tokio_util::io::ReaderStream;

use super::challenge::{self, Challenge};
use super::{Blob, Content, Registry, RegistryError, RegistryErrorKind};
use crate::auth::{Credentials, Keychain};
use crate::image::{DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Manifest, OCI_INDEX, OCI_MANIFEST};
use crate::progress::{Event, Progress};
use crate::reference::{Digest, Reference, Repository, Selector};

/// The largest manifest that is read. The distribution specification asks registries to take 4 MiB.
const LARGEST_MANIFEST: usize = 4 << 20;
/// The largest error or token that is read.
const LARGEST_ANSWER: usize = 1 << 20;
/// Bytes a second below which a blob's transfer is given up.
const SLOWEST: u64 = 64 << 10;
/// Bytes read from a file at a time.
const BUFFER: usize = 256 << 10;

/// How to reach registries.
pub struct HttpOptions {
    /// Where logins come from.
    pub keychain: Arc<dyn Keychain>,
    /// Hosts that are spoken to by plain HTTP.
    pub insecure: Vec<String>,
    /// How long a request may take; one that moves a blob gets more, by its size.
    pub timeout: Duration,
    /// Who is told of bytes sent.
    pub progress: Arc<dyn Progress>,
}

/// Requests made so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// All of them, those for tokens included.
    pub requests: u64,
    /// Bytes of blobs sent, also in attempts that failed.
    pub bytes_sent: u64,
}

/// Registries over HTTP.
pub struct HttpRegistry {
    client: Client,
    options: HttpOptions,
    credentials: Mutex<HashMap<String, Credentials>>,
    authorizations: Mutex<HashMap<Access, String>>,
    requests: AtomicU64,
    sent: Arc<AtomicU64>,
}

/// What a request needs the right to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Access {
    host: String,
    /// As the token specification writes them: `repository:webapp:pull,push`.
    scopes: Vec<String>,
}

impl Access {
    fn pull(repository: &Repository) -> Self {
        Self { host: repository.registry().to_owned(), scopes: vec![format!("repository:{}:pull", repository.path())] }
    }

    fn push(repository: &Repository) -> Self {
        Self {
            host: repository.registry().to_owned(),
            scopes: vec![format!("repository:{}:pull,push", repository.path())],
        }
    }

    fn and_pull(mut self, repository: &Repository) -> Self {
        self.scopes.push(format!("repository:{}:pull", repository.path()));
        self
    }
}

/// Names a request in errors.
#[derive(Debug, Clone)]
struct Task {
    operation: &'static str,
    subject: String,
}

impl Task {
    fn new(operation: &'static str, subject: &impl ToString) -> Self {
        Self { operation, subject: subject.to_string() }
    }

    fn error(&self, kind: RegistryErrorKind, message: impl Into<String>) -> RegistryError {
        RegistryError {
            kind,
            operation: self.operation,
            subject: self.subject.clone(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// The network failed.
    fn network(&self, error: &reqwest::Error) -> RegistryError {
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
    async fn refused(&self, response: Response) -> RegistryError {
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let said = read(response, LARGEST_ANSWER, self).await.unwrap_or_default();
        let kind = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryErrorKind::Denied,
            StatusCode::NOT_FOUND => RegistryErrorKind::NotFound,
            StatusCode::TOO_MANY_REQUESTS => RegistryErrorKind::Throttled,
            StatusCode::REQUEST_TIMEOUT => RegistryErrorKind::Transient,
            status if status.is_server_error() => RegistryErrorKind::Transient,
            _ => RegistryErrorKind::Rejected,
        };
        let mut error = self.error(kind, describe(status, &said));
        error.retry_after = retry_after.map(Duration::from_secs);
        error
    }
}

/// An answer as words: the status, and the errors in the body where it has any.
fn describe(status: StatusCode, body: &[u8]) -> String {
    const SHOWN: usize = 300;
    let errors: Vec<String> = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|body| {
            let errors = body.get("errors")?.as_array()?;
            let text = |error: &serde_json::Value, key| {
                error.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
            };
            Some(
                errors
                    .iter()
                    .map(|error| format!("{} {}", text(error, "code"), text(error, "message")).trim().to_owned())
                    .collect(),
            )
        })
        .unwrap_or_default();
    let text = if errors.is_empty() { String::from_utf8_lossy(body).into_owned() } else { errors.join("; ") };
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if text.is_empty() { status.to_string() } else { format!("{status}: {text}") }
}

/// Reads an answer of a bounded size.
async fn read(mut response: Response, largest: usize, task: &Task) -> Result<Bytes, RegistryError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| task.network(&error))? {
        if bytes.len() + chunk.len() > largest {
            return Err(task.error(RegistryErrorKind::Rejected, format!("the answer is larger than {largest} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

impl HttpRegistry {
    /// Makes a client. Nothing is requested yet.
    ///
    /// # Errors
    /// The TLS implementation cannot be set up: no usable certificate store, for one.
    pub fn new(options: HttpOptions) -> Result<Self, RegistryError> {
        let client = Client::builder()
            .user_agent(concat!("image-tagger/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeout.min(Duration::from_secs(15)))
            .build()
            .map_err(|error| Task::new("setting up HTTPS", &"this machine").network(&error))?;
        Ok(Self {
            client,
            options,
            credentials: Mutex::default(),
            authorizations: Mutex::default(),
            requests: AtomicU64::new(0),
            sent: Arc::default(),
        })
    }

    /// What was requested so far.
    pub fn requests(&self) -> Requests {
        Requests { requests: self.requests.load(Ordering::Relaxed), bytes_sent: self.sent.load(Ordering::Relaxed) }
    }

    fn is_insecure(&self, host: &str) -> bool {
        self.options.insecure.iter().any(|insecure| insecure == host)
    }

    /// The address of something in a repository.
    fn url(&self, repository: &Repository, rest: &str, task: &Task) -> Result<Url, RegistryError> {
        let host = repository.registry();
        let scheme = if self.is_insecure(host) { "http" } else { "https" };
        // Docker Hub's API has another name than its images.
        let host = match host {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        Url::parse(&format!("{scheme}://{host}/v2/{}/{rest}", repository.path()))
            .map_err(|error| task.error(RegistryErrorKind::Rejected, format!("{host} is not a host: {error}")))
    }

    /// How long a transfer of `size` bytes may take.
    fn transfer_timeout(&self, size: u64) -> Duration {
        self.options.timeout + Duration::from_secs(size / SLOWEST)
    }

    /// Makes one request, with a login where the registry asks for it. `make` may be called twice.
    async fn send(
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

    async fn send_once(
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
        let body = read(response, LARGEST_ANSWER, &task).await?;
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
        let credentials = credentials.map_err(|error| task.error(RegistryErrorKind::Credentials, error.to_string()))?;
        known.insert(host.to_owned(), credentials.clone());
        Ok(credentials)
    }

    /// Where an upload goes on: `Location` may be relative, and may name another host.
    fn location(base: &Url, headers: &HeaderMap, task: &Task) -> Result<Url, RegistryError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let url = location.and_then(|location| base.join(location).ok());
        let url = url
            .ok_or_else(|| task.error(RegistryErrorKind::Transient, "the answer names no place to send the blob to"))?;
        if base.scheme() == "https" && url.scheme() != "https" {
            return Err(task
                .error(RegistryErrorKind::Unsafe, "the registry sends uploads to an address without HTTPS: stopped"));
        }
        Ok(url)
    }

    fn body(&self, content: &Content, size: u64, task: &Task) -> Result<reqwest::Body, RegistryError> {
        match content {
            Content::Bytes(bytes) => {
                self.sent.fetch_add(size, Ordering::Relaxed);
                self.options.progress.tell(&Event::Sent(size));
                Ok(bytes.clone().into())
            }
            Content::File(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|error| task.error(RegistryErrorKind::Rejected, format!("{}: {error}", path.display())))?;
                let (progress, sent) = (Arc::clone(&self.options.progress), Arc::clone(&self.sent));
                let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), BUFFER);
                Ok(reqwest::Body::wrap_stream(stream.inspect(move |chunk| {
                    if let Ok(chunk) = chunk {
                        sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                        progress.tell(&Event::Sent(chunk.len() as u64));
                    }
                })))
            }
        }
    }
}

fn basic(username: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

#[async_trait]
impl Registry for HttpRegistry {
    async fn manifest(&self, image: &Reference) -> Result<Option<Manifest>, RegistryError> {
        let task = Task::new("pulling the manifest", image);
        let url = self.url(&image.repository, &format!("manifests/{}", image.selector), &task)?;
        let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");
        let response = self
            .send(&Access::pull(&image.repository), &task, |client| {
                Ok(client.get(url.clone()).header(ACCEPT, &accept).timeout(self.options.timeout))
            })
            .await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(task.refused(response).await);
        }
        let header = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let header = header.map(|text| text.split(';').next().unwrap_or_default().trim().to_owned());
        let bytes = read(response, LARGEST_MANIFEST, &task).await?;
        if let Selector::Digest(digest) = &image.selector
            && Digest::of(&bytes) != *digest
        {
            return Err(task.error(RegistryErrorKind::Corrupt, "what came has another digest"));
        }
        // The manifest's own word counts; some registries send a general type in the header.
        let json: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| task.error(RegistryErrorKind::Corrupt, format!("what came is not JSON: {error}")))?;
        let own = json.get("mediaType").and_then(serde_json::Value::as_str).map(str::to_owned);
        let media_type = own.or(header).unwrap_or_default();
        if ![OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].contains(&media_type.as_str()) {
            return Err(task.error(RegistryErrorKind::Rejected, format!("{media_type:?} is not the type of an image")));
        }
        Ok(Some(Manifest { media_type, bytes }))
    }

    async fn put_manifest(&self, image: &Reference, manifest: &Manifest) -> Result<(), RegistryError> {
        let task = Task::new("pushing the manifest", image);
        let url = self.url(&image.repository, &format!("manifests/{}", image.selector), &task)?;
        let response = self
            .send(&Access::push(&image.repository), &task, |client| {
                let request = client.put(url.clone()).header(CONTENT_TYPE, &manifest.media_type);
                Ok(request.body(manifest.bytes.clone()).timeout(self.options.timeout))
            })
            .await?;
        if response.status().is_success() { Ok(()) } else { Err(task.refused(response).await) }
    }

    async fn has_blob(&self, repository: &Repository, digest: Digest) -> Result<bool, RegistryError> {
        let task = Task::new("looking for a blob", &format!("{repository}@{digest}"));
        let url = self.url(repository, &format!("blobs/{digest}"), &task)?;
        let response = self
            .send(&Access::pull(repository), &task, |client| {
                Ok(client.request(Method::HEAD, url.clone()).timeout(self.options.timeout))
            })
            .await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(task.refused(response).await),
        }
    }

    async fn mount_blob(&self, to: &Repository, from: &Repository, digest: Digest) -> Result<bool, RegistryError> {
        let task = Task::new("mounting a blob", &format!("{to}@{digest}"));
        let mut url = self.url(to, "blobs/uploads/", &task)?;
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from.path());
        let access = Access::push(to).and_pull(from);
        let response = self
            .send(&access, &task, |client| {
                Ok(client.post(url.clone()).header(CONTENT_LENGTH, 0).timeout(self.options.timeout))
            })
            .await;
        match response {
            Ok(response) if response.status() == StatusCode::CREATED => Ok(true),
            // 202: the registry has begun an upload instead, which it forgets by itself. Other refusals say
            // no more than that it must be sent: whether that is allowed shows then.
            Ok(response)
                if !response.status().is_server_error() && response.status() != StatusCode::TOO_MANY_REQUESTS =>
            {
                Ok(false)
            }
            Ok(response) => Err(task.refused(response).await),
            // A token server may refuse the right to both repositories at once.
            Err(error)
                if matches!(
                    error.kind,
                    RegistryErrorKind::Denied | RegistryErrorKind::Rejected | RegistryErrorKind::NotFound
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn pull_blob(&self, repository: &Repository, blob: Descriptor, into: &Path) -> Result<(), RegistryError> {
        let task = Task::new("pulling a blob", &format!("{repository}@{}", blob.digest));
        let url = self.url(repository, &format!("blobs/{}", blob.digest), &task)?;
        let timeout = self.transfer_timeout(blob.size);
        let mut response =
            self.send(&Access::pull(repository), &task, |client| Ok(client.get(url.clone()).timeout(timeout))).await?;
        if !response.status().is_success() {
            return Err(task.refused(response).await);
        }
        let disk =
            |error: std::io::Error| task.error(RegistryErrorKind::Rejected, format!("{}: {error}", into.display()));
        let mut file = tokio::io::BufWriter::new(tokio::fs::File::create(into).await.map_err(disk)?);
        let mut hasher = asset_sync::Hasher::default();
        let mut size = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| task.network(&error))? {
            size += chunk.len() as u64;
            if size > blob.size {
                break;
            }
            hasher.update(&chunk);
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        if size == blob.size && Digest::from(hasher.finish()) == blob.digest {
            Ok(())
        } else {
            Err(task.error(RegistryErrorKind::Corrupt, "what came has another size or digest"))
        }
    }

    /// In one piece: registries differ in how large the parts of a chunked upload must be.
    async fn push_blob(&self, repository: &Repository, blob: &Blob) -> Result<(), RegistryError> {
        let Descriptor { digest, size } = blob.descriptor;
        let task = Task::new("pushing a blob", &format!("{repository}@{digest}"));
        let access = Access::push(repository);
        let start = self.url(repository, "blobs/uploads/", &task)?;
        let response = self
            .send(&access, &task, |client| {
                Ok(client.post(start.clone()).header(CONTENT_LENGTH, 0).timeout(self.options.timeout))
            })
            .await?;
        if !response.status().is_success() {
            return Err(task.refused(response).await);
        }
        let mut url = Self::location(&start, response.headers(), &task)?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let timeout = self.transfer_timeout(size);
        let make = |client: &Client| {
            let request =
                client.put(url.clone()).header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, size);
            Ok(request.body(self.body(&blob.content, size, &task)?).timeout(timeout))
        };
        // A place elsewhere carries its own right in its address, and has no business with our login.
        let response =
            if (url.host_str(), url.port_or_known_default()) == (start.host_str(), start.port_or_known_default()) {
                self.send(&access, &task, make).await?
            } else {
                self.send_once(&task, make(&self.client)?, None).await?
            };
        match response.status() {
            // The upload was forgotten, not the repository: another attempt begins a new one.
            StatusCode::NOT_FOUND => {
                let mut error = task.refused(response).await;
                error.kind = RegistryErrorKind::Transient;
                Err(error)
            }
            status if status.is_success() => Ok(()),
            _ => Err(task.refused(response).await),
        }
    }
}
