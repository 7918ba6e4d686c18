//! The commands, where all goes well.

use crate::support::{CDN, Run, Target, example};

#[test]
fn version_one_then_two_then_two_again() {
    let target = Target::new();
    let run = |version: &str| {
        target.stand_ins.faults().reset_log();
        let site = example(version);
        let run = Run::of(target.publish("run", &site, version).env(CDN.0, CDN.1).env("DEPLOY_ENVIRONMENT", "test"));
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(run.stdout.lines().count(), 1, "stdout is the result alone: {run:?}");
        run.result()
    };
    let body_at_edge = || String::from_utf8(target.stand_ins.edge().fetch("/").body.to_vec()).unwrap();

    let first = run("v1");
    assert_eq!(first["result"], "deployed");
    assert_eq!(first["command"], "run");
    assert_eq!(first["exit_code"], 0);
    assert_eq!(first["environment"], "test");
    assert_eq!(first["bucket"], "site");
    assert_eq!(first["version"], "v1");
    assert_eq!(first["uploaded"]["files"], 14);
    assert_eq!(first["unchanged"]["files"], 0);
    assert!(first["requests"]["PutObject"].as_u64().unwrap() >= 14, "{first}");
    assert!(first["seconds"]["scan"].is_number() && first["seconds"]["switch"].is_number(), "{first}");
    let page = std::fs::read_to_string(example("v1").join("index.html")).unwrap();
    assert_eq!(body_at_edge(), page);

    let second = run("v2");
    assert_eq!(second["result"], "deployed");
    assert_eq!(second["previous"], first["release"]);
    assert_eq!(second["unchanged"]["files"], 5);
    let invalidation = &second["invalidations"][0];
    assert_eq!(invalidation["distribution"], CDN.1);
    assert!(!invalidation["id"].as_str().unwrap().is_empty());
    let paths: Vec<&str> =
        invalidation["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(paths.contains(&"/") && paths.contains(&"/about/"), "{paths:?}");
    let page = std::fs::read_to_string(example("v2").join("index.html")).unwrap();
    assert_eq!(body_at_edge(), page, "the edge had version 1 in its cache");

    let third = run("v2");
    assert_eq!(third["result"], "unchanged");
    assert_eq!(third["release"], second["release"]);
    assert_eq!(third["unchanged"]["files"], 14);
    assert_eq!(target.writes(), Vec::<&str>::new());
}

#[test]
fn a_plan_writes_nothing_and_the_run_does_what_it_said() {
    let target = Target::new();
    target.deploy(&example("v1"), "1.0.0");
    target.stand_ins.faults().reset_log();
    let plan = Run::of(target.publish("plan", &example("v2"), "2.0.0").env(CDN.0, CDN.1));
    assert_eq!(plan.code, 0, "{plan:?}");
    assert_eq!(target.writes(), Vec::<&str>::new());
    let plan = plan.result();
    assert_eq!(plan["unchanged"], false);

    let run = target.deploy(&example("v2"), "2.0.0").result();
    assert_eq!(run["release"], plan["release"]);
    assert_eq!(run["uploaded"]["files"], plan["writes"].as_array().unwrap().len());

    let after = Run::of(&mut target.publish("plan", &example("v2"), "2.0.0"));
    assert_eq!(after.code, 0);
    assert_eq!(after.result()["unchanged"], true);
}

#[test]
fn a_rollback_undoes_only_what_it_is_told_to() {
    let target = Target::new();
    let nothing_live = target.succeed(&["rollback", "--if-live", "1.0.0"]).result();
    assert_eq!((&nothing_live["result"], &nothing_live["release"]), (&"unchanged".into(), &serde_json::Value::Null));
    let first = target.deploy(&example("v1"), "1.0.0").result();
    target.deploy(&example("v2"), "2.0.0");

    let not_live = target.succeed(&["rollback", "--if-live", "1.0.0"]).result();
    assert_eq!(not_live["result"], "unchanged");
    assert_eq!(not_live["version"], "2.0.0");

    let back = target.succeed(&["rollback", "--if-live", "2.0.0"]).result();
    assert_eq!(back["result"], "rolled-back");
    assert_eq!(back["release"], first["release"]);
    assert_eq!(target.body("index.html"), std::fs::read_to_string(example("v1").join("index.html")).unwrap());

    let (_, hint) = Run::of(&mut target.publish("run", &example("v2"), "2.0.0")).failed(4, "conflict");
    assert!(hint.contains("deploy rollback --to"), "{hint}");

    let forward = target.succeed(&["rollback", "--to", "2.0.0"]).result();
    assert_eq!(forward["result"], "rolled-back");
    assert_eq!(forward["version"], "2.0.0");
}

#[test]
fn status_tells_what_is_live_and_what_was() {
    let target = Target::new();
    let empty = target.succeed(&["status", "--json"]).result();
    assert_eq!(empty["releases"].as_array().unwrap().len(), 0);
    target.deploy(&example("v1"), "1.0.0");
    target.deploy(&example("v2"), "2.0.0");
    target.stand_ins.faults().reset_log();
    let status = target.succeed(&["status", "--json"]).result();
    assert_eq!(target.writes(), Vec::<&str>::new());
    assert_eq!(status["releases"][0]["version"], "2.0.0");
    assert_eq!(status["releases"][0]["live"], true);
    assert_eq!(status["releases"][1]["version"], "1.0.0");
    assert_eq!(status["releases"][1]["live"], false);
}

#[test]
fn prune_deletes_what_no_retained_release_needs() {
    let target = Target::new();
    let keep_nothing = |args: &[&str]| {
        let mut command = target.command(args);
        command.env("DEPLOY_KEEP_RELEASES", "0").env("DEPLOY_GRACE", "0s");
        command
    };
    target.deploy(&example("v1"), "1.0.0");
    target.deploy(&example("v2"), "2.0.0");
    let old = std::fs::read_dir(example("v1").join("assets")).unwrap();
    let old = old.map(|entry| format!("assets/{}", entry.unwrap().file_name().into_string().unwrap()));
    let gone: Vec<String> = old.filter(|key| !example("v2").join(key).exists()).collect();
    let there = || target.stand_ins.store().snapshot("site").into_keys().filter(|key| gone.contains(key)).count();
    assert_eq!(there(), gone.len());
    let pruned = Run::of(&mut keep_nothing(&["prune"]));
    assert_eq!(pruned.code, 0, "{pruned:?}");
    assert_eq!(pruned.result()["result"], "pruned");
    assert_eq!(pruned.result()["deleted"]["files"], gone.len());
    assert_eq!(there(), 0);
}

#[test]
fn nobody_holds_the_lease_of_a_target_at_rest() {
    let target = Target::new();
    target.deploy(&example("v1"), "1.0.0");
    target.stand_ins.faults().reset_log();
    let shown = target.succeed(&["unlock"]).result();
    assert_eq!(shown["result"], "shown");
    assert!(shown["lease"].is_null(), "{shown}");
    assert_eq!(target.writes(), Vec::<&str>::new());
}
