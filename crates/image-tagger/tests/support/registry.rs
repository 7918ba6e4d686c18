//! Debian's `docker-registry` on a free loopback port.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use image_tagger::reference::Repository;

/// `ci` and `AWS`, each with the password `hunter2`, by bcrypt.
const HTPASSWD: &str = "ci:$2y$04$gv7moUSv7Tt682B2uT/zNeyzvd0SoKwL1cylKFR0BEYeQqhWDqJz6\nAWS:$2y$04$gv7moUSv7Tt682B2uT/zNeyzvd0SoKwL1cylKFR0BEYeQqhWDqJz6\n";

/// A running registry; it is ended when this is dropped.
pub struct DockerRegistry {
    child: Child,
    pub host: String,
    directory: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts one; nothing where it is not installed.
    pub fn start(with_password: bool) -> Option<Self> {
        if !super::has("docker-registry") {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().display();
        let auth = if with_password {
            std::fs::write(directory.path().join("htpasswd"), HTPASSWD).unwrap();
            format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n")
        } else {
            String::new()
        };
        let config = directory.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n{auth}"
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env_clear()
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let host = loop {
            let line = lines.next().expect("docker-registry ended before it listened").unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split([' ', '"', ',']).next().unwrap().to_owned();
            }
        };
        // It stops when nobody reads its log.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, host, directory })
    }

    pub fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.host).parse().unwrap()
    }

    /// Bytes of everything it keeps.
    pub fn stored(&self) -> u64 {
        let mut sum = 0;
        let mut todo = vec![self.directory.path().join("data")];
        while let Some(directory) = todo.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten() {
                let entry = entry.unwrap();
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() { todo.push(entry.path()) } else { sum += metadata.len() }
            }
        }
        sum
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
