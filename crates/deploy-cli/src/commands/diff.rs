//! `deploy diff`: what differs between two releases, and what visitors download again.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use asset_sync::deploy::{ReleaseDiff, Tally};
use asset_sync::plan::{Change, DiffFile};
use clap::Args;
use indicatif::HumanBytes;

use super::{Done, Task, Work};
use crate::args::{JsonArgs, LocalArgs};
use crate::output::{count, files};
use crate::session::Session;

/// Compare two releases, file by file, and say what visitors download again
#[derive(Debug, Args)]
#[command(after_help = "\
A release is named by its id, its version, `live`, or `previous`: the one that `deploy rollback` would go
to. Both must be among those whose files are kept (`deploy status` lists them).

Examples:
  deploy diff previous live
  deploy diff 1.4.1 1.4.2 --all
  deploy diff previous live --json | jq .returning_visitor.download.bytes")]
pub(crate) struct DiffArgs {
    /// The release to begin with
    #[arg(value_name = "RELEASE|VERSION")]
    from: String,
    /// The release to compare it with
    #[arg(value_name = "RELEASE|VERSION")]
    to: String,
    #[command(flatten)]
    json: JsonArgs,
    /// List every file, however many there are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for DiffArgs {
    fn name(&self) -> &'static str {
        "diff"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn wants_json(&self) -> Option<bool> {
        Some(self.json.json)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let diff = session.read(session.deployer.diff(&self.from, &self.to)).await?;
            Ok(Done::document(text(&diff, self.all), &diff))
        })
    }
}

/// Most lines of one list.
const SHOWN: usize = 20;

fn text(diff: &ReleaseDiff, all: bool) -> String {
    let shown = if all { usize::MAX } else { SHOWN };
    let mut text = format!("From {}\nto   {}\n", diff.from, diff.to);
    if diff.is_empty() {
        text.push_str(&format!("The two have the same files: {}.\n", files(diff.unchanged)));
        return text;
    }
    text.push_str(&table(diff));
    text.push_str(&visitor(diff));
    let mut list = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        text.push_str(&format!("\n{title} ({}):\n", count(lines.len() as u64, "file")));
        for line in lines.iter().take(shown) {
            text.push_str(&format!("  {line}\n"));
        }
        if lines.len() > shown {
            text.push_str(&format!("  and {} more (--all shows them)\n", lines.len() - shown));
        }
    };
    let of = |files: &[DiffFile]| files.iter().map(|file| line(file, "")).collect();
    list("Added", of(&diff.added));
    list("Removed", of(&diff.removed));
    let changed = diff.changed.iter().map(|changed| match changed.change {
        Change::Headers => line(&changed.file, "  (headers only)"),
        Change::Content if changed.bytes_before == changed.file.bytes => line(&changed.file, ""),
        Change::Content => line(&changed.file, &format!("  (was {})", HumanBytes(changed.bytes_before))),
    });
    list("Changed", changed.collect());
    let renamed = diff.renamed.iter().map(|renamed| line(&renamed.file, &format!("  (was {})", renamed.key_before)));
    list("The same under another name", renamed.collect());
    text
}

fn line(file: &DiffFile, remark: &str) -> String {
    format!("{:>10}  {}{remark}", HumanBytes(file.bytes).to_string(), file.key)
}

/// Bytes by type, in at most 80 columns.
fn table(diff: &ReleaseDiff) -> String {
    let row = |name: &str, cells: [String; 6]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!(" {cell:>11}")).collect();
        format!("  {name:6}{}\n", cells.concat())
    };
    let titles = ["before", "after", "added", "removed", "changed", "download"].map(str::to_owned);
    let mut text = row("", titles);
    let mut sums = [0; 6];
    for (file_type, of) in &diff.by_type {
        let bytes = [of.before, of.after, of.added, of.removed, of.changed, of.download].map(|tally| tally.bytes);
        for (sum, bytes) in sums.iter_mut().zip(bytes) {
            *sum += bytes;
        }
        text.push_str(&row(file_type.name(), bytes.map(size)));
    }
    text.push_str(&row("all", sums.map(size)));
    text
}

fn size(bytes: u64) -> String {
    if bytes == 0 { "-".to_owned() } else { HumanBytes(bytes).to_string() }
}

/// What somebody downloads who has all of the first release in the cache.
fn visitor(diff: &ReleaseDiff) -> String {
    let visitor = &diff.returning_visitor;
    let mut text = format!("A returning visitor downloads {} at most.\n", files(visitor.download));
    if visitor.renamed != Tally::default() {
        text.push_str(&format!("  The same bytes under another name: {}.\n", files(visitor.renamed)));
    }
    text.push_str(&format!("  Revalidated, one request each: {}.\n", files(visitor.revalidated)));
    text.push_str(&format!("  From the cache: {}.\n", files(visitor.cached)));
    text
}

#[cfg(test)]
mod tests {
    use asset_sync::Headers;
    use asset_sync::deploy::NamedRelease;
    use asset_sync::site::{Key, Role};
    use asset_sync::state::{Manifest, ReleaseFile};

    use super::*;

    fn file(key: &str, content: &str, cache_control: &str) -> ReleaseFile {
        let headers = Headers {
            content_type: "text/javascript".to_owned(),
            cache_control: Some(cache_control.to_owned()),
            ..Headers::default()
        };
        ReleaseFile {
            key: Key::new(key).unwrap(),
            sha256: asset_sync::Sha256::of(content.as_bytes()),
            size: content.len() as u64,
            headers: headers.into(),
            role: Role::Entry,
            demoted: false,
        }
    }

    #[test]
    fn each_kind_of_difference_has_its_list() {
        let (forever, never) = ("max-age=31536000, immutable", "no-cache");
        let old = [file("a.js", "a", never), file("b.js", "bb", never), file("chunk-1.js", "chunk", forever)];
        let new = [file("a.js", "changed", never), file("b.js", "bb", forever), file("chunk-2.js", "chunk", forever)];
        let named = |version: &str| NamedRelease { release: format!("r{version}"), version: version.to_owned() };
        let (old, new) = (Manifest { files: old.into() }, Manifest { files: new.into() });
        let diff = ReleaseDiff::new((named("1"), &old), (named("2"), &new));
        insta::assert_snapshot!(text(&diff, false), @r"
        From version 1 (r1)
        to   version 2 (r2)
                      before       after       added     removed     changed    download
          js             8 B        14 B           -           -         9 B        12 B
          all            8 B        14 B           -           -         9 B        12 B
        A returning visitor downloads 2 files, 12 B at most.
          The same bytes under another name: 1 file, 5 B.
          Revalidated, one request each: 1 file, 2 B.
          From the cache: 0 files, 0 B.

        Changed (2 files):
                 7 B  a.js  (was 1 B)
                 2 B  b.js  (headers only)

        The same under another name (1 file):
                 5 B  chunk-2.js  (was chunk-1.js)
        ");
    }
}
