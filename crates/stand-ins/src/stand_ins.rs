//! All stand-ins together, started with one call.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    cloudfront::{CloudFront, CloudFrontApi, Completion, Invalidations},
    edge::{Distribution, Edge, EdgeServer},
    faults::{Faults, Layer},
    s3::{S3Api, S3Settings},
    server::{Handler, Server},
    store::{Store, StoreError},
};

/// The access key that the stand-ins accept unless told otherwise.
pub const ACCESS_KEY: &str = "AKIASTANDINSSTANDINS";
/// The secret of [`ACCESS_KEY`]; it opens nothing but a stand-in on this machine.
pub const SECRET_KEY: &str = "stand-in-secret-for-loopback-only-0000000";
/// The region of the bucket unless told otherwise.
pub const REGION: &str = "us-east-1";
/// The bucket that exists unless told otherwise.
pub const BUCKET: &str = "site";
/// The id of the distribution that exists unless told otherwise; it serves all of [`BUCKET`].
pub const DISTRIBUTION: &str = "E1STANDIN00000";

/// Why the stand-ins did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The object store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A server could not listen on its port.
    #[error("cannot listen on 127.0.0.1:{port} for {server}: {source}")]
    Listen {
        /// The server.
        server: String,
        /// The port asked for; 0 for a free one.
        port: u16,
        /// The cause.
        source: io::Error,
    },
    /// A distribution serves a bucket that does not exist.
    #[error("distribution {distribution} serves the bucket {bucket:?}, which does not exist")]
    NoBucket {
        /// The distribution's id.
        distribution: String,
        /// The bucket's name.
        bucket: String,
    },
    /// There is no distribution at all.
    #[error("the stand-ins need at least one distribution")]
    NoDistribution,
    /// Two distributions have one id.
    #[error("there are two distributions with the id {distribution}")]
    DuplicateDistribution {
        /// The id.
        distribution: String,
    },
}

/// What to start.
#[derive(Clone, Debug)]
pub struct StandInsBuilder {
    buckets: Vec<String>,
    region: String,
    access_key: String,
    secret_key: String,
    clock: Clock,
    folder: Option<PathBuf>,
    latency: Duration,
    s3_port: u16,
    cloudfront_port: u16,
    distributions: Vec<Distribution>,
    completion: Completion,
}

impl StandInsBuilder {
    fn new() -> Self {
        Self {
            buckets: vec![BUCKET.to_owned()],
            region: REGION.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET_KEY.to_owned(),
            clock: Clock::system(),
            folder: None,
            latency: Duration::ZERO,
            s3_port: 0,
            cloudfront_port: 0,
            distributions: vec![Distribution::new(DISTRIBUTION, BUCKET)],
            completion: Completion::default(),
        }
    }

    /// The buckets that exist from the start, instead of [`BUCKET`].
    #[must_use]
    pub fn buckets<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.buckets = names.into_iter().map(Into::into).collect();
        self
    }

    /// The region of all buckets; requests signed for another are refused, as S3 does.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The only credentials that are accepted.
    #[must_use]
    pub fn credentials(mut self, access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        self.access_key = access_key.into();
        self.secret_key = secret_key.into();
        self
    }

    /// The clock that all of them read.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps the objects in this folder between runs.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Lets every request to S3 and CloudFront wait for so long.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The port of the S3 server instead of a free one.
    #[must_use]
    pub fn s3_port(mut self, port: u16) -> Self {
        self.s3_port = port;
        self
    }

    /// The port of the CloudFront API instead of a free one.
    #[must_use]
    pub fn cloudfront_port(mut self, port: u16) -> Self {
        self.cloudfront_port = port;
        self
    }

    /// The distributions, instead of [`DISTRIBUTION`] on the whole of [`BUCKET`]; at least one.
    #[must_use]
    pub fn distributions(mut self, distributions: impl IntoIterator<Item = Distribution>) -> Self {
        self.distributions = distributions.into_iter().collect();
        self
    }

    /// When invalidations complete.
    #[must_use]
    pub fn completion(mut self, completion: Completion) -> Self {
        self.completion = completion;
        self
    }

    /// Starts the servers on loopback. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(self) -> Result<StandIns, StartError> {
        let store = match &self.folder {
            Some(folder) => Store::in_folder(folder, self.clock.clone())?,
            None => Store::in_memory(self.clock.clone()),
        };
        for bucket in &self.buckets {
            if !store.has_bucket(bucket) {
                store.create_bucket(bucket)?;
            }
        }
        let edges = self.edges(&store)?;
        let first = self.distributions.first().and_then(|d| edges.get(&d.id));
        let first_edge = first.cloned().ok_or(StartError::NoDistribution)?;
        let faults = Faults::default();
        faults.set_latency(self.latency);
        let cloudfront = CloudFront::new(self.access_key.clone(), edges.clone());
        let s3 = S3Settings::new(self.region, self.access_key, self.secret_key);
        let s3_layer = Layer { faults: faults.clone(), inner: S3Api::new(store.clone(), s3.clone()) };
        let cloudfront_layer = Layer { faults: faults.clone(), inner: CloudFrontApi(cloudfront.clone()) };
        let mut edge_servers = BTreeMap::new();
        for (id, edge) in edges {
            let port = edge.distribution().port;
            let server = listen(&format!("the edge of {id}"), port, EdgeServer(edge.clone())).await?;
            edge_servers.insert(id, (edge, server));
        }
        Ok(StandIns {
            s3_server: listen("S3", self.s3_port, s3_layer).await?,
            cloudfront_server: listen("CloudFront", self.cloudfront_port, cloudfront_layer).await?,
            edges: edge_servers,
            first_edge,
            store,
            faults,
            s3,
            cloudfront,
        })
    }

    fn edges(&self, store: &Store) -> Result<BTreeMap<String, Edge>, StartError> {
        let mut edges = BTreeMap::new();
        for distribution in &self.distributions {
            let id = distribution.id.clone();
            if !store.has_bucket(&distribution.bucket) {
                return Err(StartError::NoBucket { distribution: id, bucket: distribution.bucket.clone() });
            }
            let invalidations = Invalidations::new(self.completion);
            let edge = Edge::new(distribution.clone(), store.clone(), invalidations);
            if edges.insert(id.clone(), edge).is_some() {
                return Err(StartError::DuplicateDistribution { distribution: id });
            }
        }
        Ok(edges)
    }
}

async fn listen(name: &str, port: u16, handler: impl Handler) -> Result<Server, StartError> {
    Server::start(port, Arc::new(handler)).await.map_err(|source| StartError::Listen {
        server: name.to_owned(),
        port,
        source,
    })
}

/// The running stand-ins. They stop when this is dropped.
#[derive(Debug)]
pub struct StandIns {
    store: Store,
    faults: Faults,
    s3: S3Settings,
    cloudfront: CloudFront,
    s3_server: Server,
    cloudfront_server: Server,
    /// By distribution.
    edges: BTreeMap<String, (Edge, Server)>,
    first_edge: Edge,
}

impl StandIns {
    /// Begins to describe what to start.
    pub fn builder() -> StandInsBuilder {
        StandInsBuilder::new()
    }

    /// Base URL of the S3 server, for `AWS_ENDPOINT_URL_S3`. It needs path-style addressing.
    pub fn s3_endpoint(&self) -> String {
        self.s3_server.url()
    }

    /// Base URL of the CloudFront API, for `AWS_ENDPOINT_URL_CLOUDFRONT`.
    pub fn cloudfront_endpoint(&self) -> String {
        self.cloudfront_server.url()
    }

    /// Base URL under which a distribution's edge serves visitors; `None` where there is no such
    /// distribution.
    pub fn edge_endpoint(&self, distribution: &str) -> Option<String> {
        self.edges.get(distribution).map(|(_, server)| server.url())
    }

    /// The edge of a distribution; `None` where there is no such distribution.
    pub fn edge_of(&self, distribution: &str) -> Option<&Edge> {
        self.edges.get(distribution).map(|(edge, _)| edge)
    }

    /// The edge of the first distribution.
    pub fn edge(&self) -> &Edge {
        &self.first_edge
    }

    /// The CloudFront API's state.
    pub fn cloudfront(&self) -> &CloudFront {
        &self.cloudfront
    }

    /// The variables that point a program which reads the AWS SDK's environment at these servers.
    /// Path-style addressing has no variable and must be set otherwise.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL_S3", self.s3_endpoint()),
            ("AWS_ENDPOINT_URL_CLOUDFRONT", self.cloudfront_endpoint()),
            ("AWS_REGION", self.s3.region().to_owned()),
            ("AWS_ACCESS_KEY_ID", self.s3.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.s3.secret_key().to_owned()),
        ]
    }

    /// The objects themselves.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The clock that all of them read.
    pub fn clock(&self) -> &Clock {
        self.store.clock()
    }

    /// Faults, latency and the log of requests.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How the S3 server behaves.
    pub fn s3(&self) -> &S3Settings {
        &self.s3
    }

    /// Stops all servers; requests in flight get a second to finish.
    pub async fn shutdown(self) {
        let edges = self.edges.into_values().map(|(_, server)| server.shutdown());
        futures::join!(self.s3_server.shutdown(), self.cloudfront_server.shutdown(), futures::future::join_all(edges),);
    }
}
