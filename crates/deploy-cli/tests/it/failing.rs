//! Each mistake has its exit code, one message, and a hint that names what to set.

use stand_ins::{Effect, Gate, Rule, When};

use crate::support::{CDN, Run, Target, deploy, example};

const SECRET: &str = "planted/secret+that-nobody-may-see";

#[test]
fn all_problems_of_a_configuration_are_told_at_once() {
    let target = Target::new();
    let run = Run::of(
        target
            .command(&["run"])
            .env_remove("DEPLOY_BUCKET")
            .env("DEPLOY_CONCURRENCY", "many")
            .env("DEPLOY_LEASE", "90")
            .env("DEPLOY_BUKET", "site"),
    );
    let (message, hint) = run.failed(2, "usage");
    for name in
        ["DEPLOY_SOURCE", "DEPLOY_VERSION", "DEPLOY_BUCKET", "DEPLOY_CONCURRENCY", "DEPLOY_LEASE", "DEPLOY_BUKET"]
    {
        assert!(message.contains(&format!("{name}:")), "{name} is not in {message}");
    }
    assert!(hint.contains("--source DIR") && hint.contains("DEPLOY_SOURCE"), "{hint}");
    assert_eq!(target.stand_ins.faults().total(), 0);
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    for args in [&["rnu"][..], &["run", "--sauce", "dist"], &["status", "--local-dir", "x"], &["serve"]] {
        let run = Run::of(&mut deploy(args));
        assert_eq!(run.code, 2, "{run:?}");
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn wrong_credentials_are_not_permitted_and_not_shown() {
    let target = Target::new();
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env("AWS_SECRET_ACCESS_KEY", SECRET));
    let (_, hint) = run.failed(3, "not-permitted");
    assert!(hint.contains("Set are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"), "{hint}");
    assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET), "{run:?}");
}

#[test]
fn a_bucket_that_is_not_there_is_a_configuration_error() {
    let target = Target::new();
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_BUCKET", "elsewhere"));
    let (message, hint) = run.failed(2, "usage");
    assert!(message.contains("elsewhere"), "{message}");
    assert!(hint.contains("Check DEPLOY_BUCKET, which is \"elsewhere\""), "{hint}");
}

#[test]
fn a_wrong_region_is_a_configuration_error() {
    let target = Target::new();
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_REGION", "eu-central-1"));
    let (_, hint) = run.failed(2, "usage");
    assert!(hint.contains("DEPLOY_REGION"), "{hint}");
}

#[test]
fn a_source_that_cannot_be_deployed_is_a_usage_error() {
    let target = Target::new();
    let missing = Run::of(&mut target.publish("run", "no/such/folder".as_ref(), "1.0.0"));
    let (message, _) = missing.failed(2, "usage");
    assert!(message.contains("no/such/folder"), "{message}");
    let secret = target.site("secret", &[("index.html", "hi"), ("id_rsa", "-----BEGIN RSA PRIVATE KEY-----\n")]);
    let (message, _) = Run::of(&mut target.publish("run", &secret, "1.0.0")).failed(2, "usage");
    assert!(message.contains("id_rsa"), "{message}");
    assert!(target.writes().is_empty());
}

#[test]
fn a_rules_file_is_checked_before_any_request() {
    let target = Target::new();
    let rules = target.site("rules", &[("rules.toml", "[[rule]]\nglob = \"**\"\ncache = \"no\"\n")]).join("rules.toml");
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_RULES", &rules));
    let (message, _) = run.failed(2, "usage");
    assert!(message.starts_with("DEPLOY_RULES: ") && message.contains("line 3"), "{message}");
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_RULES", "no-such.toml"));
    let (message, _) = run.failed(2, "usage");
    assert!(message.contains("no-such.toml"), "{message}");
    assert_eq!(target.stand_ins.faults().total(), 0);
}

#[test]
fn a_denied_action_is_named_with_its_resource() {
    for (denied, action) in [
        ("PutObject", "\"Action\": [\"s3:PutObject\", \"s3:GetObject\"], \"Resource\": \"arn:aws:s3:::site/app/*\""),
        ("ListBucket", "\"Action\": [\"s3:ListBucket\"], \"Resource\": \"arn:aws:s3:::site\""),
    ] {
        let target = Target::new();
        target.stand_ins.s3().deny(denied);
        let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_PREFIX", "app"));
        let (_, hint) = run.failed(3, "not-permitted");
        assert!(hint.contains(action), "{hint}");
        assert_eq!(target.stand_ins.store().snapshot("site").len(), 0);
    }
}

#[test]
fn a_denied_invalidation_stays_owed_and_is_paid_by_the_next_run() {
    let target = Target::new();
    let mut run = target.publish("run", &example("v1"), "1.0.0");
    run.env(CDN.0, CDN.1);
    target.stand_ins.faults().once(When::operation("CreateInvalidation"), Effect::access_denied());
    let (message, hint) = Run::of(&mut run).failed(8, "unfinished");
    assert!(message.starts_with("version 1.0.0 (release r1-"), "{message}");
    for part in ["\"cloudfront:CreateInvalidation\"", "\"arn:aws:cloudfront::<account>:distribution/E1STANDIN00000\""] {
        assert!(hint.contains(part), "{hint}");
    }
    let owed = target.succeed(&["status", "--json"]).result();
    assert_eq!(owed["owed_invalidations"][0], CDN.1);
    let paid = Run::of(&mut run);
    assert_eq!(paid.code, 0, "{paid:?}");
    assert_eq!(paid.result()["invalidations"][0]["distribution"], CDN.1);
}

#[test]
fn an_unknown_distribution_is_a_configuration_error() {
    let target = Target::new();
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env(CDN.0, "E2NOWHERE"));
    let (_, hint) = run.failed(2, "usage");
    assert!(hint.contains("DEPLOY_DISTRIBUTION_IDS") && hint.contains("E2NOWHERE"), "{hint}");
}

#[test]
fn foreign_objects_are_refused_until_they_may_be_taken() {
    let target = Target::new();
    target.plant("index.html", "<h1>by hand</h1>");
    target.stand_ins.faults().reset_log();
    let mut run = target.publish("run", &example("v1"), "1.0.0");
    let (message, hint) = Run::of(&mut run).failed(7, "refused");
    assert!(message.contains("index.html"), "{message}");
    assert!(hint.contains("DEPLOY_ADOPT=take"), "{hint}");
    assert_eq!(target.writes(), Vec::<&str>::new());
    assert_eq!(target.body("index.html"), "<h1>by hand</h1>");
    let taken = Run::of(run.env("DEPLOY_ADOPT", "take"));
    assert_eq!(taken.code, 0, "{taken:?}");
}

#[test]
fn a_site_that_shrank_is_refused_with_the_number_that_allows_it() {
    let target = Target::new();
    let names: Vec<String> = (0..9).map(|i| format!("page{i}.html")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "hi")).collect();
    files.push(("index.html", "hi"));
    target.deploy(&target.site("whole", &files), "1.0.0");
    target.stand_ins.faults().reset_log();
    let half = target.site("half", &[("index.html", "hi"), ("page0.html", "hi")]);
    let mut run = target.publish("run", &half, "1.0.1");
    let (_, hint) = Run::of(&mut run).failed(7, "refused");
    assert!(hint.contains("DEPLOY_MAX_SHRINK=80%"), "{hint}");
    assert_eq!(target.writes(), Vec::<&str>::new());
    let allowed = Run::of(run.env("DEPLOY_MAX_SHRINK", "80%"));
    assert_eq!(allowed.code, 0, "{allowed:?}");
}

/// A rollback of the pipeline runs an older image on the state that a newer one left.
#[test]
fn an_older_image_on_a_newer_state_says_which_version_to_use() {
    let target = Target::new();
    target.plant(".deploy/current", r#"{"format":3,"readable_since":"0.9.0","anything":["else"]}"#);
    target.stand_ins.faults().reset_log();
    let mut run = target.publish("run", &example("v1"), "1.0.0");
    let mut others = ["rollback", "status", "prune", "unlock"].map(|command| target.command(&[command]));
    for command in others.iter_mut().chain([&mut run]) {
        let (message, _) = Run::of(command).failed(2, "usage");
        assert!(message.contains("has state format 3") && message.contains("version 0.9.0 or later"), "{message}");
    }
    assert_eq!(target.writes(), Vec::<&str>::new());
}

#[test]
fn an_older_build_is_a_conflict_until_it_is_allowed() {
    let target = Target::new();
    let newer = Run::of(target.publish("run", &example("v2"), "2.0.0").env("DEPLOY_BUILD", "12"));
    assert_eq!(newer.code, 0, "{newer:?}");
    let mut older = target.publish("run", &example("v1"), "1.0.0");
    let (_, hint) = Run::of(older.env("DEPLOY_BUILD", "11")).failed(4, "conflict");
    assert!(hint.contains("DEPLOY_ALLOW_OLDER=true") && hint.contains("DEPLOY_BUILD"), "{hint}");
    let allowed = Run::of(older.env("DEPLOY_ALLOW_OLDER", "true"));
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert_eq!(allowed.result()["build"], 11);
}

#[test]
fn a_store_without_conditional_writes_is_refused_unless_accepted() {
    let target = Target::new();
    target.stand_ins.s3().set_ignores_conditions(true);
    let mut run = target.publish("run", &example("v1"), "1.0.0");
    let (_, hint) = Run::of(&mut run).failed(7, "refused");
    assert!(hint.contains("DEPLOY_CONDITIONAL_WRITES=unsafe-off"), "{hint}");
    let accepted = Run::of(run.env("DEPLOY_CONDITIONAL_WRITES", "unsafe-off"));
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(!accepted.result()["warnings"].as_array().unwrap().is_empty(), "{accepted:?}");
}

#[test]
fn a_busy_target_is_worth_a_retry() {
    let target = Target::new();
    let gate = Gate::new();
    target.stand_ins.faults().once(When::key("PutObject", "index.html"), Effect::HoldBefore(gate.clone()));
    let first = target.publish("run", &example("v1"), "1.0.0").stdout(std::process::Stdio::piped()).spawn().unwrap();
    target.runtime.block_on(gate.arrived(1));
    let second = Run::of(target.publish("run", &example("v2"), "2.0.0").env("DEPLOY_LEASE_WAIT", "0s"));
    let (message, hint) = second.failed(5, "transient");
    assert!(message.contains("held by deploy"), "{message}");
    assert!(hint.contains("deploy unlock"), "{hint}");
    gate.open();
    assert_eq!(Run::end_of(first).code, 0);
}

#[test]
fn a_release_that_nobody_knows_is_a_usage_error() {
    let target = Target::new();
    target.deploy(&example("v1"), "1.0.0");
    let (message, hint) = Run::of(&mut target.command(&["rollback", "--to", "9.9.9"])).failed(2, "usage");
    assert!(message.contains("1.0.0"), "{message}");
    assert!(hint.contains("deploy status"), "{hint}");
}

#[test]
fn a_store_that_is_busy_for_a_while_only_costs_time() {
    let target = Target::new();
    let faults = target.stand_ins.faults();
    let early = When::matching(|request| request.number <= 90);
    faults.add(Rule::new(early, Effect::slow_down()).every(3));
    let result = target.deploy(&example("v1"), "1.0.0").result();
    let throttled = result["throttled"].as_u64().unwrap();
    assert!(throttled >= 10 && result["retries"].as_u64().unwrap() >= throttled, "{result}");
    faults.clear();
    faults.add(Rule::new(When::operation("PutObject"), Effect::slow_down()).every(3).times(4));
    let text = Run::of(target.publish("run", &example("v2"), "2.0.0").env("DEPLOY_LOG", "text")).stdout;
    assert!(text.contains("4 of them sent again, since the store asked 4 times to slow down"), "{text}");
}

#[test]
fn a_store_that_stays_busy_ends_the_run_within_the_time_that_is_set() {
    let target = Target::new();
    target.deploy(&example("v1"), "1.0.0");
    target.stand_ins.faults().add(Rule::new(When::operation("PutObject"), Effect::slow_down()).skip(6));
    let run = Run::of(target.publish("run", &example("v2"), "2.0.0").env("DEPLOY_RETRY_TIMEOUT", "1s"));
    let (message, hint) = run.failed(5, "transient");
    assert!(message.contains("SlowDown") && message.contains("; gave up after "), "{message}");
    assert!(message.contains("(request STANDIN"), "{message}");
    assert!(hint.contains("DEPLOY_CONCURRENCY") && hint.contains("DEPLOY_RETRY_TIMEOUT"), "{hint}");
    target.stand_ins.faults().clear();
    target.succeed(&["unlock", "--force"]);
    assert_eq!(target.deploy(&example("v2"), "2.0.0").result()["result"], "deployed");
}
