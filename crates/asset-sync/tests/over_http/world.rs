//! Servers to deploy to, sites to deploy, and visitors who look at the result.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use asset_sync::bucket::{Bucket, RetryPolicy, S3Bucket, S3Options};
use asset_sync::cdn::{Cdn, CloudFront};
use asset_sync::deploy::{Options, ReleaseInfo, Report, RollbackTo};
use asset_sync::plan::InvalidationMode;
use asset_sync::site::{Role, ScanOptions, Site, scan};
use asset_sync::state::{Current, StateArea, Target};
use asset_sync::{Deployer, Error, Headers};
use aws_sdk_cloudfront::config::{AsyncSleep, SharedAsyncSleep, Sleep};
use aws_sdk_s3::config::Credentials;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use stand_ins::{
    ACCESS_KEY, BUCKET, Clock, Conditions, DISTRIBUTION, Distribution, Edge, EdgeResponse, NewObject, Object,
    ObjectHeaders, REGION, SECRET_KEY, StandIns,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// Distributions of the same bucket that nobody invalidates and nobody visited before.
pub(crate) const COLD: [&str; 2] = ["E2COLD00000000", "E3COLD00000000"];

pub(crate) const APP_1: &str = "assets/app-3f2a9c0d.js";
pub(crate) const APP_2: &str = "assets/app-77aa0b1c.js";
pub(crate) const LAZY: &str = "assets/lazy-0a1b2c3d.js";

/// Longer than any request takes that is not held on purpose.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// A page that refers to `assets`.
pub(crate) fn page(title: &str, assets: &[&str]) -> Vec<u8> {
    let scripts: Vec<String> = assets.iter().map(|a| format!("<script src=\"/{a}\"></script>\n")).collect();
    format!("<title>{title}</title>\n{}", scripts.concat()).into_bytes()
}

/// What a test page refers to, as keys.
pub(crate) fn references(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.split("src=\"/").skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned)).collect()
}

fn files<const N: usize>(files: [(&str, Vec<u8>); N]) -> Files {
    files.into_iter().map(|(key, body)| (key.to_owned(), body)).collect()
}

/// Version 1: two pages, a script, a chunk that is loaded late, two entry files.
pub(crate) fn v1() -> Files {
    files([
        ("index.html", page("one", &[APP_1, LAZY])),
        ("old/index.html", page("old", &[APP_1])),
        ("robots.txt", b"one".to_vec()),
        ("logo.svg", b"<svg/>".to_vec()),
        (APP_1, b"app one".to_vec()),
        (LAZY, b"lazy, the same in both".to_vec()),
    ])
}

/// Version 2: another script, one page less, another page more.
pub(crate) fn v2() -> Files {
    files([
        ("index.html", page("two", &[APP_2, LAZY])),
        ("new/index.html", page("new", &[APP_2])),
        ("robots.txt", b"two".to_vec()),
        ("logo.svg", b"<svg/>".to_vec()),
        (APP_2, b"app two".to_vec()),
        (LAZY, b"lazy, the same in both".to_vec()),
    ])
}

pub(crate) fn info(version: &str) -> ReleaseInfo {
    ReleaseInfo { version: version.to_owned(), build: None }
}

/// Runs `each` on every item, `at_once` of them at a time on each of a few threads. A panic of one is
/// a panic here.
pub(crate) fn side_by_side<T: Send, F: Future<Output = ()>>(
    at_once: usize,
    items: Vec<T>,
    each: impl Fn(T) -> F + Sync,
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let items = Mutex::new(items.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let queue = stream::iter(std::iter::from_fn(|| items.lock().unwrap().next()));
                runtime().block_on(queue.for_each_concurrent(at_once, &each));
            });
        }
    });
}

/// What a process is to do.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Deploys a site under a version.
    Deploy(Site, &'static str),
    /// Makes a version live again.
    Rollback(&'static str),
    /// Deletes what no kept release needs.
    Prune,
}

impl Act {
    pub(crate) async fn by(&self, deployer: &Deployer, stop: &CancellationToken) -> Result<Report, Error> {
        match self {
            Self::Deploy(site, version) => deployer.deploy(site, &info(version), stop).await,
            Self::Rollback(version) => deployer.rollback(&RollbackTo::Named((*version).into()), None, stop).await,
            Self::Prune => deployer.prune(stop).await,
        }
    }
}

/// A run by a thread with a runtime of its own; tells how it ended.
pub(crate) fn in_a_process(
    deployer: Deployer,
    act: Act,
    killed: Arc<Notify>,
) -> oneshot::Receiver<Option<Result<Report, Error>>> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = runtime();
        let stop = CancellationToken::new();
        let outcome = runtime.block_on(async {
            tokio::select! {
                biased;
                () = killed.notified() => None,
                outcome = act.by(&deployer, &stop) => Some(outcome),
            }
        });
        drop(runtime);
        // Nobody listens where the test has failed by now.
        end.send(outcome).ok();
    });
    ended
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sites on disk, scanned; they stay for as long as this does.
pub(crate) struct Sites(TempDir);

impl Sites {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn write(&self, files: &Files) -> Site {
        let root = tempfile::tempdir_in(self.0.path()).unwrap().keep();
        for (key, content) in files {
            let path = root.join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        scan(&root, &ScanOptions { threads: 1, ..ScanOptions::default() }).unwrap()
    }
}

/// Everything a visitor can get, by key: what is compared with an uncut run.
pub(crate) type Visible = BTreeMap<String, (Vec<u8>, ObjectHeaders)>;

/// All objects of a bucket, the state area's too.
pub(crate) type Objects = BTreeMap<String, Arc<Object>>;

pub(crate) struct World {
    pub(crate) servers: StandIns,
    prefix: String,
    bucket: Arc<dyn Bucket>,
    cdn: Arc<dyn Cdn>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::at("", |distribution| distribution).await
    }

    /// A target at `prefix`, and its distribution as `arrange` wants it.
    pub(crate) async fn at(prefix: &str, arrange: impl Fn(Distribution) -> Distribution) -> Self {
        let cold = COLD.map(|id| arrange(Distribution::new(id, BUCKET)));
        let warm = arrange(Distribution::new(DISTRIBUTION, BUCKET));
        // Stands still until it is moved: what is cached for a day stays cached.
        let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000));
        let servers = StandIns::builder().clock(clock).distributions([warm].into_iter().chain(cold)).start().await;
        let servers = servers.unwrap();
        let bucket = client(&servers, REQUEST_TIMEOUT);
        let cdn = cdn(&servers);
        Self { servers, prefix: prefix.to_owned(), bucket, cdn }
    }

    /// A world whose bucket holds what another one's did.
    pub(crate) async fn like(before: &Objects) -> Self {
        let world = Self::new().await;
        for (key, object) in before {
            let Object { content, headers, metadata, checksum, .. } = Object::clone(object);
            let object = NewObject { content, headers, metadata, checksum };
            world.servers.store().put(BUCKET, key, object, &Conditions::none()).unwrap();
        }
        world
    }

    pub(crate) fn objects(&self) -> Objects {
        self.servers.store().snapshot(BUCKET)
    }

    pub(crate) fn options(&self) -> Options {
        let clock = self.servers.clock().clone();
        Options {
            distributions: vec![DISTRIBUTION.to_owned()],
            invalidation_poll: Duration::from_millis(1),
            clock: Arc::new(move || Timestamp::try_from(clock.now()).unwrap()),
            owner: "test".to_owned(),
            // One at a time: the order of requests is the same in every run.
            retry: RetryPolicy { concurrency: 1, ..quick() },
            ..Options::default()
        }
    }

    pub(crate) fn deployer(&self, options: Options) -> Deployer {
        self.deployer_by(Arc::clone(&self.bucket), Arc::clone(&self.cdn), options)
    }

    /// A deployer with connections of its own.
    pub(crate) fn deployer_by(&self, bucket: Arc<dyn Bucket>, cdn: Arc<dyn Cdn>, options: Options) -> Deployer {
        let target = Target { bucket: BUCKET.to_owned(), prefix: self.prefix.clone() };
        let area = StateArea::in_target(&target, ".deploy/");
        Deployer::new(&self.prefix, bucket, area, None, cdn, options)
    }

    pub(crate) async fn deploy(&self, site: &Site, version: &str) -> Result<Report, Error> {
        self.deploy_with(self.options(), site, version).await
    }

    pub(crate) async fn deploy_with(&self, options: Options, site: &Site, version: &str) -> Result<Report, Error> {
        self.deployer(options).deploy(site, &info(version), &CancellationToken::new()).await
    }

    /// A run by a runtime, connections and timers of its own, all of which end at once when it is
    /// killed: `None` then.
    pub(crate) async fn act_in_a_process(
        &self,
        options: Options,
        act: Act,
        killed: Arc<Notify>,
    ) -> Option<Result<Report, Error>> {
        let (bucket, cdn) = (client(&self.servers, REQUEST_TIMEOUT), cdn(&self.servers));
        in_a_process(self.deployer_by(bucket, cdn, options), act, killed).await.unwrap()
    }

    /// The same on this runtime, to its end.
    pub(crate) async fn act(&self, options: Options, act: &Act) -> Result<Report, Error> {
        act.by(&self.deployer(options), &CancellationToken::new()).await
    }

    /// Lets time pass, for the store, the edges and the deployers.
    pub(crate) fn pass(&self, time: Duration) {
        self.servers.clock().advance(time);
    }

    /// The edge that is invalidated.
    pub(crate) fn edge(&self) -> &Edge {
        self.servers.edge()
    }

    pub(crate) fn visible(&self) -> Visible {
        let objects = self.servers.store().snapshot(BUCKET).into_iter();
        objects
            .filter_map(|(key, object)| {
                let key = key.strip_prefix(&self.prefix)?;
                let visible = !key.starts_with(".deploy/");
                visible.then(|| (key.to_owned(), (object.content.to_bytes().to_vec(), object.headers.clone())))
            })
            .collect()
    }

    pub(crate) fn current(&self) -> Current {
        let key = format!("{}.deploy/current", self.prefix);
        let object = self.servers.store().get(BUCKET, &key).unwrap();
        Current::decode(&key, &object.content.to_bytes()).unwrap()
    }

    /// Asserts that every file of the site is in the bucket, bytes and headers.
    pub(crate) fn assert_holds(&self, site: &Site, context: &str) {
        let visible = self.visible();
        for file in &site.files {
            let (body, headers) =
                visible.get(file.key.as_str()).unwrap_or_else(|| panic!("{context}: no {}", file.key));
            assert_eq!(*body, std::fs::read(file.path()).unwrap(), "{context}: bytes of {}", file.key);
            assert_eq!(*headers, stored(&file.headers), "{context}: headers of {}", file.key);
        }
    }

    /// Asserts that the edge answers each of `targets` as the bucket has it now.
    pub(crate) fn assert_fresh(&self, targets: &[String], context: &str) {
        let visible = self.visible();
        let distribution = self.edge().distribution();
        for target in targets {
            let path = target.split('?').next().unwrap();
            let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
            let mut key = path.trim_start_matches('/').to_owned();
            if key.is_empty() || key.ends_with('/') {
                key.push_str("index.html");
            }
            let answer = self.edge().fetch(target);
            let origin = visible.get(&key).or_else(|| visible.get(distribution.fallback.as_ref()?));
            match origin {
                Some((body, headers)) => {
                    assert_eq!(answer.status, 200, "{context}: {target}");
                    assert!(answer.body == *body, "{context}: the edge serves a stale {target}: {:?}", answer.body);
                    assert_served_with(&answer, headers, &format!("{context}: {target}"));
                }
                None => assert_eq!(answer.status, 404, "{context}: {target}"),
            }
        }
    }

    /// Nothing is left to do: no debt, no lease, no journal.
    pub(crate) fn assert_settled(&self, context: &str) {
        let current = self.current();
        assert!(current.edges.pending(&[], "/*").is_empty(), "{context}: {:?}", current.edges);
        assert!(current.pending.is_none() && current.lease.is_none(), "{context}: {current:?}");
    }

    /// Every invalidation that was ever made has completed.
    pub(crate) fn assert_invalidated(&self, context: &str) {
        for invalidation in self.servers.cloudfront().invalidations(DISTRIBUTION) {
            assert!(invalidation.completed, "{context}: {invalidation:?}");
        }
    }

    /// Asserts that whoever arrives now, at an edge that has nothing cached, gets pages that are
    /// whole, and with the root document a version all of whose files are there.
    pub(crate) fn assert_whole(&self, cold: &str, versions: &[&Site], context: &str) {
        let edge = self.servers.edge_of(cold).unwrap();
        let is_page =
            |headers: &ObjectHeaders| headers.content_type.as_ref().is_some_and(|t| t.starts_with("text/html"));
        for (page, _) in self.visible().iter().filter(|(_, (_, headers))| is_page(headers)) {
            let answer = edge.fetch(&url(page));
            for asset in references(&answer.body) {
                assert_asset(&edge.fetch(&url(&asset)), &format!("{context}: {page} refers to {asset}"));
            }
        }
        let root = edge.fetch("/").body;
        let is_root = |site: &&&Site| {
            site.files.iter().any(|f| f.role == Role::Root && root == std::fs::read(f.path()).unwrap().as_slice())
        };
        let version =
            versions.iter().find(is_root).unwrap_or_else(|| panic!("{context}: the root document is {root:?}"));
        for file in &version.files {
            let answer = edge.fetch(&url(file.key.as_str()));
            assert_eq!(answer.status, 200, "{context}: {} of the version that is served", file.key);
            if file.role == Role::Fingerprinted {
                assert!(answer.body == std::fs::read(file.path()).unwrap(), "{context}: bytes of {}", file.key);
            }
        }
    }

    /// Asserts that a visitor who loaded a page of `site` at the edge can load all of its assets.
    pub(crate) fn assert_loads(&self, site: &Site, context: &str) {
        for file in site.files.iter().filter(|f| f.role == Role::Fingerprinted) {
            let answer = self.edge().fetch(&url(file.key.as_str()));
            assert_asset(&answer, &format!("{context}: a visitor needs {}", file.key));
            assert!(answer.body == std::fs::read(file.path()).unwrap(), "{context}: bytes of {}", file.key);
        }
    }
}

/// An asset, and not a page that stands in for one.
fn assert_asset(answer: &EdgeResponse, context: &str) {
    assert_eq!(answer.status, 200, "{context}");
    let content_type = answer.header("content-type").unwrap();
    assert!(!content_type.starts_with("text/html"), "{context}: {content_type}");
}

/// Asserts that an edge's answer has the headers that the object has.
pub(crate) fn assert_served_with(answer: &EdgeResponse, headers: &ObjectHeaders, context: &str) {
    for (name, value) in [
        ("content-type", &headers.content_type),
        ("cache-control", &headers.cache_control),
        ("content-encoding", &headers.content_encoding),
    ] {
        assert_eq!(answer.header(name), value.as_deref(), "{context}: {name}");
    }
}

/// Headers as the store keeps them.
pub(crate) fn stored(headers: &Headers) -> ObjectHeaders {
    ObjectHeaders {
        content_type: Some(headers.content_type.clone()),
        cache_control: headers.cache_control.clone(),
        content_encoding: headers.content_encoding.clone(),
        content_disposition: headers.content_disposition.clone(),
        content_language: headers.content_language.clone(),
        website_redirect: headers.redirect.clone(),
    }
}

/// Retries as in earnest, with waits for tests.
pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy { base_delay: Duration::from_millis(1), max_delay: Duration::from_millis(5), ..RetryPolicy::default() }
}

pub(crate) fn client(servers: &StandIns, request_timeout: Duration) -> Arc<dyn Bucket> {
    let options = S3Options { request_timeout, ..S3Options::new(BUCKET, REGION) };
    connect(servers, options, ACCESS_KEY, SECRET_KEY)
}

/// A client for another bucket, or with other credentials.
pub(crate) fn client_as(servers: &StandIns, bucket: &str, key: &str, secret: &str) -> Arc<dyn Bucket> {
    connect(servers, S3Options::new(bucket, REGION), key, secret)
}

fn connect(servers: &StandIns, options: S3Options, key: &str, secret: &str) -> Arc<dyn Bucket> {
    let config = aws_sdk_s3::Config::builder()
        .endpoint_url(servers.s3_endpoint())
        .credentials_provider(Credentials::new(key, secret, None, None, "test"));
    Arc::new(S3Bucket::with_config(config, S3Options { force_path_style: true, ..options }))
}

/// Waits of the SDK's own retries, a thousand times shorter; its timeouts stay as they are.
#[derive(Debug)]
struct ShortWaits;

impl AsyncSleep for ShortWaits {
    fn sleep(&self, duration: Duration) -> Sleep {
        // To connect, and for one attempt.
        let timeout = [5, 30].map(Duration::from_secs).contains(&duration);
        Sleep::new(tokio::time::sleep(if timeout { duration } else { duration / 1000 }))
    }
}

pub(crate) fn cdn(servers: &StandIns) -> Arc<dyn Cdn> {
    Arc::new(CloudFront::with_config(
        aws_sdk_cloudfront::Config::builder()
            .endpoint_url(servers.cloudfront_endpoint())
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .sleep_impl(SharedAsyncSleep::new(ShortWaits)),
    ))
}

/// All paths that answer with a file of `site`; with `queries`, with query strings too.
pub(crate) fn targets(site: &Site, mode: InvalidationMode) -> Vec<String> {
    let mut targets = Vec::new();
    for file in &site.files {
        let path = url(file.key.as_str());
        if let Some(directory) = path.strip_suffix("index.html") {
            targets.push(directory.to_owned());
        }
        targets.push(path);
    }
    if mode != InvalidationMode::Exact {
        let variants: Vec<String> = targets.iter().flat_map(|t| [format!("{t}?a=1"), format!("{t}?b")]).collect();
        targets.extend(variants);
    }
    targets
}

/// The path of a key as a browser asks for it.
fn url(key: &str) -> String {
    format!("/{}", percent_encoding::utf8_percent_encode(key, PATH))
}

/// What browsers encode in a path, and the few characters that would end it.
const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');
