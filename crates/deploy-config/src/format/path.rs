//! Paths: on disk, in a bucket, in a URL.

use std::path::PathBuf;

use super::Format;

/// A path on disk. Whether it exists is found out by whoever opens it.
#[derive(Debug)]
pub(crate) struct FilePath(pub(crate) &'static str);

impl Format for FilePath {
    type Value = PathBuf;

    fn describe(&self) -> String {
        format!("path of a {}", self.0)
    }

    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        if text.contains("://") {
            return Err(format!("write the path of a {} on this machine, not a URL", self.0));
        }
        Ok(PathBuf::from(text))
    }
}

/// Longest prefix, in bytes. S3 limits: a key has 1,024 bytes, and the site's paths need room.
const LONGEST_PREFIX: usize = 512;

/// Checks the segments of a path whose outer slashes are gone.
fn check_segments(path: &str) -> Result<(), String> {
    if path.chars().any(char::is_control) {
        Err("it has a control character".to_owned())
    } else if path.len() > LONGEST_PREFIX {
        Err(format!("it is longer than {LONGEST_PREFIX} bytes"))
    } else if path.split('/').any(|segment| segment == "." || segment == "..") {
        Err("it has a `.` or `..` segment; write the path out".to_owned())
    } else if path.split('/').any(str::is_empty) {
        Err("it has an empty segment; write single slashes".to_owned())
    } else {
        Ok(())
    }
}

/// A key prefix; the value is empty, or ends with the only slash at an end.
#[derive(Debug)]
pub(crate) struct KeyPrefix {
    /// Whether the top of the bucket (`/`) is accepted.
    pub(crate) may_be_empty: bool,
}

impl Format for KeyPrefix {
    type Value = String;

    fn describe(&self) -> String {
        "key prefix".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let path = text.strip_prefix('/').unwrap_or(text);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.contains("://") {
            return Err("write the prefix alone, without a scheme and bucket".to_owned());
        }
        match path {
            "" if text == "/" && self.may_be_empty => Ok(String::new()),
            "" => Err("write a prefix of at least one character besides slashes".to_owned()),
            path => check_segments(path).map(|()| format!("{path}/")),
        }
    }
}

/// A path within a distribution; the value begins and ends with a slash.
#[derive(Debug)]
pub(crate) struct UrlPath;

impl Format for UrlPath {
    type Value = String;

    fn describe(&self) -> String {
        "URL path".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.contains("://") {
            return Err("write the path alone, without scheme and host".to_owned());
        }
        if text.contains(['?', '#', '*', '\\']) {
            return Err("it has a `?`, `#`, `*` or backslash; write a plain path such as `/app/`".to_owned());
        }
        let path = text.strip_prefix('/').unwrap_or(text);
        let path = path.strip_suffix('/').unwrap_or(path);
        match path {
            "" if text == "/" => Ok("/".to_owned()),
            "" => Err("it has an empty segment; write single slashes".to_owned()),
            path => check_segments(path).map(|()| format!("/{path}/")),
        }
    }
}

/// The path of a file within the site.
#[derive(Debug)]
pub(crate) struct FileKey;

impl Format for FileKey {
    type Value = String;

    fn describe(&self) -> String {
        "path within the site".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.starts_with('/') || text.ends_with('/') {
            return Err("write the path of a file within the site, without a `/` at either end".to_owned());
        }
        check_segments(text).map(|()| text.to_owned())
    }
}

/// Globs, separated by commas. Those inside braces belong to the glob.
#[derive(Debug)]
pub(crate) struct Globs;

impl Format for Globs {
    type Value = Vec<String>;

    fn describe(&self) -> String {
        "globs, separated by commas".to_owned()
    }

    fn parse(&self, text: &str) -> Result<Vec<String>, String> {
        let mut globs = vec![String::new()];
        let mut depth = 0_u32;
        for character in text.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    globs.push(String::new());
                    continue;
                }
                _ => {}
            }
            if let Some(last) = globs.last_mut() {
                last.push(character);
            }
        }
        let globs: Vec<String> = globs.iter().map(|glob| glob.trim().to_owned()).collect();
        if globs.iter().any(String::is_empty) {
            return Err("write globs separated by commas, none of them empty".to_owned());
        }
        Ok(globs)
    }
}

/// An HTTP or HTTPS address.
#[derive(Debug)]
pub(crate) struct HttpUrl;

impl Format for HttpUrl {
    type Value = String;

    fn describe(&self) -> String {
        "URL".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace) => {
                Ok(text.to_owned())
            }
            _ => Err("write a URL that begins with `https://` or `http://`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_within_braces_does_not_end_a_glob() {
        assert_eq!(Globs.parse("a.html, b/*.{json,html}"), Ok(vec!["a.html".to_owned(), "b/*.{json,html}".to_owned()]));
        assert!(Globs.parse("a,,b").is_err());
    }

    #[test]
    fn prefixes_are_normalised() {
        let format = KeyPrefix { may_be_empty: true };
        for (text, prefix) in
            [("app", "app/"), ("/app", "app/"), ("app/", "app/"), ("/a/b/", "a/b/"), ("/", ""), ("a b", "a b/")]
        {
            assert_eq!(format.parse(text), Ok(prefix.to_owned()), "{text}");
        }
        for text in [
            "//",
            "//app",
            "app//",
            "a//b",
            "../app",
            "a/../b",
            "./a",
            "a/..",
            "a\u{0}b",
            "s3://site/app",
            &"a/".repeat(300),
        ] {
            assert!(format.parse(text).is_err(), "{text}");
        }
        assert!(KeyPrefix { may_be_empty: false }.parse("/").is_err());
    }

    #[test]
    fn url_paths_are_normalised() {
        for (text, path) in [("/", "/"), ("app", "/app/"), ("/app", "/app/"), ("/a/b/", "/a/b/")] {
            assert_eq!(UrlPath.parse(text), Ok(path.to_owned()), "{text}");
        }
        for text in ["//", "/a//b", "/a/../b", "https://x/app/", "/app/*", "/app?x", "/app#x", "/a\n"] {
            assert!(UrlPath.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls() {
        for text in ["https://s3.eu-central-1.amazonaws.com", "http://127.0.0.1:4566"] {
            assert!(HttpUrl.parse(text).is_ok(), "{text}");
        }
        for text in ["127.0.0.1:4566", "https://", "ftp://x", "http:///x", "http://a b"] {
            assert!(HttpUrl.parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_prefix_is_a_fixed_point(text in "[/a.]{1,8}") {
            let format = KeyPrefix { may_be_empty: true };
            if let Ok(prefix) = format.parse(&text) {
                proptest::prop_assert!(!prefix.starts_with('/') && !prefix.contains("//"));
                proptest::prop_assert!(prefix.is_empty() || prefix.ends_with('/'));
                if !prefix.is_empty() {
                    proptest::prop_assert_eq!(format.parse(&prefix), Ok(prefix.clone()));
                }
            }
        }
    }
}
