//! Small extracts of builds: the names of their files and the references between them, as `scripts/extract-build` writes
//! them. Each one becomes a site with filler content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use asset_sync::site::{PreflightOptions, Role, ScanOptions, Site, scan_and_preflight};
use tempfile::TempDir;
use url::Url;

use crate::breakage;
use crate::names::percent;
use crate::table::repository;

/// What two versions of the build show about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    /// The other version has another name instead.
    Hashed,
    /// The content changes under the name.
    Stable,
    Unknown,
}

struct File {
    size: u64,
    truth: Truth,
}

struct Reference {
    kind: String,
    from: String,
    /// As the build has it.
    text: String,
}

struct Extract {
    name: String,
    files: BTreeMap<String, File>,
    references: Vec<Reference>,
}

fn all() -> Vec<Extract> {
    let folder = repository().join("crates/asset-sync/tests/real_builds/extracts");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Extract {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut extract = Extract { name, files: BTreeMap::new(), references: Vec::new() };
    for line in fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with('#')) {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["file", path, size, truth] => {
                let truth = match truth {
                    "hashed" => Truth::Hashed,
                    "stable" => Truth::Stable,
                    _ => Truth::Unknown,
                };
                extract.files.insert(path.to_owned(), File { size: size.parse().unwrap(), truth });
            }
            ["ref", kind, from, text] => {
                let [kind, from, text] = [kind, from, text].map(str::to_owned);
                extract.references.push(Reference { kind, from, text });
            }
            _ => panic!("{}: cannot read `{line}`", path.display()),
        }
    }
    extract
}

impl Extract {
    /// A folder with the files, each with its references in its own language.
    fn build(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for path in self.files.keys() {
            let references: Vec<&Reference> = self.references.iter().filter(|one| one.from == *path).collect();
            let target = dir.path().join(path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, content(path, &references)).unwrap();
        }
        dir
    }

    fn scan(&self) -> (TempDir, Site) {
        let dir = self.build();
        let site = scan_and_preflight(dir.path(), &ScanOptions::default(), &PreflightOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        (dir, site)
    }

    /// The files without which a page does not work: scripts and style sheets of pages, and what these import.
    fn needed(&self) -> BTreeSet<String> {
        let is_page = |path: &&String| path.ends_with(".html");
        let mut queue: Vec<&str> = self.files.keys().filter(is_page).map(String::as_str).collect();
        let mut seen: BTreeSet<&str> = queue.iter().copied().collect();
        let mut needed = BTreeSet::new();
        while let Some(from) = queue.pop() {
            for reference in self.references.iter().filter(|reference| reference.from == from) {
                let Some((path, file)) = self.target(reference) else { continue };
                let is_needed = match reference.kind.as_str() {
                    "script" | "stylesheet" | "import" => true,
                    "css-import" => !path.contains("font"),
                    "async-script" | "dynamic-import" => file.truth == Truth::Hashed,
                    _ => continue,
                };
                if is_needed {
                    needed.insert(path.to_owned());
                }
                if seen.insert(path) {
                    queue.push(path);
                }
            }
        }
        needed
    }

    /// The file of the extract that a reference leads to.
    fn target(&self, reference: &Reference) -> Option<(&str, &File)> {
        let page = Url::parse("https://host.example/").unwrap().join(&reference.from).unwrap();
        let base = self.references.iter().find(|one| one.kind == "base" && one.from == reference.from);
        let base = base.map_or(page.clone(), |base| page.join(&base.text).unwrap());
        let path = base.join(&reference.text).ok()?.path().trim_start_matches('/').to_owned();
        self.files.get_key_value(&path).map(|(path, file)| (path.as_str(), file))
    }
}

/// Filler with these references. The path is part of it, so that no two files are equal.
fn content(path: &str, references: &[&Reference]) -> String {
    let mut text = String::new();
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => {
            let _ = writeln!(text, "<!doctype html><title>{path}</title>");
            for Reference { kind, text: to, .. } in references {
                let to = to.replace('&', "&amp;").replace('"', "&quot;");
                let _ = match kind.as_str() {
                    "base" => writeln!(text, "<base href=\"{to}\">"),
                    "script" => writeln!(text, "<script src=\"{to}\"></script>"),
                    "async-script" => writeln!(text, "<script async src=\"{to}\"></script>"),
                    "stylesheet" => writeln!(text, "<link rel=\"stylesheet\" href=\"{to}\">"),
                    "preload" => writeln!(text, "<link rel=\"modulepreload\" href=\"{to}\">"),
                    "link" => writeln!(text, "<a href=\"{to}\">.</a>"),
                    _ => writeln!(text, "<img src=\"{to}\" alt=\"\">"),
                };
            }
        }
        "js" | "mjs" => {
            let _ = writeln!(text, "// {path}");
            for Reference { kind, text: to, .. } in references {
                let _ = match kind.as_str() {
                    "dynamic-import" => writeln!(text, "f(() => import(\"{to}\"));"),
                    _ => writeln!(text, "import \"{to}\";"),
                };
            }
        }
        "css" => {
            let _ = writeln!(text, "/* {path} */");
            for Reference { kind, text: to, .. } in references {
                let _ = match kind.as_str() {
                    "css-import" => writeln!(text, "@import \"{to}\";"),
                    _ => writeln!(text, "a {{ background: url(\"{to}\") }}"),
                };
            }
        }
        "json" | "map" => {
            let _ = writeln!(text, "{{\"file\": \"{path}\"}}");
        }
        _ => text.push_str(path),
    }
    text
}

/// The files that were judged otherwise than the two versions show: missed ones, and wrongly immutable ones.
fn misjudged<'a>(extract: &'a Extract, site: &Site) -> (Vec<&'a str>, Vec<&'a str>) {
    let hashed: BTreeSet<&str> =
        site.files.iter().filter(|file| file.role == Role::Fingerprinted).map(|file| file.key.as_str()).collect();
    let judged = |truth, is_hashed| {
        let files = extract
            .files
            .iter()
            .filter(|(path, file)| file.truth == truth && hashed.contains(path.as_str()) == is_hashed);
        files.map(|(path, _)| path.as_str()).collect()
    };
    (judged(Truth::Hashed, false), judged(Truth::Stable, true))
}

#[test]
fn extracts_are_judged_as_their_builds_show() {
    let mut faults = Vec::new();
    for extract in all() {
        let (_dir, site) = extract.scan();
        let (missed, wrong) = misjudged(&extract, &site);
        faults.extend(site.findings.refusals.iter().map(|refusal| format!("{}: {refusal}", extract.name)));
        faults.extend(missed.iter().map(|path| format!("{}: {path} is hashed, and missed", extract.name)));
        faults.extend(wrong.iter().map(|path| format!("{}: {path} is immutable, and changes", extract.name)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn extracts_without_a_needed_file_are_refused() {
    let mut passed = Vec::new();
    let mut removed = 0;
    for extract in all() {
        let (_dir, site) = extract.scan();
        for path in extract.needed() {
            removed += 1;
            if !breakage::names(&breakage::without(&site, &path).refusals, &path) {
                passed.push(format!("{}: {path} removed, and not refused", extract.name));
            }
        }
    }
    assert!(removed > 50, "only {removed} files are needed in all extracts");
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

/// One line for each extract, for people.
pub(crate) fn table() -> String {
    let mut text = "| extract | files | replaced | missed | of bytes | wrongly immutable | findings false | broken and let through |\n\
                    |---|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for extract in all() {
        let (_dir, site) = extract.scan();
        let (missed, wrong) = misjudged(&extract, &site);
        let hashed = || extract.files.iter().filter(|(_, file)| file.truth == Truth::Hashed);
        let bytes = |is_missed: bool| {
            hashed().filter(|(path, _)| missed.contains(&path.as_str()) == is_missed).map(|(_, file)| file.size).sum()
        };
        let needed = extract.needed();
        let passed =
            needed.iter().filter(|path| !breakage::names(&breakage::without(&site, path).refusals, path)).count();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} % | {} | {} | {passed} of {} |",
            extract.name,
            extract.files.len(),
            hashed().count(),
            missed.len(),
            percent(bytes(true), bytes(false)),
            wrong.len(),
            site.findings.refusals.len(),
            needed.len(),
        );
    }
    text
}
