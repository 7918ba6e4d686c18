//! The build without the target within the process.

use crate::support::{Run, deploy};

#[test]
fn says_that_local_is_not_in_this_build() {
    for command in ["run", "plan", "status", "history", "rollback", "verify", "prune", "unlock", "serve"] {
        let run = Run::of(deploy(&[command, "--local"]).env("DEPLOY_LOG", "json"));
        let (message, _) = run.failed(2, "usage");
        assert!(message.contains("not in this build"), "{message}");
    }
}
