//! What differs between two releases, and what of it people who have seen the first one download again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use super::Tally;
use crate::digest::Sha256;
use crate::headers::Headers;
use crate::site::Key;
use crate::state::{Manifest, NamedRelease, ReleaseFile};

/// How long a visitor stays away, in seconds: what caches keep for less than a day is stale by then.
const AWAY: u64 = 24 * 60 * 60;

/// A group of content types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileType {
    /// Pages.
    Html,
    /// Scripts.
    Js,
    /// Style sheets.
    Css,
    /// Images, icons and SVG.
    Images,
    /// Fonts.
    Fonts,
    /// Source maps: only developer tools fetch them.
    Maps,
    /// Anything else.
    Other,
}

impl FileType {
    /// By the content type; source maps, which have that of JSON, by their name.
    fn of(file: &ReleaseFile) -> Self {
        let essence = file.headers.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if file.key.as_str().to_ascii_lowercase().rsplit_once('.').is_some_and(|(_, extension)| extension == "map") {
            return Self::Maps;
        }
        match essence.split_once('/').unwrap_or((&essence, "")) {
            ("text", "html") | ("application", "xhtml+xml") => Self::Html,
            // RFC 9239 has the older names of JavaScript.
            (_, "javascript" | "ecmascript" | "x-javascript") => Self::Js,
            ("text", "css") => Self::Css,
            ("image", _) => Self::Images,
            // RFC 8081: before `font/*` there were other names.
            ("font", _) | ("application", "vnd.ms-fontobject") => Self::Fonts,
            ("application", older) if older.starts_with("font-") || older.starts_with("x-font-") => Self::Fonts,
            _ => Self::Other,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Js => "js",
            Self::Css => "css",
            Self::Images => "images",
            Self::Fonts => "fonts",
            Self::Maps => "maps",
            Self::Other => "other",
        }
    }
}

/// A file that only one of the two releases has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffFile {
    /// Its key.
    pub key: Key,
    /// What it is.
    #[serde(rename = "type")]
    pub file_type: FileType,
    /// Its size as stored, which is what goes over the wire.
    pub bytes: u64,
}

/// What of a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Its bytes, and perhaps its headers.
    Content,
    /// Its headers alone.
    Headers,
}

/// A file that both releases have, and that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedFile {
    /// The file as the second release has it.
    #[serde(flatten)]
    pub file: DiffFile,
    /// Its size in the first release.
    pub bytes_before: u64,
    /// What of it changed.
    pub change: Change,
}

/// Bytes that the first release has under a key that the second one does not have, and the second one under a new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenamedFile {
    /// The file as the second release has it.
    #[serde(flatten)]
    pub file: DiffFile,
    /// Its key in the first release.
    pub key_before: Key,
}

/// Sums over the files of one type. What changed counts with its size in the second release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TypeDiff {
    /// All that the first release has.
    pub before: Tally,
    /// All that the second release has.
    pub after: Tally,
    /// Files that only the second release has.
    pub added: Tally,
    /// Files that only the first release has.
    pub removed: Tally,
    /// Files whose content or headers changed.
    pub changed: Tally,
    /// Files that have another name.
    pub renamed: Tally,
    /// What a returning visitor downloads, see [`ReturningVisitor`].
    pub download: Tally,
}

/// What the browser of a visitor does who has all of the first release in the cache, comes back after a day and loads all of
/// the second release. An upper bound: most visitors load a part of a site, and edges may compress what they send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReturningVisitor {
    /// Files to download: new content, new names, and what may not be stored in caches.
    pub download: Tally,
    /// Those of them that were renamed: the same bytes once more.
    pub renamed: Tally,
    /// Files in the cache of which the browser asks whether they changed. Each costs a request, and not its bytes.
    pub revalidated: Tally,
    /// Files that the browser takes from its cache without asking.
    pub cached: Tally,
}

/// What differs between two releases. A file is in one of the lists only, or is the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseDiff {
    /// The first release.
    pub from: NamedRelease,
    /// The second release.
    pub to: NamedRelease,
    /// Files that only the second release has, in the order of their keys.
    pub added: Vec<DiffFile>,
    /// Files that only the first release has.
    pub removed: Vec<DiffFile>,
    /// Files that both have, and that changed.
    pub changed: Vec<ChangedFile>,
    /// Files that have another name.
    pub renamed: Vec<RenamedFile>,
    /// Files that are the same in both.
    pub unchanged: Tally,
    /// Sums by type, of types that one of the two has.
    pub by_type: BTreeMap<FileType, TypeDiff>,
    /// What is downloaded again.
    pub returning_visitor: ReturningVisitor,
}

impl ReleaseDiff {
    /// Compares two releases by what their manifests say. The order of their numbers does not matter.
    pub fn new((from, old): (NamedRelease, &Manifest), (to, new): (NamedRelease, &Manifest)) -> Self {
        let mut diff = Self {
            from,
            to,
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
            renamed: Vec::new(),
            unchanged: Tally::default(),
            by_type: BTreeMap::new(),
            returning_visitor: ReturningVisitor::default(),
        };
        let mut gone = gone_by_content(old, new);
        for file in &new.files {
            diff.take(file, old.get(&file.key), &mut gone);
        }
        let mut removed: Vec<&ReleaseFile> = gone.into_values().flatten().collect();
        removed.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        for file in removed {
            diff.sums_of(FileType::of(file)).removed.add(file.size);
            diff.removed.push(described(file));
        }
        for file in &old.files {
            diff.sums_of(FileType::of(file)).before.add(file.size);
        }
        diff
    }

    /// Whether the two are the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && self.renamed.is_empty()
    }

    /// Takes in a file of the second release; `before` is the one of that name in the first.
    fn take<'a>(&mut self, file: &'a ReleaseFile, before: Option<&'a ReleaseFile>, gone: &mut Gone<'a>) {
        let size = file.size;
        // Empty files are alike whatever they are.
        let is_new = before.is_none() && size > 0;
        let renamed = gone.get_mut(&identity(file)).filter(|_| is_new).and_then(VecDeque::pop_front);
        let sums = self.by_type.entry(FileType::of(file)).or_default();
        sums.after.add(size);
        match (before, renamed) {
            (Some(before), _) if before.sha256 == file.sha256 && before.headers == file.headers => {
                self.unchanged.add(size);
            }
            (Some(before), _) => {
                let change = if before.sha256 == file.sha256 { Change::Headers } else { Change::Content };
                sums.changed.add(size);
                self.changed.push(ChangedFile { file: described(file), bytes_before: before.size, change });
            }
            (None, Some(before)) => {
                sums.renamed.add(size);
                self.renamed.push(RenamedFile { file: described(file), key_before: before.key.clone() });
            }
            (None, None) => {
                sums.added.add(size);
                self.added.push(described(file));
            }
        }
        let visitor = &mut self.returning_visitor;
        match before.filter(|before| before.sha256 == file.sha256).map_or(Kept::No, |before| kept(&before.headers)) {
            Kept::Fresh => visitor.cached.add(size),
            Kept::Stale => visitor.revalidated.add(size),
            Kept::No => {
                visitor.download.add(size);
                sums.download.add(size);
                if renamed.is_some() {
                    visitor.renamed.add(size);
                }
            }
        }
    }

    fn sums_of(&mut self, file_type: FileType) -> &mut TypeDiff {
        self.by_type.entry(file_type).or_default()
    }
}

/// Files that only the first release has, by what makes another file the same under a new name.
type Gone<'a> = HashMap<(Sha256, &'a str), VecDeque<&'a ReleaseFile>>;

fn gone_by_content<'a>(old: &'a Manifest, new: &Manifest) -> Gone<'a> {
    let mut gone = Gone::new();
    for file in old.files.iter().filter(|file| new.get(&file.key).is_none()) {
        gone.entry(identity(file)).or_default().push_back(file);
    }
    gone
}

fn identity(file: &ReleaseFile) -> (Sha256, &str) {
    (file.sha256, &file.headers.content_type)
}

fn described(file: &ReleaseFile) -> DiffFile {
    DiffFile { key: file.key.clone(), file_type: FileType::of(file), bytes: file.size }
}

/// What a browser's cache has of a file after [`AWAY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It is used without a request.
    Fresh,
    /// It is used if the server says that it did not change.
    Stale,
    /// Nothing.
    No,
}

/// By the `Cache-Control` that the file was served with. Without one browsers guess how long it is fresh (RFC 9111,
/// 4.2.2), and it counts as stale. `immutable` adds nothing to how long it is fresh (RFC 8246).
fn kept(headers: &Headers) -> Kept {
    let text = headers.cache_control.as_deref().unwrap_or_default().to_ascii_lowercase();
    let has = |wanted: &str| text.split(',').any(|directive| directive.trim() == wanted);
    let max_age = text.split(',').find_map(|directive| directive.trim().strip_prefix("max-age="));
    let max_age = max_age.and_then(|seconds| seconds.trim_matches('"').parse::<u64>().ok());
    if has("no-store") {
        Kept::No
    } else if !has("no-cache") && max_age.is_some_and(|seconds| seconds > AWAY) {
        Kept::Fresh
    } else {
        Kept::Stale
    }
}

#[cfg(test)]
#[path = "release_diff_tests.rs"]
mod tests;
