//! Sentences for people.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]

use std::time::Duration;

use asset_sync::deploy::{LeaseStatus, Tally};
use asset_sync::progress::Step;
use asset_sync::site::Site;
use indicatif::HumanBytes;
use jiff::{Timestamp, Unit};

use super::Heading;
use super::counter::Counter;
use crate::failure::Failure;

/// Seconds to the millisecond.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// `1 file`, `12 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// `12 files, 3 MiB`.
pub(crate) fn files(tally: Tally) -> String {
    format!("{}, {}", count(tally.files, "file"), HumanBytes(tally.bytes))
}

/// The first of `names`, and how many more there are.
pub(crate) fn some(names: &[String], shown: usize) -> String {
    let mut text = names.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join(" ");
    if names.len() > shown {
        text.push_str(&format!(" and {} more", names.len() - shown));
    }
    text
}

/// What is about to be done, and where.
pub(super) fn heading(heading: &Heading) -> String {
    let mut text = heading.doing.to_owned();
    if let Some(version) = &heading.version {
        text.push_str(&format!(" version {version}"));
    }
    if let Some(build) = heading.build {
        text.push_str(&format!(" (build {build})"));
    }
    if let Some(source) = &heading.source {
        text.push_str(&format!(" from {}", source.display()));
    }
    if heading.version.is_some() {
        text.push_str(" to");
    }
    if let Some(folder) = &heading.local {
        text.push_str(&format!(" the local target in {}", folder.display()));
    } else {
        text.push_str(&format!(" s3://{}/{} in {}", heading.bucket, heading.prefix, heading.region));
        if let Some(endpoint) = &heading.endpoint {
            text.push_str(&format!(" at {endpoint}"));
        }
        match heading.distributions.as_slice() {
            [] => text.push_str(", without CloudFront"),
            ids => text.push_str(&format!(", CloudFront {}", ids.join(" "))),
        }
    }
    if let Some(environment) = &heading.environment {
        text.push_str(&format!(" [{environment}]"));
    }
    text
}

/// What a step is doing, for its bar.
pub(super) fn doing(step: Step) -> &'static str {
    match step {
        Step::Read => "reading",
        Step::Inspect => "looking",
        Step::Lease => "lease",
        Step::Stage => "uploading",
        Step::Switch => "switching",
        Step::Confirm => "checking",
        Step::Invalidate => "invalidating",
        Step::Verify => "verifying",
        Step::Prune => "deleting",
        Step::Record => "recording",
    }
}

fn done_line(what: &str, detail: &str, elapsed: Duration) -> String {
    format!("  {what:12} {detail:30} {:>6.1} s", elapsed.as_secs_f64())
}

/// The line of a step that is done; none where it would say nothing.
pub(super) fn step(step: Step, counter: &Counter, elapsed: Duration) -> Option<String> {
    /// From when on a step is worth a line for its time alone.
    const LONG: Duration = Duration::from_secs(1);
    let (what, detail) = match step {
        Step::Stage if counter.objects > 0 => {
            ("uploaded", format!("{}, {}", count(counter.objects, "file"), HumanBytes(counter.bytes)))
        }
        Step::Switch if counter.objects > 0 => {
            ("switched", format!("{}, {}", count(counter.objects, "entry file"), HumanBytes(counter.bytes)))
        }
        Step::Prune if counter.objects_done > 0 => ("deleted", count(counter.objects_done, "file")),
        Step::Invalidate if counter.paths > 0 => ("invalidated", count(counter.paths, "path")),
        Step::Verify => ("looked at", "the live site".to_owned()),
        _ if elapsed >= LONG => (doing(step), String::new()),
        _ => return None,
    };
    Some(done_line(what, &detail, elapsed))
}

/// How much of a step that writes is done, and how fast.
pub(super) fn written(counter: &Counter, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    format!(
        "{} of {}, {}/s",
        HumanBytes(counter.bytes_done),
        HumanBytes(counter.bytes),
        HumanBytes(counter.bytes_done.saturating_mul(1000) / millis),
    )
}

/// How far a long step has come.
pub(super) fn so_far(counter: &Counter) -> String {
    let doing = counter.step.map_or("working", doing);
    let mut text = format!("  {doing:12} {} of {}", counter.objects_done, count(counter.objects, "object"));
    if counter.bytes > 0 {
        text.push_str(&format!(", {} of {}", HumanBytes(counter.bytes_done), HumanBytes(counter.bytes)));
    }
    text
}

pub(super) fn scanned(site: &Site, elapsed: Duration) -> String {
    let tally = Tally { files: site.files.len() as u64, bytes: site.total_bytes() };
    let mut detail = files(tally);
    if !site.skipped.is_empty() {
        detail.push_str(&format!(" ({} left out)", site.skipped.len()));
    }
    done_line("scanned", &detail, elapsed)
}

pub(super) fn waiting(owner: &str, waited: Duration, expires_in: Duration) -> String {
    format!(
        "  waiting      for the lease, which {owner} holds ({} s so far); expires in {} s unless renewed",
        waited.as_secs(),
        expires_in.as_secs()
    )
}

/// How an invalidation stands that takes its time.
pub(super) fn invalidating(distribution: &str, waited: Duration, failure: Option<&str>) -> String {
    let stands = failure.map_or_else(|| "in progress".to_owned(), |failure| format!("trying again: {failure}"));
    format!("  invalidating {distribution}, {} s so far: {stands}", waited.as_secs())
}

pub(super) fn retrying(failure: &str) -> String {
    format!("  trying again {failure}")
}

pub(super) fn stopping(signal: &str) -> String {
    format!("{signal}: stopping in order; once more ends at once")
}

pub(super) fn serving(url: &str, version: &str) -> String {
    format!("Serving version {version} at {url}\nCtrl-C ends it.")
}

/// One message, then what to do.
pub(super) fn failure(failure: &Failure) -> String {
    let mut text = format!("error: {}", failure.message.replace('\n', "\n  "));
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\nhint: {hint}"));
    }
    text
}

/// How much of the release was looked at, where that is not all of it.
pub(crate) fn looked_at(looked_at: u64, files: u64) -> String {
    if looked_at == files { String::new() } else { format!("; looked at {looked_at} of {}", count(files, "file")) }
}

/// To the millisecond.
pub(super) fn to_millis(time: Timestamp) -> Timestamp {
    time.round(Unit::Millisecond).unwrap_or(time)
}

/// A time for people.
pub(crate) fn to_seconds(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}

/// Who holds the lease.
pub(crate) fn holder(lease: &LeaseStatus) -> String {
    format!(
        "The lease is held by {}, since {}; a holder that does not renew it loses it within {} s.",
        lease.owner,
        to_seconds(lease.acquired_at),
        lease.seconds
    )
}
