//! One build, several environments.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Run, Target};

const SCRIPT: &str = "assets/app-DTIbbY-m.js";

fn site(target: &Target) -> PathBuf {
    let page = format!(
        "<!doctype html><title>Shop</title><body data-api=\"__WEBAPP_API_URL__\"><script type=\"module\" src=\"{SCRIPT}\"></script>"
    );
    let config = "{\"title\": \"__WEBAPP_TITLE__\"}";
    let files =
        [("index.html", page.as_str()), ("config.json", config), ("robots.txt", "User-agent: *"), (SCRIPT, "run()")];
    target.site("shop", &files)
}

#[test]
fn three_environments_differ_only_where_values_are() {
    let target = Target::new();
    let site = site(&target);
    let environment = |command: &str, name: &str| {
        let mut command = target.publish(command, &site, "1.0.0");
        command.env("DEPLOY_PREFIX", name).env("DEPLOY_ENVIRONMENT", name).env("DEPLOY_VALUES_JSON", "env.json");
        command.env("WEBAPP_API_URL", format!("https://{name}.example.com/?a=1&b=\"2\""));
        command.env("WEBAPP_TITLE", format!("Shop \"{name}\""));
        let run = Run::of(&mut command);
        assert_eq!(run.code, 0, "{run:?}");
        run
    };
    let names = ["dev", "staging", "production"];
    let plans: Vec<Value> = names.iter().map(|name| environment("plan", name).result()).collect();
    let shape = |plan: &Value| -> Vec<(Value, Value, Value)> {
        let writes = plan["writes"].as_array().unwrap().iter();
        writes.map(|w| (w["key"].clone(), w["reason"].clone(), w["role"].clone())).collect()
    };
    assert_eq!(shape(&plans[0]).len(), 5);
    assert!(plans.iter().all(|plan| shape(plan) == shape(&plans[0])), "{plans:?}");

    let runs: Vec<Value> = names.iter().map(|name| environment("run", name).result()).collect();
    for (plan, run) in plans.iter().zip(&runs) {
        assert_eq!(plan["release"], run["release"]);
        assert_eq!(run["warnings"].as_array().unwrap().len(), 0, "{run}");
    }
    let objects = names.map(|name| target.objects(&format!("{name}/")));
    for (name, mine) in names.iter().zip(&objects) {
        for (key, bytes) in mine {
            let takes_values = ["index.html", "config.json", "env.json"].contains(&key.as_str());
            let same = objects.iter().filter(|others| others.get(key) == Some(bytes)).count();
            assert_eq!(same, if takes_values { 1 } else { names.len() }, "{name}/{key}");
        }
        let text = |key: &str| String::from_utf8(mine[key].clone()).unwrap();
        let page = text("index.html");
        assert!(page.contains(&format!("data-api=\"https://{name}.example.com/?a=1&amp;b=&quot;2&quot;\"")), "{page}");
        let config: Value = serde_json::from_str(&text("config.json")).unwrap();
        assert_eq!(config["title"], format!("Shop \"{name}\""));
        let values: Value = serde_json::from_str(&text("env.json")).unwrap();
        assert_eq!(values["WEBAPP_API_URL"], format!("https://{name}.example.com/?a=1&b=\"2\""));
    }
}

#[test]
fn a_placeholder_without_a_value_stops_the_run_before_anything_is_written() {
    let target = Target::new();
    for command in ["run", "plan"] {
        // With some variable for the site, and without any.
        for title in [Some("Shop"), None] {
            let mut command = target.publish(command, &site(&target), "1.0.0");
            command.envs(title.map(|title| ("WEBAPP_TITLE", title)));
            let (message, hint) = Run::of(&mut command).failed(2, "usage");
            assert!(message.contains("\"index.html\" line 1: __WEBAPP_API_URL__ has no value"), "{message}");
            assert_eq!(message.contains("__WEBAPP_TITLE__ has no value"), title.is_none(), "{message}");
            assert!(hint.contains("DEPLOY_VALUES_PREFIX") && !hint.contains("DEPLOY_SOURCE"), "{hint}");
        }
    }
    assert!(target.writes().is_empty());
}

#[test]
fn values_and_rules_that_do_not_hold_are_told_together() {
    let target = Target::new();
    let mut run = target.publish("run", &site(&target), "1.0.0");
    run.env("WEBAPP_TITLE", "<+env.planted>").env("WEBAPP_a", "planted").env("DEPLOY_TEMPLATES", "[");
    let run = Run::of(run.env("DEPLOY_RULES", "no-such.toml").env("DEPLOY_PUBLIC_URL", "https://x.example/?q"));
    let (message, _) = run.failed(2, "usage");
    for start in ["DEPLOY_RULES: ", "WEBAPP_TITLE: ", "\"WEBAPP_a\": ", "DEPLOY_TEMPLATES: ", "DEPLOY_PUBLIC_URL: "] {
        assert!(message.lines().any(|line| line.starts_with(start)), "no {start} in {message}");
    }
    assert!(!run.stderr.contains("planted"), "{run:?}");
    assert_eq!(target.stand_ins.faults().total(), 0);
}

#[test]
fn values_nobody_uses_and_placeholders_in_scripts_are_warned_of() {
    let target = Target::new();
    let site = target.site("stray", &[("index.html", "hi"), ("app.js", "call('__WEBAPP_API_URL__')")]);
    let run = Run::of(target.publish("run", &site, "1.0.0").env("WEBAPP_API_URL", "planted"));
    assert_eq!(run.code, 0, "{run:?}");
    let warnings = run.warnings();
    assert!(warnings.iter().any(|w| w.starts_with("WEBAPP_API_URL is set, and no file")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.starts_with("\"app.js\": holds __WEBAPP_API_URL__")), "{warnings:?}");
    assert_eq!(target.body("app.js"), "call('__WEBAPP_API_URL__')");
}
