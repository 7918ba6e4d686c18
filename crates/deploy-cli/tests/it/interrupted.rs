//! SIGINT and SIGTERM in the midst of an upload.

use std::process::{Child, Command, Stdio};

use stand_ins::{BUCKET, Effect, Gate, When};

use crate::support::{Run, Target};

/// A site with a file that goes up in three parts.
fn large(target: &Target) -> std::path::PathBuf {
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
