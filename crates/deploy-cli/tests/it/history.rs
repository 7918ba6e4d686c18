//! `deploy history` and `deploy diff`.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Run, Target};

/// A page and thirty texts, named and filled after the release.
fn site(target: &Target, name: &str) -> PathBuf {
    let texts: Vec<(String, String)> = (0..30).map(|n| (format!("{name}-{n:02}.txt"), format!("{name} {n}"))).collect();
    let mut files = vec![("index.html", name), ("robots.txt", "the same")];
    files.extend(texts.iter().map(|(key, content)| (key.as_str(), content.as_str())));
    target.site(name, &files)
}

fn deploy(target: &Target, name: &str, version: &str, commit: &str) {
    let mut command = target.publish("run", &site(target, name), version);
    command.env("DEPLOY_COMMIT", commit).env("DEPLOY_EXECUTION", "execution-7").env("DEPLOY_BUILD", "12");
    Run::of(&mut command).succeeded();
}

/// What people see.
fn text(target: &Target, args: &[&str]) -> String {
    let run = Run::of(target.command(args).env("DEPLOY_LOG", "text"));
    run.succeeded();
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    run.stdout
}

#[test]
fn releases_are_listed_and_compared() {
    let target = Target::new();
    assert!(text(&target, &["history"]).ends_with("Nothing was deployed here yet.\n"));
    deploy(&target, "one", "1.0.0", "c0ffee1000000000000000000000000000000000");
    deploy(&target, "two", "2.0.0", "c0ffee2000000000000000000000000000000000");
    let before = target.writes().len();

    let diff = target.succeed(&["diff", "previous", "live", "--json"]).result();
    assert_eq!((&diff["from"]["version"], &diff["to"]["version"]), (&"1.0.0".into(), &"2.0.0".into()));
    assert_eq!((diff["added"].as_array().unwrap().len(), diff["changed"][0]["key"].as_str()), (30, Some("index.html")));
    assert_eq!(diff["returning_visitor"]["download"]["files"], 31);
    assert_eq!(diff["returning_visitor"]["revalidated"]["files"], 1);
    let cut = text(&target, &["diff", "1.0.0", "2.0.0"]);
    assert!(cut.contains("A returning visitor downloads 31 files, "), "{cut}");
    assert!(cut.contains("two-19.txt\n  and 10 more (--all shows them)\n\nRemoved (30 files):\n"), "{cut}");
    let all = text(&target, &["diff", "1.0.0", "2.0.0", "--all"]);
    assert!(all.contains("two-29.txt\n\nRemoved") && !all.contains("--all"), "{all}");
    assert!(text(&target, &["diff", "live", "2.0.0"]).contains("The two have the same files: 32 files, "));
    let (message, hint) = Run::of(&mut target.command(&["diff", "live", "7.0.0"])).failed(2, "usage");
    assert!(message.contains("\"7.0.0\"") && message.contains("version 1.0.0"), "{message}");
    assert!(hint.contains("deploy status"), "{hint}");
    assert_eq!(target.writes().len(), before, "neither writes");

    target.succeed(&["rollback"]);
    let history = target.succeed(&["history", "--json"]).result();
    let (live, undone) = (&history["releases"][0], &history["releases"][1]);
    assert_eq!((&live["version"], &live["live"], live.get("ended")), (&"1.0.0".into(), &true.into(), None));
    assert_eq!((&undone["ended"], &undone["restorable"]), (&"rolled-back-by-hand".into(), &true.into()));
    assert_eq!(undone["commit"], "c0ffee2000000000000000000000000000000000");
    assert_eq!((&undone["execution"], &undone["build"]), (&"execution-7".into(), &12.into()));
    let listed = text(&target, &["history"]);
    for told in ["  live\n", "  rolled back by hand\n", "commit c0ffee200000,", "execution execution-7"] {
        assert!(listed.contains(told), "no {told:?} in\n{listed}");
    }
    let first = text(&target, &["history", "--limit", "1"]);
    assert!(first.contains("1.0.0") && first.ends_with("and 1 more (--limit N shows N)\n"), "{first}");
    let first = target.succeed(&["history", "--limit", "1", "--json"]).result();
    assert_eq!(first["releases"].as_array().unwrap().len(), 1);

    let mut again: Command = target.publish("run", &site(&target, "three"), "1.0.0");
    Run::of(again.env("DEPLOY_ALLOW_OLDER", "true")).succeeded();
    let (message, hint) = Run::of(&mut target.command(&["diff", "1.0.0", "live"])).failed(4, "conflict");
    assert!(message.contains("version 1.0.0 is that of 2 releases"), "{message}");
    assert!(hint.contains("deploy history"), "{hint}");
}
