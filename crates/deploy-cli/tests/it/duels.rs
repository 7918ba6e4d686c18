//! Two processes deploy different versions to one target. One is stopped by SIGSTOP at any of its
//! requests until the other has taken over and finished; then it goes on.
//!
//! The library's own tests stop a thread in the same places, and go into what S3 cannot fence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use serde_json::Value;
use stand_ins::{BUCKET, Conditions, Effect, Gate, NewObject, Object, When};

use crate::support::{CDN, Run, Target};

/// Longer than any process takes to get somewhere, on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);
/// Longer than a request takes that was let through.
const GIVEN_UP: Duration = Duration::from_secs(10);
/// Most of them wait for a lease to expire.
const AT_ONCE: usize = 16;

/// Of each site, besides three other entries: enough for 200 duels.
const PAGES: usize = 14;

/// Where the process is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// This request has left it, and takes effect when all others are done.
    Sent(u64),
    /// This request has taken effect, and its answer is there to be read.
    Answered(u64),
}

/// How the other one comes by the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takeover {
    /// It waits until the lease has expired, and for as long as a request may take after that.
    Expiry,
    /// Somebody runs `deploy unlock --force`.
    Unlocked,
}

/// What is live before, and who deploys what over it.
struct Arena {
    _source: Target,
    before: BTreeMap<String, Arc<Object>>,
    second: PathBuf,
    third: PathBuf,
    /// Operations that a deployment of the second asks for when nobody disturbs it.
    requests: Vec<&'static str>,
}

/// A version all of whose pages differ from those of the others.
fn site(target: &Target, version: u8) -> PathBuf {
    let script = format!("assets/app-3f2a9c{version}d.js");
    let page = |name: &str| format!("<title>{name} of {version}</title><script src=\"/{script}\"></script>");
    let mut pages: Vec<(String, String)> =
        (1..=PAGES).map(|n| (format!("page-{n}.html"), page(&n.to_string()))).collect();
    pages.extend(["index.html", "about/index.html", "robots.txt"].map(|name| (name.to_owned(), page(name))));
    let mut files: Vec<_> = pages.iter().map(|(name, page)| (name.as_str(), page.as_str())).collect();
    files.push((&script, "app()"));
    target.site(&format!("v{version}"), &files)
}

/// A deployment with the shortest times there are, and requests in an order that is the same each time.
fn deployment(target: &Target, site: &Path, version: &str) -> Command {
    let mut command = target.publish("run", site, version);
    command.env(CDN.0, CDN.1).env("DEPLOY_CONCURRENCY", "1");
    command.env("DEPLOY_LEASE", "3s").env("DEPLOY_REQUEST_TIMEOUT", "1s");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Arena {
    fn new() -> Self {
        let source = Target::new();
        let [first, second, third] = [1, 2, 3].map(|version| site(&source, version));
        Run::of(&mut deployment(&source, &first, "1.0.0")).succeeded();
        let before = source.stand_ins.store().snapshot(BUCKET);
        let faults = source.stand_ins.faults();
        faults.reset_log();
        Run::of(&mut deployment(&source, &second, "2.0.0")).succeeded();
        let requests = faults.requests().into_iter().map(|request| request.operation).collect();
        Self { _source: source, before, second, third, requests }
    }

    /// Another target as it was before.
    fn target(&self) -> Target {
        let target = Target::new();
        for (key, object) in &self.before {
            let Object { content, headers, metadata, checksum, .. } = Object::clone(object);
            let object = NewObject { content, headers, metadata, checksum };
            target.stand_ins.store().put(BUCKET, key, object, &Conditions::none()).unwrap();
        }
        // What the edge has of version 1 must not outlive it.
        for path in ["/", "/index.html", "/about/", "/page-1.html", "/robots.txt"] {
            target.stand_ins.edge().fetch(path);
        }
        target
    }

    /// Before every write and after every request.
    fn points(&self) -> Vec<Point> {
        let writes = ["PutObject", "CopyObject", "DeleteObjects", "CreateInvalidation"];
        let numbered = || (1..).zip(&self.requests);
        let sent = numbered().filter(|(_, operation)| writes.contains(operation)).map(|(n, _)| Point::Sent(n));
        sent.chain(numbered().map(|(n, _)| Point::Answered(n))).collect()
    }

    fn duel(&self, point: Point, takeover: Takeover) {
        let context = format!("{takeover:?}, stopped at {point:?}");
        let target = self.target();
        let mut stopped = Stopped::at(&target, point, deployment(&target, &self.second, "2.0.0"));
        let current = current(&target);
        let was_done = current["live"] != self.live_before() && current["lease"].is_null();

        if takeover == Takeover::Unlocked {
            target.succeed(&["unlock", "--force"]);
        }
        let winner = Run::of(&mut deployment(&target, &self.third, "3.0.0"));
        assert_eq!((winner.code, winner.result()["result"].as_str()), (0, Some("deployed")), "{context}: {winner:?}");

        let loser = stopped.goes_on();
        // All that it may have had left to do was to end.
        let codes: &[i32] = if was_done { &[0] } else { &[4, 5] };
        assert!(codes.contains(&loser.code), "{context}: {loser:?}");

        let live = crate::support::files_of(&self.third);
        let served: BTreeMap<_, _> = target
            .objects("")
            .into_iter()
            .filter(|(key, _)| !key.starts_with("assets/") || live.contains_key(key))
            .collect();
        assert!(served == live, "{context}: {:?} for {:?}", served.keys(), live.keys());
        for (path, key) in [("/", "index.html"), ("/about/", "about/index.html"), ("/page-1.html", "page-1.html")] {
            let page = target.stand_ins.edge().fetch(path);
            assert!(page.body == live[key].as_slice(), "{context}: the edge serves {:?} at {path}", page.body);
        }
        let status = target.succeed(&["status", "--json"]).result();
        let releases = status["releases"].as_array().unwrap();
        let live: Vec<_> = releases.iter().filter(|one| one["live"] == true).map(|one| &one["version"]).collect();
        assert_eq!(live, ["3.0.0"], "{context}: {status}");
        let current = self::current(&target);
        assert!(current["lease"].is_null() && current["pending"].is_null(), "{context}: {current}");
        assert!(current["edges"]["stale"].is_null(), "{context}: {current}");
    }

    fn live_before(&self) -> Value {
        let current: Value = serde_json::from_slice(&self.before[CURRENT].content.to_bytes()).unwrap();
        current["live"].clone()
    }
}

const CURRENT: &str = ".deploy/current";

fn current(target: &Target) -> Value {
    serde_json::from_str(&target.body(CURRENT)).unwrap()
}

/// A process that stands still.
struct Stopped {
    child: Option<Child>,
    /// Holds up its last request, if that is on its way.
    way: Gate,
    handled: mpsc::Receiver<()>,
    is_on_its_way: bool,
}

impl Stopped {
    /// Starts the process and waits until it is stopped there.
    fn at(target: &Target, point: Point, mut command: Command) -> Self {
        let faults = target.stand_ins.faults();
        faults.reset_log();
        let pid = Arc::new(OnceLock::new());
        let (way, (stop, is_stopped), (tell, handled)) = (Gate::new(), mpsc::channel(), mpsc::channel());
        let freeze = {
            let pid = Arc::clone(&pid);
            move |_| {
                let (pid, stop) = (Arc::clone(&pid), stop.clone());
                async move {
                    // To its end, also where the process gives the request up in the meantime.
                    let frozen = tokio::task::spawn_blocking(move || {
                        freeze(*pid.wait());
                        stop.send(()).ok();
                    });
                    frozen.await.unwrap();
                }
            }
        };
        match point {
            Point::Answered(number) => faults.once(When::number(number), Effect::after(freeze)),
            Point::Sent(number) => {
                let told = move |_| {
                    let tell = tell.clone();
                    async move { tell.send(()).unwrap() }
                };
                faults.once(When::number(number), Effect::before(freeze));
                faults.once(When::number(number), Effect::HoldBefore(way.clone()));
                faults.once(When::number(number), Effect::after(told));
            }
        }
        let child = command.spawn().unwrap();
        pid.set(child.id()).unwrap();
        let stopped = Self { child: Some(child), way, handled, is_on_its_way: matches!(point, Point::Sent(_)) };
        is_stopped.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{point:?}: it ended, or never came there"));
        stopped
    }

    /// What was held up takes effect; then the process goes on to its end.
    fn goes_on(&mut self) -> Run {
        self.way.open();
        if self.is_on_its_way {
            // A renewal of the lease that the end of the run cut off never arrives.
            self.handled.recv_timeout(GIVEN_UP).ok();
        }
        let child = self.child.take().unwrap();
        signal("CONT", child.id());
        Run::end_of(child)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.way.open();
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Stops a process, with all its threads, unless it has ended.
fn freeze(pid: u32) {
    signal("STOP", pid);
    let is_stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with(['T', 'Z'])
    };
    while !is_stopped() {
        std::thread::yield_now();
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {pid}")]).status().unwrap();
    assert!(sent.success());
}

/// Promise 8.
#[test]
fn after_a_duel_of_processes_one_release_is_live_and_whole() {
    let arena = Arena::new();
    let duels = |takeover| arena.points().into_iter().map(move |point| (point, takeover));
    let duels: Vec<_> = duels(Takeover::Expiry).chain(duels(Takeover::Unlocked)).collect();
    let wanted = duels.len();
    assert!(wanted >= 200, "only {wanted} duels");
    let (queue, fought) = (Mutex::new(duels.into_iter()), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((point, takeover)) = queue.lock().unwrap().next() else { return };
                    arena.duel(point, takeover);
                    *fought.lock().unwrap() += 1;
                }
            });
        }
    });
    assert_eq!(fought.into_inner().unwrap(), wanted);
}
