//! One object from which a chat message can be made, after success and every failure.

use serde_json::{Value, json};
use stand_ins::{Effect, When};

use crate::support::{CDN, Run, Target, example};

const PAGE: &str = include_str!("../../../../docs/output.md");

/// What there is whatever happened, when the run has what a Job gives it.
fn assert_whole(result: &Value, command: &str, code: u64) {
    assert_eq!(result["schema"], 1, "{result}");
    assert_eq!((&result["command"], &result["exit_code"]), (&command.into(), &code.into()), "{result}");
    assert_eq!((&result["environment"], &result["execution"]), (&"test".into(), &"run-7".into()), "{result}");
    if command == "run" {
        assert_eq!((&result["commit"], &result["build"].is_u64()), (&"3f2a9c0d".into(), &true), "{result}");
    }
    for name in ["phase", "started", "ended", "url", "result"] {
        assert!(result[name].is_string(), "{name}: {result}");
    }
    for name in result.as_object().unwrap().keys() {
        assert!(PAGE.contains(&format!("`{name}`")), "docs/output.md does not explain {name}");
    }
    assert!(result["pending"].is_object() && result["warnings"].is_array(), "{result}");
    assert!(result["started"].as_str() <= result["ended"].as_str(), "{result}");
    assert_eq!(result["error"].is_object(), code != 0, "{result}");
    if code != 0 {
        assert_eq!(result["result"], "failed");
        assert!(result["error"]["class"].is_string() && result["error"]["message"].is_string(), "{result}");
    }
}

/// A run as in a Job.
fn job(target: &Target, command: &str, version: &str) -> std::process::Command {
    let mut job = target.publish(command, &example(version), version);
    job.env(CDN.0, CDN.1).env("DEPLOY_ENVIRONMENT", "test").env("DEPLOY_EXECUTION", "run-7").env("DEPLOY_BUILD", "3");
    job.env("DEPLOY_PUBLIC_URL", "https://www.example.com/")
        .env("DEPLOY_VERIFY", "off")
        .env("DEPLOY_COMMIT", "3f2a9c0d");
    job
}

#[test]
fn after_a_success_it_says_what_is_live() {
    let target = Target::new();
    let result = Run::of(&mut job(&target, "run", "v1")).result();
    assert_whole(&result, "run", 0);
    assert_eq!((&result["version"], &result["build"], &result["phase"]), (&"v1".into(), &3.into(), &"done".into()));
    assert_eq!(result["live"], json!({"version": "v1", "release": result["release"]}));
    assert_eq!((&result["pending"], &result["url"]), (&json!({}), &"https://www.example.com/".into()));
    let again = Run::of(&mut job(&target, "run", "v1"));
    for event in again.events() {
        let name = event["event"].as_str().unwrap();
        assert!(PAGE.contains(&format!("`{name}`")), "docs/output.md does not explain the event {name}");
    }
    let again = again.result();
    assert_whole(&again, "run", 0);
    assert_eq!((&again["result"], &again["live"]), (&"unchanged".into(), &result["live"]));
    let status = target.succeed(&["unlock"]).result();
    assert_eq!((&status["version"], &status["live"]), (&"v1".into(), &result["live"]));
}

#[test]
fn after_a_mistake_in_the_configuration_it_says_what_was_tried() {
    let target = Target::new();
    let run = Run::of(job(&target, "run", "v1").env("DEPLOY_CONCURRENCY", "many"));
    assert_whole(&run.result(), "run", 2);
    assert_eq!(run.result()["version"], "v1");
    let tree = run.result();
    assert!(tree.get("live").is_none(), "nobody has looked: {tree}");
    assert_eq!(tree["phase"], "none");
}

#[test]
fn after_a_refusal_it_says_what_stays_live() {
    let target = Target::new();
    let first = Run::of(&mut job(&target, "run", "v2")).result();
    let older = Run::of(job(&target, "run", "v1").env("DEPLOY_ALLOW_OLDER", "false").env("DEPLOY_BUILD", "2"));
    assert_whole(&older.result(), "run", 4);
    assert_eq!((&older.result()["version"], &older.result()["live"]), (&"v1".into(), &first["live"]));
    let empty = Target::new();
    empty.stand_ins.s3().deny("PutObject");
    let denied = Run::of(&mut job(&empty, "run", "v1")).result();
    assert_whole(&denied, "run", 3);
    assert_eq!(denied.get("live"), Some(&Value::Null), "nothing is live, which is known: {denied}");
}

/// H3 of the findings: neither message nor result nor termination line said that the new release was live.
#[test]
fn after_a_failure_behind_the_switch_it_says_what_is_live_and_what_is_pending() {
    let target = Target::new();
    Run::of(&mut job(&target, "run", "v1")).result();
    target.stand_ins.faults().always(When::operation("CreateInvalidation"), Effect::access_denied());
    let file = target.site("end", &[("end", "")]).join("end");
    let run = Run::of(job(&target, "run", "v2").env("DEPLOY_TERMINATION_LOG", &file));
    let result = run.result();
    assert_whole(&result, "run", 8);
    assert_eq!((&result["live"]["version"], &result["phase"]), (&"v2".into(), &"switched".into()));
    let paths = result["pending"][CDN.1].as_array().unwrap();
    assert!(paths.contains(&"/index.html".into()), "{result}");
    let message = result["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("version v2 (release r2-") && message.contains("is live, and not finished"),
        "{message}"
    );
    let told = std::fs::read_to_string(&file).unwrap();
    assert!(told.starts_with("failed (unfinished, exit code 8): version v2 (release r2-"), "{told}");
    // One command leads out of it.
    target.stand_ins.faults().clear();
    let mut invalidate = target.command(&["invalidate"]);
    let done = Run::of(invalidate.env(CDN.0, CDN.1)).result();
    assert_eq!((&done["result"], &done["pending"]), (&"invalidated".into(), &json!({})));
}
