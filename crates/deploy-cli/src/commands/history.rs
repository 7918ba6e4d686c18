//! `deploy history`: all releases on record, live or not.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use asset_sync::deploy::{History, PastRelease};
use clap::Args;
use indicatif::HumanBytes;
use jiff::Timestamp;

use super::{Done, Task, Work};
use crate::args::{JsonArgs, LocalArgs};
use crate::output::count;
use crate::session::Session;

/// Show all releases, live or not: when, by whom, and why each ended
#[derive(Debug, Args)]
#[command(after_help = "\
Lists the releases whose files are kept and the last hundred that were pruned, the latest first.

Examples:
  deploy history
  deploy history --json | jq '.releases[] | select(.commit // \"\" | startswith(\"7f2c0a9\"))'")]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    json: JsonArgs,
    /// Show so many releases [default: 20; with --json all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for HistoryArgs {
    fn name(&self) -> &'static str {
        "history"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn wants_json(&self) -> Option<bool> {
        Some(self.json.json)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let mut history = session.read(session.deployer.history()).await?;
            let text = text(&history, self.limit.unwrap_or(SHOWN));
            history.releases.truncate(self.limit.unwrap_or(usize::MAX));
            Ok(Done::document(text, &history))
        })
    }
}

/// Releases that are shown where no number is asked for.
const SHOWN: usize = 20;
/// Columns of a terminal.
const WIDTH: usize = 80;
/// Widest version that the columns after it are moved for.
const WIDEST_VERSION: usize = 16;
/// Digits of a commit that tell it from others in one repository.
const COMMIT_DIGITS: usize = 12;

fn text(history: &History, limit: usize) -> String {
    let environment = history.releases.iter().find(|r| r.live).and_then(|r| r.environment.as_deref());
    let shown_environment = environment.map(|name| format!(" [{name}]")).unwrap_or_default();
    let mut text = format!("s3://{}/{}{shown_environment}\n", history.bucket, history.prefix);
    if history.releases.is_empty() {
        text.push_str("Nothing was deployed here yet.\n");
        return text;
    }
    let shown = &history.releases[..limit.min(history.releases.len())];
    let lengths = shown.iter().map(|r| r.version.chars().count()).filter(|length| *length <= WIDEST_VERSION);
    let version = lengths.max().unwrap_or(0).max("version".len());
    let release = shown.iter().map(|r| r.release.chars().count()).max().unwrap_or(0).max("release".len());
    text.push_str(&format!("{:16}  {:version$}  release\n", "went live (UTC)", "version"));
    for past in shown {
        let live_at = past.activated_at.map_or_else(|| "never".to_owned(), to_minutes);
        let ended = match &past.ended {
            None if past.live => "live".to_owned(),
            None => "not finished".to_owned(),
            Some(ended) => ended.to_string(),
        };
        text.push_str(&format!("{live_at:16}  {:version$}  {:release$}  {ended}\n", past.version, past.release));
        text.push_str(&wrapped(&details(past, environment)));
    }
    if history.releases.len() > shown.len() {
        text.push_str(&format!("and {} more (--limit N shows N)\n", history.releases.len() - shown.len()));
    }
    text
}

/// What is told of a release besides its name; `live` is the environment of the live one.
fn details(past: &PastRelease, live: Option<&str>) -> Vec<String> {
    let environment = past.environment.as_deref().filter(|environment| Some(*environment) != live);
    let begun = past.activated_at.is_none().then(|| format!("begun {}", to_minutes(past.created_at)));
    let is_gone = past.activated_at.is_some() && !past.restorable;
    let some = [
        begun,
        past.ended_at.map(|at| format!("until {}", to_minutes(at))),
        past.build.map(|build| format!("build {build}")),
        past.commit.as_ref().map(|commit| format!("commit {}", commit.chars().take(COMMIT_DIGITS).collect::<String>())),
        past.execution.as_ref().map(|execution| format!("execution {execution}")),
        environment.map(|environment| format!("environment {environment}")),
        Some(format!("{} ({})", count(past.files, "file"), HumanBytes(past.bytes))),
        is_gone.then(|| "pruned".to_owned()),
    ];
    some.into_iter().flatten().collect()
}

/// As many parts in each line as fit.
fn wrapped(parts: &[String]) -> String {
    const INDENT: &str = "    ";
    let mut lines = vec![INDENT.to_owned()];
    for (index, part) in parts.iter().enumerate() {
        let part = if index + 1 < parts.len() { format!("{part}, ") } else { part.clone() };
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > INDENT.len() && length + part.trim_end().chars().count() > WIDTH {
            lines.push(INDENT.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&part);
        }
    }
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

fn to_minutes(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use asset_sync::deploy::Ended;

    use super::*;

    fn past(number: u64, version: &str) -> PastRelease {
        let at = |hour: u64| format!("2026-11-22T{hour:02}:30:59Z").parse().ok();
        PastRelease {
            release: format!("r{number}-77aa0b1c23de"),
            version: version.to_owned(),
            build: None,
            commit: None,
            execution: None,
            environment: Some("production".to_owned()),
            created_at: at(number).unwrap(),
            activated_at: at(number),
            ended_at: at(number + 1),
            ended: Some(Ended::Superseded),
            live: false,
            restorable: true,
            files: 6,
            bytes: 1234,
        }
    }

    #[test]
    fn a_history_says_what_became_of_each_release() {
        let live = PastRelease {
            ended_at: None,
            ended: None,
            live: true,
            build: Some(1287),
            commit: Some("7f2c0a91b3d4e5f60718293a4b5c6d7e8f901a2b".to_owned()),
            execution: Some("kA1bW0xTSVqcRkXo1l9u2g".to_owned()),
            ..past(11, "1.8.0")
        };
        let unfinished = PastRelease { activated_at: None, live: false, restorable: false, ..live.clone() };
        let unfinished = PastRelease { version: "1.9.0-branch.feature-login.g7f2c0a9".to_owned(), ..unfinished };
        let undone = PastRelease { ended: Some(Ended::RolledBackByVerification), ..past(10, "1.7.1") };
        let gone =
            PastRelease { restorable: false, environment: Some("staging".to_owned()), files: 1, ..past(3, "1.7.0") };
        let history = History {
            bucket: "site".to_owned(),
            prefix: "app/".to_owned(),
            releases: vec![unfinished, live, undone, gone, past(2, "1.6.0")],
        };
        let text = text(&history, 4);
        let narrow = text.lines().filter(|line| !line.contains("1.9.0-branch"));
        assert!(narrow.clone().all(|line| line.chars().count() <= WIDTH), "{text}");
        insta::assert_snapshot!(text, @r"
        s3://site/app/ [production]
        went live (UTC)   version  release
        never             1.9.0-branch.feature-login.g7f2c0a9  r11-77aa0b1c23de  not finished
            begun 2026-11-22 11:30, build 1287, commit 7f2c0a91b3d4,
            execution kA1bW0xTSVqcRkXo1l9u2g, 6 files (1.21 KiB)
        2026-11-22 11:30  1.8.0    r11-77aa0b1c23de  live
            build 1287, commit 7f2c0a91b3d4, execution kA1bW0xTSVqcRkXo1l9u2g,
            6 files (1.21 KiB)
        2026-11-22 10:30  1.7.1    r10-77aa0b1c23de  rolled back by verification
            until 2026-11-22 11:30, 6 files (1.21 KiB)
        2026-11-22 03:30  1.7.0    r3-77aa0b1c23de   superseded
            until 2026-11-22 04:30, environment staging, 1 file (1.21 KiB), pruned
        and 1 more (--limit N shows N)
        ");
    }

    #[test]
    fn where_nothing_was_deployed_there_is_no_table() {
        let history = History { bucket: "site".to_owned(), prefix: String::new(), releases: Vec::new() };
        assert_eq!(text(&history, 20), "s3://site/\nNothing was deployed here yet.\n");
    }
}
