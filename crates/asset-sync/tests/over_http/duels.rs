//! Two deployments of one target. One is stopped as by SIGSTOP, before or after any of its requests,
//! until the other has taken over and finished; then it goes on.
//!
//! S3 can be told to write a key only if that key is still what it was, and nothing more. So a write
//! of the stopped one that was already on its way lands if, and only if, nobody changed that key
//! meanwhile. Where both versions change the same keys, it never does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use asset_sync::bucket::{
    Bucket, BucketError, Condition, CopySource, ETag, ListPage, ObjectBody, ObjectInfo, ObjectSpec, UploadedPart,
};
use asset_sync::cdn::{Cdn, CdnError, InvalidationStatus};
use asset_sync::deploy::{Options, Outcome};
use asset_sync::plan::InvalidationMode;
use asset_sync::site::{Role, Site};
use asset_sync::{Error, ErrorClass, Sha256};
use async_trait::async_trait;
use bytes::Bytes;
use stand_ins::{Effect, Faults, Gate, RequestInfo, When};
use tokio::sync::{Notify, oneshot};

use crate::world::{
    APP_1, Act, COLD, Files, LAZY, Objects, REQUEST_TIMEOUT, Sites, World, cdn, client, in_a_process, page,
    side_by_side, targets, v1, v2,
};

/// How often a duel is begun anew that missed its point.
const TRIES: usize = 5;

const APP_3: &str = "assets/app-9b8c7d6e.js";

/// A request of the one that is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    operation: &'static str,
    keys: Vec<String>,
    /// How many like it came before.
    nth: usize,
}

impl Request {
    fn writes(&self) -> bool {
        matches!(self.operation, "PutObject" | "CopyObject" | "DeleteObjects" | "CreateInvalidation")
    }
}

/// Where a process is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Point {
    /// This request has left the process, and is held up on its way.
    Sent(Request),
    /// This request has been answered.
    Answered(Request),
}

/// Stops the thread of a process, with all its timers and connections, at one point.
#[derive(Debug)]
struct Stop {
    point: Option<Point>,
    faults: Faults,
    /// Where a request is held up.
    way: Gate,
    /// The request that was held up has been handled.
    handled: Arc<Notify>,
    /// So far.
    requests: Mutex<Vec<Request>>,
    stopped: Mutex<Option<oneshot::Sender<()>>>,
    resume: Mutex<mpsc::Receiver<()>>,
}

/// A process that is being stopped, as seen from outside.
struct Stopping {
    stop: Arc<Stop>,
    stopped: oneshot::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Stop {
    fn at(world: &World, point: Option<Point>) -> Stopping {
        let (stopped, is_stopped) = oneshot::channel();
        let (go_on, resume) = mpsc::channel();
        let stop = Arc::new(Self {
            point,
            faults: world.servers.faults().clone(),
            way: Gate::new(),
            handled: Arc::default(),
            requests: Mutex::default(),
            stopped: Mutex::new(Some(stopped)),
            resume: Mutex::new(resume),
        });
        Stopping { stop, stopped: is_stopped, go_on }
    }

    fn freeze(&self) {
        if let Some(stopped) = self.stopped.lock().unwrap().take() {
            stopped.send(()).ok();
            // Goes on too when the test has failed.
            self.resume.lock().unwrap().recv().ok();
        }
    }

    async fn around<T>(&self, operation: &'static str, keys: Vec<String>, request: impl Future<Output = T>) -> T {
        let key = keys.first().filter(|_| operation == "PutObject").cloned();
        let asked = {
            let mut requests = self.requests.lock().unwrap();
            // Its name has a number that grows with each renewal of the lease.
            let inventory =
                |key: String| if key.contains("/inventory/") { ".deploy/inventory".to_owned() } else { key };
            let keys: Vec<String> = keys.into_iter().map(inventory).collect();
            let nth = requests.iter().filter(|r| r.operation == operation && r.keys == keys).count();
            let asked = Request { operation, keys, nth };
            requests.push(asked.clone());
            asked
        };
        let answer = if self.point.as_ref() == Some(&Point::Sent(asked.clone())) {
            let this = move |r: &RequestInfo| r.operation == operation && (key.is_none() || r.key == key);
            let handled = Arc::clone(&self.handled);
            let tell = move |_| {
                let handled = Arc::clone(&handled);
                async move { handled.notify_one() }
            };
            self.faults.once(When::matching(this.clone()), Effect::HoldBefore(self.way.clone()));
            self.faults.once(When::matching(this), Effect::after(tell));
            let freeze = async {
                self.way.arrived(1).await;
                self.freeze();
            };
            tokio::join!(request, freeze).0
        } else {
            request.await
        };
        if self.point.as_ref() == Some(&Point::Answered(asked)) {
            self.freeze();
        }
        answer
    }
}

/// A connection of a process that can be stopped.
#[derive(Debug)]
struct Stoppable<T: ?Sized>(Arc<Stop>, Arc<T>);

#[async_trait]
impl Bucket for Stoppable<dyn Bucket> {
    fn name(&self) -> &str {
        self.1.name()
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        self.0.around("ListObjectsV2", vec![prefix.to_owned()], self.1.list(prefix, start_after)).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        self.0.around("HeadObject", vec![key.to_owned()], self.1.head(key)).await
    }

    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        self.0.around("GetObject", vec![key.to_owned()], self.1.get(key)).await
    }

    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError> {
        self.0.around("PutObject", vec![spec.key.to_owned()], self.1.put(spec, body, condition)).await
    }

    async fn copy(&self, from: CopySource<'_>, to: ObjectSpec<'_>, condition: &Condition) -> Result<ETag, BucketError> {
        self.0.around("CopyObject", vec![to.key.to_owned()], self.1.copy(from, to, condition)).await
    }

    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
        self.1.create_multipart(spec).await
    }

    async fn upload_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Result<UploadedPart, BucketError> {
        self.1.upload_part(key, upload_id, number, body, sha256).await
    }

    async fn complete_multipart(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        self.1.complete_multipart(key, upload_id, parts, condition).await
    }

    async fn abort_multipart(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        self.1.abort_multipart(key, upload_id).await
    }

    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        let named = keys.iter().map(|(key, _)| key.clone()).collect();
        self.0.around("DeleteObjects", named, self.1.delete(keys)).await
    }
}

#[async_trait]
impl Cdn for Stoppable<dyn Cdn> {
    async fn create_invalidation(
        &self,
        distribution: &str,
        caller_reference: &str,
        paths: &[String],
    ) -> Result<(String, InvalidationStatus), CdnError> {
        let request = self.1.create_invalidation(distribution, caller_reference, paths);
        self.0.around("CreateInvalidation", Vec::new(), request).await
    }

    async fn invalidation(&self, distribution: &str, id: &str) -> Result<Option<InvalidationStatus>, CdnError> {
        self.0.around("GetInvalidation", Vec::new(), self.1.invalidation(distribution, id)).await
    }
}

/// How the second one comes by the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takeover {
    /// It waits until the lease has expired, and for as long as a request may take after that.
    Expiry,
    /// Somebody breaks the lease, as `deploy unlock --force` does.
    Broken,
}

/// Version 2 against version 3, over version 1.
struct Arena {
    _dir: Sites,
    first: Site,
    second: Site,
    third: Site,
    paths: Vec<String>,
    before: Objects,
    /// What a deployment of version 2 asks for when nobody disturbs it.
    requests: Vec<Request>,
    ran: AtomicU64,
}

/// What there is to see after a duel.
struct Aftermath {
    world: World,
    context: String,
}

/// What a deployment over `before` asks for when nobody disturbs it.
async fn undisturbed(before: &Objects, site: &Site) -> Vec<Request> {
    let world = World::like(before).await;
    world.pass(Duration::from_mins(1));
    let Stopping { stop, .. } = Stop::at(&world, None);
    let deployer = stoppable(&world, &stop, world.options());
    in_a_process(deployer, Act::Deploy(site.clone(), "2.0.0"), Arc::default()).await.unwrap().unwrap().unwrap();
    let requests = stop.requests.lock().unwrap().clone();
    world.servers.shutdown().await;
    requests
}

impl Arena {
    async fn new(third: &Files) -> Self {
        let dir = Sites::new();
        let (first, second, third) = (dir.write(&v1()), dir.write(&v2()), dir.write(third));
        let mut paths = BTreeSet::new();
        for site in [&first, &second, &third] {
            let mut pages = site.clone();
            pages.files.retain(|f| f.role != Role::Fingerprinted);
            paths.extend(targets(&pages, InvalidationMode::Exact));
        }
        let world = World::new().await;
        world.deploy(&first, "1.0.0").await.unwrap();
        let before = world.objects();
        // A busy machine may have a request tried again: what two runs ask for is what each asks for.
        let mut requests = undisturbed(&before, &second).await;
        loop {
            let again = undisturbed(&before, &second).await;
            if again == requests {
                break;
            }
            requests = again;
        }
        let paths = paths.into_iter().collect();
        Self { _dir: dir, first, second, third, paths, before, requests, ran: AtomicU64::new(0) }
    }

    /// Before and after each request; a read on its way is no other case than one not yet sent.
    fn points(&self) -> Vec<Point> {
        let sent = self.requests.iter().filter(|r| r.writes()).cloned().map(Point::Sent);
        sent.chain(self.requests.iter().cloned().map(Point::Answered)).collect()
    }

    /// Runs one duel.
    async fn duel(&self, point: Point, takeover: Takeover) -> Aftermath {
        for _ in 0..TRIES {
            if let Some(aftermath) = self.duel_unless_missed(point.clone(), takeover).await {
                return aftermath;
            }
        }
        panic!("{takeover:?}: {TRIES} runs ended without being stopped with {point:?}");
    }

    /// `None` if the run was not stopped: on a busy machine the lease is renewed in between, and a renewal
    /// that the end of the run cuts off may have been the request to stop at.
    async fn duel_unless_missed(&self, point: Point, takeover: Takeover) -> Option<Aftermath> {
        let context = format!("{takeover:?}, stopped with {point:?}");
        let world = World::like(&self.before).await;
        for path in &self.paths {
            world.edge().fetch(path);
        }
        world.pass(Duration::from_mins(1));

        let Stopping { stop, stopped, go_on } = Stop::at(&world, Some(point));
        // Whole seconds, as a lease states them, and enough for a slow machine to renew it in time.
        let (lease, request_timeout) = (Duration::from_secs(3), Duration::from_secs(1));
        let options = Options { lease, request_timeout, owner: "the stopped one".into(), ..world.options() };
        let act = Act::Deploy(self.second.clone(), "2.0.0");
        let mut ended = in_a_process(stoppable(&world, &stop, options), act, Arc::default());
        tokio::select! {
            biased;
            stopped = stopped => stopped.unwrap(),
            outcome = &mut ended => {
                outcome.unwrap().unwrap().unwrap_or_else(|error| panic!("{context}: not stopped: {error}"));
                return None;
            }
        }
        let current = world.current();
        let was_done = current.lease.is_none() && current.live_release().unwrap().version == "2.0.0";
        if takeover == Takeover::Broken {
            world.deployer(world.options()).break_lease().await.unwrap();
        }
        let report = world.deploy(&self.third, "3.0.0").await.unwrap_or_else(|e| panic!("{context}: {e}"));
        assert_eq!(report.result, Outcome::Deployed, "{context}");
        world.assert_holds(&self.third, &context);
        world.assert_settled(&context);
        assert_eq!(differing(&world, &self.third), [""; 0], "{context}: before it goes on");

        if stop.way.arrivals() > 0 {
            // What was held up arrives first, then its sender goes on.
            stop.way.open();
            stop.handled.notified().await;
        }
        go_on.send(()).unwrap();
        match ended.await.unwrap().unwrap() {
            // Nothing but tidying up was left.
            Ok(_) => assert!(was_done, "{context}"),
            Err(Error::LeaseLost { .. }) => {}
            // It had not begun to write.
            Err(error) => assert_eq!(error.class(), ErrorClass::Conflict, "{context}: {error}"),
        }
        self.ran.fetch_add(1, Ordering::Relaxed);
        Some(Aftermath { world, context })
    }
}

fn stoppable(world: &World, stop: &Arc<Stop>, options: Options) -> asset_sync::Deployer {
    let bucket = Stoppable::<dyn Bucket>(Arc::clone(stop), client(&world.servers, REQUEST_TIMEOUT));
    let cdn = Stoppable::<dyn Cdn>(Arc::clone(stop), cdn(&world.servers));
    world.deployer_by(Arc::new(bucket), Arc::new(cdn), options)
}

/// Keys besides fingerprinted ones that are not as this version has them.
fn differing(world: &World, site: &Site) -> Vec<String> {
    let mut wanted: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for file in &site.files {
        wanted.insert(file.key.as_str(), std::fs::read(file.path()).unwrap());
    }
    let visible = world.visible();
    let here = visible.iter().filter(|(key, _)| !key.starts_with("assets/"));
    let wrong = here.filter(|(key, (body, _))| wanted.get(key.as_str()) != Some(body)).map(|(key, _)| key.clone());
    let missing = wanted.keys().filter(|key| !visible.contains_key(**key)).map(|key| (*key).to_owned());
    wrong.chain(missing).collect()
}

impl Aftermath {
    /// Exactly the third version is live, whole, and invalidated; of the second nothing is seen but
    /// assets that no page refers to.
    fn assert_third(&self, arena: &Arena, cold: &str) {
        let Self { world, context, .. } = self;
        assert_eq!(differing(world, &arena.third), [""; 0], "{context}");
        world.assert_holds(&arena.third, context);
        world.assert_settled(context);
        world.assert_fresh(&arena.paths, context);
        world.assert_whole(cold, &[&arena.third], context);
        world.assert_loads(&arena.first, context);
        world.assert_loads(&arena.third, context);
        let current = world.current();
        assert_eq!(current.live_release().unwrap().version, "3.0.0", "{context}");
    }
}

/// Promise 8, where both versions change the same keys.
#[tokio::test]
async fn after_a_duel_one_release_is_live_and_whole() {
    let third = [
        ("index.html", page("three", &[APP_3, LAZY])),
        ("new/index.html", page("three's", &[APP_3])),
        ("robots.txt", b"three".to_vec()),
        ("logo.svg", b"<svg/>".to_vec()),
        (APP_3, b"app three".to_vec()),
        (LAZY, b"lazy, the same in both".to_vec()),
    ];
    let arena = Arena::new(&third.map(|(key, body)| (key.to_owned(), body)).to_vec()).await;
    let duels = |takeover| arena.points().into_iter().map(move |point| (point, takeover));
    let duels: Vec<_> = duels(Takeover::Broken).chain(duels(Takeover::Expiry)).collect();
    let wanted = duels.len() as u64;
    side_by_side(24, duels, async |(point, takeover)| {
        arena.duel(point, takeover).await.assert_third(&arena, COLD[0]);
    });
    assert_eq!(arena.ran.load(Ordering::Relaxed), wanted);
}

/// What version 2 adds, removes and changes, and version 3 leaves as it was.
const UNFENCED: [&str; 3] = ["new/index.html", "old/index.html", "robots.txt"];

/// What S3 cannot fence: the third version leaves keys alone that the second changes, adds or
/// removes. A write that was on its way, or about to be sent, lands there. Where the lease was
/// broken, the one who held it does not know, and goes on with such keys until it next writes to the
/// journal. Either way the next run puts it right.
///
/// Shown to fail when `take_stock` does not record the pages that a run which was given up may still
/// write: the next run takes such a page for somebody else's.
#[tokio::test]
async fn a_late_write_lands_at_most_on_a_key_nobody_changed_and_is_repaired_by_the_next_run() {
    let third = [
        ("index.html", page("three", &[APP_3, LAZY])),
        ("old/index.html", page("old", &[APP_1])),
        ("robots.txt", b"one".to_vec()),
        ("logo.svg", b"<svg/>".to_vec()),
        (APP_1, b"app one".to_vec()),
        (APP_3, b"app three".to_vec()),
        (LAZY, b"lazy, the same in both".to_vec()),
    ];
    let arena = Arena::new(&third.map(|(key, body)| (key.to_owned(), body)).to_vec()).await;
    let landed = Mutex::new(BTreeSet::new());
    let duels =
        arena.points().into_iter().flat_map(|point| [(point.clone(), Takeover::Expiry), (point, Takeover::Broken)]);
    let duels: Vec<_> = duels.collect();
    let wanted = duels.len() as u64;
    side_by_side(24, duels, async |(point, takeover)| {
        let after = arena.duel(point, takeover).await;
        let world = &after.world;
        let context = &after.context;
        let current = world.current();
        assert_eq!(current.live_release().unwrap().version, "3.0.0", "{context}");
        let differing = differing(world, &arena.third);
        assert!(differing.iter().all(|key| UNFENCED.contains(&key.as_str())), "{context}: {differing:?}");
        // One who overslept notices before its next write; one whose lease was broken does not.
        assert!(takeover == Takeover::Broken || differing.len() <= 1, "{context}: {differing:?}");
        world.assert_loads(&arena.first, context);
        world.assert_loads(&arena.third, context);
        landed.lock().unwrap().extend(differing);

        world.deploy(&arena.third, "3.0.0").await.unwrap_or_else(|e| panic!("{context}, then: {e}"));
        after.assert_third(&arena, COLD[0]);
    });
    // It does happen: the test is about something.
    let landed: Vec<String> = landed.into_inner().unwrap().into_iter().collect();
    assert_eq!(landed, UNFENCED);
    assert_eq!(arena.ran.load(Ordering::Relaxed), wanted);
}
