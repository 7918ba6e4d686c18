//! Pre-flight: mistakes that are in the build itself, found before anything is written.
//!
//! Each file is looked at by itself while it is read for its hash. A missing file refuses the
//! deployment only where a page reaches the reference and cannot work without the file; whether a
//! page reaches a script or style sheet is looked up afterwards, and only if something is missing
//! that would refuse.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use url::Url;

use super::address::Addresses;
use super::fingerprint::{Fingerprints, Named};
use super::source::FileContent;
use super::{Key, Role, Rules, Site, SiteFile, media_type, parallel};
use crate::Error;
use reference::{Need, Reference, ReferenceKind, is_font_sheet, is_page_name, is_template, looks_like_file};

mod base_path;
mod css;
mod finding;
mod html;
mod reach;
mod reference;
mod script;
mod secret;

pub use finding::{Finding, FindingKind, Findings, Instead, report};
#[cfg(feature = "verify")]
pub(crate) use html::page_references;

/// Larger files are not looked into.
const MAX_READ: u64 = 64 * 1024 * 1024;
/// How many characters of a reference a finding shows.
const SHOWN: usize = 200;

/// What to do about source maps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceMaps {
    /// Nothing.
    Allow,
    /// Warn.
    #[default]
    Warn,
    /// Refuse the site.
    Refuse,
}

/// How to look at a site.
#[derive(Debug, Clone, Default)]
pub struct PreflightOptions {
    /// The URL path under which the site is served, as `/app/`, with or without its outer slashes;
    /// absolute paths outside of it are not the site's.
    pub url_prefix: String,
    /// The rules the site was scanned with; their `allow` lets findings pass, by the key of the
    /// file they are in or, for a missing reference, by the key that is missing.
    pub rules: Rules,
    /// What to do about source maps.
    pub source_maps: SourceMaps,
    /// Number of threads; 0 means one for each core.
    pub threads: usize,
}

/// Looks for mistakes in a scanned site, with its values filled in.
///
/// A reference counts only where a browser would certainly ask for it and its name looks like a
/// file's (`a.js`; not `/api/me`). Starting at the scripts and style sheets of every page, those are
/// followed from file to file by `import`, `import(…)`, `export … from` and `@import`. What is missing
/// there and needed refuses the site: scripts, style sheets, static imports; `async` scripts whose name
/// carries a content hash or that the root page loads; dynamic imports and preloads whose name carries
/// a content hash. All else that is missing is a warning. Files above 64 MiB are not looked into.
///
/// This blocks; call it from `spawn_blocking` in async code.
///
/// # Errors
/// [`Error::Read`] if a file cannot be read any more. Findings are not errors: see
/// [`Findings::check`].
pub fn preflight(site: &Site, options: &PreflightOptions) -> Result<Findings, Error> {
    let look = Look::new(&site.files, &site.skipped, options);
    // Large files first: the last one to be done should be short.
    let mut order: Vec<&SiteFile> = site.files.iter().collect();
    order.sort_by_key(|file| std::cmp::Reverse(file.size));
    let reports = parallel::for_each(
        order.len(),
        options.threads,
        || (),
        |(), index| {
            let file = order[index];
            look.file(file, file.size).map_err(|source| Error::Read { path: file.path(), source })
        },
    );
    let reports = reports.into_iter().collect::<Result<Vec<_>, _>>()?;
    look.judge(Report::sum(reports)).map_err(|(file, source)| Error::Read { path: file.path(), source })
}

/// What was found in a file, or in several.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Findings,
    /// What refuses the site if a page reaches the script or style sheet it is in.
    suspects: Vec<Finding>,
    /// References that lead outside of the URL prefix, and to a file of the site but for the base path.
    outside: Vec<Finding>,
}

impl Report {
    pub(super) fn is_empty(&self) -> bool {
        self.findings == Findings::default() && self.suspects.is_empty() && self.outside.is_empty()
    }

    pub(super) fn sum(reports: impl IntoIterator<Item = Self>) -> Self {
        reports.into_iter().fold(Self::default(), |mut all, report| {
            all.findings.refusals.extend(report.findings.refusals);
            all.findings.warnings.extend(report.findings.warnings);
            all.suspects.extend(report.suspects);
            all.outside.extend(report.outside);
            all
        })
    }
}

/// What a file is to the pre-flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Html,
    Css,
    Script,
    /// Text that may hold a secret.
    Text,
}

fn language(file: &SiteFile) -> Option<Language> {
    let essence = file.headers.content_type.split(';').next().unwrap_or_default().trim();
    if media_type::is_html(essence) {
        return Some(Language::Html);
    }
    match essence {
        "text/css" => Some(Language::Css),
        "text/javascript" | "application/javascript" => Some(Language::Script),
        "application/json" | "application/xml" | "application/yaml" | "application/toml" | "image/svg+xml" => {
            Some(Language::Text)
        }
        _ if essence.starts_with("text/") => Some(Language::Text),
        _ => secret::is_text_name(file.key.as_str()).then_some(Language::Text),
    }
}

/// The references of a file, and what is needed to resolve them.
struct FileReferences {
    list: Vec<Reference>,
    base: Url,
    base_is_value: bool,
    /// Whether a server fills in the base, so that only absolute paths are certain.
    base_is_template: bool,
    /// Where scripts stand in the file.
    scripts: Vec<std::ops::Range<usize>>,
}

/// Looks at a site's files, one by one.
pub(super) struct Look<'a> {
    files: &'a [SiteFile],
    /// The index of each key in `files`, where anybody asks.
    indices: OnceLock<HashMap<&'a str, usize>>,
    /// The keys by their lower case, where somebody asks for one in another case.
    lower: OnceLock<HashMap<String, &'a str>>,
    skipped: HashSet<&'a str>,
    has_root: bool,
    addresses: Addresses,
    secrets: secret::Patterns,
    /// Asked for only where something is missing.
    fingerprints: OnceLock<Fingerprints>,
    options: &'a PreflightOptions,
}

impl<'a> Look<'a> {
    /// `skipped` are the paths that the scan left out.
    pub(super) fn new(files: &'a [SiteFile], skipped: &'a [PathBuf], options: &'a PreflightOptions) -> Self {
        Self {
            files,
            indices: OnceLock::new(),
            lower: OnceLock::new(),
            skipped: skipped.iter().filter_map(|path| path.to_str()).collect(),
            has_root: files.iter().any(|file| file.role == Role::Root),
            addresses: Addresses::under(&options.url_prefix),
            secrets: secret::Patterns::new(),
            fingerprints: OnceLock::new(),
            options,
        }
    }
}

impl<'a> Look<'a> {
    fn keys(&self) -> &HashMap<&'a str, usize> {
        self.indices
            .get_or_init(|| self.files.iter().enumerate().map(|(index, file)| (file.key.as_str(), index)).collect())
    }

    /// Decides about what depends on the whole site.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub(super) fn judge(&self, report: Report) -> Result<Findings, (&SiteFile, io::Error)> {
        let Report { mut findings, suspects, outside } = report;
        if !suspects.is_empty() {
            let reached = self.reached(suspects.iter().map(|finding| finding.file.as_str()))?;
            for finding in suspects {
                let list = if reached.contains(finding.file.as_str()) {
                    &mut findings.refusals
                } else {
                    &mut findings.warnings
                };
                list.push(finding);
            }
        }
        // Of several ways to ask for one missing file the one that refuses counts.
        let refused: HashSet<(Key, Option<String>)> =
            findings.refusals.iter().map(|finding| (finding.file.clone(), finding.target.clone())).collect();
        findings.warnings.retain(|finding| {
            finding.target.is_none() || !refused.contains(&(finding.file.clone(), finding.target.clone()))
        });
        self.check_root(&mut findings);
        self.check_base_path(&mut findings, &outside);
        findings.refusals.sort();
        findings.warnings.sort();
        Ok(findings)
    }

    /// A site of several languages or applications has its pages in folders: only a site without any
    /// page is certainly the wrong folder.
    fn check_root(&self, findings: &mut Findings) {
        let Ok(file) = Key::new("index.html") else { return };
        if self.has_root || self.options.rules.allow(file.as_str(), FindingKind::MissingRoot) {
            return;
        }
        let pages: Vec<&Key> =
            self.files.iter().filter(|file| language(file) == Some(Language::Html)).map(|file| &file.key).collect();
        let first =
            pages.iter().min_by_key(|key| (!key.as_str().ends_with("index.html"), key.as_str().matches('/').count()));
        let finding = Finding {
            file,
            line: None,
            kind: FindingKind::MissingRoot,
            reference: "no page at the root".to_owned(),
            target: first.map(ToString::to_string),
            instead: None,
        };
        if pages.is_empty() { findings.refusals.push(finding) } else { findings.warnings.push(finding) }
    }

    /// Looks at a file of `size` bytes, which is read where its content matters.
    pub(super) fn file(&self, file: &SiteFile, size: u64) -> io::Result<Report> {
        if language(file).is_none() || size > MAX_READ {
            return Ok(self.content(file, None));
        }
        let content = file.content()?;
        Ok(self.content(file, Some(&content)))
    }

    /// Looks at a file and its content, where that is at hand and matters.
    pub(super) fn content(&self, file: &SiteFile, content: Option<&FileContent<'_>>) -> Report {
        let mut report = Report::default();
        let mut found = |line, kind, what: &str| {
            let reference = what.to_owned();
            let finding = Finding { file: file.key.clone(), line, kind, reference, target: None, instead: None };
            self.add(finding, &mut report.findings);
        };
        if let Some(what) = secret::by_name(file.key.as_str()) {
            found(None, FindingKind::Secret, what);
        }
        if is_source_map(file.key.as_str()) {
            found(None, FindingKind::SourceMap, "is a source map");
        }
        let (Some(language), Some(content)) = (language(file), content) else { return report };
        let bytes = &*content.bytes;
        for (at, what) in self.secrets.find(bytes) {
            found(Some(line_of(bytes, at)), FindingKind::Secret, &format!("holds what looks like {what}"));
        }
        if let Some(at) =
            script::embedded_source_map(bytes).filter(|_| matches!(language, Language::Css | Language::Script))
        {
            found(Some(line_of(bytes, at)), FindingKind::SourceMap, "has its source map inside");
        }
        self.missing_references(file, language, content, &mut report);
        report
    }

    fn references(&self, file: &SiteFile, language: Language, content: &FileContent<'_>) -> Option<FileReferences> {
        let bytes = &*content.bytes;
        let (list, moved, scripts) = match language {
            Language::Html => {
                let page = html::references(bytes);
                (page.references, page.base, page.scripts)
            }
            Language::Css => (css::references(bytes, 0), None, Vec::new()),
            Language::Script => (script::references(bytes), None, std::iter::once(0..bytes.len()).collect()),
            Language::Text => return None,
        };
        if list.is_empty() {
            return None;
        }
        let address = self.addresses.of(&file.key)?;
        let base_is_value = moved.as_ref().is_some_and(|moved| content.has_value_in(&moved.span));
        let base_is_template = moved.as_ref().is_some_and(|moved| is_template(&moved.text));
        let moved = moved.filter(|_| !base_is_template);
        let base = moved.and_then(|moved| address.join(&moved.text).ok()).unwrap_or(address);
        Some(FileReferences { list, base, base_is_value, base_is_template, scripts })
    }

    fn missing_references(&self, file: &SiteFile, language: Language, content: &FileContent<'_>, report: &mut Report) {
        let bytes = &*content.bytes;
        let Some(found) = self.references(file, language, content) else { return };
        let FileReferences { list, base, base_is_value, base_is_template, scripts } = found;
        let mut missing: Vec<(Reference, String)> = Vec::new();
        let mut outside = Vec::new();
        let mut known: HashSet<(String, Need)> = HashSet::new();
        for reference in list {
            match self.resolve(&base, &reference) {
                // Often the same one many times.
                Resolved::Missing(target) if known.insert((target.clone(), reference.kind.need())) => {
                    missing.push((reference, target));
                }
                Resolved::Outside(target) => outside.push((reference, target)),
                _ => {}
            }
        }
        if missing.is_empty() && outside.is_empty() {
            return;
        }
        // Only now is it worth telling code from strings and comments.
        let code = script::CodeIn::new(bytes, &scripts);
        missing.retain(|(reference, _)| code.counts(reference.span.start));
        outside.retain(|(reference, _)| code.counts(reference.span.start));
        let finding = |reference: &Reference, target: &str| {
            let has_value = content.has_value_in(&reference.span);
            Finding {
                file: file.key.clone(),
                line: Some(line_of(bytes, reference.span.start)),
                kind: FindingKind::MissingReference,
                reference: if has_value {
                    "an address with a value of the environment".to_owned()
                } else {
                    shown(&reference.text)
                },
                target: Some(target.to_owned()).filter(|_| !has_value && !base_is_value),
                instead: self.instead(target),
            }
        };
        for (reference, target) in &missing {
            let allowed = |key: &str| self.options.rules.allow(key, FindingKind::MissingReference);
            if allowed(target) || allowed(file.key.as_str()) {
                continue;
            }
            let finding = finding(reference, target);
            let is_certain = !base_is_template || reference.text.trim_start().starts_with('/');
            if !(is_certain && self.is_needed(file, reference, target)) {
                report.findings.warnings.push(finding);
            } else if language == Language::Html {
                report.findings.refusals.push(finding);
            } else {
                report.suspects.push(finding);
            }
        }
        let needed = outside.iter().filter(|(reference, _)| reference.kind.need() == Need::Always);
        report.outside.extend(needed.map(|(reference, target)| finding(reference, target)));
    }

    /// Whether what refers to the missing `target` cannot work without it.
    fn is_needed(&self, file: &SiteFile, reference: &Reference, target: &str) -> bool {
        let is_hashed = || self.fingerprints.get_or_init(|| self.judge_names()).carries_hash(target);
        match reference.kind.need() {
            Need::Always => !(reference.kind == ReferenceKind::StyleImport && is_font_sheet(target)),
            Need::IfHashed => is_hashed(),
            Need::IfHashedOrFromRoot => self.is_root_page(file) || is_hashed(),
            Need::Never => false,
        }
    }

    fn judge_names(&self) -> Fingerprints {
        let named = self.files.iter().map(|file| Named { key: &file.key, content_type: &file.headers.content_type });
        let root = self.files.first().map_or_else(|| Path::new(""), |file| &*file.root);
        Fingerprints::of(root, &named.collect::<Vec<_>>())
    }

    /// The page that visitors meet first; of a site in several languages, each of their first pages.
    fn is_root_page(&self, file: &SiteFile) -> bool {
        file.role == Role::Root
            || (!self.has_root && file.key.as_str().split_once('/').is_some_and(|(_, rest)| rest == "index.html"))
    }

    fn resolve(&self, base: &Url, reference: &Reference) -> Resolved {
        let text = reference.text.trim();
        if text.is_empty() || is_template(text) {
            return Resolved::Elsewhere;
        }
        let is_address = ["./", "../", "/"].iter().any(|start| text.starts_with(start));
        if reference.kind == ReferenceKind::PreloadList && !is_address {
            let is_there =
                |key: &&str| key.strip_suffix(text).is_some_and(|before| before.is_empty() || before.ends_with('/'));
            let is_missing = looks_like_file(text) && !self.keys().keys().any(is_there);
            return if is_missing { Resolved::Missing(text.to_owned()) } else { Resolved::Elsewhere };
        }
        let Ok(address) = base.join(text) else { return Resolved::Elsewhere };
        let Some(target) = self.addresses.path(&address) else {
            let outside = self.addresses.path_outside(&address).filter(|path| self.base_of(path).is_some());
            return outside.map_or(Resolved::Elsewhere, Resolved::Outside);
        };
        if let Some(index) = self.keys().get(target.as_str()) {
            return Resolved::File(*index);
        }
        if !looks_like_file(&target) || (reference.kind == ReferenceKind::Page && !is_page_name(&target)) {
            return Resolved::Elsewhere;
        }
        // Some servers find a page without its ending.
        let page =
            ["/index.html", ".html"].iter().any(|end| self.keys().contains_key(format!("{target}{end}").as_str()));
        if page { Resolved::Elsewhere } else { Resolved::Missing(target) }
    }

    /// What there is in place of a missing file, where that explains its absence.
    fn instead(&self, target: &str) -> Option<Instead> {
        let folders = target.match_indices('/').map(|(at, _)| &target[..at]);
        if folders.chain([target]).any(|path| self.skipped.contains(path)) {
            return Some(Instead::LeftOut);
        }
        let lower = self.lower.get_or_init(|| self.keys().keys().map(|key| (key.to_lowercase(), *key)).collect());
        lower.get(&target.to_lowercase()).map(|key| Instead::OtherCase((*key).to_owned()))
    }

    /// Adds a finding where it belongs, unless a rule allows it.
    fn add(&self, finding: Finding, findings: &mut Findings) {
        if self.options.rules.allow(finding.file.as_str(), finding.kind) {
            return;
        }
        match (finding.kind, self.options.source_maps) {
            (FindingKind::SourceMap, SourceMaps::Allow) => {}
            (FindingKind::SourceMap, SourceMaps::Warn) => findings.warnings.push(finding),
            _ => findings.refusals.push(finding),
        }
    }
}

/// Where a reference leads.
enum Resolved {
    /// To this file of the site.
    File(usize),
    /// To a file of the site that is not there, by its key.
    Missing(String),
    /// Outside of the URL prefix, and to a file of the site but for the base path.
    Outside(String),
    /// Outside of the site, or to something that is no file.
    Elsewhere,
}

impl FileContent<'_> {
    /// Whether a value of the environment stands in this stretch, or touches it.
    fn has_value_in(&self, span: &std::ops::Range<usize>) -> bool {
        self.values.iter().any(|value| value.start <= span.end && span.start <= value.end)
    }
}

/// A reference for people: its path, since a query may hold a signature or a token.
fn shown(reference: &str) -> String {
    let end = reference.find(['?', '#']).unwrap_or(reference.len());
    format!("{:?}", reference[..end].chars().take(SHOWN).collect::<String>())
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &bytes[..at]).count()
}

fn is_source_map(key: &str) -> bool {
    [".js.map", ".mjs.map", ".cjs.map", ".css.map"].iter().any(|ending| key.ends_with(ending))
}

#[cfg(test)]
mod tests;
