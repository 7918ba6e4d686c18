//! The live site is looked at through the edge, and what follows.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use hyper::StatusCode;
use serde_json::json;
use stand_ins::{BUCKET, Conditions, DISTRIBUTION, Distribution, Effect, Rewrite, When};

use crate::support::{CDN, Run, Target, deploy};

const FIRST: &str = "assets/app-DTIbbY-m.js";
const SECOND: &str = "assets/app-Boz4yHtd.js";

/// An edge that answers every missing file with the page, as those of single-page applications do.
fn with_fallback() -> Target {
    let distribution = Distribution::new(DISTRIBUTION, BUCKET);
    Target::behind(Distribution { fallback: Some("index.html".into()), ..distribution })
}

/// Deletes a file of the site between the switch and the look at it.
fn delete_after_the_switch(target: &Target, key: &'static str) {
    let store = target.stand_ins.store().clone();
    let delete = Effect::before(move |_| {
        let store = store.clone();
        async move { store.delete(BUCKET, key, &Conditions::none()).unwrap() }
    });
    target.stand_ins.faults().once(When::operation("CreateInvalidation"), delete);
}

fn live(target: &Target) -> String {
    let status = target.succeed(&["status", "--json"]).result();
    let releases = status["releases"].as_array().unwrap();
    releases.iter().find(|release| release["live"] == true).unwrap()["version"].as_str().unwrap().to_owned()
}

/// A server that hangs up on everybody. A port without any could be another test's the next moment.
fn hangs_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(drop));
    url
}

#[test]
fn a_site_that_is_what_was_deployed_is_right() {
    let target = Target::blocking();
    let run = Run::of(&mut target.publish_seen("run", &target.page("one", FIRST), "1.0.0"));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.events().iter().any(|e| e["event"] == "step-finished" && e["step"] == "verify"), "{run:?}");
    assert!(run.result()["seconds"]["verify"].is_number());

    let verify = |log: &str| {
        let mut command = target.command(&["verify"]);
        Run::of(command.env("DEPLOY_PUBLIC_URL", target.edge_url()).env("DEPLOY_VERIFY", "off").env("DEPLOY_LOG", log))
    };
    let json = verify("json");
    assert_eq!(json.code, 0, "{json:?}");
    let result = json.result();
    assert_eq!(result["result"], "verified");
    // The page under both its names, and the script.
    assert_eq!(result["right"], 3);
    for none in ["wrong", "unseen", "remarks"] {
        assert_eq!(result[none].as_array().unwrap().len(), 0, "{result}");
    }
    let text = verify("text").stdout;
    assert!(text.starts_with("3 URLs as released, at http://127.0.0.1:"), "{text}");
}

/// `DEPLOY_ROUTING` reaches what is invalidated, what is looked at, and `deploy invalidate`.
#[test]
fn each_address_of_a_page_is_fresh_after_a_release() {
    let distribution = Distribution::new(DISTRIBUTION, BUCKET);
    let target = Target::behind(Distribution {
        rewrite: Rewrite::Html,
        blocked_prefixes: vec!["/.deploy/".into()],
        ..distribution
    });
    let site = |title: &str| {
        let about = format!("<!doctype html><title>{title}</title>");
        target.site(title, &[("index.html", &about), ("about.html", &about)])
    };
    let run = |title: &str, version: &str| {
        let mut run = target.publish_seen("run", &site(title), version);
        Run::of(run.env("DEPLOY_ROUTING", "html").env("DEPLOY_VERIFY", "required"))
    };
    let first = run("one", "1.0.0");
    assert_eq!(first.code, 0, "{first:?}");
    let addresses = ["/", "/index", "/index.html", "/about", "/about.html"];
    for path in addresses {
        assert!(target.seen(path).contains("one"), "{path}");
    }
    let second = run("two", "2.0.0");
    assert_eq!(second.code, 0, "{second:?}");
    for path in addresses {
        assert!(target.seen(path).contains("two"), "{path}");
    }
    let invalidate = |routing: &str| {
        let mut command = target.command(&["invalidate", "/about"]);
        let run = Run::of(command.env(CDN.0, CDN.1).env("DEPLOY_ROUTING", routing));
        assert_eq!(run.code, 0, "{run:?}");
        run.result()["invalidations"][0]["paths"].clone()
    };
    assert_eq!(invalidate("html"), json!(["/about", "/about.html"]));
    assert_eq!(invalidate("exact"), json!(["/about"]));
}

#[test]
fn a_script_that_is_the_fallback_page_takes_the_release_down() {
    let target = with_fallback();
    let first = Run::of(&mut target.publish_seen("run", &target.page("one", FIRST), "1.0.0"));
    assert_eq!(first.code, 0, "{first:?}");
    let page = target.seen("/");
    delete_after_the_switch(&target, SECOND);
    let file = target.site("log", &[("end", "")]).join("end");
    let mut second = target.publish_seen("run", &target.page("two", SECOND), "2.0.0");
    let second = Run::of(second.env("DEPLOY_TERMINATION_LOG", &file));
    let (message, hint) = second.failed(6, "verification");
    let told = std::fs::read_to_string(&file).unwrap();
    assert!(message.contains(SECOND) && message.contains("fallback"), "{message}");
    let release = first.result()["release"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("Rolled back: version 1.0.0 ({release}) is live again")), "{message}");
    let result = second.result();
    assert_eq!(result["rolled_back_to"], json!({ "release": release, "version": "1.0.0" }), "{result}");
    assert_eq!(result["version"], "2.0.0", "{result}");
    assert!(result["observations"][0]["url"].as_str().unwrap().ends_with(SECOND), "{result}");
    assert!(told.contains("Rolled back: version 1.0.0"), "{told}");
    assert!(hint.contains("DEPLOY_ON_FAILURE=keep"), "{hint}");
    assert_eq!(live(&target), "1.0.0");
    assert_eq!(target.seen("/"), page, "the edge had the second page in its cache");
    assert_eq!(target.body("index.html"), page);
}

#[test]
fn a_wrong_release_stays_where_it_is_to_be_kept() {
    let target = with_fallback();
    delete_after_the_switch(&target, FIRST);
    let mut run = target.publish_seen("run", &target.page("one", FIRST), "1.0.0");
    let run = Run::of(run.env("DEPLOY_ON_FAILURE", "keep"));
    let (message, hint) = run.failed(6, "verification");
    assert!(run.result()["rolled_back_to"].is_null() && run.result()["release"].is_string(), "{run:?}");
    assert!(!message.contains("Rolled back"), "{message}");
    assert!(hint.contains("still live") && hint.contains("deploy rollback"), "{hint}");
    assert_eq!(live(&target), "1.0.0");

    let mut verify = target.command(&["verify"]);
    let verify = Run::of(verify.env("DEPLOY_PUBLIC_URL", target.edge_url()));
    let (message, hint) = verify.failed(6, "verification");
    assert!(message.contains(FIRST) && hint.contains("deploy run"), "{message} {hint}");
    let result = verify.result();
    assert_eq!(result["right"], 2);
    assert!(result["wrong"][0]["url"].as_str().unwrap().ends_with(FIRST), "{result}");
}

#[test]
fn a_site_that_cannot_be_reached_is_a_failure_only_where_it_must_be() {
    let target = Target::new();
    let url = hangs_up();
    let mut run = target.publish("run", &target.page("one", FIRST), "1.0.0");
    let run = Run::of(run.env("DEPLOY_PUBLIC_URL", &url));
    assert_eq!(run.code, 0, "{run:?}");
    let warnings = run.warnings();
    assert!(warnings.iter().any(|w| w.contains("could not be looked at") && w.contains(&url)), "{warnings:?}");

    let mut required = target.publish("run", &target.page("two", SECOND), "2.0.0");
    let required = Run::of(required.env("DEPLOY_PUBLIC_URL", &url).env("DEPLOY_VERIFY", "required"));
    let (message, hint) = required.failed(6, "verification");
    assert!(message.contains("could not be looked at") && !message.contains("Rolled back"), "{message}");
    assert!(hint.contains("DEPLOY_VERIFY=auto") && hint.contains("stays live"), "{hint}");
    assert_eq!(live(&target), "2.0.0");
}

#[test]
fn a_state_area_that_can_be_read_is_told_by_run_and_verify_alike() {
    let target = Target::new();
    let run = Run::of(&mut target.publish_seen("run", &target.page("one", FIRST), "1.0.0"));
    // The release is right: no reason to take it down, nor for a pipeline to.
    assert_eq!(run.code, 0, "{run:?}");
    let warnings = run.warnings();
    assert!(warnings.iter().any(|w| w.contains("/.deploy/current: the state area can be read")), "{warnings:?}");
    let seen =
        json!({ "looked_at": 2, "files": 2, "right": 3, "unseen": 0, "remarks": 0, "state_area_readable": true });
    assert_eq!(run.result()["seen"], seen);

    let verify = Run::of(target.command(&["verify"]).env("DEPLOY_PUBLIC_URL", target.edge_url()));
    let (message, hint) = verify.failed(6, "verification");
    assert!(message.contains("/.deploy/current: the state area can be read"), "{message}");
    assert!(hint.contains("DEPLOY_STATE_PREFIX"), "{hint}");
    let result = verify.result();
    assert_eq!(result["right"], 3);
    assert!(result["state_area_readable"]["url"].as_str().unwrap().ends_with("/.deploy/current"), "{result}");

    let mut required = target.publish_seen("run", &target.page("two", SECOND), "2.0.0");
    let required = Run::of(required.env("DEPLOY_VERIFY", "required"));
    let (message, hint) = required.failed(6, "verification");
    assert!(message.contains("is live, and the state area can be read by anybody"), "{message}");
    assert!(hint.contains("stays live") && hint.contains("DEPLOY_STATE_PREFIX"), "{hint}");
    assert!(required.result()["rolled_back_to"].is_null(), "{required:?}");
    assert_eq!(live(&target), "2.0.0");
}

/// What stands where the state area would is not it: the page that stands in for missing files.
#[test]
fn a_fallback_in_place_of_the_state_area_is_no_finding() {
    let distribution = Distribution {
        fallback: Some("index.html".into()),
        missing_status: StatusCode::FORBIDDEN,
        blocked_prefixes: vec!["/.deploy/".into()],
        ..Distribution::new(DISTRIBUTION, BUCKET)
    };
    let target = Target::behind(distribution);
    let run = Run::of(&mut target.publish_seen("run", &target.page("one", FIRST), "1.0.0"));
    assert_eq!(target.seen("/.deploy/current"), target.seen("/"), "the page is in its place");
    assert_eq!(run.result()["seen"]["state_area_readable"], false, "{run:?}");
}

#[test]
fn verify_needs_to_be_told_where_the_site_is() {
    let target = Target::new();
    let (message, _) = Run::of(&mut target.command(&["verify"])).failed(2, "usage");
    assert!(message.starts_with("DEPLOY_PUBLIC_URL: is not set"), "{message}");
    let (message, _) = Run::of(deploy(&["verify"]).env("DEPLOY_LOG", "json")).failed(2, "usage");
    assert!(message.contains("DEPLOY_BUCKET: ") && message.contains("DEPLOY_PUBLIC_URL: "), "{message}");
    let (message, _) = Run::of(target.command(&["verify"]).env("DEPLOY_PUBLIC_URL", "https://me:planted@x.example/"))
        .failed(2, "usage");
    assert!(message.contains("DEPLOY_VERIFY_HEADER") && !message.contains("planted"), "{message}");
    assert_eq!(target.stand_ins.faults().total(), 0);
}

#[test]
fn nothing_live_is_said() {
    let target = Target::new();
    let verify = Run::of(target.command(&["verify"]).env(CDN.0, CDN.1).env("DEPLOY_PUBLIC_URL", target.edge_url()));
    let (message, _) = verify.failed(2, "usage");
    assert!(message.contains("no release is live"), "{message}");
}

#[test]
fn a_login_gets_the_header_and_is_no_evidence() {
    let target = Target::new();
    target.deploy(&target.page("one", FIRST), "1.0.0");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (send, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let answer = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).unwrap();
            if send.send(head).is_err() {
                break;
            }
        }
    });
    let mut verify = target.command(&["verify"]);
    let verify = Run::of(verify.env("DEPLOY_PUBLIC_URL", &url).env("DEPLOY_VERIFY_HEADER", "X-Key: planted"));
    let (message, hint) = verify.failed(6, "verification");
    assert!(message.contains("asks for a login (401)"), "{message}");
    assert!(hint.contains("DEPLOY_VERIFY_HEADER"), "{hint}");
    assert_eq!(verify.result()["wrong"].as_array().unwrap().len(), 0);
    let requests: Vec<Vec<String>> = requests.try_iter().collect();
    assert!(requests.len() >= 2, "{requests:?}");
    assert!(
        requests.iter().all(|head| head.iter().any(|line| line.eq_ignore_ascii_case("x-key: planted"))),
        "{requests:?}"
    );
    assert!(!verify.stdout.contains("planted") && !verify.stderr.contains("planted"), "{verify:?}");
}
