//! Writes to standard output, as JSON, the patterns of tags and the tags that builds of every kind get, for checks of
//! triggers: `{"release": "^…", "pre_release": "^…", "tags": [{"tag": "1.4.2", "version": "1.4.2", "channel": "release"}]}`.

use std::io::Write as _;

use image_tagger::version::{Evidence, PRE_RELEASE_PATTERN, RELEASE_PATTERN, Stated, decide};
use serde_json::json;

/// Git tags, of releases and pre-releases, that a pattern may get wrong.
const GIT_TAGS: [&str; 16] = [
    "0.0.1",
    "1.4.2",
    "v1.4.2",
    "0.10.0",
    "10.20.30",
    "2026.11.22",
    "18446744073709551615.0.0",
    "1.4.2+build.7",
    "1.4.2+7f2c0a9",
    "1.4.2+a-b.c",
    "1.5.0-rc.1",
    "v1.5.0-rc.1",
    "1.5.0-0",
    "1.5.0-alpha",
    "1.5.0-rc.1+build.7",
    "1.5.0-x-y.z",
];

/// Branches whose names look like something else.
const BRANCHES: [&str; 7] =
    ["main", "feature/login", "release/1.4.2", "1.4.2", "v1.4.2", "latest", "hotfix/1.4.2-rc.1"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut tags = Vec::new();
    let mut add = |evidence: &Evidence| -> Result<(), Box<dyn std::error::Error>> {
        let name = decide(evidence)?;
        tags.push(json!({
            "tag": name.tag.to_string(),
            "version": name.version.to_string(),
            "channel": name.channel,
        }));
        Ok(())
    };
    for git_tag in GIT_TAGS {
        let version = git_tag.strip_prefix('v').unwrap_or(git_tag).to_owned();
        let package_json = Some(Stated { file: "package.json".to_owned(), version: Some(version) });
        add(&Evidence { git_tag: Some(git_tag.to_owned()), package_json, ..Evidence::default() })?;
    }
    for branch in BRANCHES {
        for commit in ["7f2c0a9d41be5c6f8f0e3b1d2a4c5e6f708192a3", "0123456789012345678901234567890123456789"] {
            let (branch, commit) = (Some(branch.to_owned()), Some(commit.to_owned()));
            add(&Evidence { branch, commit, ..Evidence::default() })?;
        }
    }
    let found = json!({ "release": RELEASE_PATTERN, "pre_release": PRE_RELEASE_PATTERN, "tags": tags });
    writeln!(std::io::stdout(), "{found:#}")?;
    Ok(())
}
