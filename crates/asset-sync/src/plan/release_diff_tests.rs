use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::site::Role;

const FOREVER: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "public, max-age=0, must-revalidate";

fn file(key: &str, content: &str, content_type: &str, cache_control: &str) -> ReleaseFile {
    let headers = Headers {
        content_type: content_type.to_owned(),
        cache_control: Some(cache_control.to_owned()).filter(|value| !value.is_empty()),
        ..Headers::default()
    };
    ReleaseFile {
        key: Key::new(key).unwrap(),
        sha256: Sha256::of(content.as_bytes()),
        size: content.len() as u64,
        headers: Arc::new(headers),
        role: Role::Entry,
        demoted: false,
    }
}

fn manifest(files: impl IntoIterator<Item = ReleaseFile>) -> Manifest {
    let mut files: Vec<ReleaseFile> = files.into_iter().collect();
    files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Manifest { files }
}

fn compare(old: &Manifest, new: &Manifest) -> ReleaseDiff {
    let named = |release: &str| NamedRelease { release: release.to_owned(), version: release.to_owned() };
    ReleaseDiff::new((named("a"), old), (named("b"), new))
}

fn tally(files: u64, bytes: u64) -> Tally {
    Tally { files, bytes }
}

const JS: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

#[test]
fn every_file_is_in_its_list_and_its_type() {
    let old = manifest([
        file("index.html", "one", HTML, REVALIDATE),
        file("gone.html", "gone!", HTML, REVALIDATE),
        file("logo.svg", "<svg/>", "image/svg+xml", REVALIDATE),
        file("robots.txt", "the same", "text/plain; charset=utf-8", REVALIDATE),
        file("assets/app-1.js", "app one", JS, FOREVER),
        file("assets/lazy-1.js", "lazy", JS, FOREVER),
        file("assets/same-1.js", "same chunk", JS, FOREVER),
    ]);
    let new = manifest([
        file("index.html", "two", HTML, REVALIDATE),
        file("logo.svg", "<svg/>", "image/svg+xml", "public, max-age=3600"),
        file("robots.txt", "the same", "text/plain; charset=utf-8", REVALIDATE),
        file("assets/app-2.js", "app two!", JS, FOREVER),
        file("assets/lazy-2.js", "lazy", JS, FOREVER),
        file("assets/same-1.js", "same chunk", JS, FOREVER),
    ]);
    let diff = compare(&old, &new);
    let keys = |files: &[DiffFile]| files.iter().map(|f| f.key.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (keys(&diff.added), keys(&diff.removed)),
        (vec!["assets/app-2.js".to_owned()], vec!["assets/app-1.js".to_owned(), "gone.html".to_owned()])
    );
    let changed: Vec<(&str, u64, u64, Change)> =
        diff.changed.iter().map(|c| (c.file.key.as_str(), c.bytes_before, c.file.bytes, c.change)).collect();
    assert_eq!(changed, [("index.html", 3, 3, Change::Content), ("logo.svg", 6, 6, Change::Headers)]);
    let renamed: Vec<(&str, &str)> =
        diff.renamed.iter().map(|r| (r.key_before.as_str(), r.file.key.as_str())).collect();
    assert_eq!(renamed, [("assets/lazy-1.js", "assets/lazy-2.js")]);
    assert_eq!(diff.unchanged, tally(2, 18));
    assert_eq!(
        diff.by_type[&FileType::Js],
        TypeDiff {
            before: tally(3, 21),
            after: tally(3, 22),
            added: tally(1, 8),
            removed: tally(1, 7),
            changed: tally(0, 0),
            renamed: tally(1, 4),
            download: tally(2, 12),
        }
    );
    assert_eq!(diff.by_type[&FileType::Html].download, tally(1, 3));
    let types: Vec<FileType> = diff.by_type.keys().copied().collect();
    assert_eq!(types, [FileType::Html, FileType::Js, FileType::Images, FileType::Other]);
    assert_eq!(
        diff.returning_visitor,
        ReturningVisitor {
            download: tally(3, 15),
            renamed: tally(1, 4),
            // The logo and robots.txt.
            revalidated: tally(2, 14),
            cached: tally(1, 10),
        }
    );
}

/// It is the cache of the first release that counts: its headers were served.
#[test]
fn what_a_cache_holds_goes_by_the_headers_it_was_served_with() {
    for (cache_control, kept) in [
        (FOREVER, "cached"),
        ("max-age=86401", "cached"),
        ("Public, Max-Age=\"31536000\"", "cached"),
        ("max-age=86400", "revalidated"),
        ("max-age=3600, stale-while-revalidate=31536000", "revalidated"),
        ("s-maxage=31536000", "revalidated"),
        ("immutable", "revalidated"),
        ("no-cache, max-age=31536000", "revalidated"),
        ("", "revalidated"),
        (REVALIDATE, "revalidated"),
        ("no-store, max-age=31536000", "download"),
    ] {
        let old = manifest([file("a.js", "same", JS, cache_control)]);
        let new = manifest([file("a.js", "same", JS, FOREVER)]);
        let visitor = serde_json::to_value(compare(&old, &new).returning_visitor).unwrap();
        assert_eq!(visitor[kept]["bytes"], 4, "{cache_control:?}: {visitor}");
    }
}

/// The same bytes under two names of which one stays are a new file; an empty file tells nothing.
#[test]
fn only_what_is_gone_under_its_old_name_was_renamed() {
    let old = manifest([file("a-1.js", "same", JS, FOREVER), file("b-1.js", "", JS, FOREVER)]);
    let new = manifest([
        file("a-1.js", "same", JS, FOREVER),
        file("a-2.js", "same", JS, FOREVER),
        file("b-2.js", "", JS, FOREVER),
    ]);
    let diff = compare(&old, &new);
    assert_eq!((diff.renamed.len(), diff.added.len(), diff.removed.len()), (0, 2, 1));
    let twice = manifest([file("a-3.js", "same", JS, FOREVER), file("a-4.js", "same", JS, FOREVER)]);
    let diff = compare(&manifest([file("a-1.js", "same", JS, FOREVER)]), &twice);
    assert_eq!((diff.renamed.len(), diff.added.len()), (1, 1), "one file has one new name");
    let page = manifest([file("a.html", "same", HTML, REVALIDATE)]);
    assert_eq!(compare(&page, &twice).renamed, [], "a page is no script");
}

#[test]
fn types_go_by_content_type() {
    for (key, content_type, expected) in [
        ("a", "text/html; charset=utf-8", FileType::Html),
        ("a.xhtml", "application/xhtml+xml", FileType::Html),
        ("a.mjs", "TEXT/JavaScript", FileType::Js),
        ("a.js", "application/x-javascript", FileType::Js),
        ("a.css", "text/css; charset=utf-8", FileType::Css),
        ("favicon.ico", "image/vnd.microsoft.icon", FileType::Images),
        ("a.woff2", "font/woff2", FileType::Fonts),
        ("a.woff", "application/font-woff", FileType::Fonts),
        ("a.eot", "application/vnd.ms-fontobject", FileType::Fonts),
        ("a.js.map", "application/json", FileType::Maps),
        ("a.json", "application/json", FileType::Other),
        ("a.wasm", "application/wasm", FileType::Other),
        ("a", "", FileType::Other),
    ] {
        assert_eq!(FileType::of(&file(key, "x", content_type, "")), expected, "{key} {content_type}");
    }
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let content = prop::sample::select(vec!["", "a", "bb", "ccc", "dddd"]);
    let content_type = prop::sample::select(vec![HTML, JS, "image/png", "application/json"]);
    let cache_control = prop::sample::select(vec![FOREVER, REVALIDATE, "no-store", ""]);
    let files = prop::collection::btree_map("[a-f]", (content, content_type, cache_control), 0..6);
    files.prop_map(|files| manifest(files.into_iter().map(|(key, (c, t, cache))| file(&key, c, t, cache))))
}

proptest! {
    #[test]
    fn a_release_does_not_differ_from_itself(release in any_manifest()) {
        let diff = compare(&release, &release);
        prop_assert!(diff.is_empty());
        prop_assert_eq!(diff.unchanged, tally(release.files.len() as u64, release.total_bytes()));
        let stored = release.files.iter().all(|f| f.headers.cache_control.as_deref() != Some("no-store"));
        prop_assert_eq!(diff.returning_visitor.download == Tally::default(), stored);
    }

    #[test]
    fn every_file_counts_once(old in any_manifest(), new in any_manifest()) {
        let diff = compare(&old, &new);
        let sum = |sizes: Vec<u64>| sizes.iter().sum::<u64>();
        let (added, removed) = (sum(diff.added.iter().map(|f| f.bytes).collect()), sum(diff.removed.iter().map(|f| f.bytes).collect()));
        let after = sum(diff.changed.iter().map(|c| c.file.bytes).collect());
        let before = sum(diff.changed.iter().map(|c| c.bytes_before).collect());
        prop_assert_eq!(old.total_bytes() + added + after, new.total_bytes() + removed + before);
        let renamed = sum(diff.renamed.iter().map(|r| r.file.bytes).collect());
        prop_assert_eq!(added + after + renamed + diff.unchanged.bytes, new.total_bytes());
        let keys = |new: bool| -> BTreeSet<&str> {
            let (own, other) = if new { (&diff.added, &diff.removed) } else { (&diff.removed, &diff.added) };
            let renamed = diff.renamed.iter().map(|r| if new { &r.file.key } else { &r.key_before });
            let keys = own.iter().map(|f| &f.key).chain(renamed).chain(diff.changed.iter().map(|c| &c.file.key));
            let keys: BTreeSet<&str> = keys.map(Key::as_str).collect();
            assert!(other.iter().all(|f| !keys.contains(f.key.as_str())));
            keys
        };
        for (is_new, release, other) in [(true, &new, &old), (false, &old, &new)] {
            let is_other = |f: &&ReleaseFile| other.get(&f.key).is_none_or(|o| (o.sha256, &o.headers) != (f.sha256, &f.headers));
            let differ: BTreeSet<&str> = release.files.iter().filter(is_other).map(|f| f.key.as_str()).collect();
            prop_assert_eq!(keys(is_new), differ);
        }
        let visitor = diff.returning_visitor;
        let all = [visitor.download, visitor.revalidated, visitor.cached];
        prop_assert_eq!(all.iter().map(|t| t.bytes).sum::<u64>(), new.total_bytes());
        prop_assert_eq!(all.iter().map(|t| t.files).sum::<u64>(), new.files.len() as u64);
        prop_assert!(visitor.renamed.bytes <= visitor.download.bytes);
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for by_type in diff.by_type.values() {
            for (name, tally) in [("download", by_type.download), ("after", by_type.after), ("before", by_type.before)] {
                *sums.entry(name).or_default() += tally.files;
            }
            let TypeDiff { after, added, changed, renamed, .. } = by_type;
            prop_assert!(added.files + changed.files + renamed.files <= after.files);
        }
        let files = |m: &Manifest| m.files.len() as u64;
        if !diff.by_type.is_empty() {
            prop_assert_eq!((sums["download"], sums["after"], sums["before"]), (visitor.download.files, files(&new), files(&old)));
        }
    }

    /// What is added one way is removed the other way.
    #[test]
    fn the_other_way_round_it_is_the_opposite(old in any_manifest(), new in any_manifest()) {
        let (there, back) = (compare(&old, &new), compare(&new, &old));
        prop_assert_eq!(&there.added, &back.removed);
        prop_assert_eq!(&there.removed, &back.added);
        prop_assert_eq!((there.changed.len(), there.unchanged), (back.changed.len(), back.unchanged));
        prop_assert_eq!(there.renamed.len(), back.renamed.len());
    }
}
