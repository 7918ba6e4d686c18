//! Pre-flight: mistakes that are in the build itself, found before anything is written.

use std::collections::HashSet;
use std::io;

use url::Url;

use super::address::Addresses;
use super::source::FileContent;
use super::{Key, Role, Rules, Site, SiteFile, media_type, parallel};
use crate::Error;

mod css;
mod finding;
mod html;
mod script;
mod secret;

pub(crate) use finding::listing;
pub use finding::{Finding, FindingKind, Findings};

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
/// file's (`a.js`; not `/api/me`): of HTML the addresses of scripts, styles, images, media and
/// preloads; of CSS `url(…)` and `@import`; of JavaScript `import`, `import(…)`, `export … from` and
/// `new URL(…, import.meta.url)` of plain strings, and Vite's list of preloads. Links to missing
/// HTML pages are warnings. Files above 64 MiB are not looked into.
///
/// This blocks; call it from `spawn_blocking` in async code.
///
/// # Errors
/// [`Error::Read`] if a file cannot be read any more. Findings are not errors: see
/// [`Findings::check`].
pub fn preflight(site: &Site, options: &PreflightOptions) -> Result<Findings, Error> {
    let look = Look::new(&site.files, options);
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
    Ok(look.gather(reports.into_iter().collect::<Result<Vec<_>, _>>()?))
}

type Report = Findings;

/// A reference found in a file.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    /// Its place in the file: of what it is part of, in bytes.
    span: std::ops::Range<usize>,
    text: String,
    asks: Asks,
}

/// What a reference asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// A file the page needs.
    File,
    /// A page that a visitor may go to.
    Page,
    /// A file by a path from some directory above, which one is not known.
    Suffix,
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

/// Looks at a site's files, one by one.
pub(super) struct Look<'a> {
    keys: HashSet<&'a str>,
    has_root: bool,
    addresses: Addresses,
    secrets: secret::Patterns,
    options: &'a PreflightOptions,
}

impl<'a> Look<'a> {
    pub(super) fn new(files: &'a [SiteFile], options: &'a PreflightOptions) -> Self {
        Self {
            keys: files.iter().map(|file| file.key.as_str()).collect(),
            has_root: files.iter().any(|file| file.role == Role::Root),
            addresses: Addresses::under(&options.url_prefix),
            secrets: secret::Patterns::new(),
            options,
        }
    }
}

impl Look<'_> {
    /// What was found in all files, and what is wrong with the site as a whole.
    pub(super) fn gather(&self, reports: impl IntoIterator<Item = Report>) -> Findings {
        let mut all = Report::default();
        if !self.has_root
            && let Ok(file) = Key::new("index.html")
        {
            let reference = "no page at the root".to_owned();
            self.add(Finding { file, line: None, kind: FindingKind::MissingRoot, reference, target: None }, &mut all);
        }
        for report in reports {
            all.refusals.extend(report.refusals);
            all.warnings.extend(report.warnings);
        }
        all.refusals.sort();
        all.warnings.sort();
        all
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
            let finding = Finding { file: file.key.clone(), line, kind, reference: what.to_owned(), target: None };
            self.add(finding, &mut report);
        };
        if let Some(what) = secret::by_name(file.key.as_str()) {
            found(None, FindingKind::Secret, what);
        }
        let is_map = is_source_map(file.key.as_str());
        if is_map {
            found(None, FindingKind::SourceMap, "is a source map");
        }
        let (Some(language), Some(content)) = (language(file), content) else { return report };
        let bytes = &*content.bytes;
        for (at, what) in self.secrets.find(bytes) {
            found(Some(line_of(bytes, at)), FindingKind::Secret, what);
        }
        if let Some(at) =
            script::embedded_source_map(bytes).filter(|_| matches!(language, Language::Css | Language::Script))
        {
            found(Some(line_of(bytes, at)), FindingKind::SourceMap, "has its source map inside");
        }
        self.references(file, language, content, &mut report);
        report
    }

    fn references(&self, file: &SiteFile, language: Language, content: &FileContent<'_>, report: &mut Report) {
        let bytes = &*content.bytes;
        let (references, moved) = match language {
            Language::Html => {
                let page = html::references(bytes);
                (page.references, page.base)
            }
            Language::Css => (css::references(bytes, 0), None),
            Language::Script => (script::references(bytes), None),
            Language::Text => return,
        };
        if references.is_empty() {
            return;
        }
        let Some(address) = self.addresses.of(&file.key) else { return };
        let base_is_value = moved.as_ref().is_some_and(|moved| content.has_value_in(&moved.span));
        let base = moved.and_then(|moved| address.join(&moved.text).ok()).unwrap_or(address);
        let mut missing: Vec<(Reference, String)> = Vec::new();
        for reference in references {
            if let Some(target) = self.missing(&base, &reference)
                // Often the same one many times.
                && !missing.iter().any(|(_, known)| *known == target)
            {
                missing.push((reference, target));
            }
        }
        if language == Language::Script && !missing.is_empty() {
            // Only now is it worth telling code from strings and comments.
            let Some(code) = script::Code::read(bytes) else { return };
            missing.retain(|(reference, _)| code.contains(reference.span.start));
        }
        for (reference, target) in missing {
            let is_value = base_is_value || content.has_value_in(&reference.span);
            let finding = Finding {
                file: file.key.clone(),
                line: Some(line_of(bytes, reference.span.start)),
                kind: FindingKind::MissingReference,
                reference: if content.has_value_in(&reference.span) {
                    "an address with a value of the environment".to_owned()
                } else {
                    shown(&reference.text)
                },
                target: Some(target.clone()).filter(|_| !is_value),
            };
            if self.options.rules.allow(&target, FindingKind::MissingReference) {
                continue;
            }
            if reference.asks == Asks::Page {
                if !self.options.rules.allow(file.key.as_str(), FindingKind::MissingReference) {
                    report.warnings.push(finding);
                }
            } else {
                self.add(finding, report);
            }
        }
    }

    /// The key a reference asks for, if it is a file of the site that is not there.
    fn missing(&self, base: &Url, reference: &Reference) -> Option<String> {
        let text = reference.text.trim();
        if text.is_empty() || is_template(text) {
            return None;
        }
        if reference.asks == Asks::Suffix {
            let is_there =
                |key: &&str| key.strip_suffix(text).is_some_and(|before| before.is_empty() || before.ends_with('/'));
            return (looks_like_file(text) && !self.keys.iter().any(is_there)).then(|| text.to_owned());
        }
        let target = self.addresses.resolve(base, text)?;
        if !looks_like_file(&target) || (reference.asks == Asks::Page && !is_page_name(&target)) {
            return None;
        }
        let is_there = |key: &str| self.keys.contains(key);
        // Some servers find a page without its ending.
        let found =
            is_there(&target) || is_there(&format!("{target}/index.html")) || is_there(&format!("{target}.html"));
        (!found).then_some(target)
    }

    /// Adds a finding where it belongs, unless a rule allows it.
    fn add(&self, finding: Finding, report: &mut Report) {
        if self.options.rules.allow(finding.file.as_str(), finding.kind) {
            return;
        }
        match (finding.kind, self.options.source_maps) {
            (FindingKind::SourceMap, SourceMaps::Allow) => {}
            (FindingKind::SourceMap, SourceMaps::Warn) => report.warnings.push(finding),
            _ => report.refusals.push(finding),
        }
    }
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

/// Whether a reference is to be filled in by a program: by a server, a framework or a script.
fn is_template(text: &str) -> bool {
    ["{{", "{%", "<%", "<?", "${", "#{", "[[", "%PUBLIC_URL%"].iter().any(|sign| text.contains(sign))
}

/// Whether the last segment of a path has an ending, and not that of a program on a server.
fn looks_like_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let dynamic = ["php", "asp", "aspx", "ashx", "jsp", "cgi", "do", "action", "axd", "com", "net", "org"];
    !stem.is_empty()
        && (1..=10).contains(&extension.len())
        && extension.bytes().all(|b| b.is_ascii_alphanumeric())
        && extension.bytes().any(|b| b.is_ascii_alphabetic())
        && !dynamic.contains(&extension.to_ascii_lowercase().as_str())
}

fn is_page_name(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [".html", ".htm"].iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests;
