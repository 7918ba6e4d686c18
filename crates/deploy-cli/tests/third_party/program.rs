//! The program `deploy`, as a Job runs it.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::site::Site;

/// The program with an environment of its own: nothing of this process's reaches it.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    environment: BTreeMap<String, String>,
}

impl Program {
    pub(crate) fn new<N: Into<String>, V: Into<String>>(environment: impl IntoIterator<Item = (N, V)>) -> Self {
        let common = [
            ("DEPLOY_LOG", "json"),
            ("DEPLOY_FORCE_PATH_STYLE", "true"),
            // Large enough for a file of the site to go up in parts.
            ("DEPLOY_PART_SIZE", "5MiB"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let mut all: BTreeMap<_, _> = common.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        all.extend(environment.into_iter().map(|(name, value)| (name.into(), value.into())));
        Self { environment: all }
    }

    /// The same with one more variable, or another value of it.
    pub(crate) fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut changed = self.clone();
        changed.environment.insert(name.to_owned(), value.into());
        changed
    }

    /// The same without one of its variables.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut changed = self.clone();
        changed.environment.remove(name);
        changed
    }

    /// The same for a version of a site.
    pub(crate) fn site(&self, site: &Site, version: &str) -> Self {
        self.with("DEPLOY_SOURCE", site.folder.to_str().unwrap()).with("DEPLOY_VERSION", version)
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        // No configuration of whoever runs the tests is read.
        let home = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_deploy"));
        command.args(arguments).env_clear().envs(&self.environment).env("HOME", home.path());
        command.current_dir(home.path()).stdin(Stdio::null());
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        Outcome::new(arguments, output, self.environment.get("AWS_SECRET_ACCESS_KEY").map(String::as_str))
    }
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    code: Option<i32>,
    /// The last line on stdout.
    pub(crate) result: Value,
    all: String,
}

impl Outcome {
    fn new(arguments: &[&str], output: Output, secret: Option<&str>) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let all = format!("$ deploy {}\n{stderr}{stdout}{}", arguments.join(" "), output.status);
        assert!(secret.is_none_or(|secret| !all.contains(secret)), "the secret key is in what it says:\n{all}");
        let last = stdout.lines().last().unwrap_or_else(|| panic!("nothing on stdout:\n{all}"));
        let result = serde_json::from_str(last).unwrap_or_else(|error| panic!("no result object ({error}):\n{all}"));
        Self { code: output.status.code(), result, all }
    }

    /// It did what it was asked for.
    #[track_caller]
    pub(crate) fn ended(self, result: &str) -> Self {
        assert_eq!((self.code, self.result["result"].as_str()), (Some(0), Some(result)), "{}", self.all);
        self
    }

    /// It failed with this exit code, saying all of these.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, saying: &[&str]) -> Self {
        assert_eq!((self.code, self.result["result"].as_str()), (Some(code), Some("failed")), "{}", self.all);
        let error = &self.result["error"];
        let said = format!("{}\n{}", error["message"].as_str().unwrap(), error["hint"].as_str().unwrap_or_default());
        for text in saying {
            assert!(said.contains(text), "it does not say {text:?}:\n{}", self.all);
        }
        self
    }

    /// The exit code.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.code.unwrap_or_else(|| panic!("ended by a signal:\n{}", self.all))
    }

    /// A number of the result object, by JSON pointer.
    #[track_caller]
    pub(crate) fn number(&self, pointer: &str) -> usize {
        let number = self.result.pointer(pointer).and_then(Value::as_u64);
        usize::try_from(number.unwrap_or_else(|| panic!("no number at {pointer}:\n{}", self.all))).unwrap()
    }

    /// The operations it sent requests of.
    pub(crate) fn operations(&self) -> Vec<&str> {
        self.result["requests"].as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// The invalidations it made: id and paths.
    pub(crate) fn invalidations(&self) -> Vec<(&str, Vec<&str>)> {
        let all = self.result["invalidations"].as_array().unwrap();
        all.iter()
            .map(|one| {
                let paths = one["paths"].as_array().unwrap();
                (one["id"].as_str().unwrap(), paths.iter().map(|path| path.as_str().unwrap()).collect())
            })
            .collect()
    }
}
