//! A proxy before a registry that fails, answers or interferes on demand.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// One request that came.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number, from 1.
    pub number: usize,
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
}

impl Call {
    /// Whether it is to set a tag, which is all but a digest.
    pub fn sets_tag(&self) -> bool {
        self.method == Method::PUT && self.path.contains("/manifests/") && !self.path.contains("sha256:")
    }
}

/// What is done about it.
#[derive(Debug, Clone)]
pub enum Action {
    /// The registry gets it, and its answer comes back.
    Forward,
    /// This answer comes, and the registry hears nothing.
    Answer(StatusCode, Vec<(&'static str, String)>, String),
    /// The connection ends, and the registry hears nothing.
    Reset,
    /// The registry gets it, and the connection ends before its answer.
    LoseAnswer,
    /// The registry gets it, and half the body of its answer comes.
    Truncate,
}

impl Action {
    pub fn status(code: u16) -> Self {
        Self::Answer(StatusCode::from_u16(code).unwrap(), Vec::new(), String::new())
    }
}

type Decision = Pin<Box<dyn Future<Output = Action> + Send>>;
type Decide = Arc<dyn Fn(Call) -> Decision + Send + Sync>;

/// A running proxy; it ends with the runtime.
pub struct Proxy {
    pub host: String,
    decide: Arc<Mutex<Decide>>,
    count: Arc<AtomicUsize>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Proxy {
    /// Starts one before the registry at `upstream`; it forwards everything until told otherwise.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let forward: Decide = Arc::new(|_| Box::pin(async { Action::Forward }));
        let proxy = Self { host, decide: Arc::new(Mutex::new(forward)), count: Arc::default(), calls: Arc::default() };
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let (decide, count, calls, upstream) =
            (Arc::clone(&proxy.decide), Arc::clone(&proxy.count), Arc::clone(&proxy.calls), upstream.to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (decide, count, calls, upstream, client) =
                    (Arc::clone(&decide), Arc::clone(&count), Arc::clone(&calls), upstream.clone(), client.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    let call = Call {
                        number,
                        method: request.method().clone(),
                        path: request.uri().path_and_query().unwrap().to_string(),
                        headers: request.headers().clone(),
                    };
                    calls.lock().unwrap().push(call.clone());
                    let decision = (decide.lock().unwrap().clone())(call);
                    let (upstream, client) = (upstream.clone(), client.clone());
                    async move { answer(request, decision.await, &upstream, &client).await }
                });
                tokio::spawn(async move {
                    // An error is a connection ended on purpose.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        proxy
    }

    /// Decides by `decide` from now on, and counts from 1 again.
    pub fn decide<F>(&self, decide: impl Fn(Call) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Action> + Send + 'static,
    {
        *self.decide.lock().unwrap() = Arc::new(move |call| Box::pin(decide(call)));
        self.count.store(0, Ordering::SeqCst);
        self.calls.lock().unwrap().clear();
    }

    /// Decides without waiting for anything.
    pub fn act(&self, decide: impl Fn(&Call) -> Action + Send + Sync + 'static) {
        self.decide(move |call| std::future::ready(decide(&call)));
    }

    /// Requests since the last decision.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// Ends the connection.
#[derive(Debug)]
struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ended on purpose")
    }
}

impl std::error::Error for Ended {}

async fn answer(
    request: Request<Incoming>,
    action: Action,
    upstream: &str,
    client: &reqwest::Client,
) -> Result<Response<Full<Bytes>>, Ended> {
    match action {
        Action::Reset => Err(Ended),
        Action::Answer(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Full::from(body)).unwrap())
        }
        Action::Forward => Ok(forward(request, upstream, client).await),
        Action::LoseAnswer => {
            forward(request, upstream, client).await;
            Err(Ended)
        }
        Action::Truncate => {
            let (mut head, body) = forward(request, upstream, client).await.into_parts();
            let whole = body.collect().await.unwrap_or_else(|error: Infallible| match error {}).to_bytes();
            head.headers.insert(http::header::CONTENT_LENGTH, (whole.len() / 2).into());
            Ok(Response::from_parts(head, Full::from(whole.slice(..whole.len() / 2))))
        }
    }
}

/// Passes a request on with its `Host`, so that the registry's locations lead back here.
async fn forward(request: Request<Incoming>, upstream: &str, client: &reqwest::Client) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let url = format!("http://{upstream}{}", head.uri.path_and_query().unwrap());
    let Ok(body) = body.collect().await else {
        return Response::builder().status(StatusCode::BAD_REQUEST).body(Full::default()).unwrap();
    };
    let answered = client.request(head.method, url).headers(head.headers).body(body.to_bytes()).send().await.unwrap();
    let mut response = Response::builder().status(answered.status());
    for (name, value) in answered.headers() {
        // hyper sets the framing itself, but of the body it does not see.
        if name != http::header::TRANSFER_ENCODING && (is_head || name != http::header::CONTENT_LENGTH) {
            response = response.header(name, value);
        }
    }
    response.body(Full::from(answered.bytes().await.unwrap())).unwrap()
}
