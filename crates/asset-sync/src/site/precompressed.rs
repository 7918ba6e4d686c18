//! Files that the build compressed already: how they are recognised, and how they are served.
//!
//! `docs/decisions/0011-compressed-files.md` has the reasons.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rules::{Applied, Rules};
use super::{ContentEncoding, Key, ScanProblem, ScanWarning, SiteFile, media_type};
use crate::headers::Headers;

/// Number of bytes at the start of a file by which its encoding is known.
const MAGIC: usize = 4;

/// An encoding that the bytes of a file have on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Precompressed {
    /// gzip (RFC 1952).
    #[serde(rename = "gzip")]
    Gzip,
    /// Brotli (RFC 7932), which nothing in its bytes shows.
    #[serde(rename = "br")]
    Brotli,
    /// Zstandard (RFC 8878).
    #[serde(rename = "zstd")]
    Zstd,
}

impl Precompressed {
    /// The value of the `Content-Encoding` header.
    pub fn header(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// By the first bytes of a file: gzip or Zstandard.
    pub(super) fn of_bytes(head: &[u8]) -> Option<Self> {
        match head {
            // RFC 1952: the upper three flags are reserved and zero.
            [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What `source` holds; it ends where `source` is broken. `None` for Zstandard, which this program cannot decode.
    pub(super) fn decode<'a>(self, source: impl Read + Send + 'a) -> Option<Box<dyn Read + Send + 'a>> {
        match self {
            Self::Gzip => Some(Box::new(UntilBroken(flate2::read::MultiGzDecoder::new(source)))),
            Self::Brotli => Some(Box::new(UntilBroken(brotli::Decompressor::new(source, 64 * 1024)))),
            Self::Zstd => None,
        }
    }

    fn of_rule(encoding: ContentEncoding) -> Option<Self> {
        match encoding {
            ContentEncoding::Identity => None,
            ContentEncoding::Gzip => Some(Self::Gzip),
            ContentEncoding::Brotli => Some(Self::Brotli),
        }
    }
}

/// Ends where its source can no longer be read.
struct UntilBroken<R>(R);

impl<R: Read> Read for UntilBroken<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Ok(0),
            other => other,
        }
    }
}

/// The encoding that the name of a file tells.
struct Named<'a> {
    /// The key without the ending of the encoding: `app.js` of `app.js.br`.
    inner: Cow<'a, str>,
    encoding: Precompressed,
    /// Whether the name is that of a copy which may lie beside the original; an `.svgz` or a `.tgz` is none.
    may_be_copy: bool,
}

impl<'a> Named<'a> {
    fn of(key: &'a str) -> Option<Self> {
        let (stem, extension) = key.rsplit_once('.')?;
        if stem.is_empty() || stem.ends_with('/') {
            return None;
        }
        let (inner, encoding) = match extension.to_ascii_lowercase().as_str() {
            "gz" => (None, Precompressed::Gzip),
            "br" => (None, Precompressed::Brotli),
            "zst" => (None, Precompressed::Zstd),
            "svgz" => (Some("svg"), Precompressed::Gzip),
            "tgz" => (Some("tar"), Precompressed::Gzip),
            _ => return None,
        };
        Some(Self {
            inner: inner.map_or(Cow::Borrowed(stem), |inner| Cow::Owned(format!("{stem}.{inner}"))),
            encoding,
            may_be_copy: inner.is_none(),
        })
    }

    /// Whether a file of which the build has only the encoded form is for browsers to decode, and neither a download
    /// nor for a script to decode.
    fn is_for_browsers(&self, encoding: Precompressed) -> bool {
        let content_type = media_type::of_key(&self.inner);
        let essence = content_type.split(';').next().unwrap_or_default();
        let is_code = media_type::is_html(content_type)
            || matches!(essence, "text/css" | "text/javascript" | "application/wasm" | "image/svg+xml");
        // Unity's builds: <https://docs.unity3d.com/Manual/webgl-server-configuration-code-samples.html>.
        let is_unity = [".data", ".symbols.json"].iter().any(|ending| self.inner.ends_with(ending));
        // Scripts do decode JSON that is gzip by its name (vitest-dev/vitest#9276), and people download such tables and
        // texts. Brotli is for servers alone.
        is_code || is_unity || (encoding == Precompressed::Brotli && !media_type::is_unknown(content_type))
    }
}

/// What a file is served as, before its bytes are read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Served<'a> {
    pub(super) content_type: &'a str,
    /// How the bytes are encoded before they are uploaded.
    pub(super) encoding: ContentEncoding,
    /// The encoding they have already.
    pub(super) precompressed: Option<Precompressed>,
}

impl Served<'_> {
    pub(super) fn content_encoding(&self) -> Option<&'static str> {
        self.precompressed.map(Precompressed::header).or(self.encoding.header())
    }
}

/// Decides what the file of this key is served as.
///
/// `has_original` says whether the site has a file of this key, and `head` reads the encoding that the first bytes of
/// the file show; it is called only where it decides.
pub(super) fn served<'a>(
    key: &'a Key,
    applied: &Applied<'a>,
    rules: &Rules,
    has_original: impl FnOnce(&str) -> bool,
    head: impl FnOnce() -> Option<Precompressed>,
) -> Result<Served<'a>, ScanProblem> {
    let named = Named::of(key.as_str());
    let (asked, asking) = applied.content_encoding.unzip();
    let asked = asked.unwrap_or_default();
    let content_type = applied.content_type.unwrap_or_else(|| media_type::of_key(key.as_str()));
    let as_it_is = Served { content_type, encoding: ContentEncoding::Identity, precompressed: None };
    let encoded = |encoding| {
        let inner = named.as_ref().map_or(key.as_str(), |named| &named.inner);
        let content_type = applied.content_type.unwrap_or_else(|| media_type::of_key(inner));
        Served { content_type, encoding: ContentEncoding::Identity, precompressed: Some(encoding) }
    };
    match applied.precompressed {
        Some((true, rule)) => {
            let by_name = named.as_ref().map(|named| named.encoding);
            let by_rule = Precompressed::of_rule(asked);
            // A rule for many files is less than a name; the rule that has both keys is more.
            let is_same_rule = asking.is_some_and(|asking| asking.number == rule.number);
            let told = if is_same_rule { by_rule.or(by_name) } else { by_name.or(by_rule) };
            // What cannot be told by its bytes may still be Brotli.
            let found = head().or(told.filter(|told| *told == Precompressed::Brotli));
            let said = told.map(Precompressed::header);
            found.map(encoded).ok_or_else(|| ScanProblem::NotPrecompressed {
                path: key.as_str().into(),
                rule: rule.to_string(),
                said,
            })
        }
        Some((false, _)) if named.is_some() => Ok(as_it_is),
        Some((false, _)) => Ok(Served { encoding: asked, ..as_it_is }),
        None => {
            let Some(named) = &named else { return Ok(Served { encoding: asked, ..as_it_is }) };
            let is_copy = named.may_be_copy && has_original(&named.inner);
            // A rule that is for the original too is not about the encoded form.
            let is_meant = asking.is_some_and(|rule| !rules.is_matched_by(&named.inner, rule))
                && asked != ContentEncoding::Identity;
            if is_copy && !is_meant {
                return Ok(as_it_is);
            }
            let Some(found) = head().or(Some(named.encoding).filter(|named| *named == Precompressed::Brotli)) else {
                // Not what its name says.
                return Ok(Served { encoding: asked, ..as_it_is });
            };
            Ok(if is_meant || named.is_for_browsers(found) { encoded(found) } else { as_it_is })
        }
    }
}

/// The encoding that the first bytes of a file show. `None` too where it cannot be read, which is told when it is
/// hashed.
pub(super) fn head_of(path: &Path) -> Option<Precompressed> {
    let mut head = Vec::with_capacity(MAGIC);
    File::open(path).ok()?.take(MAGIC as u64).read_to_end(&mut head).ok()?;
    Precompressed::of_bytes(&head)
}

/// What `file` becomes where its bytes turn out to be encoded: nothing is encoded twice, and what browsers could not
/// read without the header gets it. `None` where it stays as it is.
pub(super) fn found_in(file: &SiteFile, found: Precompressed, rules: &Rules) -> Option<SiteFile> {
    if file.precompressed.is_some() || Named::of(file.key.as_str()).is_some() {
        // Decided by its name and a look at these bytes.
        return None;
    }
    let content_type = &file.headers.content_type;
    let is_asked_for = file.encoding != ContentEncoding::Identity && !media_type::is_compressed_archive(content_type);
    let is_download = rules.apply(&rules.matching(file.key.as_str())).precompressed.is_some_and(|(is, _)| !is);
    let precompressed =
        (is_asked_for || media_type::is_text_like(content_type)).then_some(found).filter(|_| !is_download);
    let content_encoding = precompressed.map(|found| found.header().to_owned());
    (file.encoding != ContentEncoding::Identity || precompressed.is_some()).then(|| SiteFile {
        headers: Arc::new(Headers { content_encoding, ..Headers::clone(&file.headers) }),
        encoding: ContentEncoding::Identity,
        precompressed,
        ..file.clone()
    })
}

/// What to say about the compressed files of a site, sorted by key.
pub(super) fn warnings(files: &[SiteFile], rules: &Rules) -> Vec<ScanWarning> {
    let has = |key: &str| files.binary_search_by(|file| file.key.as_str().cmp(key)).is_ok();
    let mut copies = Vec::new();
    // By rule, and what the files are.
    let mut others: Vec<((usize, Precompressed), ScanWarning)> = Vec::new();
    for file in files {
        let named = Named::of(file.key.as_str());
        let applied = || rules.apply(&rules.matching(file.key.as_str()));
        let Some(found) = file.precompressed else {
            if named.is_some_and(|named| named.may_be_copy && has(&named.inner)) && applied().precompressed.is_none() {
                copies.push(file.key.clone());
            }
            continue;
        };
        let Some((asked, rule)) = applied().content_encoding else { continue };
        let Some(asked) = Precompressed::of_rule(asked).filter(|asked| *asked != found) else { continue };
        // Where the name tells as well, a rule for many files is not about this one.
        if named.is_some_and(|named| named.encoding == found) {
            continue;
        }
        if let Some((_, ScanWarning::OtherEncoding { files, .. })) =
            others.iter_mut().find(|(same, _)| *same == (rule.number, found))
        {
            files.push(file.key.clone());
        } else {
            let (rule_name, asked, is) = (rule.to_string(), asked.header(), found.header());
            let warning = ScanWarning::OtherEncoding { rule: rule_name, asked, is, files: vec![file.key.clone()] };
            others.push(((rule.number, found), warning));
        }
    }
    let copies = (!copies.is_empty()).then_some(ScanWarning::EncodedCopies { files: copies });
    copies.into_iter().chain(others.into_iter().map(|(_, warning)| warning)).collect()
}

#[cfg(test)]
#[path = "precompressed_tests.rs"]
mod tests;
