//! Object keys, relative to the target's prefix.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::text;

/// Longest object key in bytes of UTF-8, the target's prefix included (an S3 limit).
const MAX_BYTES: usize = 1024;

/// The key of an object, relative to the target's prefix: the file's path in the site with `/`
/// between its segments.
///
/// A key is valid by construction: not empty, at most 1,024 bytes, and free of whatever would make
/// it unreachable or ambiguous as the path of a URL (see [`KeyError`]). Cloning is cheap. Keys
/// order by their bytes, which is the order in which S3 lists them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// Why a text cannot be the key of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no text at all.
    #[error("an object key cannot be empty")]
    Empty,
    /// S3 limits: a key has at most 1,024 bytes of UTF-8, the target's prefix included.
    #[error(
        "{key:?}: the key takes {bytes} bytes with the target's prefix and S3 allows {MAX_BYTES}: shorten the path"
    )]
    TooLong {
        /// The key, without the prefix.
        key: String,
        /// Its length in bytes with the prefix.
        bytes: usize,
    },
    /// It holds a control character (C0, DEL or C1), which URLs and XML listings cannot carry.
    #[error("{key:?}: has the control character U+{code:04X}: rename the file")]
    ControlCharacter {
        /// The key.
        key: String,
        /// The first such character's code point.
        code: u32,
    },
    /// It has a `.` or `..` segment, which browsers resolve before they send a request.
    #[error("{key:?}: has a `{segment}` segment, which no browser would request: rename it")]
    DotSegment {
        /// The key.
        key: String,
        /// The segment: `.` or `..`.
        segment: String,
    },
    /// It starts or ends with `/`, or has `//` inside.
    #[error("{key:?}: has an empty segment: remove the extra `/`")]
    EmptySegment {
        /// The key.
        key: String,
    },
    /// It holds a backslash. The URL standard makes every `\` in an http address a `/`, so a link
    /// to the key would ask for another one.
    #[error("{key:?}: has a backslash, which browsers turn into `/`: rename the file")]
    Backslash {
        /// The key.
        key: String,
    },
}

impl Key {
    /// Checks `text` and makes it a key. Its length is checked without a prefix: see
    /// [`Key::under`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        Self::under("", text)
    }

    /// Its text, shared with it.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Checks `text` and makes it a key whose length together with `prefix`, the text put directly
    /// before it in the bucket, stays within S3's limit.
    pub fn under(prefix: &str, text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let key = || text.to_owned();
        let bytes = prefix.len() + text.len();
        if bytes > MAX_BYTES {
            return Err(KeyError::TooLong { key: key(), bytes });
        }
        // `char::is_control` is the general category Cc: C0, DEL and C1.
        if let Some(found) = text.chars().find(|c| c.is_control()) {
            return Err(KeyError::ControlCharacter { key: key(), code: found.into() });
        }
        if text.contains('\\') {
            return Err(KeyError::Backslash { key: key() });
        }
        for segment in text.split('/') {
            match segment {
                "" => return Err(KeyError::EmptySegment { key: key() }),
                "." | ".." => {
                    return Err(KeyError::DotSegment { key: key(), segment: segment.to_owned() });
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Key {
    type Error = KeyError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "the key of an object", Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_and_awkward_names_are_keys() {
        for text in
            ["index.html", "a b+c%20&'\"#?.txt", "über/日本.png", "...", "a/.b/..c/d..", ".well-known/x", "a:b*c|d"]
        {
            assert_eq!(Key::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_fault_has_its_error() {
        assert_eq!(Key::new(""), Err(KeyError::Empty));
        for bad in ["/a", "a/", "a//b", "/"] {
            assert!(matches!(Key::new(bad), Err(KeyError::EmptySegment { .. })), "{bad}");
        }
        for bad in [".", "..", "a/./b", "a/..", "../a"] {
            assert!(matches!(Key::new(bad), Err(KeyError::DotSegment { .. })), "{bad}");
        }
        for (bad, expected) in [("a\nb", 0x0A), ("\0", 0), ("a\u{7f}", 0x7F), ("\u{85}", 0x85), ("x\u{9f}y", 0x9F)] {
            assert!(matches!(Key::new(bad), Err(KeyError::ControlCharacter { code, .. }) if code == expected));
        }
        assert!(matches!(Key::new("a\\b"), Err(KeyError::Backslash { .. })));
        let message = Key::new("a\u{1b}[31m").unwrap_err().to_string();
        assert!(!message.contains('\u{1b}'), "escapes must not reach a terminal: {message}");
    }

    #[test]
    fn the_limit_is_in_bytes_and_counts_the_prefix() {
        let long = "é".repeat(512);
        assert!(Key::new(&long).is_ok());
        assert!(matches!(Key::new(&format!("{long}a")), Err(KeyError::TooLong { bytes: 1025, .. })));
        assert!(matches!(Key::under("app/", &"a".repeat(1021)), Err(KeyError::TooLong { bytes: 1025, .. })));
        assert!(Key::under("app/", &"a".repeat(1020)).is_ok());
    }

    #[test]
    fn reading_validates() {
        let key: Key = serde_json::from_str("\"a/b.js\"").unwrap();
        assert_eq!(serde_json::to_string(&key).unwrap(), "\"a/b.js\"");
        assert!(serde_json::from_str::<Key>("\"../b.js\"").is_err());
        assert!(serde_json::from_str::<Key>("\"a\\u0000\"").is_err());
    }

    proptest! {
        #[test]
        fn a_key_is_what_the_rules_say(text in "[a-b./\\\\\u{1}é]{0,12}") {
            let allowed = !text.is_empty()
                && !text.contains(['\u{1}', '\\'])
                && text.split('/').all(|s| !matches!(s, "" | "." | ".."));
            prop_assert_eq!(Key::new(&text).is_ok(), allowed);
        }

        #[test]
        fn keys_order_by_their_bytes(a in "\\PC{1,9}", b in "\\PC{1,9}") {
            if let (Ok(x), Ok(y)) = (Key::new(&a), Key::new(&b)) {
                prop_assert_eq!(x.cmp(&y), a.as_bytes().cmp(b.as_bytes()));
            }
        }
    }
}
