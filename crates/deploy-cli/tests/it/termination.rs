//! The result in one line, for whoever looks at the pod.

use std::fs;

use crate::support::{Run, Target, deploy, example};

#[test]
fn success_and_failure_are_told_in_one_line() {
    let target = Target::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("end");
    let line = |command: &mut std::process::Command, code: i32| {
        let run = Run::of(command.env("DEPLOY_TERMINATION_LOG", &file));
        assert_eq!(run.code, code, "{run:?}");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    };
    let run = line(&mut target.publish("run", &example("v1"), "1.0.0"), 0);
    assert!(run.starts_with("Version 1.0.0 is live, as release r1-"), "{run}");
    let plan = line(&mut target.publish("plan", &example("v2"), "2.0.0"), 0);
    assert!(plan.starts_with("Version 2.0.0 would become release r2-"), "{plan}");
    let refused = line(
        &mut target.publish("run", &target.site("odd", &[("index.html", "<script src=gone.js></script>")]), "1.0.0"),
        7,
    );
    assert!(refused.starts_with("failed (refused, exit code 7): the build is broken"), "{refused}");
    assert!(refused.contains(". Hint: Build again"), "{refused}");
    let wrong = line(target.command(&["run"]).env("DEPLOY_LEASE", "90"), 2);
    for part in ["failed (usage, exit code 2): ", "DEPLOY_SOURCE: ", "DEPLOY_LEASE: "] {
        assert!(wrong.contains(part), "no {part} in {wrong}");
    }
    let misspelt = line(&mut deploy(&["rnu"]), 2);
    assert!(misspelt.contains("rnu"), "{misspelt}");
    // A question is no result.
    line(&mut target.command(&["status"]), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), misspelt);
}

#[test]
fn a_termination_log_that_cannot_be_written_is_a_warning() {
    let target = Target::new();
    let run =
        Run::of(target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_TERMINATION_LOG", "no/such/folder/end"));
    assert_eq!(run.code, 0, "{run:?}");
    let warnings = run.warnings();
    assert!(warnings.iter().any(|w| w.starts_with("DEPLOY_TERMINATION_LOG: cannot write no/such")), "{warnings:?}");
}
