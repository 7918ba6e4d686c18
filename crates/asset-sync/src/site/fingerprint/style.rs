//! The styles in which the names of a site are written, learnt from all of them together.
//!
//! Bundlers write the names of a folder in one style: one separator, one length, one alphabet. A doubtful name is a
//! hash where its neighbours are hashes without doubt.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::name::{Kind, NameParts};
use super::token::{self, Verdict};
use super::words::{is_plain, is_written, starts_with_date};
use super::{Alphabet, Name};

/// Names of folders that bundlers make for images, fonts and media (Vue CLI, Angular, Vite, Docusaurus).
const ASSET_FOLDERS: [&str; 7] = ["media", "img", "images", "fonts", "font", "assets", "static"];

/// Where a token belongs: names that agree in it are taken to be written by one tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Style {
    separator: Option<char>,
    length: usize,
}

impl Style {
    fn of(parts: &NameParts<'_>) -> Self {
        Self { separator: parts.separator, length: parts.token.len() }
    }
}

/// How many names of one style are what.
#[derive(Debug, Clone, Copy, Default)]
struct Votes {
    /// Names that are hashes, alone or side by side.
    hashes: usize,
    /// Those of them that are so alone.
    certain: usize,
    /// Names in doubt.
    possible: usize,
    /// Names that are plain words, dates or numbers.
    no: usize,
    /// The alphabets of the hashes, a bit for each.
    alphabets: u8,
    /// Whether a page that Vite or Angular wrote loads one of them.
    by_tool: bool,
}

impl Votes {
    fn add(&mut self, token: &str, verdict: Verdict) {
        match verdict {
            Verdict::Certain | Verdict::Probable => {
                self.hashes += 1;
                self.certain += usize::from(verdict == Verdict::Certain);
                self.alphabets |= bit(token::alphabet(token));
            }
            Verdict::No if is_plain(token) => self.no += 1,
            Verdict::Possible | Verdict::No => self.possible += 1,
        }
    }

    /// Whether the doubtful names of the style are hashes as well. Of real Base64url hashes about half are certain (a
    /// quarter has no digit) and one in thirty looks like a word.
    fn are_hashes(&self) -> bool {
        (self.certain > 0 || self.hashes >= 3)
            && self.hashes * 3 >= self.hashes + self.possible + self.no
            && self.no * 3 <= self.hashes
    }

    /// Whether the style is one tool's, beyond doubt: many names that are hashes, and no more of the others than that
    /// tool would give by chance (of real Base64url hashes one in eight to those that are certain).
    fn are_of_one_tool(&self) -> bool {
        self.hashes >= 8 && self.no * 6 <= self.hashes && self.are_hashes()
    }

    /// Whether a token of the style is a hash as well.
    fn show(&self, token: &str, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Certain | Verdict::Probable | Verdict::Possible => self.are_hashes(),
            // Figures only are hexadecimal digits where all others are.
            Verdict::No if token.bytes().all(|b| b.is_ascii_digit()) => {
                self.alphabet() == Alphabet::Hex && self.hashes >= 3 && self.are_hashes() && !starts_with_date(token)
            }
            Verdict::No if self.by_tool && self.are_hashes() => !is_written(token),
            Verdict::No => self.are_of_one_tool() && !is_plain(token),
        }
    }

    /// The alphabet of the hashes: the largest of them has the characters of the others.
    fn alphabet(&self) -> Alphabet {
        let all = [Alphabet::Base64url, Alphabet::Base38, Alphabet::Base36, Alphabet::Base32];
        all.into_iter().find(|&alphabet| self.alphabets & bit(alphabet) != 0).unwrap_or(Alphabet::Hex)
    }

    /// Whether the hashes of the style are written with an alphabet that has all characters of the token: hexadecimal
    /// names say nothing about a name of words.
    fn can_write(&self, token: &str) -> bool {
        let alphabet = token::alphabet(token);
        self.alphabets & bit(alphabet) != 0
            || self.alphabets & bit(Alphabet::Base64url) != 0
            || (matches!(alphabet, Alphabet::Hex | Alphabet::Base36) && self.alphabets & bit(Alphabet::Base38) != 0)
            || (alphabet == Alphabet::Hex && self.alphabets & bit(Alphabet::Base36) != 0)
    }
}

fn bit(alphabet: Alphabet) -> u8 {
    1 << alphabet as u8
}

/// The styles of a folder.
#[derive(Debug, Default)]
struct Folder {
    /// Few, so that a list is faster than a map.
    styles: Vec<(Style, Votes)>,
    /// Lengths of the styles whose names are hashes, the most frequent first.
    lengths: Vec<usize>,
    /// Whether it holds a script or style whose name is a hash without doubt.
    has_code: bool,
}

impl Folder {
    /// The votes of a style, none where it is new.
    fn votes(&mut self, style: Style) -> &mut Votes {
        let at = self.styles.iter().position(|(of, _)| *of == style).unwrap_or_else(|| {
            self.styles.push((style, Votes::default()));
            self.styles.len() - 1
        });
        &mut self.styles[at].1
    }
}

/// A style that shows a name to be a hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// The alphabet of the style.
    pub(super) alphabet: Alphabet,
    /// Number of names in it besides the one in question.
    pub(super) others: usize,
}

/// The styles of a site.
#[derive(Debug, Default)]
pub(super) struct Styles {
    folders: HashMap<Arc<str>, Folder>,
    /// Those of scripts and styles in the whole site.
    site: HashMap<Style, Votes>,
    /// Folders whose sub-folders hold scripts with hashes.
    parents: HashSet<Box<str>>,
}

impl Styles {
    /// Learns from the names of a site. Only what bundlers write counts: a style of pages or data may be one of
    /// symbols or records.
    pub(super) fn learn<'a>(names: impl Iterator<Item = &'a Name<'a>>) -> Self {
        let mut styles = Self::default();
        for name in names {
            let NameParts { separator, token, .. } = name.parts;
            if matches!(name.kind, Kind::Code | Kind::Asset) && separator != Some('_') && !token.is_empty() {
                styles.add(name);
            }
        }
        for folder in styles.folders.values_mut() {
            let mut lengths: Vec<_> =
                folder.styles.iter().filter(|(_, v)| v.are_hashes()).map(|(s, v)| (v.hashes, s.length)).collect();
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            folder.lengths = lengths.into_iter().map(|(_, length)| length).collect();
        }
        styles
    }

    fn add(&mut self, name: &Name<'_>) {
        let Name { parts, kind, verdict, .. } = name;
        let (kind, verdict) = (*kind, *verdict);
        let style = Style::of(parts);
        if !self.folders.contains_key(parts.directory) {
            self.folders.insert(parts.directory.into(), Folder::default());
        }
        let Some(folder) = self.folders.get_mut(parts.directory) else { return };
        let votes = folder.votes(style);
        votes.add(parts.token, verdict);
        votes.by_tool |= name.is_by_tool;
        if kind == Kind::Code {
            self.site.entry(style).or_default().add(parts.token, verdict);
            if verdict == Verdict::Certain && !folder.has_code {
                folder.has_code = true;
                self.parents.extend(parent(parts.directory).map(Box::from));
            }
        }
    }

    /// The style of the name, if the names that are written in it show that this one is a hash too.
    pub(super) fn show(&self, parts: &NameParts<'_>, kind: Kind, verdict: Verdict) -> Option<Shown> {
        let style = Style::of(parts);
        let here = self
            .folders
            .get(parts.directory)
            .and_then(|folder| folder.styles.iter().find(|(of, _)| *of == style))
            .map(|(_, votes)| votes);
        let of_code = self.site.get(&style).filter(|votes| votes.can_write(parts.token));
        let is_candidate = match kind {
            Kind::Code => true,
            // A style of images alone may be that of users or records.
            Kind::Asset => of_code.is_some() && self.is_among_code(parts),
            Kind::Document | Kind::SourceMap => false,
        };
        let styles = [here, of_code.filter(|votes| votes.hashes >= 3)];
        styles
            .into_iter()
            .flatten()
            .filter(|_| is_candidate)
            .find(|votes| votes.can_write(parts.token) && votes.show(parts.token, verdict))
            .map(|votes| Shown { alphabet: votes.alphabet(), others: votes.hashes.saturating_sub(1) })
    }

    /// Whether the folder is one of those where bundlers put images and fonts: that of scripts with hashes, one beside
    /// it (`static/js/` and `static/media/`), or one that is called so.
    pub(super) fn is_among_code(&self, parts: &NameParts<'_>) -> bool {
        let name = parts.directory.strip_suffix('/').map(|path| path.rsplit('/').next().unwrap_or(path));
        self.is_beside_code(parts) || name.is_some_and(|name| ASSET_FOLDERS.contains(&name))
    }

    /// The same without the names of folders. At the top of a site, where users put folders of their own, no folder is
    /// beside that of scripts.
    pub(super) fn is_beside_code(&self, parts: &NameParts<'_>) -> bool {
        let beside = || {
            let parent = parent(parts.directory).filter(|parent| !parent.is_empty());
            parent.is_some_and(|parent| self.parents.contains(parent))
        };
        self.folders.get(parts.directory).is_some_and(|folder| folder.has_code) || (!parts.stem.is_empty() && beside())
    }

    /// Lengths of the hashes in a folder, the most frequent first.
    pub(super) fn lengths(&self, directory: &str) -> &[usize] {
        self.folders.get(directory).map_or(&[], |folder| &folder.lengths)
    }

    /// The text of a folder, shared with the styles that know it.
    pub(super) fn folder(&self, directory: &str) -> Arc<str> {
        self.folders.get_key_value(directory).map_or_else(|| directory.into(), |(folder, _)| Arc::clone(folder))
    }
}

/// The folder that a folder lies in; none at the top.
fn parent(directory: &str) -> Option<&str> {
    let inner = directory.strip_suffix('/')?;
    Some(&inner[..inner.rfind('/').map_or(0, |at| at + 1)])
}
