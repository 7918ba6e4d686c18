//! Mistakes of the build are found before the first request.

use std::path::PathBuf;

use crate::support::{Run, Target, example};

fn broken(target: &Target) -> PathBuf {
    let page = "<!doctype html>\n<script src=\"/app.js\"></script>\n<link rel=\"stylesheet\" href=\"style.css\">";
    target.site("broken", &[("index.html", page), ("style.css", "a { background: url(missing.png) }")])
}

#[test]
fn references_to_nothing_are_refused_all_at_once() {
    let target = Target::new();
    for command in ["run", "plan"] {
        let (message, hint) =
            Run::of(target.publish(command, &broken(&target), "1.0.0").env("DEPLOY_LOG", "json")).failed(7, "refused");
        for part in ["\"index.html\" line 2", "app.js", "\"style.css\" line 1", "missing.png"] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
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
fn the_build_must_have_a_page_at_its_root() {
    let target = Target::new();
    let site = target.site("no-root", &[("dist/index.html", "hi")]);
    let (message, _) = Run::of(&mut target.publish("run", &site, "1.0.0")).failed(7, "refused");
    assert!(message.contains("\"index.html\": is missing"), "{message}");
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
    assert_eq!(warnings.len(), 21, "{warnings:?}");
    assert_eq!(warnings[20], "and 5 more warnings about the build");
}
