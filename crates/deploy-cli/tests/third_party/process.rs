//! Servers that a test starts and stops.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long a server may take to start on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);
/// How often it is asked whether it has.
const POLL: Duration = Duration::from_millis(25);

/// A running server with a folder of its own; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts `command` in a folder of its own that `prepare` may fill, with nothing of this
    /// process's environment but `PATH`.
    pub(crate) fn start(name: &'static str, prepare: impl FnOnce(&Path) -> Command) -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = prepare(folder.path());
        let log = File::create(folder.path().join("log")).unwrap();
        let given: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // Its pid file and whatever else it leaves behind goes with the folder.
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.envs(given.into_iter().filter_map(|(k, v)| Some((k, v?))));
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name, child, folder }
    }

    /// Waits until `is_ready`; gives false where the server ended instead, as it does when another
    /// program took its port in the meantime.
    pub(crate) async fn becomes_ready(&mut self, is_ready: impl AsyncFn() -> bool) -> bool {
        let started = Instant::now();
        let mut pace = interval(POLL);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            if is_ready().await {
                // Not another server, on the port this one wanted.
                return self.child.try_wait().unwrap().is_none();
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(started.elapsed() < DEADLINE, "{} does not start: {}", self.name, self.log());
        }
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free just now. Whoever takes it must cope with having lost it.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
