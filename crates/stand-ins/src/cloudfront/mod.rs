//! The invalidation part of the CloudFront API.

mod invalidation;
mod xml;

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use s3s::Body;

pub(crate) use self::invalidation::Invalidations;
use self::invalidation::Refusal;
pub use self::invalidation::{Completion, Invalidation};
use crate::{
    edge::Edge,
    faults::{LayeredService, RequestInfo, Service},
    server::Aborted,
    sync::{read, write},
};

/// CloudFront: a page of a listing has at most so many invalidations.
const MAX_ITEMS: usize = 100;

/// The CloudFront API of all distributions. Clones share them.
#[derive(Clone, Debug)]
pub struct CloudFront(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    access_key: String,
    edges: BTreeMap<String, Edge>,
    denied: RwLock<Vec<String>>,
}

impl CloudFront {
    pub(crate) fn new(access_key: String, edges: BTreeMap<String, Edge>) -> Self {
        Self(Arc::new(Inner { access_key, edges, denied: RwLock::default() }))
    }

    /// Denies an action, such as `CreateInvalidation`, with 403 `AccessDenied`.
    pub fn deny(&self, action: impl Into<String>) {
        write(&self.0.denied).push(action.into());
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        write(&self.0.denied).clear();
    }

    /// Says when invalidations complete, those in progress too, for all distributions.
    pub fn set_completion(&self, completion: Completion) {
        for edge in self.0.edges.values() {
            edge.with_state(|state, _| state.invalidations.completion = completion);
        }
    }

    /// The invalidations of a distribution, oldest first; none where there is no such
    /// distribution.
    pub fn invalidations(&self, distribution: &str) -> Vec<Invalidation> {
        self.0.edges.get(distribution).map_or_else(Vec::new, |edge| {
            edge.with_state(|state, now| {
                state.settle(now);
                let mut all: Vec<_> = state.invalidations.newest_first().cloned().collect();
                all.reverse();
                all
            })
        })
    }

    fn edge(&self, info: &RequestInfo) -> Result<&Edge, ApiError> {
        info.bucket.as_ref().and_then(|distribution| self.0.edges.get(distribution)).ok_or_else(|| {
            ApiError::new(StatusCode::NOT_FOUND, "NoSuchDistribution", "The specified distribution does not exist.")
        })
    }

    fn answer(&self, request: &Request<Bytes>, info: &RequestInfo) -> Result<Answer, ApiError> {
        self.authorize(request.headers(), info)?;
        match info.operation {
            "CreateInvalidation" => self.create(request, info),
            "GetInvalidation" => {
                let edge = self.edge(info)?;
                let id = info.key.as_deref().unwrap_or_default();
                let found = edge.with_state(|state, now| {
                    state.settle(now);
                    state.poll(id, now)
                });
                let found = found.ok_or_else(|| {
                    ApiError::new(
                        StatusCode::NOT_FOUND,
                        "NoSuchInvalidation",
                        "The specified invalidation does not exist.",
                    )
                })?;
                Ok(Answer { status: StatusCode::OK, location: None, body: xml::invalidation(&found) })
            }
            "ListInvalidations" => self.list(request, info),
            _ => Err(ApiError::new(
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                "This stand-in knows CreateInvalidation, GetInvalidation and ListInvalidations.",
            )),
        }
    }

    /// Signatures are not verified here, only that there is one and whose.
    fn authorize(&self, headers: &HeaderMap, info: &RequestInfo) -> Result<(), ApiError> {
        let forbidden = |code, message| ApiError::new(StatusCode::FORBIDDEN, code, message);
        let scope = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .filter(|value| value.starts_with("AWS4-HMAC-SHA256"))
            .and_then(|value| value.split_once("Credential="));
        let Some((_, scope)) = scope else {
            return Err(forbidden("MissingAuthenticationToken", "Request is missing Authentication Token"));
        };
        if scope.split('/').next() != Some(self.0.access_key.as_str()) {
            return Err(forbidden("InvalidClientTokenId", "The security token included in the request is invalid."));
        }
        if read(&self.0.denied).iter().any(|denied| denied == info.operation) {
            return Err(forbidden("AccessDenied", "The caller is not authorized to perform this action."));
        }
        Ok(())
    }

    fn create(&self, request: &Request<Bytes>, info: &RequestInfo) -> Result<Answer, ApiError> {
        let edge = self.edge(info)?;
        let bad = |code, message: String| ApiError::new(StatusCode::BAD_REQUEST, code, message);
        if request.body().is_empty() {
            return Err(bad("MissingBody", "This operation requires a body.".into()));
        }
        let batch = xml::parse_batch(request.body()).map_err(|error| bad("MalformedXML", error.to_string()))?;
        let paths = batch.paths.items.path;
        if batch.paths.quantity != paths.len() {
            return Err(bad(
                "InconsistentQuantities",
                "The value of Quantity and the size of Items don't match.".into(),
            ));
        }
        if paths.is_empty() || batch.caller_reference.is_empty() {
            return Err(bad("InvalidArgument", "Paths and CallerReference must not be empty.".into()));
        }
        let created = edge
            .with_state(|state, now| {
                state.settle(now);
                state.invalidations.create(batch.caller_reference, paths, now)
            })
            .map_err(|refusal| match refusal {
                Refusal::InvalidPath(message) => bad("InvalidArgument", message),
                Refusal::BatchAlreadyExists => ApiError::new(
                    StatusCode::CONFLICT,
                    "InvalidationBatchAlreadyExists",
                    "The caller reference was used with another batch of paths.",
                ),
                Refusal::TooManyPaths => bad(
                    "TooManyInvalidationsInProgress",
                    "Processing your request will cause you to exceed the maximum number of \
                     in-progress invalidations."
                        .into(),
                ),
                Refusal::TooManyWildcards => bad(
                    "TooManyInvalidationsInProgress",
                    "Processing your request will cause you to exceed the maximum number of \
                     in-progress wildcard invalidations."
                        .into(),
                ),
            })?;
        Ok(Answer {
            status: StatusCode::CREATED,
            location: Some(format!("{}/{}", info.path, created.id)),
            body: xml::invalidation(&created),
        })
    }

    fn list(&self, request: &Request<Bytes>, info: &RequestInfo) -> Result<Answer, ApiError> {
        let edge = self.edge(info)?;
        let parameter = |name: &str| {
            let query = request.uri().query().unwrap_or_default();
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let value = pairs.find(|(given, _)| *given == name)?.1;
            Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
        };
        let marker = parameter("Marker").unwrap_or_default();
        let max_items = match parameter("MaxItems") {
            None => MAX_ITEMS,
            Some(given) => given
                .parse::<usize>()
                .ok()
                .filter(|items| *items > 0)
                .ok_or_else(|| {
                    ApiError::new(StatusCode::BAD_REQUEST, "InvalidArgument", "MaxItems must be a number above 0.")
                })?
                .min(MAX_ITEMS),
        };
        let all: Vec<_> = edge.with_state(|state, now| {
            state.settle(now);
            state.invalidations.newest_first().cloned().collect()
        });
        // The marker is the last id of the page before.
        let start = all.iter().position(|invalidation| invalidation.id == marker).map_or(0, |last| last + 1);
        let rest = &all[start..];
        let page = &rest[..max_items.min(rest.len())];
        let next = page.last().filter(|_| rest.len() > page.len()).map(|last| last.id.as_str());
        Ok(Answer { status: StatusCode::OK, location: None, body: xml::list(page, &marker, max_items, next) })
    }
}

struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

#[derive(Debug)]
struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

/// The API as the fault layer calls it.
pub(crate) struct CloudFrontApi(pub(crate) CloudFront);

impl LayeredService for CloudFrontApi {
    fn service(&self) -> Service {
        Service::CloudFront
    }

    fn error(&self, status: StatusCode, code: &str, message: &str) -> Response<Body> {
        let kind = if status.is_server_error() { "Receiver" } else { "Sender" };
        respond(status, None, xml::error(kind, code, message))
    }

    async fn call(&self, request: Request<Bytes>, info: &RequestInfo) -> Result<Response<Body>, Aborted> {
        Ok(match self.0.answer(&request, info) {
            Ok(answer) => respond(answer.status, answer.location.as_deref(), answer.body),
            Err(error) => self.error(error.status, error.code, &error.message),
        })
    }
}

fn respond(status: StatusCode, location: Option<&str>, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Some(location) = location.and_then(|l| HeaderValue::from_str(l).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}
