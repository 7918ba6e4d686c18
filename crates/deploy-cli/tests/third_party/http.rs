//! One HTTP request, for what no SDK is at hand.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Sends a request to a port of this machine; its host is that, unless the request names one.
///
/// # Errors
/// Where nobody answers.
pub(crate) async fn send(
    port: u16,
    mut request: Request<String>,
) -> Result<Response<Bytes>, Box<dyn std::error::Error>> {
    let host = HeaderValue::from_str(&format!("127.0.0.1:{port}"))?;
    request.headers_mut().entry(HOST).or_insert(host);
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    drop(sender);
    connection.await??;
    Ok(Response::from_parts(head, body))
}
