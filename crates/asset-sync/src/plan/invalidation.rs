//! Which paths an invalidation must name so that it covers every changed file.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::routing::{INDEX, Routing};
use crate::error::Error;
use crate::site::Key;

/// CloudFront limits: paths in progress at once per distribution.
const MAX_PATHS: usize = 3_000;
/// CloudFront limits: wildcard paths in progress at once per distribution.
const MAX_WILDCARDS: usize = 15;

/// From this many exact paths on, wildcards are the better choice: a month's first 1,000 paths
/// are free, and a wildcard counts as one.
const MANY_PATHS: usize = 1_000;

/// Characters that no path can name for certain, encoded or not. CloudFront refuses `'`, `~` and `@` as they are
/// (`laurilehmijoki/s3_website#63`, `aws/aws-sdk#525`, and reports of `InvalidArgument`), and takes `%7E` without dropping
/// what browsers asked for as `~`. `[`, `]`, `|`, `\` and `^` it refuses as they are, while browsers send
/// them so. `*` would be a wildcard.
const UNNAMEABLE: [u8; 9] = *b"'~@[]|\\^*";

/// CloudFront: characters that are not URL-safe in the sense of RFC 1738 are percent-encoded in a
/// path, and no others. `?` would begin a query string.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'#')
    .add(b'%')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'~')
    .add(b'[')
    .add(b']')
    .add(b'`')
    .add(b'?');

/// The same for what may be encoded already, and may have a query string.
const UNSAFE_IN_URL: &AsciiSet = &UNSAFE.remove(b'%').remove(b'?');

/// How a changed file becomes paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InvalidationMode {
    /// The path as it is, without query strings.
    #[default]
    Exact,
    /// The path with every query string it may have been asked with.
    Variants,
    /// Everything under the URL prefix. For set-ups where a file answers under other paths than
    /// its own, such as an SPA fallback that edges cache.
    All,
}

/// The URL path under which a target's keys are served; starts and ends with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPrefix(String);

impl UrlPrefix {
    /// Takes a path, adding the `/` at either end where it lacks.
    pub fn new(path: &str) -> Self {
        let inner = path.trim_matches('/');
        Self(if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") })
    }

    fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, UNSAFE).to_string()
    }
}

/// Which addresses the files of a target have, and how edges are made to forget them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressing {
    /// Where the site is.
    pub prefix: UrlPrefix,
    /// Which file answers which address.
    pub routing: Routing,
    /// How a changed file becomes paths.
    pub invalidation: InvalidationMode,
}

impl Default for Addressing {
    /// A site at the top of its host.
    fn default() -> Self {
        Self { prefix: UrlPrefix::new("/"), routing: Routing::default(), invalidation: InvalidationMode::default() }
    }
}

impl Addressing {
    /// The wildcard path that covers all of the site. Where the prefix answers without its last slash too, that also covers
    /// what begins with the same letters (`/app*`): one path costs less than two.
    pub fn everything(&self) -> String {
        let path = self.bare_prefix().unwrap_or(&self.prefix.0);
        wildcard_before(path).unwrap_or_else(|| format!("{}*", utf8_percent_encode(path, UNSAFE)))
    }

    /// The paths of a file, not encoded.
    fn paths_of(&self, key: &Key) -> Vec<String> {
        let addresses = self.routing.addresses_of(key.as_str());
        addresses.iter().flat_map(|address| self.under(&self.prefix.0, address)).collect()
    }

    /// The paths of an address below `prefix`, which is this one, encoded or not.
    fn under(&self, prefix: &str, address: &str) -> Vec<String> {
        let bare = self.bare_prefix().filter(|_| address.is_empty());
        let bare = bare.map(|_| prefix.trim_end_matches('/').to_owned());
        [format!("{prefix}{address}")].into_iter().chain(bare).collect()
    }

    /// The prefix without its last slash, where the root document answers it.
    fn bare_prefix(&self) -> Option<&str> {
        self.prefix.0.strip_suffix('/').filter(|bare| !bare.is_empty() && self.routing.answers_bare_prefix())
    }

    /// The paths, encoded or not as `path` is, of the file that answers it.
    fn forms_of(&self, path: &str) -> Vec<String> {
        for prefix in [&self.prefix.0, &self.prefix.encoded()] {
            let is_bare = self.bare_prefix().is_some() && prefix.strip_suffix('/') == Some(path);
            if let Some(address) = path.strip_prefix(prefix.as_str()).or(is_bare.then_some("")) {
                let forms = self.routing.forms_of(address);
                return forms.iter().flat_map(|form| self.under(prefix, form)).collect();
            }
        }
        vec![path.to_owned()]
    }
}

/// A short list of paths that covers every key of `changed` under each of its addresses. Empty only if `changed` is. Never
/// more than 3,000 paths, nor more than 15 with a wildcard.
///
/// Where the root document answers whatever has no file, it has every address: everything is covered if it changed.
pub fn covering_paths<'a>(changed: impl IntoIterator<Item = &'a Key>, addressing: &Addressing) -> Vec<String> {
    let mut exact = BTreeSet::new();
    let mut is_everywhere = addressing.invalidation == InvalidationMode::All;
    for key in changed {
        is_everywhere |= addressing.routing == Routing::Spa && key.as_str() == INDEX;
        // AWS ("invalidation-specifying-objects"): where a function changes the URI, invalidate both.
        let paths = addressing.paths_of(key);
        exact.extend(paths.iter().map(|path| wildcard_before(path).unwrap_or_else(|| encoded(path))));
    }
    if exact.is_empty() {
        return Vec::new();
    }
    let everything = || vec![addressing.everything()];
    if is_everywhere {
        return everything();
    }
    let exact = few_wildcards(exact);
    match addressing.invalidation {
        InvalidationMode::Exact if exact.len() <= MANY_PATHS => exact.into_iter().collect(),
        InvalidationMode::Exact => by_directory(&exact, &addressing.prefix, false).unwrap_or_else(everything),
        InvalidationMode::All => everything(),
        InvalidationMode::Variants => {
            let wildcards = uncovered(exact.iter().flat_map(|p| with_query(p)).collect());
            if wildcards.iter().filter(|p| p.ends_with('*')).count() <= MAX_WILDCARDS {
                return wildcards.into_iter().collect();
            }
            by_directory(&exact, &addressing.prefix, true).unwrap_or_else(everything)
        }
    }
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, UNSAFE).to_string()
}

/// The wildcard that covers a URL path, not encoded, that no path can name: from the longest part that one can.
fn wildcard_before(path: &str) -> Option<String> {
    let end = path.bytes().position(|b| UNNAMEABLE.contains(&b))?;
    Some(format!("{}*", utf8_percent_encode(&path[..end], UNSAFE)))
}

/// The paths that no wildcard among them covers.
fn uncovered(paths: BTreeSet<String>) -> BTreeSet<String> {
    let split = |path: String| path.strip_suffix('*').map(|stem| (stem.to_owned(), false)).unwrap_or((path, true));
    let mut sorted: Vec<(String, bool)> = paths.into_iter().map(split).collect();
    // What begins with a stem follows it.
    sorted.sort();
    let mut kept = BTreeSet::new();
    let mut stem: Option<String> = None;
    for (text, is_exact) in sorted {
        if stem.as_ref().is_some_and(|stem| text.starts_with(stem.as_str())) {
            continue;
        }
        if is_exact {
            kept.insert(text);
        } else {
            kept.insert(format!("{text}*"));
            stem = Some(text);
        }
    }
    kept
}

/// The same paths with at most as many wildcards as a distribution takes: what they begin with in common, if there are
/// more. What a wildcard covers needs no path of its own.
fn few_wildcards(paths: BTreeSet<String>) -> BTreeSet<String> {
    let mut paths = uncovered(paths);
    let stems: Vec<String> = paths.iter().filter_map(|path| path.strip_suffix('*')).map(str::to_owned).collect();
    if stems.len() <= MAX_WILDCARDS {
        return paths;
    }
    paths.insert(format!("{}*", in_common(&stems)));
    uncovered(paths)
}

/// What all begin with, whole characters and whole percent-encoded bytes.
fn in_common(stems: &[String]) -> String {
    let Some(first) = stems.first() else { return String::new() };
    let length = stems.iter().map(|stem| first.bytes().zip(stem.bytes()).take_while(|(a, b)| a == b).count()).min();
    let mut end = length.unwrap_or_default();
    // A path is ASCII: `%` and two digits are the longest unit.
    if let Some(percent) = first[..end].rfind('%').filter(|percent| percent + 3 > end) {
        end = percent;
    }
    first[..end].to_owned()
}

/// Paths that somebody asks to invalidate, as a distribution takes them: each with the other addresses of the file that it
/// asks for, where the routing gives it others. What is percent-encoded stays so.
///
/// # Errors
/// [`Error::InvalidPath`] naming the first that is none.
pub(crate) fn requested_paths(paths: &[String], addressing: &Addressing) -> Result<Vec<String>, Error> {
    let mut taken = BTreeSet::new();
    for path in paths {
        let invalid = |reason| Error::InvalidPath { path: path.clone(), reason };
        let start = path.strip_suffix('*').unwrap_or(path);
        if !start.starts_with('/') {
            return Err(invalid(
                "it begins with a slash, and is what follows the host in the URL, such as /blog/ or /blog/*",
            ));
        }
        if start.contains('*') {
            return Err(invalid("a * stands at its end only"));
        }
        if start.contains('#') {
            return Err(invalid("what follows a # is never sent to a server"));
        }
        let (address, rest) = path.split_at(path.find(['?', '*']).unwrap_or(path.len()));
        let forms = if rest == "*" { vec![address.to_owned()] } else { addressing.forms_of(address) };
        taken.extend(forms.iter().map(|form| as_taken(&format!("{form}{rest}"))));
    }
    Ok(few_wildcards(taken).into_iter().collect())
}

/// A path as a distribution takes it, which may have a `*` at its end.
fn as_taken(path: &str) -> String {
    let start = path.strip_suffix('*').unwrap_or(path);
    let encoded = |text: &str| utf8_percent_encode(text, UNSAFE_IN_URL).to_string();
    match start.bytes().position(|b| UNNAMEABLE.contains(&b)) {
        Some(end) => format!("{}*", encoded(&start[..end])),
        None => encoded(start) + &path[start.len()..],
    }
}

/// One list that covers both, within what a distribution takes at once.
pub(crate) fn joined_paths(earlier: &[String], paths: &[String], addressing: &Addressing) -> Vec<String> {
    let all = few_wildcards(earlier.iter().chain(paths).cloned().collect());
    if all.len() > MAX_PATHS { vec![addressing.everything()] } else { all.into_iter().collect() }
}

/// Paths that cover `refused`, which a CDN called invalid, and are more likely to be taken: without any character that
/// is not an ASCII letter, a figure or one of `/ - _ .`, and at last everything. `None` if that was refused.
pub(crate) fn coarser(refused: &[String], addressing: &Addressing) -> Option<Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let plain = |path: &String| match path.find(|c| !is_plain(c)) {
        Some(end) => format!("{}*", &path[..end]),
        None => path.clone(),
    };
    let plainer: Vec<String> = few_wildcards(refused.iter().map(plain).collect()).into_iter().collect();
    let everything = vec![addressing.everything()];
    let all = ["/*".to_owned()];
    let same = |one: &[String], other: &[String]| one.iter().collect::<BTreeSet<_>>() == other.iter().collect();
    match () {
        () if same(refused, &all) => None,
        () if same(refused, &everything) => Some(all.into()),
        () if same(refused, &plainer) => Some(everything),
        () => Some(plainer),
    }
}

/// `path*` covers a file with any query string; for a directory that would be all it holds, so
/// there the query is spelt out.
fn with_query(path: &str) -> Vec<String> {
    if path.ends_with('*') {
        vec![path.to_owned()]
    } else if path.ends_with('/') {
        vec![path.to_owned(), format!("{path}?*")]
    } else {
        vec![format!("{path}*")]
    }
}

/// One wildcard for each top directory with changes, and the top's own files one by one; `None`
/// if that is too many as well.
fn by_directory(exact: &BTreeSet<String>, prefix: &UrlPrefix, queries: bool) -> Option<Vec<String>> {
    let root = prefix.encoded();
    let mut directories = BTreeSet::new();
    let mut paths = Vec::new();
    for path in exact {
        match path.strip_prefix(root.as_str()).and_then(|inner| inner.split_once('/')) {
            Some((directory, _)) => {
                directories.insert(directory);
            }
            None if queries => paths.extend(with_query(path)),
            None => paths.push(path.clone()),
        }
    }
    paths.extend(directories.iter().map(|d| format!("{root}{d}/*")));
    let wildcards = paths.iter().filter(|p| p.ends_with('*')).count();
    (wildcards <= MAX_WILDCARDS && paths.len() <= MANY_PATHS).then_some(paths)
}

#[cfg(test)]
#[path = "invalidation_tests.rs"]
mod tests;
