//! The registry over HTTP: the OCI distribution specification 1.1, as far as it is needed.
//!
//! Each operation makes its requests once; [`Retrying`](super::Retrying) is what tries again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Method, StatusCode, Url};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::answer::{Task, read};
use super::login::{Access, Sender};
use super::{Blob, Content, Registry, RegistryError, RegistryErrorKind};
use crate::auth::Keychain;
use crate::image::{DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Manifest, OCI_INDEX, OCI_MANIFEST};
use crate::progress::{Event, Progress};
use crate::reference::{Digest, Reference, Repository, Selector};

/// The largest manifest that is read. The distribution specification asks registries to take 4 MiB.
const LARGEST_MANIFEST: usize = 4 << 20;
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
    sender: Sender,
    sent: Arc<AtomicU64>,
}

impl HttpRegistry {
    /// Makes a client. Nothing is requested yet.
    ///
    /// # Errors
    /// The TLS implementation cannot be set up: no usable certificate store, for one.
    pub fn new(options: HttpOptions) -> Result<Self, RegistryError> {
        Ok(Self { sender: Sender::new(options)?, sent: Arc::default() })
    }

    /// What was requested so far.
    pub fn requests(&self) -> Requests {
        Requests { requests: self.sender.made(), bytes_sent: self.sent.load(Ordering::Relaxed) }
    }

    /// The address of something in a repository.
    fn url(&self, repository: &Repository, rest: &str, task: &Task) -> Result<Url, RegistryError> {
        let host = repository.registry();
        let scheme = if self.sender.is_insecure(host) { "http" } else { "https" };
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
        self.sender.options.timeout + Duration::from_secs(size / SLOWEST)
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
                self.sender.options.progress.tell(&Event::Sent(size));
                Ok(bytes.clone().into())
            }
            Content::File(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|error| task.error(RegistryErrorKind::Rejected, format!("{}: {error}", path.display())))?;
                let (progress, sent) = (Arc::clone(&self.sender.options.progress), Arc::clone(&self.sent));
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

#[async_trait]
impl Registry for HttpRegistry {
    async fn manifest(&self, image: &Reference) -> Result<Option<Manifest>, RegistryError> {
        let task = Task::new("pulling the manifest", image);
        let url = self.url(&image.repository, &format!("manifests/{}", image.selector), &task)?;
        let accept = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");
        let response = self
            .sender
            .send(&Access::pull(&image.repository), &task, |client| {
                Ok(client.get(url.clone()).header(ACCEPT, &accept).timeout(self.sender.options.timeout))
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
            .sender
            .send(&Access::push(&image.repository), &task, |client| {
                let request = client.put(url.clone()).header(CONTENT_TYPE, &manifest.media_type);
                Ok(request.body(manifest.bytes.clone()).timeout(self.sender.options.timeout))
            })
            .await?;
        if response.status().is_success() { Ok(()) } else { Err(task.refused(response).await) }
    }

    async fn has_blob(&self, repository: &Repository, digest: Digest) -> Result<bool, RegistryError> {
        let task = Task::new("looking for a blob", &format!("{repository}@{digest}"));
        let url = self.url(repository, &format!("blobs/{digest}"), &task)?;
        let response = self
            .sender
            .send(&Access::pull(repository), &task, |client| {
                Ok(client.request(Method::HEAD, url.clone()).timeout(self.sender.options.timeout))
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
            .sender
            .send(&access, &task, |client| {
                Ok(client.post(url.clone()).header(CONTENT_LENGTH, 0).timeout(self.sender.options.timeout))
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
        let mut response = self
            .sender
            .send(&Access::pull(repository), &task, |client| Ok(client.get(url.clone()).timeout(timeout)))
            .await?;
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
            .sender
            .send(&access, &task, |client| {
                Ok(client.post(start.clone()).header(CONTENT_LENGTH, 0).timeout(self.sender.options.timeout))
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
                self.sender.send(&access, &task, make).await?
            } else {
                self.sender.send_once(&task, make(&self.sender.client)?, None).await?
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
