//! The edge for browsers.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use s3s::Body;

use super::Edge;
use crate::server::{Aborted, Handler};

pub(crate) struct EdgeServer(pub(crate) Edge);

impl Handler for EdgeServer {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Result<Response<Body>, Aborted>> {
        let answer = self.answer(&request);
        Box::pin(async move { Ok(answer) })
    }
}

impl EdgeServer {
    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut refused = Response::new(Body::empty());
            *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let fetched = self.0.fetch(target);
        let known = fetched.status == StatusCode::OK
            && match (request.headers().get(header::IF_NONE_MATCH), fetched.headers.get(header::ETAG)) {
                (Some(known), Some(etag)) => known == etag,
                _ => false,
            };
        let body = if known { Bytes::new() } else { fetched.body };
        let length = HeaderValue::from(body.len());
        let head = request.method() == Method::HEAD;
        let mut answer = Response::new(Body::from(if head { Bytes::new() } else { body }));
        *answer.headers_mut() = fetched.headers;
        *answer.status_mut() = fetched.status;
        if known {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            answer.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        answer
    }
}
