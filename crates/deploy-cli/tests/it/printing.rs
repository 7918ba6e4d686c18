//! What is printed, for machines and for people.

use crate::support::{Run, Target, deploy, example};

#[test]
fn stderr_is_json_lines_that_begin_with_the_target() {
    let target = Target::new();
    let run = target.deploy(&example("v1"), "1.0.0");
    let events = run.events();
    let started = &events[0];
    assert_eq!(started["event"], "started");
    assert_eq!(started["level"], "info");
    assert_eq!(started["bucket"], "site");
    assert_eq!(started["region"], "us-east-1");
    assert_eq!(started["version"], "1.0.0");
    assert_eq!(started["endpoint"], target.stand_ins.s3_endpoint());
    let names = |event: &str| -> Vec<&str> {
        events.iter().filter(|e| e["event"] == event).map(|e| e["step"].as_str().unwrap()).collect()
    };
    assert_eq!(names("step-started"), names("step-finished"));
    assert!(names("step-started").starts_with(&["scan", "read"]), "{events:?}");
    assert!(!events.iter().any(|e| e["event"] == "sent" || e["event"] == "written"), "one line per file is too many");
}

#[test]
fn without_a_terminal_auto_is_json() {
    let target = Target::new();
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env_remove("DEPLOY_LOG"));
    assert_eq!(run.result()["result"], "deployed", "{run:?}");
    assert!(!run.events().is_empty());
}

#[test]
fn text_is_lines_for_people() {
    let target = Target::new();
    let run = Run::of(target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_LOG", "text"));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.starts_with("Deploying version 1.0.0 from "), "{}", run.stderr);
    assert!(run.stderr.contains("to s3://site/ in us-east-1 at http://127.0.0.1:"), "{}", run.stderr);
    assert!(run.stderr.contains("without CloudFront"), "{}", run.stderr);
    assert!(run.stdout.starts_with("Version 1.0.0 is live, as release "), "{}", run.stdout);
    assert!(!run.stderr.contains('\u{1b}'), "no terminal, no escapes: {}", run.stderr);

    let failed = Run::of(target.publish("run", "nowhere".as_ref(), "1.0.0").env("DEPLOY_LOG", "text"));
    assert_eq!(failed.code, 2);
    assert_eq!(failed.stdout, "");
    assert!(failed.stderr.contains("\nerror: ") && failed.stderr.contains("\nhint: "), "{}", failed.stderr);
}

#[test]
fn a_plan_lists_what_happens_in_order() {
    let target = Target::new();
    target.deploy(&example("v1"), "1.0.0");
    let plan = |args: &[&str]| {
        let run = Run::of(target.publish("plan", &example("v2"), "2.0.0").args(args).env("DEPLOY_LOG", "text"));
        assert_eq!(run.code, 0, "{run:?}");
        run.stdout
    };
    let text = plan(&[]);
    let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("no {needle:?} in\n{text}"));
    assert!(place("First, upload") < place("assets/main-"));
    assert!(place("assets/main-") < place("Then switch"));
    assert!(place("about/index.html  (changed)") < place(" index.html  (changed)"), "the root document is last");
    assert!(place("Then switch") < place("Kept until no retained release needs it"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&plan(&["--json"])).unwrap()["version"], "2.0.0");
}

#[test]
fn a_long_plan_is_cut_unless_all_is_asked_for() {
    let target = Target::new();
    let names: Vec<String> = (0..30).map(|i| format!("page{i:02}.html")).collect();
    let files: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), "hi")).chain([("index.html", "hi")]).collect();
    let site = target.site("long", &files);
    let plan =
        |args: &[&str]| Run::of(target.publish("plan", &site, "1.0.0").args(args).env("DEPLOY_LOG", "text")).stdout;
    assert!(!plan(&[]).contains("page29.html") && plan(&[]).contains("and 11 more (--all shows them)"));
    assert!(plan(&["--all"]).contains("page29.html"));
}

#[test]
fn config_needs_no_target_and_tells_what_is_missing() {
    let run = Run::of(deploy(&["config"]).env("DEPLOY_LOG", "text").env("DEPLOY_LEASE", "90"));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("DEPLOY_BUCKET"), "{}", run.stdout);
    assert!(run.stderr.contains("warning: DEPLOY_BUCKET: is not set"), "{}", run.stderr);
    assert!(run.stderr.contains("warning: DEPLOY_LEASE: is \"90\""), "{}", run.stderr);
    let rows = Run::of(deploy(&["config", "--json"]).env("DEPLOY_BUCKET", "site")).result();
    let bucket = rows.as_array().unwrap().iter().find(|row| row["variable"] == "DEPLOY_BUCKET").unwrap();
    assert_eq!((&bucket["value"], &bucket["source"]), (&"site".into(), &"environment".into()));
}

#[test]
fn rules_that_match_nothing_and_unknown_variables_are_warned_of() {
    let target = Target::new();
    let toml = "[[rule]]\nglob = \"*.php\"\ncache-control = \"no-store\"\n";
    let rules = target.site("rules", &[("rules.toml", toml)]).join("rules.toml");
    let run = Run::of(
        target.publish("run", &example("v1"), "1.0.0").env("DEPLOY_RULES", &rules).env("DEPLOY_SOMETHING_ELSE", "1"),
    );
    assert_eq!(run.code, 0, "{run:?}");
    let result = run.result();
    let warnings: Vec<&str> = result["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert!(warnings.iter().any(|w| w.starts_with("DEPLOY_SOMETHING_ELSE")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.starts_with("DEPLOY_RULES: ") && w.contains("*.php")), "{warnings:?}");
}

#[test]
fn version_and_help_are_not_failures() {
    let version = Run::of(&mut deploy(&["--version"]));
    assert_eq!(version.code, 0);
    assert_eq!(version.stdout, format!("deploy {}\n", env!("CARGO_PKG_VERSION")));
    let help = Run::of(&mut deploy(&["--help"]));
    assert_eq!(help.code, 0);
    for part in ["rollback", "Exit codes:", "deploy run --local --source dist"] {
        assert!(help.stdout.contains(part), "{}", help.stdout);
    }
}
