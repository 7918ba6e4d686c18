//! Fetching over HTTP.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use tokio::time::Instant;
use url::Host;

use super::answer::{Answer, Judgement, judge};
use super::{Observation, Verdict, Verifier};
use crate::site::Role;
use crate::state::{Manifest, ReleaseFile};

/// Requests at once: a visitor's browser has about as many.
const AT_ONCE: usize = 8;
/// Files looked at, at most. Pages and what they refer to come first.
const MOST_FILES: usize = 2_000;
/// Larger files are not fetched.
const LARGEST_BODY: u64 = 32 * 1024 * 1024;
/// A URL is fetched at least so often before what it answers is believed against the release.
const LEAST_ATTEMPTS: u32 = 2;
/// After so many URLs that did not answer at all, the others are not waited for.
const MOST_SILENT: usize = 8;
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
}

impl fmt::Debug for VerifierOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.header.as_ref().map(|(name, _)| format!("{name}: (not shown)"));
        f.debug_struct("VerifierOptions").field("url", &self.url).field("header", &header).finish_non_exhaustive()
    }
}

impl VerifierOptions {
    /// For `url`, with 30 seconds a request, 10 seconds to show the release, and 2 seconds between
    /// attempts.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            header: None,
            timeout: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            pause: Duration::from_secs(2),
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
    base: Url,
    patience: Duration,
    pause: Duration,
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
        Ok(Self { client, base, patience: options.patience, pause: options.pause })
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }

    /// Fetches `url` until it is right or the time is over.
    async fn look(&self, url: &Url, file: &ReleaseFile, until: Instant) -> (Judgement, Option<Vec<u8>>) {
        let mut attempt = 1;
        loop {
            let (judgement, body) = match self.fetch(url, file).await {
                Ok((answer, from)) => (judge(file, &answer).found_at(url, &from), Some(answer.plain())),
                Err(reason) => (Judgement::Unseen(reason), None),
            };
            if matches!(judgement, Judgement::Right(_)) || (attempt >= LEAST_ATTEMPTS && Instant::now() >= until) {
                return (judgement, body);
            }
            tokio::time::sleep(self.pause).await;
            attempt += 1;
        }
    }

    /// The answer, and where it came from in the end.
    async fn fetch(&self, url: &Url, file: &ReleaseFile) -> Result<(Answer, Url), String> {
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.client.get(url.clone()).send().await.map_err(|e| unreachable(&e))?;
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
                _ => return Ok((read(response).await?, url)),
            }
        }
        Err(format!("redirects more than {MOST_REDIRECTS} times"))
    }

    /// What is seen of a state object where nothing should be. Only the object itself counts: a page
    /// in its place, a refusal or no answer are as it should be.
    async fn is_readable(&self, path: &str) -> Option<Observation> {
        let url = self.url(path);
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

    /// Every URL under which a file answers.
    fn urls(&self, file: &ReleaseFile) -> Vec<Url> {
        let key = file.key.as_str();
        let mut urls = vec![self.url(key)];
        if file.role == Role::Root {
            urls.push(self.base.clone());
        }
        urls
    }
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

/// Fingerprinted files by their name, which is all that a reference must contain.
fn by_name(manifest: &Manifest) -> HashMap<&str, &ReleaseFile> {
    let assets = manifest.files.iter().filter(|f| f.role == Role::Fingerprinted);
    assets.filter_map(|f| Some((f.key.as_str().rsplit('/').next()?, f))).collect()
}

/// Names of files that a text mentions.
fn mentioned<'a>(body: &[u8], names: &HashMap<&str, &'a ReleaseFile>) -> Vec<&'a ReleaseFile> {
    let text = String::from_utf8_lossy(body);
    let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '@' | '%' | '+')));
    words.filter_map(|word| names.get(word.trim_matches('.')).copied()).collect()
}

fn is_text(file: &ReleaseFile) -> bool {
    ["text/html", "text/css", "text/javascript"].iter().any(|t| file.headers.content_type.starts_with(t))
}

#[async_trait]
impl Verifier for HttpVerifier {
    async fn verify(&self, manifest: &Manifest, state_path: Option<&str>) -> Verdict {
        let mut verdict = Verdict::default();
        let names = by_name(manifest);
        let mut seen: HashSet<&str> = HashSet::new();
        let mut wave: Vec<&ReleaseFile> = manifest.files.iter().filter(|f| f.role != Role::Fingerprinted).collect();
        // The root first: it tells whether the site can be reached at all.
        wave.sort_by_key(|f| std::cmp::Reverse(f.role));
        let mut reached = false;
        // URLs that gave no answer.
        let mut silent = 0;
        let until = Instant::now() + self.patience;
        let mut doubtful = Vec::new();
        while !wave.is_empty() {
            wave.retain(|f| seen.insert(f.key.as_str()));
            wave.truncate(MOST_FILES.saturating_sub(seen.len() - wave.len()));
            wave.retain(|f| f.size <= LARGEST_BODY);
            let mut looks = Vec::new();
            for (index, file) in wave.iter().enumerate() {
                looks.extend(self.urls(file).into_iter().map(|url| (index, url)));
            }
            let this_wave = &wave;
            let mut results = stream::iter(looks)
                .map(|(index, url)| async move {
                    let (judgement, body) = self.look(&url, this_wave[index], until).await;
                    (index, url, judgement, body)
                })
                .buffered(AT_ONCE);
            let mut next = BTreeSet::new();
            while let Some((index, url, judgement, body)) = results.next().await {
                let file = this_wave[index];
                let observe = |what| Observation { url: url.to_string(), what };
                match judgement {
                    Judgement::Right(remarks) => {
                        verdict.right += 1;
                        reached |= file.role >= Role::Html;
                        verdict.remarks.extend(remarks.into_iter().map(observe));
                        let body = body.filter(|_| is_text(file)).unwrap_or_default();
                        next.extend(mentioned(&body, &names).into_iter().map(|f| &f.key));
                    }
                    Judgement::Wrong(what) => verdict.wrong.push(observe(what)),
                    Judgement::Doubtful(what) => doubtful.push(observe(what)),
                    Judgement::Unseen(what) => {
                        silent += usize::from(body.is_none());
                        verdict.unseen.push(observe(what));
                    }
                }
                if silent >= MOST_SILENT {
                    break;
                }
            }
            drop(results);
            if silent >= MOST_SILENT {
                break;
            }
            wave = next.into_iter().filter_map(|key| manifest.get(key)).collect();
        }
        // Where pages can be had, a login is not the reason.
        if reached { &mut verdict.wrong } else { &mut verdict.unseen }.append(&mut doubtful);
        if let Some(path) = state_path {
            verdict.state_area_readable = self.is_readable(path).await;
        }
        verdict
    }
}
