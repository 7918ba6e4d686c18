//! Fetching over HTTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use url::Host;

use super::answer::Answer;
use super::run::{Budget, Missed, Run};
use super::{Expected, Observation, Verdict, Verifier};
use crate::plan::Routing;
use crate::state::ReleaseFile;

/// Redirects followed within the site.
const MOST_REDIRECTS: usize = 5;

/// How to reach the site.
#[derive(Clone)]
pub struct VerifierOptions {
    /// The site's URL: of the place where the root document is served.
    pub url: String,
    /// A header for environments that are protected, such as `Authorization: Basic …`. Secret.
    pub header: Option<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long the site may take to show the release: a URL that is not as it should be is fetched
    /// again until this time has passed since the look began, and once more at the least.
    pub patience: Duration,
    /// Pause before a URL is fetched again.
    pub pause: Duration,
    /// Requests that one run sends at most, repeated ones and redirects included.
    pub requests: usize,
    /// Globs of files that something else than the bucket answers, or rewrites. They are not looked at.
    pub ignore: Vec<String>,
    /// Which file should answer which address.
    pub routing: Routing,
}

impl fmt::Debug for VerifierOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header.as_ref().map(|(name, _)| format!("{name}: (not shown)"));
        f.debug_struct("VerifierOptions").field("url", &self.url).field("header", &header).finish_non_exhaustive()
    }
}

impl VerifierOptions {
    /// For `url`, with 30 seconds a request, 10 seconds to show the release, 2 seconds between attempts,
    /// 200 requests a run, and files at their own addresses.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            header: None,
            timeout: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            pause: Duration::from_secs(2),
            requests: 200,
            ignore: Vec::new(),
            routing: Routing::default(),
        }
    }
}

/// Options that no site can be reached with.
#[derive(Debug, thiserror::Error)]
pub enum InvalidVerifier {
    /// Not a URL of a site.
    #[error("{url:?} is not the URL of a site: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not a header. The value is not shown.
    #[error("the header {name:?} cannot be sent: its name or its value has characters that HTTP does not allow")]
    Header {
        /// The header's name.
        name: String,
    },
    /// Not a glob.
    #[error("{glob:?} is not a glob: {reason}")]
    Ignore {
        /// What was given.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client cannot be made, for want of certificates most likely.
    #[error("no HTTPS client can be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// What every format of the pointer to the live release has.
#[derive(serde::Deserialize)]
struct StateObject {
    #[serde(rename = "format")]
    _format: u32,
    #[serde(rename = "generation")]
    _generation: u64,
}

/// A [`Verifier`] over HTTP.
#[derive(Debug)]
pub struct HttpVerifier {
    client: Client,
    pub(super) base: Url,
    pub(super) patience: Duration,
    pub(super) pause: Duration,
    pub(super) requests: usize,
    pub(super) ignore: GlobSet,
    pub(super) routing: Routing,
}

impl HttpVerifier {
    /// Checks the options; sends nothing.
    ///
    /// # Errors
    /// [`InvalidVerifier`], which never shows the header's value.
    pub fn new(options: &VerifierOptions) -> Result<Self, InvalidVerifier> {
        let invalid = |reason: &str| InvalidVerifier::Url { url: options.url.clone(), reason: reason.to_owned() };
        let mut base = Url::parse(&options.url).map_err(|e| invalid(&e.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(invalid("it must begin with https:// or http://"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(invalid("it must not have a query or a fragment"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let mut headers = HeaderMap::new();
        // As browsers do: a CDN then compresses, and what it makes of that is seen.
        headers.insert(reqwest::header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        if let Some((name, value)) = &options.header {
            let wrong = || InvalidVerifier::Header { name: name.clone() };
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
        }
        // A server on this machine is reached directly, whatever proxy the environment names.
        let is_here = match base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let builder = if is_here { Client::builder().no_proxy() } else { Client::builder() };
        let client = builder
            .user_agent(concat!("mtribes-deploy/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .timeout(options.timeout)
            .build()
            .map_err(InvalidVerifier::Client)?;
        let VerifierOptions { patience, pause, requests, routing, .. } = *options;
        Ok(Self { client, base, patience, pause, requests, ignore: globs(&options.ignore)?, routing })
    }

    /// The URL of an address; of `""`, the site's own without its last slash.
    pub(super) fn url(&self, address: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            if !address.is_empty() {
                segments.extend(address.split('/'));
            }
        }
        url
    }

    /// The answer, and where it came from in the end.
    pub(super) async fn fetch(&self, url: &Url, file: &ReleaseFile, budget: &Budget) -> Result<(Answer, Url), Missed> {
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            if !budget.take() {
                return Err(Missed::NoneLeft);
            }
            let sent = self.client.get(url.clone()).send().await;
            let response = sent.map_err(|e| Missed::Silent(unreachable(&e)))?;
            let next = response
                .headers()
                .get(reqwest::header::LOCATION)
                .filter(|_| response.status().is_redirection() && file.headers.redirect.is_none())
                .and_then(|location| url.join(location.to_str().ok()?).ok());
            match next {
                // Another host is somebody else's page, a login most likely; and what is sent along is
                // not for everybody on the way to read.
                Some(next)
                    if next.host_str() == url.host_str() && (next.scheme() == "https" || url.scheme() == "http") =>
                {
                    url = next;
                }
                _ => return Ok((read(response).await.map_err(Missed::Silent)?, url)),
            }
        }
        Err(Missed::Silent(format!("redirects more than {MOST_REDIRECTS} times")))
    }

    /// What is seen of a state object where nothing should be. Only the object itself counts: a page
    /// in its place, a refusal or no answer are as it should be.
    pub(super) async fn is_readable(&self, path: &str, budget: &Budget) -> Option<Observation> {
        let url = self.url(path);
        if !budget.take() {
            return None;
        }
        let response = self.client.get(url.clone()).send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = read(response).await.ok()?.body;
        let readable = serde_json::from_slice::<StateObject>(&body).is_ok();
        readable.then(|| Observation {
            url: url.to_string(),
            what: "the state area can be read by anybody: deny the CDN its prefix in the bucket policy".to_owned(),
        })
    }
}

/// Globs of keys, with or without a leading slash, in which `*` stays within a folder.
fn globs(patterns: &[String]) -> Result<GlobSet, InvalidVerifier> {
    let mut globs = GlobSetBuilder::new();
    let invalid = |glob: &str, error: &globset::Error| InvalidVerifier::Ignore {
        glob: glob.to_owned(),
        reason: error.kind().to_string(),
    };
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern.trim_start_matches('/')).literal_separator(true).build();
        globs.add(glob.map_err(|e| invalid(pattern, &e))?);
    }
    globs.build().map_err(|e| invalid(&patterns.join(","), &e))
}

async fn read(response: Response) -> Result<Answer, String> {
    let header = |name| response.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok()).map(str::to_owned);
    let mut answer = Answer {
        status: response.status().as_u16(),
        content_type: header(reqwest::header::CONTENT_TYPE),
        cache_control: header(reqwest::header::CACHE_CONTROL),
        content_encoding: header(reqwest::header::CONTENT_ENCODING),
        location: header(reqwest::header::LOCATION),
        body: Vec::new(),
    };
    answer.body = response.bytes().await.map_err(|e| unreachable(&e))?.to_vec();
    Ok(answer)
}

/// What went wrong, without the URL (it is told already) and with the innermost cause.
fn unreachable(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let kind = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
    format!("{kind}: {cause}")
}

#[async_trait]
impl Verifier for HttpVerifier {
    async fn verify(&self, expected: Expected<'_>) -> Verdict {
        Run::new(self, expected).verdict().await
    }
}
