//! `--local`: the whole target within the process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Run, deploy, example};

fn local(folder: &Path, args: &[&str]) -> Command {
    let mut command = deploy(args);
    // What would lead a real run elsewhere.
    command.current_dir(folder).env("DEPLOY_LOG", "json").env("DEPLOY_BUCKET", "production");
    command.env("AWS_ENDPOINT_URL_S3", "not a url").env("AWS_ACCESS_KEY_ID", "AKIAELSEWHERE");
    command
}

fn run(folder: &Path, version: &str) -> serde_json::Value {
    let mut command = local(folder, &["run", "--local", "--source"]);
    // Somebody else's; the edge within the process is looked at instead, and must be seen.
    command.env("DEPLOY_PUBLIC_URL", "http://127.0.0.1:9/").env("DEPLOY_VERIFY", "required");
    let run = Run::of(command.arg(example(version)));
    assert_eq!(run.code, 0, "{run:?}");
    let result = run.result();
    assert!(result["seconds"]["verify"].is_number(), "{result}");
    result
}

/// The body of one GET.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

/// Starts `serve`; gives the address it prints.
fn serve(folder: &Path) -> (Child, String) {
    let mut child = local(folder, &["serve", "--local"]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut events = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let serving = events.find(|event| event["event"] == "serving").unwrap();
    let url = serving["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    (child, url.trim_end_matches('/').to_owned())
}

#[test]
fn deploys_twice_rolls_back_and_serves_what_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(run(folder, "v1")["result"], "deployed");
    let second = run(folder, "v2");
    assert_eq!(second["version"], "v2", "the version is the directory's name");
    assert_eq!(second["invalidations"].as_array().unwrap().len(), 1);
    assert_eq!(run(folder, "v2")["result"], "unchanged");
    let seen = Run::of(&mut local(folder, &["verify", "--local", "--json"]));
    assert_eq!(seen.code, 0, "{seen:?}");
    assert!(seen.result()["right"].as_u64().unwrap() >= 14, "{seen:?}");
    // Trying things out goes back and forth.
    assert_eq!(run(folder, "v1")["result"], "deployed");
    let back = Run::of(&mut local(folder, &["rollback", "--local"]));
    assert_eq!(back.result()["version"], "v2", "{back:?}");

    let (mut child, address) = serve(folder);
    for path in ["index.html", "about/index.html", "robots.txt"] {
        assert_eq!(get(&address, &format!("/{path}")), std::fs::read_to_string(example("v2").join(path)).unwrap());
    }
    assert_eq!(get(&address, "/"), get(&address, "/index.html"));

    let busy = Run::of(&mut local(folder, &["status", "--local"]));
    let (_, hint) = busy.failed(5, "transient");
    assert!(hint.contains("--local-dir"), "{hint}");

    let stopped = Command::new("sh").args(["-c", &format!("kill -s INT {}", child.id())]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(std::fs::read_to_string(folder.join(".deploy-local/.gitignore")).unwrap(), "*\n");
}

/// What the environment says of proxies is for servers elsewhere.
#[test]
fn no_proxy_is_asked_for_what_is_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let proxied = |command: &mut Command| {
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            // Nobody listens there.
            command.env(name, "http://127.0.0.1:9");
        }
        Run::of(command.env("DEPLOY_RETRY_TIMEOUT", "0s"))
    };
    let mut run = local(folder.path(), &["run", "--local", "--source"]);
    let run = proxied(run.arg(example("v1")).env("DEPLOY_VERIFY", "required"));
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.result()["seen"]["unseen"], 0, "{run:?}");

    let target = crate::support::Target::blocking();
    let run = proxied(target.publish_seen("run", &example("v1"), "1.0.0").env("DEPLOY_VERIFY", "required"));
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.result()["seen"]["unseen"], 0, "{run:?}");
}

#[test]
fn needs_a_source_and_says_both_ways_to_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::of(&mut local(folder.path(), &["run", "--local"]));
    let (message, hint) = run.failed(2, "usage");
    assert!(message.starts_with("DEPLOY_SOURCE: is not set"), "{message}");
    assert!(hint.contains("--source DIR") && hint.contains("DEPLOY_SOURCE"), "{hint}");
    let named = Run::of(local(folder.path(), &["--local"]).env("DEPLOY_SOURCE", example("v1")));
    assert_eq!(named.code, 0, "{named:?}");
    assert_eq!(named.result()["version"], "v1");
}

#[test]
fn nothing_to_serve_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::of(&mut local(folder.path(), &["serve", "--local"]));
    let (_, hint) = run.failed(2, "usage");
    assert!(hint.contains("deploy run --local"), "{hint}");
}
