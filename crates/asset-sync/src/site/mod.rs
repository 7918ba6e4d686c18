//! A built site on disk, and what each of its files becomes on the web.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Sha256;
use crate::headers::Headers;

mod address;
mod encoding;
pub(crate) mod fingerprint;
mod hash;
mod hosts;
mod html;
mod key;
mod manifest;
mod media_type;
mod parallel;
mod precompressed;
mod preflight;
mod problem;
mod rules;
mod scan;
mod source;
mod values;
mod walk;

pub use encoding::ContentEncoding;
pub use fingerprint::{Alphabet, Evidence, Fingerprint};
pub use key::{Key, KeyError};
pub use manifest::{BakedManifest, Difference, PACKED_MTIME, SiteManifest, SiteManifestError, SiteManifestFile};
pub use precompressed::Precompressed;
#[cfg(feature = "verify")]
pub(crate) use preflight::page_references;
pub use preflight::{Finding, FindingKind, Findings, Instead, PreflightOptions, SourceMaps, preflight, report};
pub use problem::{ScanError, ScanProblem, ScanWarning};
pub use rules::{Rule, Rules, RulesError, RulesFault, RulesProblem};
pub(crate) use scan::CACHE_FINGERPRINTED;
pub use scan::{ScanOptions, scan, scan_and_preflight};
use source::Source;
pub use values::{Fault, PlaceholderFault, SiteValues, ValuesError, ValuesInput, ValuesProblem};

/// How a file takes part in the switch from one release to the next.
///
/// The order of the variants is the order in which they go live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Its name carries a hash of its content: it never changes under one key, and may be put
    /// there before anything refers to it.
    Fingerprinted,
    /// A stable name whose content changes: `sw.js`, `manifest.json`, an image without a hash.
    Entry,
    /// An HTML page: live after everything it can refer to.
    Html,
    /// The root document, `index.html` at the top: last of all.
    Root,
}

/// One file of a site, as it will be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFile {
    /// Its key, relative to the target's prefix: its path in the site with `/` between segments.
    pub key: Key,
    /// The site's directory, shared by all its files.
    root: Arc<Path>,
    /// SHA-256 of the bytes that are served, after content encoding.
    pub sha256: Sha256,
    /// Number of bytes that are served, after content encoding.
    pub size: u64,
    /// How the bytes on disk are encoded before they are uploaded.
    pub encoding: ContentEncoding,
    /// The encoding that the bytes have on disk already, where browsers are told of it. `encoding` is then
    /// `Identity`.
    pub precompressed: Option<Precompressed>,
    /// Headers it is served with.
    pub headers: Arc<Headers>,
    /// Its place in the switch.
    pub role: Role,
    /// Whether its name carries a hash of its content, and how that is known.
    pub fingerprint: Fingerprint,
    /// Where the bytes come from.
    source: Source,
}

/// A scanned site: its files in the order of their keys.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The files, sorted by key, no key twice.
    pub files: Vec<SiteFile>,
    /// What was left out, hidden (dot files and the like), of another host, or by a rule, as paths within the site;
    /// a directory that was left out whole stands here once.
    pub skipped: Vec<PathBuf>,
    /// Rules that matched no file: most often a misspelt glob, and worth a warning.
    pub unmatched_rules: Vec<Rule>,
    /// What is likely a mistake and stops nothing.
    pub warnings: Vec<ScanWarning>,
    /// What the pre-flight found; nothing where it was not asked for. A site with refusals is not
    /// deployed.
    pub findings: Findings,
}

impl Site {
    /// Number of bytes of all files together, as they are served.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}
