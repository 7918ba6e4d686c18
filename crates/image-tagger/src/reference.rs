//! Names of images: registry, repository, tag, digest.

use std::fmt;
use std::str::FromStr;

use asset_sync::Sha256;

/// The text is not a name of the kind asked for. Says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct ParseError {
    text: String,
    what: &'static str,
}

impl ParseError {
    fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.to_owned(), what }
    }
}

/// The digest of a blob or manifest: `sha256:` and 64 hexadecimal digits. Other algorithms are not
/// supported; no registry in use makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Sha256);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::of(bytes))
    }
}

impl From<Sha256> for Digest {
    fn from(hash: Sha256) -> Self {
        Self(hash)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.strip_prefix("sha256:")
            .and_then(|hex| hex.parse().ok())
            .map(Self)
            .ok_or_else(|| ParseError::new(text, "a digest: `sha256:` and 64 hexadecimal digits"))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A tag. The OCI distribution specification's rule: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with(['.', '-']) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new(text, "a tag: 1 to 128 letters, digits, `_`, `.` and `-`, the first not `.` or `-`"))
        }
    }
}

impl serde::Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A repository in a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// The registry's host, with its port where that is named.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The image under `tag`.
    pub fn tagged(&self, tag: Tag) -> Reference {
        Reference { repository: self.clone(), selector: Selector::Tag(tag) }
    }

    /// The image with `digest`.
    pub fn at(&self, digest: Digest) -> Reference {
        Reference { repository: self.clone(), selector: Selector::Digest(digest) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl FromStr for Repository {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::new(text, "a repository with its registry, such as `registry.example.com/webapp`");
        let (registry, path) = text.split_once('/').ok_or_else(error)?;
        let host_like = registry.contains(['.', ':']) || registry == "localhost";
        let host_bytes = registry.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
        let segment = |s: &str| {
            !s.is_empty()
                && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && !s.starts_with(['.', '_', '-'])
                && !s.ends_with(['.', '_', '-'])
        };
        if !host_like || !host_bytes || !path.split('/').all(segment) {
            return Err(error());
        }
        // Docker Hub's own images have a path of two segments that people leave out.
        let path = match registry {
            "docker.io" | "index.docker.io" if !path.contains('/') => format!("library/{path}"),
            _ => path.to_owned(),
        };
        Ok(Self { registry: registry.to_owned(), path })
    }
}

/// Which manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The one a tag names now.
    Tag(Tag),
    /// The one with this digest.
    Digest(Digest),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// One image of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The repository.
    pub repository: Repository,
    /// Which of its manifests.
    pub selector: Selector,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.selector {
            Selector::Tag(_) => ':',
            Selector::Digest(_) => '@',
        };
        write!(f, "{}{mark}{}", self.repository, self.selector)
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    /// Takes `repository:tag`, `repository@digest`, or both, of which the digest counts.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse()?)),
            None => (text, None),
        };
        let (repository, tag) = match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.parse()?)),
            _ => (named, None),
        };
        let selector = match (digest, tag) {
            (Some(digest), _) => Selector::Digest(digest),
            (None, Some(tag)) => Selector::Tag(tag),
            (None, None) => {
                return Err(ParseError::new(
                    text,
                    "an image with a tag or digest, such as `registry.example.com/webapp:1.0.0`",
                ));
            }
        };
        Ok(Self { repository: repository.parse()?, selector })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_written_as_they_are_read() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "registry.example.com/webapp:1.0.0".to_owned(),
            "127.0.0.1:5000/a/b:x_y".to_owned(),
            format!("localhost/webapp@{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        let both: Reference = format!("r.io/x:1@{digest}").parse().unwrap();
        assert_eq!(both.to_string(), format!("r.io/x@{digest}"));
        assert_eq!("docker.io/alpine:3".parse::<Reference>().unwrap().repository.path(), "library/alpine");
    }

    #[test]
    fn what_is_not_a_reference() {
        for text in [
            "webapp:1",
            "r.io/x",
            "r.io:5000/x",
            "r.io/X:1",
            "r.io/x:.a",
            "r.io/x@sha256:0",
            "https://r.io/x:1",
            "r.io/../x:1",
            "",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        assert!("a".repeat(129).parse::<Tag>().is_err());
        assert!("1.0+7".parse::<Tag>().is_err());
    }
}
