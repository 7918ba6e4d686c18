//! A bucket, a CDN, a clock and sites to deploy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asset_sync::bucket::{Bucket, Condition, MemoryStore, ObjectSpec, RetryPolicy};
use asset_sync::cdn::MemoryCdn;
use asset_sync::deploy::{Options, PlanReport, ReleaseInfo, Report};
use asset_sync::progress::{Event, Progress};
use asset_sync::site::{ScanOptions, Site, scan};
use asset_sync::state::{Current, StateArea, Target};
use asset_sync::{Deployer, Error, Headers, Sha256};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const BUCKET: &str = "site";
pub(crate) const DISTRIBUTION: &str = "E1";

/// Keeps every event of a run.
#[derive(Default)]
pub(crate) struct Log(pub(crate) Mutex<Vec<Event>>);

impl Progress for Log {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) cdn: MemoryCdn,
    pub(crate) log: Arc<Log>,
    pub(crate) prefix: &'static str,
    now: Arc<Mutex<Timestamp>>,
    dir: TempDir,
}

pub(crate) const APP_1: &str = "assets/app-3f2a9c0d.js";
pub(crate) const APP_2: &str = "assets/app-77aa0b1c.js";

/// A page that refers to `assets`.
pub(crate) fn page(title: &str, assets: &[&str]) -> String {
    let scripts: Vec<String> = assets.iter().map(|a| format!("<script src=\"/{a}\"></script>\n")).collect();
    let scripts = scripts.concat();
    format!("<title>{title}</title>\n{scripts}")
}

/// Version 1: two pages, a script, a chunk, an entry file.
pub(crate) fn v1() -> Vec<(String, String)> {
    vec![
        ("index.html".into(), page("one", &[APP_1, "assets/lazy-0a1b2c3d.js"])),
        ("old/index.html".into(), page("old", &[APP_1])),
        ("robots.txt".into(), "one".into()),
        ("logo.svg".into(), "<svg/>".into()),
        (APP_1.into(), "app one".into()),
        ("assets/lazy-0a1b2c3d.js".into(), "lazy, the same in both".into()),
    ]
}

/// Version 2: another script, one page less, another page more.
pub(crate) fn v2() -> Vec<(String, String)> {
    vec![
        ("index.html".into(), page("two", &[APP_2, "assets/lazy-0a1b2c3d.js"])),
        ("new/index.html".into(), page("new", &[APP_2])),
        ("robots.txt".into(), "two".into()),
        ("logo.svg".into(), "<svg/>".into()),
        (APP_2.into(), "app two".into()),
        ("assets/lazy-0a1b2c3d.js".into(), "lazy, the same in both".into()),
    ]
}

pub(crate) fn info(version: &str) -> ReleaseInfo {
    ReleaseInfo { version: version.to_owned(), build: None }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at("")
    }

    pub(crate) fn at(prefix: &'static str) -> Self {
        let now = Arc::new(Mutex::new("2026-11-22T10:00:00Z".parse().unwrap()));
        let clock = Arc::clone(&now);
        let store = MemoryStore::with_clock(move || *clock.lock().unwrap());
        store.create_bucket(BUCKET);
        let cdn = MemoryCdn::new();
        cdn.create_distribution(DISTRIBUTION);
        Self { store, cdn, log: Arc::default(), prefix, now, dir: TempDir::new().unwrap() }
    }

    /// Lets time pass, for the store and for deployers.
    pub(crate) fn pass(&self, time: SignedDuration) {
        let mut now = self.now.lock().unwrap();
        *now += time;
    }

    pub(crate) fn options(&self) -> Options {
        let now = Arc::clone(&self.now);
        Options {
            distributions: vec![DISTRIBUTION.to_owned()],
            clock: Arc::new(move || *now.lock().unwrap()),
            progress: Arc::clone(&self.log) as Arc<dyn Progress>,
            owner: "test".to_owned(),
            // One at a time: the order of requests is the same in every run.
            retry: RetryPolicy { concurrency: 1, ..RetryPolicy::default() },
            ..Options::default()
        }
    }

    pub(crate) fn deployer_with(&self, options: Options) -> Deployer {
        self.deployer_at(self.prefix, options)
    }

    pub(crate) fn deployer_at(&self, prefix: &str, options: Options) -> Deployer {
        let target = Target { bucket: BUCKET.to_owned(), prefix: prefix.to_owned() };
        let area = StateArea::in_target(&target, ".deploy/");
        let bucket: Arc<dyn Bucket> = Arc::new(self.store.bucket(BUCKET));
        Deployer::new(prefix, bucket, area, None, Arc::new(self.cdn.clone()), options)
    }

    pub(crate) fn deployer(&self) -> Deployer {
        self.deployer_with(self.options())
    }

    /// Writes a site to disk and scans it.
    pub(crate) fn site<K: AsRef<str>, C: AsRef<[u8]>>(&self, files: &[(K, C)]) -> Site {
        self.site_with(files, &ScanOptions { prefix: self.prefix.to_owned(), ..ScanOptions::default() })
    }

    pub(crate) fn site_with<K: AsRef<str>, C: AsRef<[u8]>>(&self, files: &[(K, C)], options: &ScanOptions) -> Site {
        let root = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        for (path, content) in files {
            let path = root.join(path.as_ref());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        scan(&root, options).unwrap()
    }

    pub(crate) async fn deploy(&self, site: &Site, version: &str) -> Result<Report, Error> {
        self.deployer().deploy(site, &info(version), &CancellationToken::new()).await
    }

    pub(crate) async fn plan(&self, site: &Site, version: &str) -> Result<PlanReport, Error> {
        self.deployer().plan(site, &info(version)).await
    }

    /// What a visitor could fetch: keys without the prefix and without the state area.
    pub(crate) fn visible(&self) -> BTreeMap<String, (Vec<u8>, Headers)> {
        let objects = self.store.snapshot(BUCKET).into_iter();
        objects
            .filter_map(|(key, object)| {
                let key = key.strip_prefix(self.prefix)?;
                (!key.starts_with(".deploy/")).then(|| (key.to_owned(), (object.body.to_vec(), object.headers)))
            })
            .collect()
    }

    /// Replaces the content of an object as a tool does that keeps its headers and user metadata.
    pub(crate) async fn rewrite_keeping_metadata(&self, key: &str, content: &'static [u8]) {
        let before = self.store.snapshot(BUCKET)[key].clone();
        let bucket = self.store.bucket(BUCKET);
        let spec = ObjectSpec { key, headers: &before.headers, sha256: before.metadata_sha256.unwrap() };
        let id = bucket.create_multipart(spec).await.unwrap();
        let part = bucket.upload_part(key, &id, 1, content.into(), Sha256::of(content)).await.unwrap();
        bucket.complete_multipart(key, &id, &[part], &Condition::Always).await.unwrap();
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.visible().get(key).map(|(body, _)| String::from_utf8(body.clone()).unwrap())
    }

    pub(crate) fn current(&self) -> Current {
        let key = format!("{}.deploy/current", self.prefix);
        Current::decode(&key, &self.store.snapshot(BUCKET)[&key].body).unwrap()
    }

    /// Asserts that every file of the site is served, bytes and headers.
    pub(crate) fn assert_serves(&self, site: &Site) {
        let visible = self.visible();
        for file in &site.files {
            let (body, headers) = visible.get(file.key.as_str()).unwrap_or_else(|| panic!("{} is not there", file.key));
            assert_eq!(*body, std::fs::read(file.path()).unwrap(), "bytes of {}", file.key);
            assert_eq!(*headers, *file.headers, "headers of {}", file.key);
        }
    }

    /// Asserts that every page refers only to assets that can be fetched.
    pub(crate) fn assert_no_broken_page(&self, context: &str) {
        let visible = self.visible();
        for (key, (body, _)) in visible.iter().filter(|(_, (_, headers))| headers.content_type.starts_with("text/html"))
        {
            for asset in references(body) {
                assert!(visible.contains_key(&asset), "{context}: {key} refers to {asset}, which is not there");
            }
        }
    }

    /// Operations sent to the store since `calls_before`, with keys, writes only.
    pub(crate) fn writes(&self) -> Vec<(String, String)> {
        self.store
            .calls()
            .into_iter()
            .filter(|c| !matches!(c.operation, "GetObject" | "HeadObject" | "ListObjectsV2"))
            .map(|c| (c.operation.to_owned(), c.key.unwrap_or_default()))
            .collect()
    }

    /// Paths invalidated so far, of invalidations that completed or were made at all.
    pub(crate) fn invalidated(&self) -> BTreeSet<String> {
        self.cdn.invalidations(DISTRIBUTION).into_iter().flat_map(|i| i.paths).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let events = self.log.0.lock().unwrap();
        events
            .iter()
            .filter_map(|e| match e {
                Event::Warning { message } => Some(message.clone()),
                _ => None,
            })
            .collect()
    }
}

/// What a test page refers to.
pub(crate) fn references(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.split("src=\"/").skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned)).collect()
}

pub(crate) const GRACE: SignedDuration = SignedDuration::from_hours(7 * 24);
pub(crate) const SHORT: Duration = Duration::from_secs(10);
