//! Credentials that are wrong, and policies that lack something: told apart, named, and harmless.

use serde_json::{Value, json};

use crate::ministack::{BUCKET, Ministack};
use crate::program::Outcome;
use crate::site::Site;
use crate::target::Target;

fn site(version: &str) -> Site {
    let page = format!("<script src=static/app.3f2a9c{version}d.js></script>");
    let script = format!("static/app.3f2a9c{version}d.js");
    Site::of(&[("index.html", &page), ("about.html", "about"), (&script, "app()")])
}

/// A target with version 1 live, whose user may then do all that is documented but one action.
async fn target_without(ministack: &Ministack, action: &str) -> Target {
    let target = ministack.target("").await;
    target.deploy(&site("1"), "1.0.0").ended("deployed");
    forbid(ministack, action).await;
    target
}

/// Takes one action out of what the user may do.
async fn forbid(ministack: &Ministack, action: &str) {
    let documented = ministack.documented_policy("");
    let without = documented.replace(&format!("\"{action}\""), "\"s3:NoSuchAction\"");
    assert_ne!(without, documented, "{action} is not in the documented policy");
    ministack.set_policy("deployer", &without).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_write_names_the_action_and_changes_nothing() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:PutObject").await;
    let before = target.listing().await;
    target.deploy(&site("2"), "2.0.0").failed(3, &["s3:PutObject", &format!("arn:aws:s3:::{BUCKET}/")]);
    assert_eq!(target.listing().await, before);
    target.holds(&site("1"), &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_list_names_the_action_and_changes_nothing() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:ListBucket").await;
    let before = target.listing().await;
    target.deploy(&site("2"), "2.0.0").failed(3, &["s3:ListBucket", &format!("arn:aws:s3:::{BUCKET}")]);
    assert_eq!(target.listing().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_read_names_the_action_and_changes_nothing() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:GetObject").await;
    let before = target.listing().await;
    target.deploy(&site("2"), "2.0.0").failed(3, &["s3:GetObject"]);
    assert_eq!(target.listing().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_invalidation_names_the_action_and_the_next_run_makes_it() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "cloudfront:CreateInvalidation").await;
    let before = target.invalidations().await;
    let distribution = target.distribution.clone().unwrap();
    target
        .deploy(&site("2"), "2.0.0")
        .failed(8, &["version 2.0.0", "is live", "cloudfront:CreateInvalidation", &distribution]);
    assert_eq!(target.invalidations().await, before);
    // The new files may be in place, but nothing that visitors still use is gone.
    target.holds(&site("2"), &[&site("1")], &[]).await;

    ministack.set_policy("deployer", &ministack.documented_policy("")).await;
    let paid = target.deploy(&site("2"), "2.0.0").ended("deployed");
    assert_eq!(paid.number("/uploaded/files"), 0);
    let after = target.invalidations().await;
    assert_eq!(after.len(), before.len() + 1);
    let paths: Vec<_> = paid.invalidations().into_iter().flat_map(|(_, paths)| paths).map(str::to_owned).collect();
    assert!(paths.iter().any(|path| path == "/index.html"), "{paths:?}");
    target.deploy(&site("2"), "2.0.0").ended("unchanged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_delete_names_the_action() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:DeleteObject").await;
    // A page that the new version no longer has is deleted with the switch.
    let fewer = Site::of(&[("index.html", "2"), ("static/app.3f2a9c2d.js", "app()")]);
    target
        .program
        .with("DEPLOY_MAX_SHRINK", "100%")
        .site(&fewer, "2.0.0")
        .run(&["run"])
        .failed(8, &["version 2.0.0", "is live", "s3:DeleteObject"]);
    let about = target.object("about.html").await;
    assert_eq!(about.bytes, b"about");

    ministack.set_policy("deployer", &ministack.documented_policy("")).await;
    target.program.with("DEPLOY_MAX_SHRINK", "100%").site(&fewer, "2.0.0").run(&["run"]).ended("deployed");
    target.holds(&fewer, &[&site("1")], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_told_from_a_denied_action() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let wrong = target.program.with("AWS_SECRET_ACCESS_KEY", "quite/another/secret/0123456789abcdef");
    let failed = wrong.site(&site("1"), "1.0.0").run(&["run"]);
    failed.failed(3, &["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]);
    assert!(target.listing().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_access_key_is_told_from_a_denied_action() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let unknown = target.program.with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    unknown.site(&site("1"), "1.0.0").run(&["run"]).failed(3, &["AWS_ACCESS_KEY_ID"]);
    assert!(target.listing().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_such_bucket_is_a_mistake_of_configuration() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let everything = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    ministack.set_policy("deployer", everything).await;
    let elsewhere = target.program.with("DEPLOY_BUCKET", "webapp-prodution");
    elsewhere.site(&site("1"), "1.0.0").run(&["run"]).failed(2, &["DEPLOY_BUCKET", "webapp-prodution"]);
    assert!(target.listing().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_such_distribution_is_a_mistake_of_configuration() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let everything = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    ministack.set_policy("deployer", everything).await;
    let elsewhere = target.program.with("DEPLOY_DISTRIBUTION_IDS", "E0NOSUCHTHING0");
    let before = target.listing().await;
    for command in ["run", "plan"] {
        let run = elsewhere.site(&site("1"), "1.0.0").run(&[command]);
        run.failed(2, &["DEPLOY_DISTRIBUTION_IDS", "E0NOSUCHTHING0", "Nothing was written"]);
    }
    assert_eq!(target.listing().await, before);
}

/// Statements whose absence a command does not always notice.
const NOT_ALWAYS_MISSED: [(&str, &str); 6] = [
    // For objects that are not there: without it S3 hides that by a 403, and this server does not.
    ("status", "List"),
    ("verify", "List"),
    ("unlock", "List"),
    ("unlock --force", "List"),
    ("rollback", "List"),
    ("invalidate --all", "List"),
];

/// A target with two releases that differ in everything, and a lease that somebody left there.
struct Bench {
    target: Target,
    sites: [Site; 2],
}

impl Bench {
    async fn on(ministack: &Ministack) -> Self {
        let target = ministack.target("app/").await;
        let sites = ["1", "2"].map(|version| {
            let (page, script) = (format!("only-{version}.html"), format!("static/app.3f2a9c{version}d.js"));
            let root = format!("<script src=static/app.3f2a9c{version}d.js></script>");
            Site::of(&[("index.html", &root), (&page, "about"), (&script, "app()")])
        });
        let bench = Self { target, sites };
        for turn in 0..2 {
            bench.run("run", turn).ended("deployed");
        }
        bench
    }

    /// Runs a command so that it has something to do, if `turn` alternates.
    fn run(&self, command: &str, turn: usize) -> Outcome {
        let program = self.target.program.with("DEPLOY_MAX_SHRINK", "100%").with("DEPLOY_ALLOW_OLDER", "true");
        let version = ["1.0.0", "2.0.0"][turn % 2];
        match command {
            "run" => program.site(&self.sites[turn % 2], version).run(&["run"]),
            "plan" => program.site(&self.sites[turn % 2], version).run(&["plan"]),
            "rollback" => program.run(&["rollback", "--to", version]),
            "prune" => program.with("DEPLOY_KEEP_RELEASES", "0").with("DEPLOY_GRACE", "0s").run(&["prune"]),
            // Nobody answers there: that is another failure than not being allowed to see what is live.
            "verify" => program.with("DEPLOY_PUBLIC_URL", "http://127.0.0.1:9/").run(&["verify"]),
            other => program.run(&other.split(' ').collect::<Vec<_>>()),
        }
    }

    /// Leaves a lease behind, as a run does that was killed.
    async fn leave_a_lease(&self) {
        let key = "app/.deploy/current";
        let mut current: Value = serde_json::from_slice(&self.target.object(key).await.bytes).unwrap();
        current["lease"] = json!({
            "owner": "a run that was killed", "nonce": "n", "acquired_at": "2026-01-01T00:00:00Z",
            "duration": 60, "request_timeout": 30
        });
        self.target.put(key, &current.to_string()).await;
    }

    /// Sees to it that the command has something to do.
    async fn prepare(&self, ministack: &Ministack, command: &str, turn: usize) {
        match command {
            "unlock" | "unlock --force" => self.leave_a_lease().await,
            "prune" => {
                ministack.set_policy("deployer", &ministack.documented_policy("app/")).await;
                self.run("run", turn).ended("deployed");
            }
            _ => {}
        }
    }
}

/// Each command runs with the statements that `docs/iam.md` names for it and no others; without any
/// one of them it says that it is not permitted, and with it again it finishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_needs_exactly_what_is_documented_for_it() {
    let Some(ministack) = Ministack::start().await else { return };
    let bench = Bench::on(&ministack).await;
    let commands = [
        ("status", 0, ""),
        ("verify", 6, ""),
        ("plan", 0, ""),
        ("unlock", 0, "shown"),
        ("unlock --force", 0, "unlocked"),
        ("invalidate --all", 0, "invalidated"),
        ("rollback", 0, "rolled-back"),
        ("run", 0, "deployed"),
        ("prune", 0, "pruned"),
    ];
    let mut turn = 0;
    for (command, code, result) in commands {
        let (exactly, names) = ministack.policy_for(command, "app/", None);
        for name in &names {
            bench.prepare(&ministack, command, turn).await;
            if !NOT_ALWAYS_MISSED.contains(&(command, name)) {
                let (less, _) = ministack.policy_for(command, "app/", Some(name));
                ministack.set_policy("deployer", &less).await;
                let refused = bench.run(command, turn);
                // 8 where the release was live by then.
                assert!([3, 8].contains(&refused.code()), "{command} without {name}: {refused:?}");
            }
            ministack.set_policy("deployer", &exactly).await;
            let done = bench.run(command, turn);
            assert_eq!(done.code(), code, "{command} with exactly its statements: {done:?}");
            if !result.is_empty() {
                assert_eq!(done.result["result"], result, "{command} with exactly its statements: {done:?}");
            }
            // What is live has changed with these.
            turn += usize::from(["rollback", "run", "prune"].contains(&command));
        }
    }
    let invalidations = bench.target.invalidations().await;
    assert!(invalidations.len() > 8, "{invalidations:?}");
}
