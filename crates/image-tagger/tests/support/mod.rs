//! What the tests of registries share: a real registry, a proxy that fails on demand, a base image,
//! small sites, and the program itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "these are tests, and each uses a part of this"
)]

pub mod proxy;
pub mod registry;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use image_tagger::auth::Chain;
use image_tagger::cut::{Request, cut};
use image_tagger::image::{Descriptor, Manifest, OCI_INDEX, OCI_MANIFEST, layers, platforms};
use image_tagger::progress::Silent;
use image_tagger::reference::{Digest, Reference, Repository};
use image_tagger::registry::{Blob, HttpOptions, HttpRegistry, Policy, Registry, Retrying};
use image_tagger::version::{Evidence, decide};
use image_tagger::{Error, cut};
use serde_json::{Value, json};

pub const COMMIT: &str = "7f2c0a9d41be5c6f8f0e3b1d2a4c5e6f708192a3";

/// Says that a test does not run, and why.
///
/// # Panics
/// Where it must run: in CI, and where the test command says so.
pub fn skip(why: &str) {
    let set = |name| std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "false");
    assert!(!set("CI") && !set("MTRIBES_TEST_REQUIRED"), "{why}, and this run must not go without it");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    // Not `eprintln`, which a test that passes keeps to itself.
    drop(writeln!(std::io::stderr(), "SKIPPED: {test}: {why}"));
}

/// Whether a program is installed; says so where it is not.
pub fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// A real site, where the test command provides one.
pub fn real_site(name: &str) -> Option<PathBuf> {
    let cached = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools/sites");
    let given = std::env::var_os("MTRIBES_TEST_SITES").filter(|sites| !sites.is_empty());
    let site = given.map_or_else(cached, PathBuf::from).join(name);
    if site.is_dir() {
        return Some(site);
    }
    skip(&format!("the site {name} is absent (MTRIBES_TEST_SITES)"));
    None
}

/// A client without waits between attempts.
pub fn client(host: &str, attempts: u32) -> Retrying<HttpRegistry> {
    client_with(host, attempts, Chain::default())
}

pub fn client_with(host: &str, attempts: u32, keychain: Chain) -> Retrying<HttpRegistry> {
    client_within(host, attempts, keychain, Duration::from_secs(30))
}

/// The same with another timeout for each request.
pub fn client_within(host: &str, attempts: u32, keychain: Chain, timeout: Duration) -> Retrying<HttpRegistry> {
    let http = HttpRegistry::new(HttpOptions {
        keychain: Arc::new(keychain),
        insecure: vec![host.to_owned()],
        timeout,
        progress: Arc::new(Silent),
    })
    .unwrap();
    let policy = Policy { attempts, base: Duration::ZERO, cap: Duration::ZERO };
    Retrying::new(http, policy, Arc::new(Silent))
}

/// Pushes an image of one tiny layer under `tag`, or an index of one for each architecture.
pub async fn push_base(registry: &dyn Registry, repository: &Repository, tag: &str, architectures: &[&str]) -> Digest {
    let mut entries = Vec::new();
    let mut last = None;
    for architecture in architectures {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("deploy"), format!("not really deploy for {architecture}")).unwrap();
        let site = image_tagger::site::read(scratch.path(), None).unwrap();
        let path = scratch.path().join("layer");
        let layer = image_tagger::layer::pack(&site, &path).unwrap();
        let descriptor = Descriptor { digest: layer.digest, size: layer.size };
        let content = image_tagger::registry::Content::File(path);
        registry.push_blob(repository, &Blob { descriptor, content }).await.unwrap();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {"User": "65532:65532", "Entrypoint": ["/deploy"], "Env": ["SSL_CERT_FILE=/ca.pem"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created_by": "test"}],
            "x-unknown": "kept",
        });
        let config = Blob::in_memory(Bytes::from(config.to_string()));
        registry.push_blob(repository, &config).await.unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.descriptor.digest, "size": config.descriptor.size},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer.digest, "size": layer.size}],
        });
        let manifest = Manifest { media_type: OCI_MANIFEST.to_owned(), bytes: manifest.to_string().into() };
        registry.put_manifest(&repository.at(manifest.digest()), &manifest).await.unwrap();
        entries.push(json!({
            "mediaType": OCI_MANIFEST,
            "digest": manifest.digest(),
            "size": manifest.bytes.len(),
            "platform": {"os": "linux", "architecture": architecture},
        }));
        last = Some(manifest);
    }
    let root = if architectures.len() == 1 {
        last.unwrap()
    } else {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        Manifest { media_type: OCI_INDEX.to_owned(), bytes: index.to_string().into() }
    };
    registry.put_manifest(&repository.tagged(tag.parse().unwrap()), &root).await.unwrap();
    root.digest()
}

/// Writes files of a site.
pub fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// A small site.
pub fn small_site() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("index.html", "<!doctype html><script src=assets/app-1f2e3d4c.js></script>"),
            ("assets/app-1f2e3d4c.js", "1"),
        ],
    );
    dir
}

/// A request to cut `site` as `version`.
pub fn request(site: &Path, base: &Reference, repository: &Repository, version: &str) -> Request {
    let name = decide(&Evidence { explicit: Some(version.to_owned()), ..Evidence::default() }).unwrap();
    Request {
        site: site.to_owned(),
        rules: None,
        base: base.clone(),
        repository: repository.clone(),
        name,
        commit: Some(COMMIT.to_owned()),
        build: Some(7),
        source: None,
        created: None,
    }
}

pub async fn try_cut(registry: &dyn Registry, request: &Request) -> Result<cut::Outcome, Error> {
    cut(registry, request, &Silent).await
}

/// Pulls everything an image names, checking every digest.
pub async fn pull_whole(registry: &dyn Registry, image: &Reference) -> Manifest {
    let work = tempfile::tempdir().unwrap();
    let root = registry.manifest(image).await.unwrap().expect("the image is there");
    let json = root.json().unwrap();
    let mut manifests = Vec::new();
    if root.is_index() {
        for (descriptor, _) in platforms(&json).unwrap() {
            let manifest = registry.manifest(&image.repository.at(descriptor.digest)).await.unwrap();
            manifests.push(manifest.expect("the index's manifest is there").json().unwrap());
        }
    } else {
        manifests.push(json);
    }
    for manifest in manifests {
        let mut blobs = layers(&manifest).unwrap();
        blobs.push(image_tagger::image::config(&manifest).unwrap());
        for blob in blobs {
            registry.pull_blob(&image.repository, blob, &work.path().join("blob")).await.unwrap();
        }
    }
    root
}

/// The program, with nothing in its environment but what is given.
pub struct Tagger {
    vars: BTreeMap<String, String>,
    directory: PathBuf,
}

/// What the program left.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The object in the last line of standard output.
    pub fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {:?} {:?}", self.stdout, self.stderr))
    }
}

impl Tagger {
    pub fn new(directory: &Path, host: &str) -> Self {
        let vars = [("IMAGE_INSECURE_REGISTRIES", host), ("IMAGE_LOG", "json"), ("HOME", "/nonexistent")];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { vars: vars.into(), directory: directory.to_owned() }
    }

    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.vars.insert(name.to_owned(), value.to_string());
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-tagger"));
        command.args(args).env_clear().envs(&self.vars).current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
