//! A file name cut at what may be a hash.

use super::super::media_type;
use super::token::{LONGEST_HASH, SHORT_HASH, SHORTEST_HASH, TURBOPACK_HASH, is_turbopack};

/// Parts between a hash and the extension (`main.3f2a9c0d.chunk.js`, `….lean.js`, `….ttf.woff2`).
const INNER_ENDINGS: [&str; 24] = [
    "min", "chunk", "bundle", "js", "mjs", "cjs", "css", "wasm", "module", "nomodule", "async", "esm", "umd", "system",
    "lean", "entry", "iframe", "worker", "legacy", "modern", "prod", "ttf", "otf", "woff",
];
/// Endings of files that were compressed after their name was given.
const ENCODINGS: [&str; 3] = [".br", ".gz", ".zst"];

/// A file name cut at what may be a hash: `assets/`, `index`, `-`, `B03_NDQ-`, `.js`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameParts<'a> {
    /// The folder with its slash; empty at the top of the site.
    pub(crate) directory: &'a str,
    /// What stands before the separator; empty where the token is the whole stem.
    pub(crate) stem: &'a str,
    /// `.`, `-` or `_`; none where the token starts the name.
    pub(crate) separator: Option<char>,
    /// What may be a hash.
    pub(crate) token: &'a str,
    /// The rest, from its dot: `.js`, `.chunk.js.br`.
    pub(crate) endings: &'a str,
}

/// What a file is for, by its name: how much its name can prove depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Scripts, styles, WebAssembly: bundlers write these, and their names make the style of a site.
    Code,
    /// Images, fonts, media, binary data. Their names may hold the hash of a user or a record.
    Asset,
    /// Pages, data, documents, downloads: their names often hold the hash of a symbol, a path or a record.
    Document,
    /// A source map. The hash before its ending is that of the script, which stays while the map changes
    /// (webpack/webpack#6190).
    SourceMap,
}

impl Kind {
    pub(super) fn of(key: &str) -> Self {
        let name = key.rsplit('/').next().unwrap_or_default();
        let name = without_encoding(name);
        if name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("map")) {
            return Self::SourceMap;
        }
        // Most files of a build are these, which the table of types takes long to find.
        match name.rsplit('.').next() {
            Some("js" | "css") => return Self::Code,
            Some("png" | "svg" | "woff2") => return Self::Asset,
            Some("html" | "json") => return Self::Document,
            _ => {}
        }
        let content_type = media_type::of_key(name);
        let essence = content_type.split(';').next().unwrap_or_default();
        match essence {
            "text/javascript" | "text/css" | "application/wasm" => Self::Code,
            "application/octet-stream" | "application/vnd.ms-fontobject" | "application/manifest+json"
                if name.contains('.') =>
            {
                Self::Asset
            }
            _ if ["image/", "font/", "audio/", "video/", "model/"].iter().any(|start| essence.starts_with(start)) => {
                Self::Asset
            }
            _ => Self::Document,
        }
    }
}

/// The name before compression: the inner name decides what a file is.
pub(super) fn without_encoding(name: &str) -> &str {
    ENCODINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .filter(|inner| inner.rsplit_once('.').is_some_and(|(_, ending)| !ending.is_empty()))
        .unwrap_or(name)
}

/// A key cut at its folder and its endings: where the hash starts in `stem` is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut<'a> {
    pub(super) directory: &'a str,
    pub(super) stem: &'a str,
    pub(super) endings: &'a str,
}

impl<'a> Cut<'a> {
    pub(super) fn of(key: &'a str) -> Option<Self> {
        let (directory, name) = key.split_at(key.rfind('/').map_or(0, |at| at + 1));
        let plain = without_encoding(name);
        let (mut stem, extension) = plain.rsplit_once('.')?;
        if !extension.bytes().all(|b| b.is_ascii_alphanumeric()) || !extension.bytes().any(|b| b.is_ascii_alphabetic())
        {
            return None;
        }
        while let Some((rest, inner)) = stem.rsplit_once('.')
            && INNER_ENDINGS.contains(&inner)
        {
            stem = rest;
        }
        // A random identifier says which file, not which content, and so does the name of a symbol, in which doxygen
        // writes `::` as `_1_1` (`escapeCharsInString` in its `util.cpp`).
        let usable = !stem.is_empty() && !ends_with_uuid(stem) && !stem.as_bytes().windows(4).any(|w| w == b"_1_1");
        usable.then(|| Self { directory, stem, endings: &name[stem.len()..] })
    }

    /// The last `length` characters of the stem, where a separator stands before them.
    pub(super) fn last(&self, length: usize) -> Option<NameParts<'a>> {
        let start = self.stem.len().checked_sub(length)?;
        if !self.stem.is_char_boundary(start) {
            return None;
        }
        let (before, token) = self.stem.split_at(start);
        let separator = before.chars().next_back();
        if !matches!(separator, None | Some('.' | '-' | '_')) || !token.bytes().all(is_base64url) {
            return None;
        }
        let stem = &before[..before.len() - usize::from(separator.is_some())];
        Some(NameParts { directory: self.directory, stem, separator, token, endings: self.endings })
    }

    /// The likeliest place of a hash, where there is one. A Base64url hash may itself contain `-` and `_`, so that its
    /// length tells where it starts.
    pub(super) fn likeliest(&self) -> Option<NameParts<'a>> {
        let turbopack = || self.last(TURBOPACK_HASH).filter(|parts| is_turbopack(parts.token));
        let after_separator = || {
            let length = self.stem.len() - self.stem.rfind(['.', '-', '_']).map_or(0, |at| at + 1);
            if (SHORTEST_HASH..=LONGEST_HASH).contains(&length) { self.last(length) } else { None }
        };
        self.last(SHORT_HASH).or_else(turbopack).or_else(after_separator)
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn ends_with_uuid(stem: &str) -> bool {
    let mut groups = stem.rsplit('-');
    [12, 4, 4, 4]
        .iter()
        .all(|&length| groups.next().is_some_and(|g| g.len() == length && g.bytes().all(|b| b.is_ascii_hexdigit())))
        && groups.next().is_some_and(|g| g.len() >= 8 && g.bytes().rev().take(8).all(|b| b.is_ascii_hexdigit()))
}
