//! The manifest of a release: every file it consists of.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StateError;
use super::lines::{self, Decoder, Extra};
use crate::digest::{Hasher, Sha256};
use crate::headers::Headers;
use crate::site::{Key, Role};

/// Names a release within its target: `r<number>-<first digits of its content hash>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(Arc<str>);

impl ReleaseId {
    /// The id of the `number`th release of a target, with content `tree`.
    pub fn new(number: u64, tree: &Sha256) -> Self {
        Self(format!("r{number}-{}", tree.short()).into())
    }

    /// Its number: releases of a target are counted from 1, and what was adopted is 0.
    pub fn number(&self) -> u64 {
        let digits = self.0.strip_prefix('r').and_then(|rest| rest.split('-').next());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file of a release, as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFile {
    /// Key relative to the target's prefix.
    pub key: Key,
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// Number of its bytes.
    pub size: u64,
    /// Headers it is served with.
    pub headers: Arc<Headers>,
    /// Its place in the switch.
    pub role: Role,
    /// Its name is fingerprinted, and yet its content once changed: from then on it is an entry file.
    pub demoted: bool,
}

/// The files of one release, in the order of their keys, no key twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The files.
    pub files: Vec<ReleaseFile>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "k")]
    key: Key,
    #[serde(rename = "s")]
    sha256: Sha256,
    #[serde(rename = "n")]
    size: u64,
    #[serde(rename = "h")]
    headers: usize,
    #[serde(rename = "r")]
    role: Role,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    demoted: bool,
}

const ENTRIES: &str = "release-entries";
const ASSETS: &str = "release-assets";

impl lines::Line for Line {
    type Item = ReleaseFile;

    fn headers(&self) -> usize {
        self.headers
    }

    fn item(self, kind: &str, headers: Arc<Headers>) -> Option<ReleaseFile> {
        ((self.role == Role::Fingerprinted) == (kind == ASSETS)).then_some(ReleaseFile {
            key: self.key,
            sha256: self.sha256,
            size: self.size,
            headers,
            role: self.role,
            demoted: self.demoted,
        })
    }
}

impl Manifest {
    /// The hash of the whole release: of every key, content, header and role in it.
    pub fn tree(&self) -> Sha256 {
        let mut hasher = Hasher::default();
        for file in &self.files {
            let Headers {
                content_type,
                cache_control,
                content_encoding,
                content_disposition,
                content_language,
                redirect,
            } = &*file.headers;
            hasher.update(file.key.as_str().as_bytes());
            hasher.update(b"\0");
            hasher.update(file.sha256.to_string().as_bytes());
            for value in [
                Some(content_type),
                cache_control.as_ref(),
                content_encoding.as_ref(),
                content_disposition.as_ref(),
                content_language.as_ref(),
                redirect.as_ref(),
            ] {
                // Header values hold no control characters, so these marks cannot be forged by one.
                hasher.update(value.map_or(b"\x01".as_slice(), |v| v.as_bytes()));
                hasher.update(b"\0");
            }
            hasher.update(&[b'0' + file.role as u8, b'\n']);
        }
        hasher.finish()
    }

    /// The files of both; `None` where they have a file in common that is not the same in both.
    pub fn merged(&self, other: &Self) -> Option<Self> {
        let is_same = |a: &ReleaseFile, b: &ReleaseFile| a.sha256 == b.sha256 && a.headers == b.headers;
        let agree = self.files.iter().all(|file| other.get(&file.key).is_none_or(|there| is_same(file, there)));
        let new = self.files.iter().filter(|file| other.get(&file.key).is_none());
        let mut files: Vec<ReleaseFile> = other.files.iter().chain(new).cloned().collect();
        files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        agree.then_some(Self { files })
    }

    /// Number of bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum()
    }

    /// The file under `key`.
    pub fn get(&self, key: &Key) -> Option<&ReleaseFile> {
        self.files.binary_search_by(|f| f.key.cmp(key)).ok().map(|i| &self.files[i])
    }

    /// The two objects it is stored as: entry files, then fingerprinted files.
    pub fn encode(&self) -> (Bytes, Bytes) {
        let part = |kind, fingerprinted| {
            lines::encode(
                (kind, Extra::default()),
                self.files.iter().filter(move |f| (f.role == Role::Fingerprinted) == fingerprinted),
                |f| f.key.as_str(),
                |f| &f.headers,
                |f, headers| Line {
                    key: f.key.clone(),
                    sha256: f.sha256,
                    size: f.size,
                    headers,
                    role: f.role,
                    demoted: f.demoted,
                },
            )
        };
        (part(ENTRIES, false), part(ASSETS, true))
    }

    /// Reads what [`Manifest::encode`] wrote: the key and the bytes of both parts.
    ///
    /// # Errors
    /// [`StateError`] naming the key of the part that is not what was written.
    pub fn decode(entries: (&str, &[u8]), assets: (&str, &[u8])) -> Result<Self, StateError> {
        let mut files = Self::decode_part(entries.0, ENTRIES, entries.1)?.files;
        files.append(&mut Self::decode_part(assets.0, ASSETS, assets.1)?.files);
        files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { files })
    }

    fn decode_part(key: &str, kind: &'static str, bytes: &[u8]) -> Result<Self, StateError> {
        let mut files = Decoder::<Line>::decode(key, kind, bytes)?;
        files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { files })
    }
}
