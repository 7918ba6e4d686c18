//! Mistakes of the build are found before the first request.

use std::path::PathBuf;

use crate::support::{Run, Target, example};

fn broken(target: &Target) -> PathBuf {
    let page = "<!doctype html>\n<script src=\"/app.js\"></script>\n<link rel=\"stylesheet\" href=\"theme.css\">\
        <link rel=\"stylesheet\" href=\"style.css\">";
    target.site("broken", &[("index.html", page), ("style.css", "a { background: url(missing.png) }")])
}

#[test]
fn references_to_nothing_are_refused_all_at_once() {
    let target = Target::new();
    for command in ["run", "plan"] {
        let (message, hint) =
            Run::of(target.publish(command, &broken(&target), "1.0.0").env("DEPLOY_LOG", "json")).failed(7, "refused");
        for part in ["\"index.html\" line 2", "\"/app.js\"", "\"index.html\" line 3", "\"theme.css\""] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        assert!(!message.contains("missing.png"), "an image refuses nothing: {message}");
        assert!(hint.contains("DEPLOY_RULES") && hint.contains("\"missing-reference\""), "{hint}");
    }
    assert!(target.writes().is_empty());
}

#[test]
fn a_rule_lets_a_finding_pass() {
    let target = Target::new();
    let toml = "[[rule]]\nglob = \"*\"\nallow = [\"missing-reference\"]\n";
    let rules = target.site("rules", &[("rules.toml", toml)]).join("rules.toml");
    let run = Run::of(target.publish("run", &broken(&target), "1.0.0").env("DEPLOY_RULES", rules));
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn the_build_must_have_a_page_and_is_warned_of_without_one_at_its_root() {
    let target = Target::new();
    let site = target.site("no-page", &[("app.js", "")]);
    let (message, _) = Run::of(&mut target.publish("run", &site, "1.0.0")).failed(7, "refused");
    assert!(message.contains("\"index.html\": is missing"), "{message}");
    assert!(target.writes().is_empty());
    // Angular writes a folder for each language.
    let run = target.deploy(&target.site("languages", &[("en/index.html", "hi"), ("fr/index.html", "salut")]), "1.0.0");
    let warnings = run.warnings();
    assert!(warnings[0].contains("no page at its root") && warnings[0].contains("\"en/index.html\""), "{warnings:?}");
}

#[test]
fn a_build_for_another_base_path_says_which_variable_to_set() {
    let target = Target::new();
    let page = "<script src=/app/main.js></script><link rel=stylesheet href=/app/main.css>";
    let site = target.site("based", &[("index.html", page), ("main.js", ""), ("main.css", "")]);
    let (message, _) = Run::of(&mut target.publish("plan", &site, "1.0.0")).failed(7, "refused");
    let decisive = message.lines().nth(1).unwrap();
    assert!(decisive.contains("for /app/") && decisive.contains("DEPLOY_PREFIX=app/"), "{message}");
    for (variable, value) in [("DEPLOY_PREFIX", "app/"), ("DEPLOY_URL_PREFIX", "/app/")] {
        let run = Run::of(target.publish("plan", &site, "1.0.0").env(variable, value));
        assert_eq!(run.code, 0, "{variable} is the way out: {run:?}");
    }
}

#[test]
fn warnings_that_the_live_release_had_too_are_one_line() {
    let target = Target::new();
    let site = |name: &str, script: &str, links: &[&str]| {
        let links = links.iter().map(|link| format!("<a href={link}>x</a>")).collect::<Vec<_>>().concat();
        let page = format!("<script src={script}></script>{links}");
        target.site(name, &[("index.html", &page), (script, "f()"), ("app.js.map", "{}")])
    };
    let first = target.deploy(&site("one", "app-3f2a9c0d.js", &["gone.html"]), "1.0.0");
    assert_eq!(first.warnings().len(), 2, "{:?}", first.warnings());
    let next = site("two", "app-0a1b2c3d.js", &["gone.html", "lost.html"]);
    let second = target.deploy(&next, "2.0.0");
    let warnings = second.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("lost.html") && warnings[1].starts_with("2 warnings"), "{warnings:?}");
    // Again: nothing is new. All are listed where they are asked for.
    let plan = |arguments: &[&str]| {
        let run = Run::of(target.publish("plan", &next, "2.0.0").args(arguments));
        assert_eq!(run.code, 0, "{run:?}");
        run.warnings()
    };
    assert_eq!(plan(&["--json"]).len(), 1);
    assert_eq!(plan(&["--json", "--all"]).len(), 3);
}

#[test]
fn every_finding_of_a_refusal_is_listed_where_it_is_asked_for() {
    let target = Target::new();
    let scripts = (0..25).map(|n| format!("<script src=gone-{n}.js></script>\n")).collect::<Vec<_>>().concat();
    let site = target.site("broken", &[("index.html", &scripts)]);
    let message =
        |arguments: &[&str]| Run::of(target.publish("plan", &site, "1.0.0").args(arguments)).failed(7, "refused").0;
    let short = message(&["--json"]);
    assert_eq!(short.lines().count(), 1 + 5 + 1, "{short}");
    assert!(
        short.ends_with("and 20 more references to files that are not in the build (`deploy plan --all` lists all)")
    );
    let whole = message(&["--json", "--all"]);
    assert_eq!(whole.lines().count(), 1 + 25, "{whole}");
    assert!((0..25).all(|n| whole.contains(&format!("\"gone-{n}.js\""))), "{whole}");
}

#[test]
fn a_plan_shows_why_files_are_immutable() {
    let target = Target::new();
    let script = "_next/static/chunks/0a2k5oak2hvw5.js";
    let page = format!("<script async src=/{script}></script>");
    let site = target.site("next", &[("index.html", &page), (script, "f()"), ("logo.png", "x")]);
    let run = Run::of(target.publish("plan", &site, "1.0.0").env("DEPLOY_LOG", "text"));
    assert!(run.stdout.contains("folder _next/static/ (Next.js)"), "{}", run.stdout);
    let run = Run::of(target.publish("plan", &site, "1.0.0").arg("--json"));
    let plan = run.result();
    let write = plan["writes"].as_array().unwrap().iter().find(|write| write["key"] == script).unwrap().clone();
    assert_eq!(
        (write["role"].as_str(), write["evidence"].as_str()),
        (Some("fingerprinted"), Some("folder _next/static/ (Next.js)"))
    );
}

#[test]
fn source_maps_are_as_told() {
    let target = Target::new();
    let plan = |setting: &str| {
        let mut command = target.publish("run", &example("v1"), "1.0.0");
        Run::of(command.env("DEPLOY_SOURCE_MAPS", setting))
    };
    let (message, hint) = plan("refuse").failed(7, "refused");
    assert_eq!(message.matches("is a source map").count(), 4, "{message}");
    assert!(hint.contains("DEPLOY_SOURCE_MAPS=warn") && hint.contains("\"source-map\""), "{hint}");
    assert!(target.writes().is_empty());
    let maps = |run: &Run| run.warnings().iter().filter(|warning| warning.contains("is a source map")).count();
    let allowed = plan("allow");
    assert_eq!((allowed.code, maps(&allowed)), (0, 0), "{allowed:?}");
    let warned = plan("warn");
    assert_eq!((warned.code, maps(&warned)), (0, 4), "{warned:?}");
}

#[test]
fn many_warnings_are_cut() {
    let target = Target::new();
    let names: Vec<String> = (0..25).map(|i| format!("page{i:02}.js.map")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "{}")).chain([("index.html", "hi")]).collect();
    let run = target.deploy(&target.site("maps", &files), "1.0.0");
    let warnings = run.warnings();
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    assert_eq!(warnings[5], "and 20 more source maps (`deploy plan --all` lists all)");
}
