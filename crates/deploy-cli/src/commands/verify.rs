//! `deploy verify`: what visitors are served, or what the bucket holds, compared with the records.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use asset_sync::ErrorClass;
use asset_sync::deploy::{Audit, Damage, Depth, Difference};
use asset_sync::verify::Verdict;
use clap::Args;
use serde::Serialize;

use super::{Done, Looks, Task, Work};
use crate::args::{JsonArgs, LocalArgs};
use crate::failure::Failure;
use crate::output::{Details, Ended, count, looked_at};
use crate::session::Session;
use crate::verification;

/// Compare what visitors are served with the live release, through the CDN; with --bucket, what the bucket holds
#[derive(Debug, Args)]
#[command(after_help = "\
Needs DEPLOY_PUBLIC_URL, but with --local or --bucket. The exit code is 6 if anything is not what was
deployed, if the state area can be read, or if nothing could be looked at; with DEPLOY_VERIFY=required
also if anything could not be.

Examples:
  DEPLOY_PUBLIC_URL=https://www.example.com/ deploy verify
  deploy verify --json | jq .wrong
  deploy verify --bucket              each object of the live release, and the archive
  deploy verify --bucket --read       the same, by reading every byte")]
pub(crate) struct VerifyArgs {
    /// Compare every object of the live release, and the archive, with the records
    #[arg(long)]
    bucket: bool,
    /// Read every object, instead of going by the store's checksums
    #[arg(long, requires = "bucket")]
    read: bool,
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
        if self.bucket { Looks::Never } else { Looks::Always }
    }

    fn wants_json(&self) -> Option<bool> {
        Some(self.json.json)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            if self.bucket {
                let depth = if self.read { Depth::Read } else { Depth::Checksum };
                let audit = session.read(session.deployer.audit(depth)).await?;
                let failure = audit_failure(&audit);
                let (text, ended) = (audit_text(&audit), ended(failure.as_ref()));
                return Ok(Done { failure, ..Done::new(text, ended, Details::Audit(audit)) });
            }
            let (verifier, public_url) = session.verifier()?;
            let verdict = session.read(session.deployer.verify(verifier)).await?;
            let failure = verification::failure_of(&verdict, session.settings);
            let (text, ended) = (text(&verdict, public_url), ended(failure.as_ref()));
            let details = LookedDetails { public_url: public_url.to_owned(), verdict };
            Ok(Done { failure, ..Done::new(text, ended, Details::Looked(details)) })
        })
    }
}

fn ended(failure: Option<&Failure>) -> Ended {
    if failure.is_some() { Ended::Failed } else { Ended::Verified }
}

/// Its part of the result object.
#[derive(Debug, Serialize)]
pub(crate) struct LookedDetails {
    public_url: String,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Most lines of a kind that are shown.
const SHOWN: usize = 50;

fn text(verdict: &Verdict, url: &str) -> String {
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
        list(&mut text, title, observations.iter().map(ToString::to_string).collect());
    }
    text
}

fn list(text: &mut String, title: &str, lines: Vec<String>) {
    if !lines.is_empty() {
        text.push_str(&format!("{title}\n"));
    }
    let more = lines.len().saturating_sub(SHOWN);
    for line in lines.into_iter().take(SHOWN) {
        text.push_str(&format!("  {line}\n"));
    }
    if more > 0 {
        text.push_str(&format!("  and {more} more (--json has all)\n"));
    }
}

fn audit_text(audit: &Audit) -> String {
    let mut text = format!(
        "{} as recorded, of version {} (release {}) and {} kept\n",
        count(audit.right, "object"),
        audit.audited.version,
        audit.audited.release,
        count(audit.releases.saturating_sub(1), "earlier release"),
    );
    if audit.unchecked > 0 {
        let objects = count(audit.unchecked, "object");
        text.push_str(&format!("{objects} without a checksum of the store: --read compares them, too\n"));
    }
    let (live, kept): (Vec<_>, Vec<_>) = audit.differences.iter().partition(|difference| difference.live);
    let lines = |differences: Vec<&Difference>| differences.into_iter().map(line).collect();
    list(&mut text, "Of the live release:", lines(live));
    list(&mut text, "For going back:", lines(kept));
    text
}

fn line(difference: &Difference) -> String {
    let what = match difference.damage {
        Damage::Missing => "is missing",
        Damage::Content => "has other content",
        Damage::Headers => "has other headers",
    };
    let way = match (difference.live, difference.restorable) {
        (true, true) => " (a rollback to the live release restores it)",
        (true, false) => " (only a run with the site restores it)",
        (false, _) => "",
    };
    format!("{} {what}{way}", difference.key)
}

fn audit_failure(audit: &Audit) -> Option<Failure> {
    let first = audit.differences.first()?;
    let message = match audit.differences.len() - 1 {
        0 => format!("the bucket is not as recorded: {}", line(first)),
        more => format!("the bucket is not as recorded: {}, and {more} more", line(first)),
    };
    let restorable = audit.differences.iter().any(|difference| difference.restorable);
    let hint = if restorable {
        format!(
            "`deploy rollback --to {}` restores from the archive what it can; `deploy run` with the same build restores all",
            audit.audited.release
        )
    } else if first.live {
        "`deploy run` with the same build restores it".to_owned()
    } else {
        "The live release is whole. Going back to a release that lacks files is refused".to_owned()
    };
    Some(Failure::new(ErrorClass::Verification, message).hinted(hint))
}
