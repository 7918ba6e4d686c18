//! Sentences for people.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]

use std::time::Duration;

use asset_sync::deploy::{LeaseStatus, Outcome, ReleaseStatus, Report, Status, Tally};
use asset_sync::progress::Step;
use asset_sync::site::Site;
use indicatif::HumanBytes;
use jiff::{Timestamp, Unit};

use super::Heading;
use super::counter::Counter;
use crate::args::Command;
use crate::failure::Failure;
use crate::verification::Looked;

/// Most invalidation paths that a summary names.
const PATHS_SHOWN: usize = 6;

/// Seconds to the millisecond.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// `1 file`, `12 files`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn files(tally: Tally) -> String {
    format!("{}, {}", count(tally.files, "file"), HumanBytes(tally.bytes))
}

/// The first of `names`, and how many more there are.
pub(super) fn some(names: &[String], shown: usize) -> String {
    let mut text = names.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join(" ");
    if names.len() > shown {
        text.push_str(&format!(" and {} more", names.len() - shown));
    }
    text
}

/// What is about to be done, and where.
pub(super) fn heading(heading: &Heading) -> String {
    let verb = match heading.command {
        "run" => "Deploying",
        "plan" => "Planning",
        "rollback" => "Rolling back",
        "prune" => "Pruning",
        _ => "Looking at",
    };
    let mut text = verb.to_owned();
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

pub(super) fn waiting(owner: &str, waited: Duration) -> String {
    format!("  waiting      for the lease, which {owner} holds ({} s so far)", waited.as_secs())
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

/// What a run did.
pub(super) fn report(report: &Report, command: &Command, elapsed: Duration) -> String {
    let Some(live) = &report.live else { return "Nothing to do: no release is live\n".to_owned() };
    let version = match report.build {
        Some(build) => format!("{} (build {build})", live.version),
        None => live.version.clone(),
    };
    let mut text = match report.result {
        Outcome::Deployed => format!("Version {version} is live"),
        Outcome::Unchanged => format!("Nothing to do: version {version} is live already"),
        Outcome::RolledBack => format!("Rolled back: version {version} is live"),
        Outcome::Pruned => format!("Pruned; version {version} is live"),
    };
    text.push_str(&format!(", as release {}\n", live.release));
    let mut row = |name: &str, value: String| text.push_str(&format!("  {name:12} {value}\n"));
    if report.result != Outcome::Unchanged {
        if let Some(previous) = &report.previous {
            row("before", previous.clone());
        }
        row("uploaded", files(report.uploaded));
    }
    if matches!(command, Command::Run(_)) {
        row("unchanged", files(report.unchanged));
    }
    if report.deleted.files > 0 {
        row("deleted", count(report.deleted.files, "file"));
    }
    if report.foreign > 0 {
        row("foreign", format!("{} that no release knows, left alone", count(report.foreign, "object")));
    }
    for done in &report.invalidations {
        row("invalidated", format!("{} on {} ({})", some(&done.paths, PATHS_SHOWN), done.distribution, done.id));
    }
    if let Some(seen) = &report.seen {
        let unseen = match seen.unseen {
            0 => String::new(),
            unseen => format!(", {unseen} could not be seen"),
        };
        let looked_at = looked_at(seen.looked_at, seen.files);
        row("verified", format!("{} as released{unseen}{looked_at}", count(seen.right, "URL")));
    }
    let requests: u64 = report.requests.values().sum();
    let again = match (report.retries, report.throttled) {
        (0, _) => String::new(),
        (retries, 0) => format!(", {retries} of them sent again"),
        (retries, throttled) => {
            format!(", {retries} of them sent again, since the store asked {throttled} times to slow down")
        }
    };
    row("took", format!("{:.1} s, {}{again}", elapsed.as_secs_f64(), count(requests, "request")));
    if command.local().is_some() {
        text.push_str("Look at it with `deploy serve --local`.\n");
    }
    text
}

/// How much of the release was looked at, where that is not all of it.
fn looked_at(looked_at: u64, files: u64) -> String {
    if looked_at == files { String::new() } else { format!("; looked at {looked_at} of {}", count(files, "file")) }
}

/// What visitors are served.
pub(super) fn looked(looked: &Looked) -> String {
    /// Most observations of a kind that are shown.
    const SHOWN: usize = 50;
    let Looked { verdict, url, .. } = looked;
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

/// What is live, and what was.
pub(super) fn status(status: &Status) -> String {
    let environment = status.releases.iter().find(|r| r.live).and_then(|r| r.environment.as_deref());
    let environment = environment.map(|name| format!(" [{name}]")).unwrap_or_default();
    let mut text = format!("s3://{}/{}{environment}\n", status.bucket, status.prefix);
    if status.releases.is_empty() {
        text.push_str("Nothing was deployed here yet.\n");
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
    if !status.owed_invalidations.is_empty() {
        text.push_str(&format!("Invalidations owed to: {}\n", status.owed_invalidations.join(" ")));
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

fn to_seconds(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}

fn holder(lease: &LeaseStatus) -> String {
    format!(
        "The lease is held by {}, since {}; it is good for {} s after each renewal.",
        lease.owner,
        to_seconds(lease.acquired_at),
        lease.seconds
    )
}

/// Whose lease it is, or was.
pub(super) fn lease(lease: Option<&LeaseStatus>, command: &Command) -> String {
    let taken = matches!(command, Command::Unlock(args) if args.force);
    match lease {
        None => "Nobody holds the lease.\n".to_owned(),
        Some(lease) if taken => format!("Took the lease from {}.\n", lease.owner),
        Some(lease) => format!("{}\nIf that run is dead and you cannot wait: deploy unlock --force\n", holder(lease)),
    }
}
