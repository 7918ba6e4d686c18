//! A small reader of pages and scripts, which finds the files that a root page cannot work without.
//!
//! It shares no code with the pre-flight and reads less: plain text searches. What it finds counts only if the file is
//! there, so that text which merely reads like a reference is rarely taken for one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A file that is needed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needed {
    /// A script of the page.
    Script,
    /// A style sheet of the page.
    StyleSheet,
    /// `import "./x.js"` of a script that is reached.
    StaticImport,
    /// `import("./x-HASH.js")` of a script that is reached.
    HashedDynamicImport,
}

/// The files of a build that its root page cannot work without, as paths within the build.
pub(crate) fn needed_files(root: &Path) -> BTreeMap<String, Needed> {
    let mut needed = BTreeMap::new();
    let Ok(page) = fs::read(root.join("index.html")) else { return needed };
    let page = without(&without(&String::from_utf8_lossy(&page), "<!--", "-->"), "<noscript", "</noscript>");
    let base = tags(&page, "base").find_map(|tag| attribute(tag, "href")).unwrap_or_default();
    let base = if base.starts_with("./") || base.starts_with('/') { base } else { String::new() };
    let inside = |path: &str| root.join(path).is_file();
    let mut queue = Vec::new();
    let scripts = tags(&page, "script").filter(|tag| {
        attribute(tag, "type").is_none_or(|kind| kind == "module" || kind.ends_with("javascript") || kind.is_empty())
    });
    for source in scripts.filter_map(|tag| attribute(tag, "src")) {
        if let Some(path) = resolve(&base, &source).filter(|path| inside(path)) {
            queue.push(path.clone());
            needed.entry(path).or_insert(Needed::Script);
        }
    }
    let sheets = tags(&page, "link").filter(|tag| attribute(tag, "rel").is_some_and(|rel| rel == "stylesheet"));
    for address in sheets.filter_map(|tag| attribute(tag, "href")) {
        if let Some(path) = resolve(&base, &address).filter(|path| inside(path)) {
            needed.entry(path).or_insert(Needed::StyleSheet);
        }
    }
    let mut seen: Vec<String> = queue.clone();
    while let Some(script) = queue.pop() {
        let text = String::from_utf8_lossy(&fs::read(root.join(&script)).unwrap()).into_owned();
        for (specifier, is_dynamic) in imports(&text) {
            let Some(path) = resolve(&script, specifier).filter(|path| inside(path)) else { continue };
            if !is_dynamic || looks_hashed(&path) {
                let kind = if is_dynamic { Needed::HashedDynamicImport } else { Needed::StaticImport };
                let known = needed.entry(path.clone()).or_insert(kind);
                *known = (*known).min(kind);
            }
            if !seen.contains(&path) {
                seen.push(path.clone());
                queue.push(path);
            }
        }
    }
    needed
}

/// The text without each part from `open` to `close`.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        kept.push_str(&rest[..start]);
        rest = rest[start..].find(close).map_or("", |end| &rest[start + end + close.len()..]);
    }
    kept + rest
}

/// The start tags of this name, from `<` to `>`, lower case as generated pages have them.
fn tags<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    page.match_indices('<').filter_map(move |(at, _)| {
        let tag = page[at + 1..].strip_prefix(name)?;
        let is_whole = tag.starts_with(|c: char| c.is_whitespace());
        is_whole.then(|| &tag[..tag.find('>').unwrap_or(tag.len())])
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (at, _) = tag
        .match_indices(name)
        .find(|(at, _)| tag[..*at].ends_with(|c: char| c.is_whitespace()) && tag[at + name.len()..].starts_with('='))?;
    let value = &tag[at + name.len() + 1..];
    let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'');
    let value = match quote {
        Some(quote) => value[1..].split(quote).next()?,
        None => value.split(|c: char| c.is_whitespace()).next()?,
    };
    Some(value.replace("&amp;", "&"))
}

/// The quoted names after `import`, `from` and `import(`, and whether it is the last of these.
fn imports(script: &str) -> impl Iterator<Item = (&str, bool)> {
    let word = |text: &'static str| script.match_indices(text).map(move |(at, _)| (at, at + text.len()));
    word("import").chain(word("from")).filter_map(|(start, end)| {
        let is_longer = script[..start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.'));
        let rest = script[end..].trim_start();
        let call = rest.strip_prefix('(').filter(|_| &script[start..end] == "import");
        let quoted = call.unwrap_or(rest).trim_start();
        let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\'' | '`') && !is_longer)?;
        let name = quoted[1..].split(quote).next()?;
        let is_path = ["./", "../", "/"].iter().any(|sign| name.starts_with(sign)) && name.len() < 500;
        (is_path && !name.contains(['\n', '\\', '$'])).then_some((name, call.is_some()))
    })
}

/// Where a reference of the file `from` leads within the build.
fn resolve(from: &str, reference: &str) -> Option<String> {
    let reference = reference.split(['?', '#']).next()?;
    if reference.is_empty() || reference.contains("://") || reference.starts_with("//") || reference.contains('%') {
        return None;
    }
    let folder = from.rfind('/').map_or("", |at| &from[..at]);
    let mut segments: Vec<&str> = if reference.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for segment in reference.split('/') {
        match segment {
            ".." => drop(segments.pop()),
            "." => {}
            other => segments.push(other),
        }
    }
    Some(segments.into_iter().filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/"))
}

/// Whether a name ends like `-B03_NDQ8.js`: eight characters or more, with at least two figures and a letter. Stricter
/// than bundlers are, so that it holds only for names that nobody would doubt.
fn looks_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.split_once(".js").or_else(|| name.split_once(".mjs")).map_or(name, |(stem, _)| stem);
    let token = stem.rsplit(['-', '.']).next().unwrap_or_default();
    let figures = token.chars().filter(char::is_ascii_digit).count();
    token.len() >= 8 && token.len() < stem.len() && figures >= 2 && token.chars().any(|c| c.is_ascii_alphabetic())
}

#[test]
fn the_reader_finds_what_a_page_needs() {
    let dir = tempfile::tempdir().unwrap();
    let page = "<!-- <script src=no.js></script> --><script type=\"module\" crossorigin src=\"/a/x.js\"></script>\
                <link rel=\"stylesheet\" href='./s.css'><noscript><link rel=\"stylesheet\" href=\"no.css\"></noscript>";
    let files = [
        ("index.html", page),
        (
            "a/x.js",
            "import{b}from\"./b.js\";x(()=>import('../c-a1b2c3d4.js'),()=>import(\"./plain.js\"));importer('./no.js')",
        ),
        ("a/b.js", "Array.from('./no.js')"),
        ("a/plain.js", "import '/deep.js'"),
    ];
    fs::create_dir(dir.path().join("a")).unwrap();
    for (path, text) in files {
        fs::write(dir.path().join(path), text).unwrap();
    }
    for path in ["c-a1b2c3d4.js", "s.css", "deep.js", "no.js", "a/no.js", "no.css"] {
        fs::write(dir.path().join(path), "").unwrap();
    }
    let found: Vec<(String, Needed)> = needed_files(dir.path()).into_iter().collect();
    let expected = [
        ("a/b.js", Needed::StaticImport),
        ("a/x.js", Needed::Script),
        ("c-a1b2c3d4.js", Needed::HashedDynamicImport),
        ("deep.js", Needed::StaticImport),
        ("s.css", Needed::StyleSheet),
    ];
    assert_eq!(found, expected.map(|(path, kind)| (path.to_owned(), kind)));
}
