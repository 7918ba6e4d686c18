//! A proxy before a server that is more lenient than the service it stands for.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::http;

/// Characters that reports say CloudFront does not accept in a path, or accepts without effect.
const REFUSED: [char; 9] = ['\'', '~', '@', '[', ']', '|', '\\', '^', '('];

/// CloudFront as far as it refuses paths; all else is the server's behind it.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// Bodies of the invalidations that were refused.
    pub(crate) refused: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one before the server at `port`. It ends with the test's runtime.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let refused = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&refused);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let answer = service_fn(move |request| answer(port, request, Arc::clone(&seen)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self { url, refused }
    }
}

async fn answer(
    port: u16,
    request: Request<Incoming>,
    refused: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let mut paths = body.split("<Path>").skip(1).filter_map(|rest| rest.split("</Path>").next());
    // In XML an apostrophe may be a reference.
    if head.method == Method::POST
        && paths.any(|path| path.replace("&apos;", "'").replace("&#39;", "'").contains(REFUSED))
    {
        refused.lock().unwrap().push(body);
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidArgument</Code><Message>Your request contains one or more invalid invalidation paths.</Message></Error></ErrorResponse>";
        let answer = Response::builder().status(StatusCode::BAD_REQUEST).header("Content-Type", "text/xml");
        return Ok(answer.body(Full::new(error.into())).unwrap());
    }
    let answer = http::send(port, Request::from_parts(head, body)).await.unwrap();
    Ok(answer.map(Full::new))
}
