//! SIGINT and SIGTERM: the run ends in order, whatever it was doing.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use stand_ins::{BUCKET, Effect, Gate, Rule, When};

use crate::support::{CDN, Run, Target};

/// A site with a file that goes up in three parts.
fn large(target: &Target) -> PathBuf {
    let site = target.site("large", &[("index.html", "hi")]);
    std::fs::write(site.join("film.bin"), vec![7_u8; 11 * 1024 * 1024]).unwrap();
    site
}

fn start(target: &Target, site: &std::path::Path) -> Child {
    let mut command = target.publish("run", site, "1.0.0");
    command.env("DEPLOY_PART_SIZE", "5MiB").env("DEPLOY_BUFFER", "16MiB");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn the_first_signal_aborts_uploads_and_gives_the_lease_back() {
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let target = Target::new();
        let site = large(&target);
        let gate = Gate::new();
        target.stand_ins.faults().always(When::operation("UploadPart"), Effect::HoldBefore(gate.clone()));
        let child = start(&target, &site);
        target.runtime.block_on(gate.arrived(1));
        assert_eq!(target.stand_ins.store().uploads(BUCKET).len(), 1);
        signal(&child, name);
        let run = Run::end_of(child);
        run.failed(code, "interrupted");
        assert_eq!(target.stand_ins.store().uploads(BUCKET).len(), 0, "{run:?}");
        assert!(target.succeed(&["unlock"]).result()["lease"].is_null());
        gate.open();
        target.stand_ins.faults().clear();
        assert_eq!(target.deploy(&site, "1.0.0").result()["result"], "deployed");
    }
}

#[test]
fn the_second_signal_ends_at_once_and_unlock_takes_what_is_left() {
    let target = Target::new();
    let site = large(&target);
    let (parts, abort) = (Gate::new(), Gate::new());
    let faults = target.stand_ins.faults();
    faults.always(When::operation("UploadPart"), Effect::HoldBefore(parts.clone()));
    faults.always(When::operation("AbortMultipartUpload"), Effect::HoldBefore(abort.clone()));
    let child = start(&target, &site);
    target.runtime.block_on(parts.arrived(1));
    signal(&child, "TERM");
    target.runtime.block_on(abort.arrived(1));
    signal(&child, "INT");
    // Nothing opened the gate: it did not end in order, and could print no result.
    let run = Run::end_of(child);
    assert_eq!(run.code, 130, "{run:?}");
    assert_eq!(run.stdout, "");
    parts.open();
    abort.open();
    faults.clear();

    let shown = target.succeed(&["unlock"]).result();
    assert_eq!(shown["result"], "shown");
    assert!(shown["lease"]["owner"].as_str().unwrap().starts_with("deploy "), "{shown}");
    let taken = target.succeed(&["unlock", "--force"]).result();
    assert_eq!(taken["result"], "unlocked");
    assert_eq!(taken["lease"], shown["lease"]);
    assert!(target.succeed(&["unlock"]).result()["lease"].is_null());

    assert_eq!(target.deploy(&site, "1.0.0").result()["result"], "deployed");
    assert_eq!(target.stand_ins.store().uploads(BUCKET).len(), 0);
}

/// Two versions of a site: the second lacks a page, and may have a file that goes up in parts.
fn versions(target: &Target, with_film: bool) -> (PathBuf, PathBuf) {
    let page = |script: &str| format!("<!doctype html><script src=\"/assets/{script}\"></script>");
    let (old, new) = (page("app-DTIbbY-m.js"), page("app-Boz4yHtd.js"));
    let first = target.site("first", &[("index.html", &old), ("assets/app-DTIbbY-m.js", "1"), ("gone.html", "1")]);
    let second = target.site("second", &[("index.html", &new), ("assets/app-Boz4yHtd.js", "2")]);
    if with_film {
        std::fs::write(second.join("film.bin"), vec![7_u8; 11 * 1024 * 1024]).unwrap();
    }
    (first, second)
}

/// A moment in a run: the request, of this number of its kind, that gets no answer then.
struct Moment {
    name: &'static str,
    when: When,
    skip: u64,
    with_film: bool,
}

/// Every kind of moment. Where a store hangs, SIGTERM must not wait for it.
fn moments() -> Vec<Moment> {
    let moment = |name, when| Moment { name, when, skip: 0, with_film: false };
    let large = |name, operation: &str| Moment { with_film: true, ..moment(name, When::operation(operation)) };
    let put_below = |folder: &'static str| {
        When::matching(move |r| r.operation == "PutObject" && r.key.as_deref().is_some_and(|k| k.starts_with(folder)))
    };
    let state = || When::key("PutObject", ".deploy/current");
    let mut moments = vec![
        moment("reading the state", When::key("GetObject", ".deploy/current")),
        moment("listing", When::operation("ListObjectsV2")),
        moment("trying conditional writes", When::key("PutObject", ".deploy/probe")),
        moment("uploading", put_below("assets/")),
        large("beginning a large file", "CreateMultipartUpload"),
        large("uploading a part", "UploadPart"),
        large("ending a large file", "CompleteMultipartUpload"),
        moment("storing a manifest", put_below(".deploy/releases/")),
        moment("switching", When::key("PutObject", "index.html")),
        Moment { skip: 1, ..moment("listing again", When::operation("ListObjectsV2")) },
        moment("invalidating", When::operation("CreateInvalidation")),
        moment("waiting for the invalidation", When::operation("GetInvalidation")),
        moment("deleting", When::operation("DeleteObjects")),
        moment("recording", put_below(".deploy/inventory/")),
    ];
    // The lease is taken, the journal written, and the lease given back by writes of one object.
    moments.extend((0..STATE_WRITES).map(|skip| Moment { skip, ..moment("writing the state", state()) }));
    moments
}

/// Writes of the state in such a run, from taking the lease to giving it back.
const STATE_WRITES: u64 = 7;

/// Starts a command, waits until a request is held, and sends SIGTERM then.
fn terminated_when(target: &Target, gate: &Gate, command: &mut Command, context: &str) -> Run {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || end.send(Run::end_of(child)));
    target.runtime.block_on(async {
        tokio::pin!(ended);
        tokio::select! {
            () = gate.arrived(1) => {}
            run = &mut ended => panic!("{context}: it ended before: {:?}", run.unwrap()),
        }
        terminate(pid);
        // The gate stays closed: it did not wait for the answer.
        ended.await.unwrap()
    })
}

fn terminate(pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s TERM {pid}")]).status().unwrap();
    assert!(sent.success());
}

fn ends_in_order(moment: &Moment, effect: fn(Gate) -> Effect) {
    let target = Target::new();
    let (first, second) = versions(&target, moment.with_film);
    target.deploy(&first, "1.0.0");
    let gate = Gate::new();
    let effect = effect(gate.clone());
    let context = format!("{} ({}), {effect:?}", moment.name, moment.skip);
    let faults = target.stand_ins.faults();
    faults.add(Rule::new(moment.when.clone(), effect).skip(moment.skip).times(1));
    let file = target.site("end", &[("end", "")]).join("end");
    let mut command = target.publish("run", &second, "2.0.0");
    command.env(CDN.0, CDN.1).env("DEPLOY_PART_SIZE", "5MiB").env("DEPLOY_TERMINATION_LOG", &file);
    let run = terminated_when(&target, &gate, &mut command, &context);

    let told = std::fs::read_to_string(&file).unwrap();
    if moment.name == "writing the state" && moment.skip == STATE_WRITES - 1 {
        // All was done but to give the lease back, which was tried once more.
        assert_eq!(run.code, 0, "{context}: {run:?}");
        assert!(told.starts_with("Version 2.0.0 is live"), "{context}: {told}");
    } else {
        run.failed(143, "interrupted");
        // After the switch what is live comes first.
        let begins = ["interrupted", "version 2.0.0 (release r2-"]
            .iter()
            .any(|words| told.starts_with(&format!("failed (interrupted, exit code 143): {words}")));
        assert!(begins && told.contains("interrupted"), "{context}: {told}");
    }
    gate.open();
    faults.clear();
    assert!(target.succeed(&["unlock"]).result()["lease"].is_null(), "{context}: the lease is still held");
    // An upload whose beginning was not even answered has no name by which it could be aborted.
    let unknown = usize::from(moment.name == "beginning a large file" && context.contains("HoldAfter"));
    assert_eq!(target.stand_ins.store().uploads(BUCKET).len(), unknown, "{context}: uploads are left");
    let mut again = target.publish("run", &second, "2.0.0");
    let again = Run::of(again.env(CDN.0, CDN.1).env("DEPLOY_LEASE_WAIT", "0s"));
    assert_eq!(again.code, 0, "{context}: {again:?}");
    let page = std::fs::read_to_string(second.join("index.html")).unwrap();
    assert_eq!((target.body("index.html"), target.seen("/")), (page.clone(), page), "{context}");
}

#[test]
fn sigterm_ends_the_run_in_order_whatever_is_under_way() {
    let moments = moments();
    let cases = moments
        .iter()
        .flat_map(|moment| [(moment, Effect::HoldBefore as fn(Gate) -> Effect), (moment, Effect::HoldAfter)]);
    let cases = Mutex::new(cases.collect::<Vec<_>>());
    // Most of the time is spent waiting.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((moment, effect)) = cases.lock().unwrap().pop() else { break };
                    ends_in_order(moment, effect);
                }
            });
        }
    });
}

/// The site answers nothing while it is looked at.
#[test]
fn sigterm_ends_a_look_at_the_site() {
    let target = Target::new();
    let (first, _) = versions(&target, false);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut command = target.publish("run", &first, "1.0.0");
    command.env("DEPLOY_PUBLIC_URL", url).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (_asked, _) = listener.accept().unwrap();
    terminate(child.id());
    let run = Run::end_of(child);
    run.failed(143, "interrupted");
    assert!(target.succeed(&["unlock"]).result()["lease"].is_null());
    // What was not looked at is finished, and looked at, by the next run.
    let next = Run::of(target.publish("run", &first, "1.0.0").env("DEPLOY_PUBLIC_URL", target.edge_url()));
    assert_eq!((next.code, next.result()["seen"]["right"].as_u64()), (0, Some(4)), "{next:?}");
}

#[test]
fn sigterm_ends_the_wait_for_somebody_elses_lease() {
    let target = Target::new();
    let (first, second) = versions(&target, false);
    let gate = Gate::new();
    target.stand_ins.faults().once(When::key("PutObject", "index.html"), Effect::HoldBefore(gate.clone()));
    let holder = target.publish("run", &first, "1.0.0").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    target.runtime.block_on(gate.arrived(1));
    let mut waiter = target.publish("run", &second, "2.0.0");
    let mut waiter = waiter.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(waiter.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"event\":\"waiting\"")));
    terminate(waiter.id());
    let rest = std::thread::spawn(move || lines.for_each(drop));
    Run::end_of(waiter).failed(143, "interrupted");
    rest.join().unwrap();
    assert!(!target.succeed(&["unlock"]).result()["lease"].is_null(), "it is another's");
    gate.open();
    assert_eq!(Run::end_of(holder).code, 0);
}
