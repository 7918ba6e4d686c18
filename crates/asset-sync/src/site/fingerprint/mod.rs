//! Which files carry a hash of their content in their name, and how that is known.
//!
//! A name wrongly taken for a fingerprint is cached by browsers for a year; one that is missed only costs a
//! revalidation. So every rule here leans towards "no". Evidence is sought in this order: what the build tool itself
//! says ([`manifests`]), the folders that frameworks keep for such files ([`folders`]), and the shapes of the names of
//! the whole site ([`token`], [`style`]).

mod doubt;
mod evidence;
mod folders;
mod manifests;
mod name;
mod pages;
mod style;
mod token;
mod words;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub(super) use doubt::looks_hashed;
pub use evidence::{Alphabet, Evidence, Fingerprint};
use folders::Needs;
use manifests::Manifests;
pub(crate) use name::NameParts;
use name::{Cut, Kind};
use pages::Pages;
use style::{Shown, Styles};
use token::Verdict;
use words::{is_plain, starts_with_date};

use super::{Key, media_type};

/// What Angular calls the scripts and styles of a build, besides its chunks.
const ANGULAR_STEMS: [&str; 7] = ["main", "polyfills", "styles", "scripts", "runtime", "vendor", "worker"];
/// Longest hash in the name of an HTML partial: 20 hexadecimal digits, as webpack writes.
const LONGEST_OF_PARTIALS: usize = 20;

/// A file whose name is to be judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) key: &'a Key,
    pub(super) content_type: &'a str,
}

/// What is known about the names of a site's files.
#[derive(Debug)]
pub(super) struct Fingerprints {
    judgements: Vec<Fingerprint>,
    styles: Styles,
}

impl Fingerprints {
    /// Judges the files of the site in the directory `root`. Reads the manifests that build tools leave there, hidden
    /// ones too; those that are missing, broken or too large are ignored.
    pub(super) fn of(root: &Path, files: &[Named<'_>]) -> Self {
        let manifests = Manifests::read(root, files.iter().map(|file| file.key.as_str()));
        let mut names: Vec<_> = files.iter().map(|file| Name::of(file.key.as_str())).collect();
        doubt_commits(&mut names);
        Pages::read(root, files.iter().map(|file| file.key.as_str())).vouch(&mut names);
        let styles = Styles::learn(names.iter().flatten());
        let judge = |(file, name): (&Named<'_>, &Option<Name<'_>>)| {
            // A page's address is what people keep, whatever its name looks like.
            let name = name.as_ref().filter(|_| !media_type::is_html(file.content_type));
            name.map_or(Fingerprint::No, |name| name.judge(&styles, &manifests))
        };
        let judgements = files.iter().zip(&names).map(judge).collect();
        Self { judgements, styles }
    }

    /// The judgements of all files, in their order.
    pub(super) fn judgements(&self) -> &[Fingerprint] {
        &self.judgements
    }

    /// Whether the name of a file that is not in the site carries a hash: by its folder, by its shape, or by the style
    /// of the names in its folder. `path` is relative to the site.
    pub(super) fn carries_hash(&self, path: &str) -> bool {
        let judgement = Name::of(path).map(|name| name.judge(&self.styles, &Manifests::default()));
        matches!(judgement, Some(Fingerprint::Certain(_)))
    }
}

/// A name with what it says by itself.
struct Name<'a> {
    key: &'a str,
    cut: Cut<'a>,
    parts: NameParts<'a>,
    kind: Kind,
    /// Of the token.
    alphabet: Alphabet,
    verdict: Verdict,
    /// Whether a page loads it, in a way that shows its name to be a hash.
    is_loaded: bool,
    /// Whether that page is written by Vite or Angular.
    is_by_tool: bool,
}

impl<'a> Name<'a> {
    fn of(key: &'a str) -> Option<Self> {
        let cut = Cut::of(key)?;
        let Some(parts) = cut.likeliest() else {
            // A hash with separators in it may end the name: the lengths of others will tell.
            let parts = NameParts {
                directory: cut.directory,
                stem: cut.stem,
                separator: None,
                token: "",
                endings: cut.endings,
            };
            return Some(Self::new(key, cut, parts, Verdict::No));
        };
        let mut name = Self::new(key, cut, parts, token::judge(parts.token));
        if name.alphabet == Alphabet::Base32 && parts.token.len() == token::SHORT_HASH {
            name.verdict = name.verdict.max(of_esbuild(&parts, name.verdict));
        }
        Some(name)
    }

    fn new(key: &'a str, cut: Cut<'a>, parts: NameParts<'a>, verdict: Verdict) -> Self {
        let alphabet = token::alphabet(parts.token);
        Self { key, cut, parts, kind: Kind::of(key), alphabet, verdict, is_loaded: false, is_by_tool: false }
    }

    fn judge(&self, styles: &Styles, manifests: &Manifests) -> Fingerprint {
        let parts = &self.parts;
        if self.kind == Kind::SourceMap {
            return Fingerprint::No;
        }
        if let Some(manifest) = manifests.listed(self.key)
            && self.is_no_word()
        {
            return Fingerprint::Certain(Evidence::Listed { manifest: Arc::clone(manifest) });
        }
        if let Some(convention) = folders::convention(parts.directory)
            && self.has(convention.needs)
        {
            return Fingerprint::Certain(Evidence::Folder { folder: convention.folder, tool: convention.tool });
        }
        if self.is_loaded {
            return Fingerprint::Certain(Evidence::Loaded);
        }
        if let Some((length, shown)) = self.shown(styles) {
            let folder = styles.folder(parts.directory);
            return Fingerprint::Certain(Evidence::Name {
                folder,
                alphabet: shown.alphabet,
                length,
                others: shown.others,
            });
        }
        let alphabet = self.alphabet;
        // After `_`, and where they are the whole stem, words and numbers look like hashes too often; not hexadecimal
        // ones.
        let is_certain = self.verdict == Verdict::Certain
            && match parts.separator {
                Some('_') => false,
                None => alphabet == Alphabet::Hex,
                _ => true,
            };
        let is_evidence = match self.kind {
            Kind::Code => true,
            // Webpack gives images longer hashes than scripts.
            Kind::Asset => alphabet == Alphabet::Hex && styles.is_beside_code(parts),
            Kind::Document | Kind::SourceMap => false,
        };
        if is_certain && is_evidence {
            let folder = styles.folder(parts.directory);
            return Fingerprint::Certain(Evidence::Name { folder, alphabet, length: parts.token.len(), others: 0 });
        }
        // Doxygen: the MD5 of a symbol or a path.
        let is_symbol = parts.separator == Some('_') && alphabet == Alphabet::Hex && parts.token.len() >= 32;
        let is_doubtful = match alphabet {
            Alphabet::Hex => self.verdict >= Verdict::Possible,
            _ => self.verdict >= Verdict::Probable,
        };
        let may_be = is_certain || (self.kind == Kind::Code && is_doubtful && !is_symbol);
        if may_be { Fingerprint::Likely } else { Fingerprint::No }
    }

    /// Whether the name has what a folder's convention asks for.
    fn has(&self, needs: Needs) -> bool {
        let token = self.parts.token;
        let is_base36 = || matches!(self.alphabet, Alphabet::Base36 | Alphabet::Hex);
        match needs {
            Needs::Nothing => true,
            Needs::NoWord => self.is_no_word(),
            Needs::Base36 => token.len() == 10 && is_base36() && self.is_no_word(),
        }
    }

    /// Whether the token may be a hash where something else than its shape says that it is.
    fn is_no_word(&self) -> bool {
        let token = self.parts.token;
        let figures = token.bytes().filter(u8::is_ascii_digit).count();
        let is_hex = self.alphabet == Alphabet::Hex && figures >= 2 && !starts_with_date(token);
        let is_short = token.len() == token::SHORT_HASH && (self.verdict > Verdict::No || !token.contains(['-', '_']));
        let may_be = self.verdict >= Verdict::Probable || is_short || (figures > 0 && token.len() == 10);
        is_hex || token::is_turbopack(token) || (may_be && !is_plain(token))
    }

    /// The style that shows the name to be a hash, and the hash's length. Where a hash with separators in it starts is
    /// known from the lengths of hashes in the folder.
    fn shown(&self, styles: &Styles) -> Option<(usize, Shown)> {
        let show = |parts: &NameParts<'_>, verdict| {
            let shown = styles.show(parts, self.kind, verdict)?;
            Some((parts.token.len(), shown))
        };
        show(&self.parts, self.verdict).or_else(|| {
            let lengths =
                styles.lengths(self.parts.directory).iter().filter(|&&length| length != self.parts.token.len());
            let mut cuts = lengths.filter_map(|&length| self.cut.last(length));
            cuts.find_map(|parts| show(&parts, token::judge(parts.token)))
        })
    }
}

/// Takes back the verdict on tokens that may be the short name of a commit: the same hexadecimal digits in most names of
/// their style. Two builds of one commit can differ, by their environment.
fn doubt_commits(names: &mut [Option<Name<'_>>]) {
    const GIT_LENGTHS: std::ops::RangeInclusive<usize> = 7..=12;
    let may_be_commit = |name: &Name<'_>| {
        let length = name.parts.token.len();
        name.kind == Kind::Code && (GIT_LENGTHS.contains(&length) || length == 40) && name.alphabet == Alphabet::Hex
    };
    // For each token the first stem that has it and the number of others, and for each style the number of names.
    let mut stems: HashMap<&str, (&str, usize)> = HashMap::new();
    let mut total: HashMap<(Option<char>, usize), usize> = HashMap::new();
    for name in names.iter().flatten().filter(|name| may_be_commit(name)) {
        let NameParts { stem, separator, token, .. } = name.parts;
        let (first, others) = stems.entry(token).or_insert((stem, 0));
        *others += usize::from(*first != stem);
        *total.entry((separator, token.len())).or_default() += 1;
    }
    for name in names.iter_mut().flatten().filter(|name| may_be_commit(name)) {
        let NameParts { separator, token, .. } = name.parts;
        let others = stems.get(token).map_or(0, |(_, others)| *others);
        let of_style = total.get(&(separator, token.len())).copied().unwrap_or_default();
        if others > 0 && (others + 1) * 2 > of_style {
            name.verdict = Verdict::Possible;
        }
    }
}

/// The verdict on a token of esbuild's alphabet after a stem of esbuild (`chunk-…`) or Angular: few sites of Angular have
/// more than four such names, too few to show a style.
fn of_esbuild(parts: &NameParts<'_>, verdict: Verdict) -> Verdict {
    let known = ANGULAR_STEMS.contains(&parts.stem);
    match parts.separator {
        Some('-') if parts.stem == "chunk" || (known && verdict >= Verdict::Possible) => Verdict::Certain,
        _ => verdict,
    }
}

/// Whether the shape of the name alone leaves no doubt that it carries a hash of its content. Hashes of symbols and
/// records are longer than those that tools for pages write.
pub(crate) fn name_looks_hashed(key: &str) -> bool {
    Name::of(key).is_some_and(|name| {
        name.verdict == Verdict::Certain
            && matches!(name.parts.separator, Some('.' | '-'))
            && name.parts.token.len() <= LONGEST_OF_PARTIALS
    })
}

/// The parts of a name that may carry a hash.
pub(crate) fn parts(key: &str) -> Option<NameParts<'_>> {
    Cut::of(key)?.likeliest()
}

#[cfg(test)]
mod tests;
