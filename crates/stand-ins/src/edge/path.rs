//! URL paths as a cache tells them apart, and as an invalidation must spell them.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Characters that RFC 1738 calls unsafe beyond doubt. An invalidation must encode these and
/// non-ASCII, and must not encode any others, or it misses (CloudFront: "URL-encode those
/// characters. Don't URL-encode any other characters").
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'#').add(b'%').add(b'?');

/// Unsafe by RFC 1738, yet sent raw by many clients; in an encoded path either spelling is taken for the same.
const EITHER: &[u8] = b"{}|\\^[]`";

/// Refused as they are, by reports of `InvalidArgument` (`laurilehmijoki/s3_website#63`, `aws/aws-sdk#525` and others).
/// Encoded, `~`, `'` and `@` are taken, and drop nothing.
const REFUSED: &[char] = &['\'', '~', '@', '[', ']', '|', '\\', '^'];

/// Path and query of a request target, as the cache keys it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CacheKey(String);

impl CacheKey {
    /// `target` is path and optional query as they stand in a URL.
    pub(crate) fn of(target: &str) -> Self {
        let (path, query) = split(target);
        let mut key = utf8_percent_encode(&decode(path), UNSAFE).to_string();
        if !query.is_empty() {
            key.push('?');
            key.push_str(query);
        }
        Self(key)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Path and query of a target; the query is empty where there is none.
pub(crate) fn split(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// The path with its percent-encoding taken off; what is no UTF-8 becomes U+FFFD.
pub(crate) fn decode(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// A path of an invalidation, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    wildcard: bool,
}

impl Pattern {
    /// # Errors
    /// What is wrong with the path.
    pub(crate) fn parse(path: &str) -> Result<Self, String> {
        let refuse = |what: &str| Err(format!("Your request contains an invalid path {path:?}: {what}."));
        if !path.starts_with('/') {
            return refuse("it does not begin with /");
        }
        let (stem, wildcard) = match path.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (path, false),
        };
        if stem.contains('*') {
            return refuse("* may only be its last character");
        }
        let unsafe_character = |c: char| !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>');
        if stem.contains(unsafe_character) {
            return refuse("it has characters that must be URL-encoded");
        }
        if stem.contains(REFUSED) {
            return refuse("it has characters that are not taken");
        }
        Ok(Self { text: unify(stem), wildcard })
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// An exact path covers neither its query-string variants nor its directory; a wildcard covers
    /// everything that begins so, query strings too.
    pub(crate) fn covers(&self, key: &CacheKey) -> bool {
        if self.wildcard { key.0.starts_with(&self.text) } else { key.0 == self.text }
    }
}

/// Spells hex digits in capitals, and the characters that go either way without encoding.
fn unify(path: &str) -> String {
    let mut unified = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        unified.push_str(&rest[..at]);
        rest = &rest[at..];
        let byte = rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let Some(byte) = byte else {
            unified.push('%');
            rest = &rest[1..];
            continue;
        };
        if EITHER.contains(&byte) {
            unified.push(char::from(byte));
        } else {
            unified.push_str(&rest[..3].to_ascii_uppercase());
        }
        rest = &rest[3..];
    }
    unified.push_str(rest);
    unified
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, target: &str) -> bool {
        Pattern::parse(pattern).unwrap().covers(&CacheKey::of(target))
    }

    #[test]
    fn an_exact_path_covers_itself_only() {
        assert!(covers("/index.html", "/index.html"));
        assert!(covers("/index.html", "/index.html?"));
        assert!(!covers("/index.html", "/index.html?v=1"));
        assert!(covers("/index.html?v=1", "/index.html?v=1"));
        assert!(!covers("/", "/index.html"));
        assert!(!covers("/dir/", "/dir/index.html"));
        assert!(!covers("/A", "/a"));
    }

    #[test]
    fn a_wildcard_covers_what_begins_so() {
        assert!(covers("/*", "/"));
        assert!(covers("/index.html*", "/index.html?v=1"));
        assert!(covers("/dir/*", "/dir/sub/a"));
        assert!(!covers("/dir/*", "/dir"));
    }

    #[test]
    fn the_spelling_must_be_that_of_rfc_1738() {
        assert!(covers("/a%20b", "/a%20b"));
        assert!(covers("/caf%c3%a9", "/caf%C3%A9"));
        // A safe character encoded without need names another path.
        assert!(!covers("/a%2Bb", "/a+b"));
        assert!(covers("/a+b", "/a%2Bb"));
        assert!(!covers("/%7Eme", "/~me"));
        assert!(!covers("/l%27eau", "/l'eau"));
        assert!(covers("/l*", "/l'eau"));
        assert!(covers("/%5Bid%5D", "/[id]"));
        assert!(covers("/100%25", "/100%25"));
    }

    #[test]
    fn refuses_malformed_paths() {
        for path in ["", "a", "/a*b", "/**", "/a b", "/é", "*", "/l'eau", "/~me", "/@me", "/[id]"] {
            assert!(Pattern::parse(path).is_err(), "{path:?}");
        }
    }
}
