//! `deploy status`: what is live, and what was.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]

use asset_sync::deploy::{ReleaseStatus, Status};
use clap::Args;
use indicatif::HumanBytes;

use super::{Done, Task, Work};
use crate::args::{JsonArgs, LocalArgs};
use crate::output::{count, holder, some, to_seconds};
use crate::session::Session;

/// Most paths of one distribution that are shown.
const PATHS_SHOWN: usize = 6;

/// Show what is live, the releases to roll back to, and who is deploying
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    json: JsonArgs,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for StatusArgs {
    fn name(&self) -> &'static str {
        "status"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn wants_json(&self) -> Option<bool> {
        Some(self.json.json)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let status = session.read(session.deployer.status()).await?;
            Ok(Done::document(text(&status), &status))
        })
    }
}

fn text(status: &Status) -> String {
    let environment = status.releases.iter().find(|r| r.live).and_then(|r| r.environment.as_deref());
    let environment = environment.map(|name| format!(" [{name}]")).unwrap_or_default();
    let mut text = format!("s3://{}/{}{environment}\n", status.bucket, status.prefix);
    if status.releases.is_empty() {
        match status.unrecorded_objects {
            Some(objects @ 1..) => text.push_str(&format!(
                "The bucket holds {} here, and there is no record of a release: another tool put them there, or the records in\n\
                 the state area are gone. `deploy run` takes over what is the same, and names what differs; see\n\
                 \"The state area is gone\" in docs/operations.md.\n",
                count(objects, "object")
            )),
            _ => text.push_str("Nothing was deployed here yet.\n"),
        }
    } else {
        let release = |r: &ReleaseStatus| r.release.chars().count();
        let version = |r: &ReleaseStatus| version_of(r).chars().count();
        let widths = (
            status.releases.iter().map(release).max().unwrap_or(0).max("release".len()),
            status.releases.iter().map(version).max().unwrap_or(0).max("version".len()),
        );
        let (a, b) = widths;
        text.push_str(&format!(
            "        {:a$}  {:b$}  {:20}  {:>6}  {:>10}\n",
            "release", "version", "live since", "files", "size"
        ));
        for release in &status.releases {
            let mark = if release.live {
                "live"
            } else if release.rolled_back {
                "undone"
            } else {
                ""
            };
            let line = format!(
                "{mark:6}  {:a$}  {:b$}  {:20}  {:>6}  {:>10}",
                release.release,
                version_of(release),
                release.activated_at.map_or_else(|| "never".to_owned(), to_seconds),
                release.files,
                HumanBytes(release.bytes).to_string(),
            );
            text.push_str(&format!("{line}\n"));
        }
    }
    if let Some(unfinished) = &status.unfinished {
        text.push_str(&format!("Unfinished: {unfinished}. The next run finishes it.\n"));
    }
    for (distribution, paths) in &status.pending {
        text.push_str(&format!(
            "Still to be invalidated at {distribution}: {}. The next run does that, or `deploy invalidate`.\n",
            some(paths, PATHS_SHOWN)
        ));
    }
    if let Some(lease) = &status.lease {
        text.push_str(&format!("{}\n", holder(lease)));
    }
    text
}

fn version_of(release: &ReleaseStatus) -> String {
    match release.build {
        Some(build) => format!("{} (build {build})", release.version),
        None => release.version.clone(),
    }
}
