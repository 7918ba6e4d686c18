//! Credentials that are late are waited for; those that are denied, invalid or missing end the run at once.
//!
//! The real SDK, told of its sources as a Job is, against servers that answer as public reports quote.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use stand_ins::{ACCESS_KEY, Effect, SECRET_KEY, When};

use crate::support::{Run, Target};

/// A status and a body.
type Answer = (u16, String);

/// The status of an answer that does not come.
const HANG_UP: u16 = 0;

/// An HTTP server that answers by the number of the request.
struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: impl Fn(usize, &str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), |path| answer(count.fetch_add(1, Ordering::SeqCst), path));
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: impl FnOnce(&str) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    let _ = reader.read_line(&mut first);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let _ = reader.take(length).read_to_end(&mut Vec::new());
    let (status, body) = answer(first.split(' ').nth(1).unwrap_or_default());
    if status != HANG_UP {
        // The SDK takes any answer with this header for a token of the metadata service.
        let lifetime = if status == 200 { "x-aws-ec2-metadata-token-ttl-seconds: 600\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} Answer\r\n{lifetime}connection: close");
        let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
}

fn of_sts(status: u16, code: &str, message: &str) -> Answer {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, format!("<ErrorResponse>{error}<RequestId>r-1</RequestId></ErrorResponse>"))
}

fn sts_credentials() -> Answer {
    let credentials = format!(
        "<Credentials><AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey><SessionToken>s</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>"
    );
    let result = format!("<AssumeRoleWithWebIdentityResult>{credentials}</AssumeRoleWithWebIdentityResult>");
    (200, format!("<AssumeRoleWithWebIdentityResponse>{result}</AssumeRoleWithWebIdentityResponse>"))
}

fn json_credentials() -> Answer {
    let keys = format!(r#""AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET_KEY}""#);
    (200, format!(r#"{{{keys}, "Token": "s", "Expiration": "2100-01-01T00:00:00Z", "Code": "Success"}}"#))
}

/// An address where nothing listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// `deploy status` without credentials of its own.
fn status(target: &Target) -> Command {
    let mut command = target.command(&["status"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"] {
        command.env_remove(name);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("DEPLOY_RETRY_TIMEOUT", "1s");
    command
}

/// The same with the variables that EKS gives a pod whose service account has a role.
fn with_role(target: &Target, token: &Path, sts: &str) -> Command {
    let mut command = status(target);
    command.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy").env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    command.env("AWS_ENDPOINT_URL_STS", sts);
    command
}

fn with_agent(target: &Target, url: &str) -> Command {
    let mut command = status(target);
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/v1/credentials"));
    command
}

fn with_instance(target: &Target, url: &str) -> Command {
    let mut command = status(target);
    command.env_remove("AWS_EC2_METADATA_DISABLED").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    command
}

fn of_instance(answer: Answer) -> impl Fn(usize, &str) -> Answer + Send + 'static {
    move |_, path| match path {
        "/latest/api/token" => (200, "token".to_owned()),
        "/latest/meta-data/iam/security-credentials/" => (200, "role".to_owned()),
        _ => answer.clone(),
    }
}

/// Runs all at once: most of their time is spent waiting.
fn run_all(commands: Vec<(&'static str, Command)>) -> Vec<(&'static str, Run)> {
    let started = commands.into_iter().map(|(name, mut command)| {
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        (name, command.spawn().unwrap())
    });
    let started: Vec<_> = started.collect();
    started.into_iter().map(|(name, child)| (name, Run::end_of(child))).collect()
}

/// As in openshift/hypershift#9406 and aws/secrets-store-csi-driver-provider-aws#537: every way of being late,
/// one after the other, until there are credentials. More failures than the SDK itself tries again.
#[test]
fn late_credentials_are_waited_for() {
    let target = Target::new();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "the-token-of-the-pod").unwrap();
    let sts = Server::start(|number, _| match number {
        0 => (HANG_UP, String::new()),
        1 => (503, "<html>Service Unavailable</html>".to_owned()),
        2 => of_sts(400, "Throttling", "Rate exceeded"),
        3 => of_sts(400, "IDPCommunicationError", "The identity provider could not be reached"),
        4 => of_sts(400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"),
        _ => sts_credentials(),
    });
    let agent = Server::start(|number, _| match number {
        0 => (HANG_UP, String::new()),
        1 => (429, "slow down".to_owned()),
        2 => (503, "not yet".to_owned()),
        3 => (500, String::new()),
        _ => json_credentials(),
    });
    let ready = of_instance(json_credentials());
    let instance = Server::start(move |number, path| if number < 5 { (503, String::new()) } else { ready(0, path) });
    let mut commands = vec![
        ("role", with_role(&target, &token, &sts.url)),
        ("agent", with_agent(&target, &agent.url)),
        ("instance", with_instance(&target, &instance.url)),
    ];
    for (_, command) in &mut commands {
        command.env("DEPLOY_RETRY_TIMEOUT", "60s");
    }
    for (name, run) in run_all(commands) {
        assert_eq!(run.code, 0, "{name}: {run:?}");
        assert!(!format!("{run:?}").contains("the-token-of-the-pod"));
    }
    // Each failure was met. An instance is asked for a token, its role and then credentials.
    assert_eq!((sts.requests(), agent.requests(), instance.requests()), (6, 5, 8));
}

#[test]
fn credentials_that_stay_late_are_transient() {
    let target = Target::new();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "the-token-of-the-pod").unwrap();
    let down = || Server::start(|_, _| (503, String::new())).url;
    let throttled = || Server::start(|_, _| of_sts(400, "Throttling", "Rate exceeded")).url;
    let runs = run_all(vec![
        ("STS refuses", with_role(&target, &token, &closed())),
        ("STS answers 503", with_role(&target, &token, &down())),
        ("STS throttles", with_role(&target, &token, &throttled())),
        ("STS has no address yet", with_role(&target, &token, "http://sts.invalid")),
        ("the agent refuses", with_agent(&target, &closed())),
        ("the agent answers 503", with_agent(&target, &down())),
        ("the agent has no address yet", with_agent(&target, "http://agent.invalid")),
        ("the instance refuses", with_instance(&target, &closed())),
        ("the instance answers 503", with_instance(&target, &down())),
    ]);
    for (name, run) in runs {
        let (message, hint) = run.failed(5, "transient");
        assert!(message.contains("gave up after"), "{name}: {message}");
        assert!(hint.contains("DEPLOY_RETRY_TIMEOUT") && !hint.contains("AWS_ENDPOINT_URL_S3"), "{name}: {hint}");
        let place = match name.split(' ').next().unwrap() {
            "STS" => token.to_str().unwrap(),
            "the" if name.contains("agent") => "the container's credentials agent at http://",
            _ => "the instance's metadata service at http://127.0.0.1:",
        };
        assert!(message.contains(place), "{name}: {message}");
    }
}

#[test]
fn credentials_that_no_attempt_brings_end_the_run_at_once() {
    let target = Target::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        std::fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name)
    };
    let token = file("token", "the-token-of-the-pod");
    let empty = file("empty", "\n");
    let config = file(
        "config",
        "[profile process]\ncredential_process = sh -c 'echo no ticket >&2; exit 7'\n\
         [profile sso]\nsso_start_url = https://company.example/start\nsso_region = eu-central-1\nsso_account_id = 123456789012\nsso_role_name = deploy\n",
    );
    let profile = |name: &str| {
        let mut command = status(&target);
        command.env("AWS_PROFILE", name).env("AWS_CONFIG_FILE", &config).env("HOME", folder.path());
        command
    };
    let never = closed();
    let refusing = [
        ("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        ("InvalidIdentityToken", 400, "No OpenIDConnect provider found in your account for https://oidc.example"),
        ("ExpiredTokenException", 400, "Token expired: current date/time 2 must be before the expiration date/time 1"),
    ];
    let servers: Vec<_> = refusing
        .into_iter()
        .map(|(code, status, message)| (code, Server::start(move |_, _| of_sts(status, code, message))))
        .collect();
    let unknown = Server::start(|_, _| (404, "no association".to_owned()));
    let mut without_file = with_agent(&target, &never);
    without_file.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", folder.path().join("missing"));
    let mut elsewhere = status(&target);
    elsewhere.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/the-token-of-the-pod");
    let mut half = status(&target);
    half.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    let mut commands = vec![
        ("missing cannot be read: No such file", with_role(&target, &folder.path().join("missing"), &never)),
        ("cannot be read: Is a directory", with_role(&target, folder.path(), &never)),
        ("empty is empty", with_role(&target, &empty, &never)),
        ("missing cannot be read", without_file),
        ("agent at http://10.0.0.1: ", elsewhere),
        ("HTTP 404", with_agent(&target, &unknown.url)),
        ("none in the profile \"default\"", status(&target)),
        ("AWS_ROLE_ARN", half),
        ("the profile \"process\" (AWS_PROFILE): ", profile("process")),
        ("the profile \"sso\" (AWS_PROFILE): ", profile("sso")),
        ("profile `nobody` was not defined", profile("nobody")),
    ];
    for (code, server) in &servers {
        commands.push((code, with_role(&target, &token, &server.url)));
    }
    for (_, command) in &mut commands {
        command.env("DEPLOY_RETRY_TIMEOUT", "10m");
    }
    for (cause, run) in run_all(commands) {
        let (message, hint) = run.failed(3, "not-permitted");
        assert!(message.contains(cause), "{cause}: {message}");
        assert!(hint.contains("AWS_WEB_IDENTITY_TOKEN_FILE"), "{hint}");
        assert!(!format!("{run:?}").contains("the-token-of-the-pod"));
    }
    for (code, server) in servers {
        assert_eq!(server.requests(), 1, "{code}");
    }
}

#[test]
fn a_wrong_clock_is_told_with_both_times() {
    let target = Target::new();
    for (code, message) in [
        ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
        (
            "SignatureDoesNotMatch",
            "Signature expired: 20200101T000000Z is now earlier than 20200101T001500Z (20200101T003000Z - 15 min.)",
        ),
    ] {
        target.stand_ins.faults().clear();
        target.stand_ins.faults().always(When::always(), Effect::error(403, code, message));
        let run = Run::of(&mut target.command(&["status"]));
        let (message, hint) = run.failed(3, "not-permitted");
        assert!(message.contains("the clock of this machine is wrong: it shows 20"), "{message}");
        assert!(message.contains("the server") && message.contains(code), "{message}");
        assert!(hint.starts_with("Set the clock"), "{hint}");
    }
}
