//! A target in this process, and the binary to run against it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use stand_ins::{BUCKET, Completion, Conditions, DISTRIBUTION, NewObject, ObjectHeaders, StandIns};
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
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let completion = Completion { polls: 0, ..Completion::default() };
        let stand_ins = runtime.block_on(StandIns::builder().completion(completion).start()).unwrap();
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

    /// The result object: the last line of stdout.
    pub(crate) fn result(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("nothing on stdout: {self:?}"));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
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
