//! An S3 server on the [`Store`].

mod access;
mod backend;
mod conversion;
mod error;
mod listing;
mod multipart;
mod reading;
mod settings;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use s3s::{
    Body, S3Error, S3ErrorCode,
    service::{S3Service, S3ServiceBuilder},
};

pub use self::settings::S3Settings;
use self::{access::Access, backend::Backend};
use crate::{
    faults::{LayeredService, RequestInfo, Service},
    server::Aborted,
    store::Store,
};

/// The S3 API as the fault layer calls it.
pub(crate) struct S3Api(S3Service);

impl S3Api {
    pub(crate) fn new(store: Store, settings: S3Settings) -> Self {
        let mut builder = S3ServiceBuilder::new(Backend { store, settings: settings.clone() });
        builder.set_auth(Access(settings.clone()));
        builder.set_access(Access(settings));
        Self(builder.build())
    }
}

impl LayeredService for S3Api {
    fn service(&self) -> Service {
        Service::S3
    }

    fn error(&self, status: StatusCode, code: &str, message: &str) -> Response<Body> {
        let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message.to_owned());
        error.set_status_code(status);
        error.to_http_response().unwrap_or_else(|_| {
            let mut bare = Response::new(Body::empty());
            *bare.status_mut() = status;
            bare
        })
    }

    async fn call(&self, request: Request<Bytes>, _info: &RequestInfo) -> Result<Response<Body>, Aborted> {
        let mut request = request;
        join_content_encodings(request.headers_mut());
        self.0.call(request.map(Body::from)).await.map_err(|_| Aborted)
    }
}

/// The SDK sends `aws-chunked` in a line of its own beside the object's coding, which HTTP allows
/// and s3s refuses. Joined as a signature joins them, so that it still holds.
fn join_content_encodings(headers: &mut HeaderMap) {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b','))
    {
        headers.insert(header::CONTENT_ENCODING, joined);
    }
}
