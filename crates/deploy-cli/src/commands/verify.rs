//! `deploy verify`: what visitors are served, compared with the live release.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use asset_sync::verify::Verdict;
use clap::Args;
use serde::Serialize;

use super::{Done, Looks, Task, Work};
use crate::args::{JsonArgs, LocalArgs};
use crate::output::{Details, Ended, count, looked_at};
use crate::session::Session;
use crate::verification;

/// Compare what visitors are served with the live release, through the CDN
#[derive(Debug, Args)]
#[command(after_help = "\
Needs DEPLOY_PUBLIC_URL, but with --local. The exit code is 6 if anything is not what was deployed, if
the state area can be read, or if nothing could be looked at; with DEPLOY_VERIFY=required also if
anything could not be.

Examples:
  DEPLOY_PUBLIC_URL=https://www.example.com/ deploy verify
  deploy verify --json | jq .wrong")]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    json: JsonArgs,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for VerifyArgs {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn looks(&self) -> Looks {
        Looks::Always
    }

    fn wants_json(&self) -> Option<bool> {
        Some(self.json.json)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let (verifier, public_url) = session.verifier()?;
            let verdict = session.read(session.deployer.verify(verifier)).await?;
            let failure = verification::failure_of(&verdict, session.settings);
            let text = text(&verdict, public_url);
            let ended = if failure.is_some() { Ended::Failed } else { Ended::Verified };
            let details = LookedDetails { public_url: public_url.to_owned(), verdict };
            Ok(Done { failure, ..Done::new(text, ended, Details::Looked(details)) })
        })
    }
}

/// Its part of the result object.
#[derive(Debug, Serialize)]
pub(crate) struct LookedDetails {
    public_url: String,
    #[serde(flatten)]
    verdict: Verdict,
}

fn text(verdict: &Verdict, url: &str) -> String {
    /// Most observations of a kind that are shown.
    const SHOWN: usize = 50;
    let sample = looked_at(verdict.looked_at, verdict.files);
    let mut text = format!("{} as released, at {url}{sample}\n", count(verdict.right, "URL"));
    let lists = [
        ("Wrong:", verdict.wrong.as_slice()),
        ("Stale:", verdict.stale.as_slice()),
        ("Must not be there:", verdict.state_area_readable.as_slice()),
        ("Could not be seen:", &verdict.unseen),
        ("Worth a look:", &verdict.remarks),
    ];
    for (title, observations) in lists {
        if !observations.is_empty() {
            text.push_str(&format!("{title}\n"));
        }
        for observation in observations.iter().take(SHOWN) {
            text.push_str(&format!("  {observation}\n"));
        }
        if observations.len() > SHOWN {
            text.push_str(&format!("  and {} more (--json has all)\n", observations.len() - SHOWN));
        }
    }
    text
}
