//! A target in this process, and the binary to run against it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use stand_ins::{BUCKET, Completion, Conditions, DISTRIBUTION, Distribution, NewObject, ObjectHeaders, StandIns};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// One of the two versions of the example site.
pub(crate) fn example(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/site").join(version)
}

/// The binary with nothing in its environment.
pub(crate) fn deploy(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deploy"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// Stand-ins, and a folder for sites.
pub(crate) struct Target {
    pub(crate) stand_ins: StandIns,
    pub(crate) runtime: Runtime,
    folder: TempDir,
}

impl Target {
    pub(crate) fn new() -> Self {
        Self::behind(Distribution::new(DISTRIBUTION, BUCKET))
    }

    /// With an edge that lets nobody see the state area.
    pub(crate) fn blocking() -> Self {
        Self::behind(Distribution {
            blocked_prefixes: vec!["/.deploy/".into()],
            ..Distribution::new(DISTRIBUTION, BUCKET)
        })
    }

    /// With an edge like that.
    pub(crate) fn behind(distribution: Distribution) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let completion = Completion { polls: 0, ..Completion::default() };
        let stand_ins =
            runtime.block_on(StandIns::builder().completion(completion).distributions([distribution]).start()).unwrap();
        Self { stand_ins, runtime, folder: tempfile::tempdir().unwrap() }
    }

    /// A site of these files.
    pub(crate) fn site(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = self.folder.path().join(name);
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    /// The binary, told of this target. Without a distribution: waiting for one takes seconds.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = deploy(args);
        command.current_dir(self.folder.path());
        command.envs(self.stand_ins.environment());
        command.env("DEPLOY_BUCKET", BUCKET).env("DEPLOY_FORCE_PATH_STYLE", "true").env("DEPLOY_LOG", "json");
        command
    }

    /// The binary, told of this target and of a release.
    pub(crate) fn publish(&self, command: &str, source: &Path, version: &str) -> Command {
        let mut command = self.command(&[command]);
        command.env("DEPLOY_SOURCE", source).env("DEPLOY_VERSION", version);
        command
    }

    /// The same, looked at through the edge.
    pub(crate) fn publish_seen(&self, command: &str, source: &Path, version: &str) -> Command {
        let mut command = self.publish(command, source, version);
        command.env(CDN.0, CDN.1).env("DEPLOY_PUBLIC_URL", self.edge_url());
        command
    }

    /// Where a browser finds the site.
    pub(crate) fn edge_url(&self) -> String {
        self.stand_ins.edge_endpoint(DISTRIBUTION).unwrap()
    }

    /// What a browser gets at a path.
    pub(crate) fn seen(&self, path: &str) -> String {
        String::from_utf8(self.stand_ins.edge().fetch(path).body.to_vec()).unwrap()
    }

    /// A page of this text with its script, whose name carries its hash.
    pub(crate) fn page(&self, name: &str, script: &str) -> PathBuf {
        let page = format!("<!doctype html><title>{name}</title><script type=\"module\" src=\"/{script}\"></script>");
        self.site(name, &[("index.html", &page), (script, &format!("console.log('{name}');"))])
    }

    /// Every object under a prefix by its key without that, but for the state area.
    pub(crate) fn objects(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let all = self.stand_ins.store().snapshot(BUCKET).into_iter();
        let mine = all.filter_map(|(key, object)| Some((key.strip_prefix(prefix)?.to_owned(), object)));
        let files = mine.filter(|(key, _)| !key.starts_with(".deploy/"));
        files.map(|(key, object)| (key, object.content.to_bytes().to_vec())).collect()
    }

    /// Deploys, which must succeed.
    pub(crate) fn deploy(&self, source: &Path, version: &str) -> Run {
        let run = Run::of(&mut self.publish("run", source, version));
        assert_eq!(run.code, 0, "{run:?}");
        run
    }

    /// Runs a command that must succeed.
    pub(crate) fn succeed(&self, args: &[&str]) -> Run {
        let run = Run::of(&mut self.command(args));
        assert_eq!(run.code, 0, "{run:?}");
        run
    }

    /// Puts an object into the bucket past the servers.
    pub(crate) fn plant(&self, key: &str, body: &'static str) {
        let object = NewObject::new(body, ObjectHeaders::with_content_type("text/html"));
        self.stand_ins.store().put(BUCKET, key, object, &Conditions::none()).unwrap();
    }

    /// Deletes an object past the servers.
    pub(crate) fn remove(&self, key: &str) {
        self.stand_ins.store().delete(BUCKET, key, &Conditions::none()).unwrap();
    }

    /// What the bucket holds under a key.
    pub(crate) fn body(&self, key: &str) -> String {
        let object = self.stand_ins.store().get(BUCKET, key).unwrap();
        String::from_utf8(object.content.to_bytes().to_vec()).unwrap()
    }

    /// Operations since the log was last reset that are no mere reads.
    pub(crate) fn writes(&self) -> Vec<&'static str> {
        let reads = ["ListObjectsV2", "GetObject", "HeadObject", "HeadBucket", "GetInvalidation"];
        let all = self.stand_ins.faults().requests().into_iter().map(|request| request.operation);
        all.filter(|operation| !reads.contains(operation)).collect()
    }
}

/// The files of a site by key.
pub(crate) fn files_of(site: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![site.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(site).unwrap().to_str().unwrap().to_owned();
                files.insert(key, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The distribution that serves the bucket.
pub(crate) const CDN: (&str, &str) = ("DEPLOY_DISTRIBUTION_IDS", DISTRIBUTION);

/// A run of the binary that ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Waits for one that was started.
    pub(crate) fn end_of(child: Child) -> Self {
        Self::from(child.wait_with_output().unwrap())
    }

    /// Checks that it succeeded.
    pub(crate) fn succeeded(&self) {
        assert_eq!(self.code, 0, "{self:?}");
    }

    /// The result object: the last line of stdout.
    pub(crate) fn result(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("nothing on stdout: {self:?}"));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The warnings of the result object.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let result = self.result();
        result["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect()
    }

    /// The lines of stderr as JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// Checks how it failed; gives message and hint.
    pub(crate) fn failed(&self, code: i32, class: &str) -> (String, String) {
        assert_eq!(self.code, code, "{self:?}");
        let result = self.result();
        assert_eq!(result["result"], "failed", "{self:?}");
        assert_eq!(result["exit_code"], code, "{self:?}");
        assert_eq!(result["error"]["class"], class, "{self:?}");
        let text = |name: &str| result["error"][name].as_str().unwrap_or_default().to_owned();
        (text("message"), text("hint"))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
