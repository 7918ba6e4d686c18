//! The layer itself: reads the request, applies what the rules say, calls the service, logs.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use s3s::Body;

use super::{Effect, Faults, Gate, RequestInfo, Service, log::Entry};
use crate::{
    server::{Aborted, Handler},
    sync::lock,
};

/// A service behind the layer. Its requests have been read completely, so that it can answer
/// early without a client that is still sending losing the answer.
pub(crate) trait LayeredService: Send + Sync + 'static {
    fn service(&self) -> Service;

    /// An error answer in the service's own form.
    fn error(&self, status: StatusCode, code: &str, message: &str) -> Response<Body>;

    fn call(
        &self,
        request: Request<Bytes>,
        info: &RequestInfo,
    ) -> impl Future<Output = Result<Response<Body>, Aborted>> + Send;
}

pub(crate) struct Layer<S> {
    pub(crate) faults: Faults,
    pub(crate) inner: S,
}

impl<S: LayeredService> Handler for Layer<S> {
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Result<Response<Body>, Aborted>> {
        Box::pin(async move { self.serve(request).await })
    }
}

/// Notes the end of a request in the log even when the client goes away and nobody answers.
struct Noted<'a> {
    faults: &'a Faults,
    entry: Entry,
    status: Option<StatusCode>,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        lock(&self.faults.0.log).end(self.entry, self.status);
    }
}

impl<S: LayeredService> Layer<S> {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Aborted> {
        let (info, mut noted) = self.begin(&request);
        let (parts, body) = request.into_parts();
        let body = read_all(body).await.map_err(|_| Aborted)?;

        let latency = self.faults.0.latency.load(Ordering::Relaxed);
        if latency > 0 {
            tokio::time::sleep(Duration::from_nanos(latency)).await;
        }
        let effects: Vec<Effect> =
            lock(&self.faults.0.rules).iter_mut().filter_map(|rule| rule.effect_on(&info)).collect();

        let request = Request::from_parts(parts, body);
        let mut answer = if effects.is_empty() {
            self.inner.call(request, &info).await?
        } else {
            self.apply(&effects, request, &info).await?
        };
        self.name_request(&mut answer, &info);
        noted.status = Some(answer.status());
        Ok(answer)
    }

    fn begin(&self, request: &Request<Incoming>) -> (RequestInfo, Noted<'_>) {
        // Numbered under the log's lock: number and order in the log agree, also across a reset.
        let mut log = lock(&self.faults.0.log);
        let number = self.faults.0.number.fetch_add(1, Ordering::Relaxed) + 1;
        let info = RequestInfo::new(number, self.inner.service(), request.method(), request.uri(), request.headers());
        let noted = Noted { faults: &self.faults, entry: log.begin(&info), status: None };
        (info, noted)
    }

    async fn apply(
        &self,
        effects: &[Effect],
        request: Request<Bytes>,
        info: &RequestInfo,
    ) -> Result<Response<Body>, Aborted> {
        for effect in effects {
            match effect {
                Effect::Delay(by) => tokio::time::sleep(*by).await,
                Effect::HoldBefore(gate) => gate.pass().await,
                Effect::Before(hook) => (hook.0)(info.clone()).await,
                _ => {}
            }
        }
        let decisive = effects.iter().find(|effect| {
            matches!(
                effect,
                Effect::Respond { .. }
                    | Effect::ResetBefore
                    | Effect::ResetAfter
                    | Effect::StallBody(_)
                    | Effect::TruncateBody { .. }
            )
        });
        let answer = match decisive {
            Some(Effect::Respond { status, code, message }) => self.inner.error(*status, code, message),
            Some(Effect::ResetBefore) => return Err(Aborted),
            _ => self.inner.call(request, info).await?,
        };
        for effect in effects {
            match effect {
                Effect::HoldAfter(gate) => gate.pass().await,
                Effect::After(hook) => (hook.0)(info.clone()).await,
                _ => {}
            }
        }
        match decisive {
            Some(Effect::ResetAfter) => Err(Aborted),
            Some(Effect::StallBody(gate)) => Ok(stalled(answer, gate.clone())),
            Some(Effect::TruncateBody { keep }) => truncated(answer, *keep).await,
            _ => Ok(answer),
        }
    }

    fn name_request(&self, answer: &mut Response<Body>, info: &RequestInfo) {
        let name = match self.inner.service() {
            Service::S3 => HeaderName::from_static("x-amz-request-id"),
            Service::CloudFront => HeaderName::from_static("x-amzn-requestid"),
        };
        if let Ok(id) = HeaderValue::try_from(format!("STANDIN{:09}", info.number)) {
            answer.headers_mut().insert(name, id);
        }
        if self.inner.service() == Service::S3 {
            answer.headers_mut().insert(HeaderName::from_static("x-amz-id-2"), HeaderValue::from_static("stand-in"));
        }
    }
}

/// Reads a body into memory of its own size; the frames share hyper's larger read buffers, which
/// must not be kept alive by what is stored.
async fn read_all(body: Incoming) -> Result<Bytes, hyper::Error> {
    /// A declared length is only believed so far before the bytes are there.
    const BELIEVED: u64 = 64 << 20;

    let mut body = pin!(body);
    let declared = body.size_hint().lower().min(BELIEVED);
    let mut all = BytesMut::with_capacity(usize::try_from(declared).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all.freeze())
}

/// The same answer with a body of unknown length that is sent once the gate opens.
fn stalled(answer: Response<Body>, gate: Gate) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = StalledBody { wait: Some(Box::pin(async move { gate.pass().await })), body };
    Response::from_parts(parts, Body::http_body_unsync(body))
}

struct StalledBody {
    wait: Option<BoxFuture<'static, ()>>,
    body: Body,
}

impl hyper::body::Body for StalledBody {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, s3s::StdError>>> {
        if let Some(wait) = &mut self.wait {
            match wait.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.wait = None,
            }
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The same answer that promises its full length, or one byte more than it keeps, and breaks off.
async fn truncated(answer: Response<Body>, keep: u64) -> Result<Response<Body>, Aborted> {
    let (mut parts, mut body) = answer.into_parts();
    let mut all = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(|_| Aborted)?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    let kept = usize::try_from(keep).unwrap_or(usize::MAX).min(all.len());
    let promised = all.len().max(kept + 1);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(promised));
    let body = TruncatedBody { kept: Some(all.freeze().slice(..kept)), promised: promised as u64, yielded: false };
    Ok(Response::from_parts(parts, Body::http_body(body)))
}

struct TruncatedBody {
    kept: Option<Bytes>,
    promised: u64,
    yielded: bool,
}

impl hyper::body::Body for TruncatedBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some(kept) = self.kept.take()
            && !kept.is_empty()
        {
            return Poll::Ready(Some(Ok(Frame::data(kept))));
        }
        if !self.yielded {
            // Lets hyper flush what it was given before the error makes it drop the connection.
            self.yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Aborted)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
