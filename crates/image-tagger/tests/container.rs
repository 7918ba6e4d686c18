//! The image, run as the Job runs it: read-only, user 65532, no capability; against an S3 server on
//! loopback that is found by name.
//!
//! Needs podman, skopeo, docker-registry, root (for a DNS server's port) and the base image, built by
//! `scripts/base-image` and named as skopeo does in `MTRIBES_TEST_DEPLOY_IMAGE` (`oci-archive:/path`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, and so are their helper functions")]

mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use stand_ins::{BUCKET, Completion, DISTRIBUTION, Distribution, Effect, Gate, StandIns, When};
use support::registry::DockerRegistry;
use support::{client, has, request, small_site, try_cut};

/// The name under which the container finds S3.
const NAME: &str = "s3.webapp.test";

/// Each test has a podman of its own.
const CONTAINER: &str = "deploy";
/// What the kubelet gives a container between SIGTERM and SIGKILL unless told otherwise, in seconds.
const GRACE: &str = "30";

/// Answers every query for an IPv4 address with 127.0.0.1, at an address of its own on port 53, where C libraries
/// look; nothing where that port may not be had.
fn dns() -> Option<String> {
    for last in 53..153 {
        let address = format!("127.0.53.{last}");
        match UdpSocket::bind((address.as_str(), 53)) {
            Ok(socket) => {
                std::thread::spawn(move || answer(&socket));
                return Some(address);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => {
                support::skip(&format!("no DNS server can be started: {error}"));
                return None;
            }
        }
    }
    None
}

/// RFC 1035: the question comes back, with one answer if it is for A and the name is the one.
fn answer(socket: &UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((n, from)) = socket.recv_from(&mut buffer) {
        let query = &buffer[..n];
        let Some(name_end) = query.get(12..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else { continue };
        let question_end = 12 + name_end + 5;
        if question_end > n {
            continue;
        }
        let mut name = Vec::new();
        for label in NAME.split('.') {
            name.push(u8::try_from(label.len()).unwrap());
            name.extend_from_slice(label.as_bytes());
        }
        let is_it = query[12..12 + name_end] == name[..];
        let wants_ipv4 = query[question_end - 4..question_end - 2] == [0, 1];
        let mut reply = query[..question_end].to_vec();
        let answers = u8::from(is_it && wants_ipv4);
        // A response, recursion available; no such name unless it is the one.
        reply[2] |= 0x80;
        reply[3] = 0x80 | if is_it { 0 } else { 3 };
        reply[6..12].copy_from_slice(&[0, answers, 0, 0, 0, 0]);
        if answers == 1 {
            reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        let _ = socket.send_to(&reply, from);
    }
}

/// Podman with storage of its own, set up for a machine without systemd.
struct Podman {
    directory: tempfile::TempDir,
}

impl Podman {
    fn new(nameserver: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let containers = "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=1024:1024\"]\n[engine]\ncgroup_manager=\"cgroupfs\"\nruntime=\"runc\"\nevents_logger=\"file\"\n";
        std::fs::write(directory.path().join("containers.conf"), containers).unwrap();
        std::fs::write(directory.path().join("resolv.conf"), format!("nameserver {nameserver}\n")).unwrap();
        Self { directory }
    }

    fn command(&self) -> Command {
        let path = self.directory.path();
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", path.join("containers.conf")).stdin(Stdio::null());
        command.arg("--root").arg(path.join("root")).arg("--runroot").arg(path.join("run"));
        command.args(["--storage-driver", "overlay"]);
        command
    }

    fn pull(&self, image: &str) {
        let output = self.command().args(["pull", "--quiet", "--tls-verify=false", image]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// As the Job's container; with files of this machine in place of some of its own.
    fn run(&self, image: &str, environment: &[(&str, String)], in_place: &[(&Path, &str)]) -> Command {
        let mut command = self.command();
        command.args(["run", "--rm", "--network", "host", "--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL"]);
        command.args(["--user", "65532:65532", "--security-opt", "no-new-privileges", "--name", CONTAINER, "--volume"]);
        command.arg(format!("{}:/etc/resolv.conf:ro", self.directory.path().join("resolv.conf").display()));
        for (name, value) in environment {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        for (file, at) in in_place {
            command.arg("--volume").arg(format!("{}:{at}:ro", file.display()));
        }
        command.arg(image).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // It mounts its storage while it works.
        let _ = self.command().args(["rm", "--all", "--force"]).output();
        let _ = Command::new("umount").arg("--lazy").arg(self.directory.path().join("root/overlay")).output();
    }
}

/// The base image; `scripts/test` builds it.
fn given_image() -> Option<String> {
    let image = std::env::var("MTRIBES_TEST_DEPLOY_IMAGE").ok().filter(|image| !image.is_empty());
    if image.is_none() {
        support::skip("MTRIBES_TEST_DEPLOY_IMAGE names no base image (scripts/base-image builds one)");
    }
    image
}

fn base_image(registry: &DockerRegistry, image: &str) -> image_tagger::reference::Reference {
    let base = registry.repository("deploy").tagged("1.0.0".parse().unwrap());
    let mut copy = Command::new("skopeo");
    copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", image, &format!("docker://{base}")]);
    let copied = copy.output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    base
}

fn end(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

/// S3, CloudFront and an edge.
async fn stand_ins() -> StandIns {
    let completion = Completion { polls: 0, ..Completion::default() };
    let distributions = [Distribution::new(DISTRIBUTION, BUCKET)];
    StandIns::builder().completion(completion).distributions(distributions).start().await.unwrap()
}

/// What the Job sets; AWS's addresses have a name that only the DNS server of this test knows.
fn environment(stand_ins: &StandIns) -> Vec<(&'static str, String)> {
    let mut environment = stand_ins.environment();
    for (name, value) in &mut environment {
        if name.starts_with("AWS_ENDPOINT_URL") {
            *value = value.replace("127.0.0.1", NAME);
        }
    }
    environment.push(("DEPLOY_BUCKET", BUCKET.to_owned()));
    environment.push(("DEPLOY_DISTRIBUTION_IDS", DISTRIBUTION.to_owned()));
    environment.push(("DEPLOY_FORCE_PATH_STYLE", "true".to_owned()));
    environment.push(("DEPLOY_LOG", "json".to_owned()));
    environment
}

/// A release's image, pulled by podman.
struct Release {
    site: tempfile::TempDir,
    image: String,
    podman: Podman,
    _registry: DockerRegistry,
}

async fn release() -> Option<Release> {
    let image = given_image()?;
    if !has("podman") || !has("skopeo") || !has("runc") {
        return None;
    }
    let registry = DockerRegistry::start(false)?;
    let base = base_image(&registry, &image);
    let podman = Podman::new(&dns()?);
    let site = small_site();
    let request = request(site.path(), &base, &registry.repository("webapp"), "1.0.0");
    let image = try_cut(&client(&registry.host, 1), &request).await.unwrap().reference;
    podman.pull(&image);
    Some(Release { site, image, podman, _registry: registry })
}

impl Release {
    /// Runs it to its end.
    async fn run(&self, stand_ins: &StandIns, in_place: &[(&Path, &str)]) -> (i32, String) {
        let run = self.podman.run(&self.image, &environment(stand_ins), in_place).spawn().unwrap();
        tokio::task::spawn_blocking(|| end(run)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_deploys_its_site_as_a_job() {
    let Some(release) = release().await else { return };
    let stand_ins = stand_ins().await;
    let (code, text) = release.run(&stand_ins, &[]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\"deployed\"") && text.contains("1.0.0"), "{text}");
    for file in ["index.html", "assets/app-1f2e3d4c.js"] {
        let seen = stand_ins.edge().fetch(&format!("/{file}"));
        assert_eq!(seen.body, std::fs::read(release.site.path().join(file)).unwrap(), "{file}");
    }
    assert!(stand_ins.faults().count("CreateInvalidation") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_container_with_the_jobs_code() {
    let Some(release) = release().await else { return };
    let stand_ins = stand_ins().await;
    let gate = Gate::new();
    stand_ins.faults().always(When::key("PutObject", "assets/app-1f2e3d4c.js"), Effect::HoldBefore(gate.clone()));
    let run = release.podman.run(&release.image, &environment(&stand_ins), &[]).spawn().unwrap();
    gate.arrived(1).await;
    // As the kubelet does it: SIGTERM, and SIGKILL (137) where the time was not enough.
    let stopped = release.podman.command().args(["stop", "--time", GRACE, CONTAINER]).output().unwrap();
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    let (code, text) = tokio::task::spawn_blocking(|| end(run)).await.unwrap();
    assert_eq!(code, 143, "{text}");
    assert!(stand_ins.store().get(BUCKET, "index.html").is_err());
    gate.open();
    stand_ins.faults().clear();

    // The Job's next try does not have to wait for a lease.
    let (code, text) = release.run(&stand_ins, &[]).await;
    assert_eq!(code, 0, "{text}");
    assert!(stand_ins.store().get(BUCKET, "index.html").is_ok());
}

/// The Job does not read what is as it was cut; what it uploads is checked against the manifest in the image.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_was_changed_in_the_image_is_not_uploaded() {
    const SCRIPT: &str = "/site/assets/app-1f2e3d4c.js";
    let Some(release) = release().await else { return };
    let changed = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(changed.path(), "2").unwrap();
    std::fs::set_permissions(changed.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let in_place = [(changed.path(), SCRIPT)];

    let stand_ins = stand_ins().await;
    let (code, text) = release.run(&stand_ins, &in_place).await;
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("has another content, by the manifest") && text.contains("/site.manifest.json"), "{text}");

    // With the time that files have in the image it is not read, and found out where it would be sent.
    changed.as_file().set_modified(std::time::UNIX_EPOCH).unwrap();
    let (code, text) = release.run(&stand_ins, &in_place).await;
    assert_eq!(code, 8, "{text}");
    assert!(text.contains("app-1f2e3d4c.js is not what the manifest /site.manifest.json says"), "{text}");
    assert!(stand_ins.store().get(BUCKET, "index.html").is_err());

    let (code, text) = release.run(&stand_ins, &[]).await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = release.run(&stand_ins, &in_place).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\"unchanged\""), "{text}");
}
