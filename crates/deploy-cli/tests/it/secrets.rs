//! Recognisable secrets are planted in every input, and are in no output: not on stdout or stderr, not
//! in the termination log, not in the state, and on the site only where values belong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use deploy_config::{Program, registry};
use stand_ins::{BUCKET, Effect, SECRET_KEY, When};

use crate::support::{CDN, Run, Target};

/// In every planted secret, whatever else is around it.
const PLANTED: &str = "pl4nted";
/// A value for the site, which is public and yet printed nowhere.
const VALUE: &str = "pl4nted-value";

/// Every command that prints something.
const COMMANDS: [&[&str]; 14] = [
    &["run"],
    &["plan"],
    &["plan", "--json", "--all"],
    &["status"],
    &["status", "--json"],
    &["history"],
    &["diff", "live", "live"],
    &["verify"],
    &["prune"],
    &["unlock"],
    &["rollback"],
    &["config"],
    &["config", "--json"],
    &["unlock", "--force"],
];

/// A way for things to go wrong.
struct Failure {
    name: &'static str,
    /// What is done to the environment.
    set: Vec<(&'static str, String)>,
    /// What is done to the servers.
    spoil: fn(&Target),
    site: &'static str,
    /// How `run` ends.
    code: i32,
}

/// What every run has: a value, a header, a session token, proxies, and files with secrets in them.
struct Inputs {
    folder: PathBuf,
    environment: BTreeMap<&'static str, String>,
}

impl Inputs {
    fn plant(target: &Target) -> Self {
        let file =
            |name: &str, text: &str| target.site("files", &[(name, text)]).join(name).to_str().unwrap().to_owned();
        let rules = format!("# {PLANTED}-rules\n[[rule]]\nglob = \"robots.txt\"\ncache-control = \"no-store\"\n");
        let environment = BTreeMap::from([
            // What the registry says is secret.
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_SESSION_TOKEN", format!("{PLANTED}-session")),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", format!("{PLANTED}-container")),
            ("DEPLOY_VERIFY_HEADER", format!("Authorization: Bearer {PLANTED}-header")),
            // Files that hold secrets.
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file("token", &format!("{PLANTED}-web-identity"))),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("container", &format!("{PLANTED}-container-file"))),
            (
                "AWS_SHARED_CREDENTIALS_FILE",
                file("credentials", &format!("[default]\naws_secret_access_key = {PLANTED}-credentials\n")),
            ),
            ("DEPLOY_RULES", file("rules.toml", &rules)),
            // URLs with a login or a query.
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://me:{PLANTED}-uri@127.0.0.1:9/?t={PLANTED}-query")),
            ("HTTPS_PROXY", format!("http://me:{PLANTED}-proxy@127.0.0.1:9")),
            // Neither ours nor the site's.
            ("DATABASE_PASSWORD", format!("{PLANTED}-database")),
            ("WEBAPP_NOTE", VALUE.to_owned()),
        ]);
        Self { folder: target.site("ends", &[("end", "")]), environment }
    }

    /// The same command with all of it.
    fn give<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(&self.environment).env("DEPLOY_TERMINATION_LOG", self.end())
    }

    fn end(&self) -> PathBuf {
        self.folder.join("end")
    }
}

/// The site for the runs: with dot files that are left out, and a placeholder.
fn sites(target: &Target) -> BTreeMap<&'static str, PathBuf> {
    let page = "<!doctype html><p>__WEBAPP_NOTE__</p>";
    let dot = format!("PASSWORD={PLANTED}-dotenv\n");
    let good = target.site("good", &[("index.html", page), ("robots.txt", ""), (".env", &dot)]);
    // Not written in one piece, so that no scanner takes this file for a leak.
    let key = format!("const key = `{}{}\n{PLANTED}{}`;", "-----BEGIN ", "PRIVATE KEY-----", "A1b2".repeat(20));
    let leaking = target.site("leaking", &[("index.html", page), ("app.js", &key)]);
    let broken = "<p>__WEBAPP_NOTE__</p><script>__WEBAPP_NOTE__ __WEBAPP_NO__</script>";
    let unfilled = target.site("unfilled", &[("index.html", broken)]);
    let missing = "<p>__WEBAPP_NOTE__</p><script src=\"a/__WEBAPP_NOTE__.js\"></script>";
    let missing = target.site("missing", &[("index.html", missing)]);
    BTreeMap::from([("good", good), ("leaking", leaking), ("unfilled", unfilled), ("missing", missing)])
}

fn failures() -> Vec<Failure> {
    let failure = |name, code| Failure { name, set: Vec::new(), spoil: |_| {}, site: "good", code };
    let with = |name, code, set: &[(&'static str, &str)]| Failure {
        set: set.iter().map(|(name, value)| (*name, value.replace("SECRET", PLANTED))).collect(),
        ..failure(name, code)
    };
    vec![
        failure("all is well", 0),
        with("a header that is none", 2, &[("DEPLOY_VERIFY_HEADER", "SECRET-without-a-name")]),
        with("a header that cannot be sent", 2, &[("DEPLOY_VERIFY_HEADER", "X-Key: SECRET\u{7f}")]),
        with("a login in the site's URL", 2, &[("DEPLOY_PUBLIC_URL", "https://me:SECRET@www.example.com/")]),
        with("a query in the site's URL", 2, &[("DEPLOY_PUBLIC_URL", "https://www.example.com/?token=SECRET")]),
        with("a value left by Harness", 2, &[("WEBAPP_NOTE", "<+SECRET.expression>")]),
        with("a secret left by Harness", 2, &[("AWS_SECRET_ACCESS_KEY", "<+secrets.getValue(\"SECRET\")>")]),
        with("a secret on two lines", 2, &[("AWS_SESSION_TOKEN", "SECRET\nand more")]),
        with("another secret key", 3, &[("AWS_SECRET_ACCESS_KEY", "SECRET/another+secret")]),
        with("another key id", 3, &[("AWS_ACCESS_KEY_ID", "AKIANOBODY")]),
        with("no such bucket", 2, &[("DEPLOY_BUCKET", "elsewhere")]),
        with("a login in the store's URL", 5, &[("AWS_ENDPOINT_URL_S3", "http://me:SECRET@127.0.0.1:9")]),
        with("no such distribution", 2, &[("DEPLOY_DISTRIBUTION_IDS", "E2NOWHERE")]),
        with("a site out of reach", 6, &[("DEPLOY_PUBLIC_URL", "http://127.0.0.1:9/"), ("DEPLOY_VERIFY", "required")]),
        Failure { site: "unfilled", ..failure("placeholders that cannot be filled", 2) },
        Failure { site: "missing", ..failure("a reference to nothing", 7) },
        Failure { site: "leaking", ..failure("a private key in the site", 7) },
        Failure { spoil: |t| t.stand_ins.s3().deny("PutObject"), ..failure("a denied write", 3) },
        Failure {
            spoil: |t| t.stand_ins.cloudfront().deny("CreateInvalidation"),
            ..failure("a denied invalidation", 8)
        },
        Failure {
            spoil: |t| t.stand_ins.faults().always(When::operation("PutObject"), Effect::expired_token()),
            ..failure("credentials that ran out", 3)
        },
        Failure {
            spoil: |t| t.stand_ins.faults().always(When::always(), Effect::slow_down()),
            ..failure("a store that is busy", 5)
        },
        Failure {
            spoil: |t| t.stand_ins.s3().set_ignores_conditions(true),
            ..failure("a store without conditional writes", 7)
        },
        Failure { spoil: |t| t.plant("robots.txt", "somebody's"), ..failure("a foreign object", 7) },
    ]
}

/// Nothing of what a run says has a secret in it.
fn is_silent(run: &Run, inputs: &Inputs, context: &str) {
    let told = fs::read_to_string(inputs.end()).unwrap();
    for (what, text) in [("stdout", &run.stdout), ("stderr", &run.stderr), ("the termination log", &told)] {
        for secret in [PLANTED, SECRET_KEY] {
            assert!(!text.contains(secret), "{context}: {secret} in {what}: {text}");
        }
    }
}

/// Values are on the site alone, and no other secret is anywhere.
fn is_nowhere_in_the_bucket(target: &Target, context: &str) {
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let served = target.objects("");
    for (key, object) in target.stand_ins.store().snapshot(BUCKET) {
        let bytes = object.content.to_bytes().to_vec();
        let text = String::from_utf8_lossy(&bytes).replace(VALUE, "");
        assert!(!has(text.as_bytes(), PLANTED) && !has(&bytes, SECRET_KEY), "{context}: {key}");
        let is_copy = served.values().any(|file| *file == bytes);
        assert!(is_copy || !has(&bytes, VALUE), "{context}: {key} is no copy of a file, and has the value");
    }
}

/// A secret variable that comes to the registry must come to this test too.
#[test]
fn every_variable_that_is_secret_is_planted() {
    let target = Target::new();
    let inputs = Inputs::plant(&target);
    for variable in registry().filter(|variable| variable.secret && variable.is_read_by(Program::Deploy)) {
        let planted = inputs.environment.get(variable.name);
        assert!(planted.is_some_and(|v| v.contains(PLANTED) || v == SECRET_KEY), "{} is not planted", variable.name);
    }
}

#[test]
fn planted_secrets_are_nowhere_whatever_goes_wrong() {
    for failure in failures() {
        let target = Target::blocking();
        let inputs = Inputs::plant(&target);
        let sites = sites(&target);
        let command = |name: &str, log: &str| {
            let mut command = target.publish_seen(name, &sites[failure.site], "1.0.0");
            command.env("DEPLOY_RETRY_TIMEOUT", "0s").env("DEPLOY_VERIFY_TIMEOUT", "0s").env("DEPLOY_LOG", log);
            inputs.give(&mut command).envs(failure.set.iter().map(|(name, value)| (*name, value)));
            command
        };
        (failure.spoil)(&target);
        for log in ["text", "json"] {
            let run = Run::of(&mut command("run", log));
            let context = format!("{} as {log}", failure.name);
            assert_eq!(run.code, failure.code, "{context}: {run:?}");
            assert!(!run.stderr.is_empty(), "{context}");
            is_silent(&run, &inputs, &context);
            is_nowhere_in_the_bucket(&target, &context);
        }
    }
}

#[test]
fn no_command_prints_a_secret() {
    let target = Target::blocking();
    let inputs = Inputs::plant(&target);
    let site = &sites(&target)["good"];
    for version in ["1.0.0", "2.0.0"] {
        let run = Run::of(inputs.give(&mut target.publish_seen("run", site, version)));
        assert_eq!(run.code, 0, "{run:?}");
    }
    for spoilt in [false, true] {
        if spoilt {
            target.stand_ins.s3().deny("GetObject");
        }
        for args in COMMANDS {
            for log in ["text", "json"] {
                let mut command = target.command(args);
                command.env(CDN.0, CDN.1).env("DEPLOY_PUBLIC_URL", target.edge_url()).env("DEPLOY_SOURCE", site);
                command.env("DEPLOY_VERSION", "2.0.0").env("DEPLOY_LOG", log).env("DEPLOY_VERIFY_TIMEOUT", "0s");
                let run = Run::of(inputs.give(&mut command));
                let context = format!("{args:?} as {log}");
                let back_at_the_first = args == ["rollback"] && run.code == 2;
                assert!(run.code == 0 || (spoilt && run.code == 3) || back_at_the_first, "{context}: {run:?}");
                assert!(!run.stdout.is_empty() || !run.stderr.is_empty(), "{context}");
                is_silent(&run, &inputs, &context);
            }
        }
    }
    is_nowhere_in_the_bucket(&target, "after all commands");
}

/// What is shown of a rules file that cannot be read is its place, not its content.
#[test]
fn a_rules_file_is_named_and_not_quoted() {
    let target = Target::new();
    let rules = target.site("rules", &[("rules.toml", &format!("password = \"{PLANTED}\"\n"))]).join("rules.toml");
    let run = Run::of(target.publish("run", Path::new("."), "1.0.0").env("DEPLOY_RULES", rules));
    let (message, _) = run.failed(2, "usage");
    assert!(message.contains("rules.toml") && message.contains("line 1"), "{message}");
    assert!(!format!("{run:?}").contains(PLANTED), "{run:?}");
}
