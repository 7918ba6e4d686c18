//! Which paths an invalidation must name so that it covers every changed file.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

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

    /// The wildcard path that covers all of it.
    pub fn everything(&self) -> String {
        wildcard_before(&self.0).unwrap_or_else(|| format!("{}*", self.encoded()))
    }

    /// The URL path of `key`, percent-encoded.
    pub fn path_of(&self, key: &Key) -> String {
        format!("{}{}", self.encoded(), utf8_percent_encode(key.as_str(), UNSAFE))
    }
}

/// A short list of paths that covers every key of `changed`, the directory of each `index.html`
/// included. Empty only if `changed` is. Never more than 3,000 paths, nor more than 15 with a
/// wildcard.
pub fn covering_paths<'a>(
    changed: impl IntoIterator<Item = &'a Key>,
    prefix: &UrlPrefix,
    mode: InvalidationMode,
) -> Vec<String> {
    let mut exact = BTreeSet::new();
    for key in changed {
        let path = prefix.path_of(key);
        if let Some(wildcard) = wildcard_before(&format!("{}{key}", prefix.0)) {
            exact.insert(wildcard);
            continue;
        }
        if let Some(directory) = path.strip_suffix("index.html").filter(|d| d.ends_with('/')) {
            exact.insert(directory.to_owned());
        }
        exact.insert(path);
    }
    if exact.is_empty() {
        return Vec::new();
    }
    let exact = few_wildcards(exact);
    let everything = || vec![prefix.everything()];
    match mode {
        InvalidationMode::All => everything(),
        InvalidationMode::Exact if exact.len() <= MANY_PATHS => exact.into_iter().collect(),
        InvalidationMode::Exact => by_directory(&exact, prefix, false).unwrap_or_else(everything),
        InvalidationMode::Variants => {
            let wildcards: Vec<String> = exact.iter().flat_map(|p| with_query(p)).collect();
            if wildcards.iter().filter(|p| p.ends_with('*')).count() <= MAX_WILDCARDS {
                return wildcards;
            }
            by_directory(&exact, prefix, true).unwrap_or_else(everything)
        }
    }
}

/// The wildcard that covers a URL path, not encoded, that no path can name: from the longest part that one can.
fn wildcard_before(path: &str) -> Option<String> {
    let end = path.bytes().position(|b| UNNAMEABLE.contains(&b))?;
    Some(format!("{}*", utf8_percent_encode(&path[..end], UNSAFE)))
}

/// The same paths with at most as many wildcards as a distribution takes: what they begin with in common, if there are
/// more. What a wildcard covers needs no path of its own.
fn few_wildcards(paths: BTreeSet<String>) -> BTreeSet<String> {
    let stems = |paths: &BTreeSet<String>| -> Vec<String> {
        paths.iter().filter_map(|path| path.strip_suffix('*')).map(str::to_owned).collect()
    };
    let covered = |path: &str, stems: &[String]| stems.iter().any(|stem| path.starts_with(stem) && path != *stem);
    let all = stems(&paths);
    if all.is_empty() {
        return paths;
    }
    let stems: Vec<String> = all.iter().filter(|stem| !covered(stem, &all)).cloned().collect();
    let stems = if stems.len() > MAX_WILDCARDS { vec![in_common(&stems)] } else { stems };
    let named =
        paths.into_iter().filter(|path| !path.ends_with('*') && !stems.iter().any(|stem| path.starts_with(stem)));
    let named: BTreeSet<String> = named.collect();
    named.into_iter().chain(stems.iter().map(|stem| format!("{stem}*"))).collect()
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

/// Paths that somebody asks to invalidate, as a distribution takes them. What is percent-encoded stays so.
///
/// # Errors
/// [`Error::InvalidPath`] naming the first that is none.
pub(crate) fn requested_paths(paths: &[String]) -> Result<Vec<String>, Error> {
    let checked = paths.iter().map(|path| {
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
        let encoded = |text: &str| utf8_percent_encode(text, UNSAFE_IN_URL).to_string();
        Ok(match start.bytes().position(|b| UNNAMEABLE.contains(&b)) {
            Some(end) => format!("{}*", encoded(&start[..end])),
            None => encoded(start) + &path[start.len()..],
        })
    });
    Ok(few_wildcards(checked.collect::<Result<_, Error>>()?).into_iter().collect())
}

/// One list that covers both, within what a distribution takes at once.
pub(crate) fn joined_paths(earlier: &[String], paths: &[String], prefix: &UrlPrefix) -> Vec<String> {
    let all = few_wildcards(earlier.iter().chain(paths).cloned().collect());
    if all.len() > MAX_PATHS { vec![prefix.everything()] } else { all.into_iter().collect() }
}

/// Paths that cover `refused`, which a CDN called invalid, and are more likely to be taken: without any character that
/// is not an ASCII letter, a figure or one of `/ - _ .`, and at last everything. `None` if that was refused.
pub(crate) fn coarser(refused: &[String], prefix: &UrlPrefix) -> Option<Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let plain = |path: &String| match path.find(|c| !is_plain(c)) {
        Some(end) => format!("{}*", &path[..end]),
        None => path.clone(),
    };
    let plainer: Vec<String> = few_wildcards(refused.iter().map(plain).collect()).into_iter().collect();
    let everything = vec![prefix.everything()];
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
        let inner = path.strip_prefix(root.as_str()).unwrap_or(path);
        match inner.split_once('/') {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(texts: &[&str]) -> Vec<Key> {
        texts.iter().map(|t| Key::new(t).unwrap()).collect()
    }

    fn paths(texts: &[&str], prefix: &str, mode: InvalidationMode) -> Vec<String> {
        covering_paths(&keys(texts), &UrlPrefix::new(prefix), mode)
    }

    /// As CloudFront matches: exactly, or by everything before a final `*`.
    fn covers(paths: &[String], url: &str) -> bool {
        paths.iter().any(|p| p.strip_suffix('*').map_or(p == url, |start| url.starts_with(start)))
    }

    #[test]
    fn nothing_changed_needs_no_path() {
        assert!(paths(&[], "/", InvalidationMode::All).is_empty());
    }

    #[test]
    fn an_index_is_also_its_directory() {
        let got = paths(&["index.html", "docs/index.html", "sw.js", "my-index.html"], "/", InvalidationMode::Exact);
        assert_eq!(got, ["/", "/docs/", "/docs/index.html", "/index.html", "/my-index.html", "/sw.js"]);
    }

    #[test]
    fn an_origin_path_is_not_part_of_the_url() {
        assert_eq!(paths(&["index.html"], "/", InvalidationMode::Exact), ["/", "/index.html"]);
        assert_eq!(paths(&["index.html"], "app", InvalidationMode::Exact), ["/app/", "/app/index.html"]);
    }

    #[test]
    fn unsafe_characters_are_encoded_and_safe_ones_are_not() {
        let got = paths(&["a b/ü?%+($.js"], "/", InvalidationMode::Exact);
        assert_eq!(got, ["/a%20b/%C3%BC%3F%25+($.js"]);
    }

    /// `s3_website#63` and `aws-sdk#525`: CloudFront refuses the one, and takes the other encoded without effect.
    #[test]
    fn a_name_that_no_path_can_name_for_certain_is_covered_by_a_wildcard() {
        let got =
            paths(&["l'osteo.html", "runtime~main.js", "docs/@me/index.html", "x.js"], "/", InvalidationMode::Exact);
        assert_eq!(got, ["/docs/*", "/l*", "/runtime*", "/x.js"]);
        assert_eq!(paths(&["a/ü b/[id].js"], "/", InvalidationMode::Exact), ["/a/%C3%BC%20b/*"]);
        assert_eq!(paths(&["index.html"], "/~me/", InvalidationMode::Exact), ["/*"]);
        assert_eq!(paths(&["index.html"], "/~me/", InvalidationMode::All), ["/*"]);
    }

    #[test]
    fn what_a_wildcard_covers_is_not_named_again() {
        let got = paths(&["a~1.html", "abc.html", "ab~2.html", "b.html"], "/", InvalidationMode::Exact);
        assert_eq!(got, ["/a*", "/b.html"]);
    }

    #[test]
    fn too_many_wildcards_become_what_they_have_in_common() {
        let many: Vec<String> = (0..20).map(|n| format!("d%é/{n:02}'s.html")).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.push("index.html");
        assert_eq!(paths(&many, "/", InvalidationMode::Exact), ["/", "/d%25%C3%A9/*", "/index.html"]);
        let apart: Vec<String> = ('a'..='z').map(|c| format!("{c}'s.html")).collect();
        let apart: Vec<&str> = apart.iter().map(String::as_str).collect();
        assert_eq!(paths(&apart, "/", InvalidationMode::Exact), ["/*"]);
        // é and è begin with the same byte.
        assert_eq!(in_common(&["/x%C3%A9a".to_owned(), "/x%C3%A8b".to_owned()]), "/x%C3");
    }

    #[test]
    fn what_is_refused_becomes_coarser_until_it_is_everything() {
        let prefix = UrlPrefix::new("/app");
        let mut refused = vec!["/app/a(1).html".to_owned(), "/app/b.html".to_owned(), "/app/a(2).html".to_owned()];
        let mut seen = Vec::new();
        while let Some(paths) = coarser(&refused, &prefix) {
            seen.push(paths.clone());
            refused = paths;
        }
        assert_eq!(seen, [vec!["/app/a*", "/app/b.html"], vec!["/app/*"], vec!["/*"]]);
        assert_eq!(coarser(&["/*".to_owned()], &UrlPrefix::new("/")), None);
        assert_eq!(coarser(&["/b.html".to_owned()], &UrlPrefix::new("/")), Some(vec!["/*".to_owned()]));
    }

    #[test]
    fn paths_that_are_asked_for_are_named_as_the_distribution_takes_them() {
        let requested = |paths: &[&str]| {
            requested_paths(&paths.iter().map(|&p| p.to_owned()).collect::<Vec<_>>()).map_err(|e| e.to_string())
        };
        let given = ["/about/", "/a%20b", "/ü/*", "/?page=2", "/l'osteo.html", "/*x".trim_end_matches('x')];
        assert_eq!(requested(&given[..5]).unwrap(), ["/%C3%BC/*", "/?page=2", "/a%20b", "/about/", "/l*"]);
        assert_eq!(requested(&given).unwrap(), ["/*"]);
        for (path, part) in [
            ("about/", "begins with a slash"),
            ("https://www.example.com/about/", "begins with a slash"),
            ("/*.html", "at its end only"),
            ("/about/#team", "never sent"),
            ("", "begins with a slash"),
        ] {
            let error = requested(&["/", path]).unwrap_err();
            assert!(error.contains(part) && error.contains(&format!("{path:?}")), "{error}");
        }
    }

    #[test]
    fn an_asterisk_in_a_name_can_only_be_named_by_a_wildcard() {
        assert_eq!(paths(&["a*b.js", "c.js"], "/", InvalidationMode::Exact), ["/a*", "/c.js"]);
        let many: Vec<String> = (0..20).map(|n| format!("docs/{n:02}*.html")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(paths(&many, "/", InvalidationMode::Exact), ["/docs/*"]);
    }

    #[test]
    fn query_strings_are_covered_without_the_whole_site() {
        let got = paths(&["index.html"], "/", InvalidationMode::Variants);
        assert_eq!(got, ["/", "/?*", "/index.html*"]);
    }

    #[test]
    fn many_files_become_wildcards_by_directory() {
        let many: Vec<String> = (0..2000).map(|n| format!("docs/{n}.html")).collect();
        let mut all: Vec<&str> = many.iter().map(String::as_str).collect();
        all.push("index.html");
        let got = paths(&all, "/", InvalidationMode::Exact);
        assert_eq!(got, ["/", "/index.html", "/docs/*"]);
    }

    proptest! {
        #[test]
        fn every_changed_key_is_covered_within_the_limits(
            names in proptest::collection::btree_set("([a-d]{1,3}/){0,2}([a-z~ü*]{1,4}|index)\\.html", 0..60),
            prefix in "(/?[a-z]{0,3}/?)",
            mode in prop_oneof![Just(InvalidationMode::Exact), Just(InvalidationMode::Variants), Just(InvalidationMode::All)],
        ) {
            let keys: Vec<Key> = names.iter().map(|n| Key::new(n).unwrap()).collect();
            let prefix = UrlPrefix::new(&prefix);
            let got = covering_paths(&keys, &prefix, mode);
            prop_assert!(got.iter().filter(|p| p.ends_with('*')).count() <= MAX_WILDCARDS);
            prop_assert!(got.len() <= MAX_PATHS);
            for path in &got {
                prop_assert!(path.starts_with('/') && !path.trim_end_matches('*').contains('*'));
            }
            for key in &keys {
                let url = prefix.path_of(key);
                prop_assert!(covers(&got, &url));
                if let Some(directory) = url.strip_suffix("index.html").filter(|d| d.ends_with('/')) {
                    prop_assert!(covers(&got, directory));
                }
                if mode != InvalidationMode::Exact {
                    let query = format!("{url}?a=1");
                    prop_assert!(covers(&got, &query));
                }
            }
        }
    }
}
