//! One build goes through three environments, and is looked at through an edge that keeps what it
//! should not.

use std::collections::BTreeSet;

use hyper::StatusCode;
use serde_json::{Value, json};
use stand_ins::{Completion, Conditions, Distribution, Effect, StandIns, When};

use crate::ministack::Ministack;
use crate::program::Program;
use crate::site::Site;
use crate::target::{Access, Target};

const NAMES: [&str; 3] = ["dev", "staging", "production"];
/// The files that hold values, generated ones included.
const WITH_VALUES: [&str; 4] = ["config.json", "env.js", "env.json", "index.html"];

/// A value with every character that HTML or JSON escapes.
fn api(name: &str) -> String {
    format!("https://{name}.example.com/?a=1&b=\"<'{name}'>\"")
}

/// A build that nobody here wrote, with placeholders in the page and in a file of settings.
fn with_placeholders(version: &str) -> Option<Site> {
    let built = Site::streamlit(version)?;
    let page = String::from_utf8(built.files["index.html"].bytes.clone()).unwrap();
    assert!(page.contains("<title>Streamlit</title>"), "{page}");
    let page = page.replace(
        "<title>Streamlit</title>",
        "<title>Streamlit in __WEBAPP_STAGE__</title>\n    <meta name=\"api\" content=\"__WEBAPP_API_URL__\" />",
    );
    let settings = "{\"api\": \"__WEBAPP_API_URL__\", \"of\": [\"__WEBAPP_STAGE__\"]}";
    Some(built.with(&[("index.html", &page), ("config.json", settings)]))
}

/// The program in an environment of this name.
fn in_environment(program: &Program, name: &str) -> Program {
    let program = program.with("DEPLOY_ENVIRONMENT", name).with("DEPLOY_VERIFY", "required");
    let program = program.with("DEPLOY_VALUES_JSON", "env.json").with("DEPLOY_VALUES_SCRIPT", "env.js");
    program.with("DEPLOY_VERIFY_TIMEOUT", "0s").with("WEBAPP_API_URL", api(name)).with("WEBAPP_STAGE", name)
}

/// What the site must be there: the build, and the values written into it by hand.
fn expected(build: &Site, name: &str) -> Site {
    let text = |key: &str| String::from_utf8(build.files[key].bytes.clone()).unwrap();
    let escaped = format!("https://{name}.example.com/?a=1&amp;b=&quot;&lt;&#39;{name}&#39;&gt;&quot;");
    let page = text("index.html").replace("__WEBAPP_STAGE__", name).replace("__WEBAPP_API_URL__", &escaped);
    let in_json = api(name).replace('"', "\\\"");
    let settings = text("config.json").replace("__WEBAPP_STAGE__", name).replace("__WEBAPP_API_URL__", &in_json);
    build.with(&[("index.html", &page), ("config.json", &settings), ("env.json", ""), ("env.js", "")])
}

/// Checks the files that are made of the values, and takes them over into what is expected.
async fn check_generated(target: &Target, expected: &mut Site, name: &str) {
    let values = json!({ "WEBAPP_API_URL": api(name), "WEBAPP_STAGE": name });
    let json = target.object("env.json").await.bytes;
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), values);
    let script = target.object("env.js").await.bytes;
    let text = String::from_utf8(script.clone()).unwrap();
    assert!(text.contains("globalThis.__ENV__") && text.contains(&format!("\"WEBAPP_STAGE\": \"{name}\"")), "{text}");
    for (key, bytes) in [("env.json", json), ("env.js", script)] {
        expected.files.get_mut(key).unwrap().bytes = bytes;
    }
}

/// Manifests and pointer hold names and hashes, and no value.
async fn no_value_in_the_state(target: &Target, name: &str) {
    let listing = target.listing().await;
    let mut looked_at = BTreeSet::new();
    // Archived entry files are files of the site.
    for key in listing.keys().filter(|key| key.starts_with(".deploy/") && !key.starts_with(".deploy/blobs/")) {
        let text = String::from_utf8(target.object(key).await.bytes).unwrap();
        assert!(!text.contains(&format!("{name}.example.com")), "a value is in {key}: {text}");
        looked_at.insert(key.split('/').nth(1).unwrap().to_owned());
    }
    let kinds: Vec<_> = looked_at.iter().map(String::as_str).collect();
    assert!(kinds.contains(&"current") && kinds.len() >= 3, "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_build_goes_through_three_environments_and_only_its_values_differ() {
    let Some(build) = with_placeholders("1.46.0") else { return };
    let Some(old) = with_placeholders("1.45.0") else { return };
    let Some(ministack) = Ministack::start().await else { return };
    let mut content: Option<Value> = None;
    let mut targets = Vec::new();
    for name in NAMES {
        let mut target = ministack.environment(name).await;
        target.program = in_environment(&target.program, name);
        if name == "production" {
            // It lags behind the others, and a plan for it lists other uploads.
            target.deploy(&old, "1.45.0").ended("deployed");
        }

        let plan = target.program.site(&build, "1.46.0").run(&["plan", "--json"]).result;
        assert_eq!(plan["content"]["with_values"], json!(WITH_VALUES), "{plan}");
        assert_eq!(plan["content"]["shared"]["files"], build.files.len() - 2, "{plan}");
        // The hash covers every key and byte but those of the files named beside it.
        let content = content.get_or_insert(plan["content"].clone());
        assert_eq!(plan["content"], *content, "another build than in {}", NAMES[0]);

        let run = target.deploy(&build, "1.46.0").ended("deployed");
        assert_eq!(run.result["release"], plan["release"]);
        assert_eq!(run.result["environment"], name);
        assert_eq!(run.result["warnings"], json!([]));
        // As visitors of the distribution see it: the page twice, the settings, and all that they need.
        assert!(run.number("/seen/right") > 100, "{}", run.result);
        assert_eq!(run.result["seen"]["state_area_readable"], false);

        let mut expected = expected(&build, name);
        check_generated(&target, &mut expected, name).await;
        let old: &[&Site] = if name == "production" { &[&old] } else { &[] };
        target.holds(&expected, old, &[]).await;
        no_value_in_the_state(&target, name).await;

        let status = target.program.run(&["status"]).result;
        assert_eq!(status["releases"][0]["environment"], name, "{status}");
        let after = target.program.site(&build, "1.46.0").run(&["plan", "--json"]).result;
        assert_eq!((&after["unchanged"], &after["content"]), (&json!(true), &*content));
        targets.push(target);
    }
    targets[2].program.run(&["verify"]).ended("verified");
    // Another build is told from this one, whatever the environment.
    let other = targets[0].program.site(&old, "1.45.0").with("DEPLOY_ALLOW_OLDER", "true").run(&["plan", "--json"]);
    assert_ne!(other.result["content"]["shared_sha256"], content.unwrap()["shared_sha256"]);
    // An environment's keys are good for nothing elsewhere.
    let astray = targets[0].program.with("DEPLOY_BUCKET", &targets[2].bucket);
    astray.site(&build, "1.46.0").run(&["run"]).failed(3, &[&targets[2].bucket]);
}

/// Stand-ins whose edge caches everything for a day, absences too, and answers them with the page.
async fn behind_a_bad_edge() -> (StandIns, Target) {
    let distribution = Distribution {
        fallback: Some("index.html".to_owned()),
        missing_status: StatusCode::FORBIDDEN,
        blocked_prefixes: vec!["/.deploy/".to_owned()],
        ..Distribution::new(stand_ins::DISTRIBUTION, stand_ins::BUCKET)
    };
    let completion = Completion { polls: 0, ..Completion::default() };
    let stand_ins = StandIns::builder().distributions([distribution]).completion(completion).start().await.unwrap();
    let access = Access {
        s3: stand_ins.s3_endpoint(),
        cloudfront: Some(stand_ins.cloudfront_endpoint()),
        region: stand_ins::REGION.to_owned(),
        key_id: stand_ins::ACCESS_KEY.to_owned(),
        secret: stand_ins::SECRET_KEY.to_owned(),
    };
    let mut target = Target::new(&access, stand_ins::BUCKET, "", Some(stand_ins::DISTRIBUTION));
    let url = stand_ins.edge_endpoint(stand_ins::DISTRIBUTION).unwrap();
    target.program = in_environment(&target.program, "dev").with("DEPLOY_PUBLIC_URL", url);
    (stand_ins, target)
}

/// A chunk that the page loads late, and that the version before did not have.
fn new_chunk<'a>(new: &'a Site, old: &Site) -> &'a str {
    let mut chunks = new.files.keys().filter(|key| key.starts_with("static/js/") && !old.files.contains_key(*key));
    chunks.rfind(|key| !key.starts_with("static/js/index.")).unwrap()
}

/// The edge serves this release whole, and the bucket holds it.
async fn is_live(stand_ins: &StandIns, target: &Target, site: &Site, kept: &[&Site]) {
    let mut expected = expected(site, "dev");
    check_generated(target, &mut expected, "dev").await;
    for (key, file) in &expected.files {
        let seen = stand_ins.edge().fetch(key);
        assert_eq!(seen.status, StatusCode::OK, "{key}");
        assert!(seen.body == file.bytes, "{key} is another at the edge");
    }
    assert_eq!(stand_ins.edge().fetch("/").body, expected.files["index.html"].bytes);
    target.holds(&expected, kept, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_gone_takes_the_release_down_and_the_next_run_mends_it() {
    let (Some(old), Some(new)) = (with_placeholders("1.45.0"), with_placeholders("1.46.0")) else { return };
    let (stand_ins, target) = behind_a_bad_edge().await;
    let first = target.deploy(&old, "1.45.0").ended("deployed");
    is_live(&stand_ins, &target, &old, &[]).await;

    let chunk = new_chunk(&new, &old).to_owned();
    let (store, key) = (stand_ins.store().clone(), chunk.clone());
    let delete = Effect::before(move |_| {
        let (store, key) = (store.clone(), key.clone());
        async move { store.delete(stand_ins::BUCKET, &key, &Conditions::none()).unwrap() }
    });
    stand_ins.faults().once(When::operation("CreateInvalidation"), delete);
    let broken = target.deploy(&new, "1.46.0").failed(6, &[&chunk, "text/html", "fallback", "DEPLOY_ON_FAILURE"]);
    assert_eq!(broken.result["rolled_back_to"], json!({ "release": first.result["release"], "version": "1.45.0" }));
    assert!(broken.result["observations"][0]["url"].as_str().unwrap().ends_with(&chunk), "{}", broken.result);
    let mut maimed = with_placeholders("1.46.0").unwrap();
    maimed.files.remove(&chunk);
    is_live(&stand_ins, &target, &old, &[&maimed]).await;
    let seen = stand_ins.edge().fetch(&chunk);
    assert_eq!(seen.header("content-type"), Some("text/html; charset=utf-8"), "the edge keeps the absence");

    // A mere retry would break the site again, were the mistake the build's.
    target.deploy(&new, "1.46.0").failed(4, &["was rolled back", "DEPLOY_ALLOW_OLDER"]);
    let allowed = target.program.with("DEPLOY_ALLOW_OLDER", "true").site(&new, "1.46.0").run(&["run"]);
    let allowed = allowed.ended("deployed");
    let paths: Vec<_> = allowed.invalidations().into_iter().flat_map(|(_, paths)| paths).collect();
    assert!(paths.contains(&format!("/{chunk}").as_str()), "what is put back is invalidated: {paths:?}");
    is_live(&stand_ins, &target, &new, &[&old]).await;
    stand_ins.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absence_that_the_edge_kept_is_seen_and_forgotten_where_all_is_invalidated() {
    let (Some(old), Some(new)) = (with_placeholders("1.45.0"), with_placeholders("1.46.0")) else { return };
    let (stand_ins, target) = behind_a_bad_edge().await;
    target.deploy(&old, "1.45.0").ended("deployed");
    // Somebody asks for a file of the new version before it is there.
    let chunk = new_chunk(&new, &old);
    assert_eq!(stand_ins.edge().fetch(chunk).status, StatusCode::OK);

    let broken = target.deploy(&new, "1.46.0").failed(6, &[chunk, "fallback", "DEPLOY_INVALIDATION=all"]);
    assert_eq!(broken.result["rolled_back_to"]["version"], "1.45.0");
    is_live(&stand_ins, &target, &old, &[&new]).await;

    let all = target.program.with("DEPLOY_INVALIDATION", "all").with("DEPLOY_ALLOW_OLDER", "true");
    all.site(&new, "1.46.0").run(&["run"]).ended("deployed");
    is_live(&stand_ins, &target, &new, &[&old]).await;
    stand_ins.shutdown().await;
}
