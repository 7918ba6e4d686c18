//! The walk: which files of a directory belong to the site.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, FileType};
use std::io;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use unicode_normalization::UnicodeNormalization as _;
use walkdir::{DirEntry, WalkDir};

use super::hosts::{HostFile, host_file};
use super::scan::ScanOptions;
use super::{Key, ScanProblem, ScanWarning};

/// Hidden on a site although it is a directory of a web standard (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// A file that is to be published.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: Key,
    /// The rules that match it, by index, ascending.
    pub(super) matching: Vec<usize>,
}

/// What the walk gathered.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) found: Vec<Found>,
    /// Paths within the site that were left out; a hidden directory once.
    pub(super) skipped: Vec<PathBuf>,
    /// Configuration files of other hosts that no rule speaks of, with their paths; left out.
    host_files: Vec<(&'static HostFile, PathBuf)>,
    pub(super) problems: Vec<ScanProblem>,
    /// For each rule, whether it matched anything.
    pub(super) matched: Vec<bool>,
}

/// A hidden directory that is searched since some rule includes hidden files.
struct Hidden {
    path: PathBuf,
    depth: usize,
    /// Whether a file of it was taken.
    taken: bool,
    left_out: Vec<PathBuf>,
}

/// Walks `root`, an absolute path without links.
pub(super) fn walk(root: &Path, options: &ScanOptions) -> Walk {
    let mut walker = Walker {
        root,
        options,
        includes_hidden: options.rules.as_slice().iter().any(|rule| rule.include == Some(true)),
        walk: Walk { matched: vec![false; options.rules.as_slice().iter().len()], ..Walk::default() },
        hidden: None,
    };
    let mut entries = WalkDir::new(root).min_depth(1).follow_links(true).into_iter();
    while let Some(entry) = entries.next() {
        let depth = entry.as_ref().map_or_else(walkdir::Error::depth, DirEntry::depth);
        walker.leave_hidden(depth);
        match entry {
            Ok(entry) => {
                if !walker.entry(&entry) && entry.file_type().is_dir() {
                    entries.skip_current_dir();
                }
            }
            Err(error) => walker.error(error),
        }
    }
    walker.leave_hidden(0);
    // Once, and not name by name in each directory.
    let mut walk = walker.walk;
    walk.skipped.sort_unstable();
    walk.host_files.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
    walk.found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    name_clashes(&walk.found, &mut walk.problems);
    walk
}

impl Walk {
    /// One warning for each kind of configuration file of another host.
    pub(super) fn warnings(&self) -> Vec<ScanWarning> {
        let mut kinds: Vec<(&HostFile, Vec<PathBuf>)> = Vec::new();
        for (file, path) in &self.host_files {
            match kinds.iter_mut().find(|(kind, _)| kind.name == file.name) {
                Some((_, paths)) => paths.push(path.clone()),
                None => kinds.push((file, vec![path.clone()])),
            }
        }
        let warning =
            |(file, paths): (&HostFile, _)| ScanWarning::HostFiles { paths, host: file.host, instead: file.instead };
        kinds.into_iter().map(warning).collect()
    }
}

struct Walker<'a> {
    root: &'a Path,
    options: &'a ScanOptions,
    includes_hidden: bool,
    walk: Walk,
    hidden: Option<Hidden>,
}

impl Walker<'_> {
    /// Takes note of an entry; false where a directory need not be entered.
    fn entry(&mut self, entry: &DirEntry) -> bool {
        let Some(text) = self.key_text_of(entry.path()) else {
            let path = self.within(entry.path());
            if self.hidden.is_some() || is_hidden_name(&entry.file_name().to_string_lossy()) {
                self.skip(path);
            } else {
                self.walk.problems.push(ScanProblem::NotUtf8 { path });
            }
            return false;
        };
        let is_hidden = self.hidden.is_some() || is_hidden_name(name_of(&text));
        if entry.file_type().is_dir() {
            self.directory(entry, PathBuf::from(&*text), &text, is_hidden)
        } else {
            self.file(entry, &text, is_hidden);
            true
        }
    }

    fn directory(&mut self, entry: &DirEntry, path: PathBuf, text: &str, is_hidden: bool) -> bool {
        if is_hidden && !self.includes_hidden {
            self.skip(path);
            return false;
        }
        if let Some(what) = private_directory(name_of(text)) {
            // Judged as a whole by a file that it would hold.
            if self.included(&format!("{text}/config"), is_hidden).0 {
                self.walk.problems.push(ScanProblem::Private { path, what });
            } else {
                self.skip(path);
            }
            return false;
        }
        if let Some(problem) = self.link_problem(entry, &path) {
            // A rule that names the link itself leaves it out.
            if self.included(text, is_hidden).0 {
                self.walk.problems.push(problem);
            } else {
                self.skip(path);
            }
            return false;
        }
        if is_hidden && self.hidden.is_none() {
            let depth = entry.depth();
            self.hidden = Some(Hidden { path, depth, taken: false, left_out: Vec::new() });
        }
        true
    }

    fn file(&mut self, entry: &DirEntry, text: &str, is_hidden: bool) {
        let path = || PathBuf::from(text);
        let (included, matching) = self.included(text, is_hidden);
        if self.hidden.is_none()
            && self.options.rules.include(&matching).is_none()
            && let Some(file) = host_file(self.root, text)
        {
            self.walk.host_files.push((file, path()));
            self.skip(path());
            return;
        }
        if !included {
            self.skip(path());
            return;
        }
        if let Some(hidden) = &mut self.hidden {
            hidden.taken = true;
        }
        if let Some(problem) = self.file_problem(entry, path, text) {
            self.walk.problems.push(problem);
            return;
        }
        match Key::under(&self.options.prefix, text) {
            Ok(key) => {
                self.walk.found.push(Found { key, matching });
            }
            Err(error) => self.walk.problems.push(ScanProblem::Key { path: path(), error }),
        }
    }

    fn file_problem(&self, entry: &DirEntry, path: impl Fn() -> PathBuf, text: &str) -> Option<ScanProblem> {
        if let Some(what) = private_file(name_of(text)) {
            return Some(ScanProblem::Private { path: path(), what });
        }
        if entry.path_is_symlink()
            && let Some(problem) = self.link_problem(entry, &path())
        {
            return Some(problem);
        }
        if !FileType::is_file(&entry.file_type()) {
            return Some(ScanProblem::NotAFile { path: path() });
        }
        state_area_problem(self.options, text)
    }

    /// What is wrong with a link that leads to something.
    fn link_problem(&self, entry: &DirEntry, path: &Path) -> Option<ScanProblem> {
        if !entry.path_is_symlink() {
            return None;
        }
        let target = match fs::canonicalize(entry.path()) {
            Ok(target) => target,
            Err(source) => {
                return Some(ScanProblem::Unreadable { path: path.to_owned(), source });
            }
        };
        let Ok(inside) = target.strip_prefix(self.root) else {
            return Some(ScanProblem::LinkLeavesSite { path: path.to_owned(), target });
        };
        // A plain name must not be a way around the names that are refused.
        let mut names = inside.iter().map(|name| name.to_string_lossy());
        let what = names.find_map(|n| private_directory(&n).or_else(|| private_file(&n)))?;
        Some(ScanProblem::Private { path: path.to_owned(), what })
    }

    /// An entry that could not be looked at.
    fn error(&mut self, error: walkdir::Error) {
        let full = error.path().unwrap_or(self.root).to_owned();
        let path = self.within(&full);
        let name = full.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let is_hidden = self.hidden.is_some() || is_hidden_name(&name);
        let included = key_text(&path).map_or(!is_hidden, |text| self.included(&text, is_hidden).0);
        if !included {
            self.skip(path);
            return;
        }
        let ancestor = error.loop_ancestor().map(|a| self.within(a));
        let problem = if let Some(target) = ancestor {
            ScanProblem::LinkLoop { path, target }
        } else {
            let source = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
            match fs::read_link(&full) {
                Ok(target) if source.kind() == io::ErrorKind::NotFound => ScanProblem::DanglingLink { path, target },
                _ => ScanProblem::Unreadable { path, source },
            }
        };
        self.walk.problems.push(problem);
    }

    /// Whether rules, or else its name, take the file of this path; and the rules that match it.
    fn included(&mut self, text: &str, is_hidden: bool) -> (bool, Vec<usize>) {
        let matching = self.options.rules.matching(text);
        for &rule in &matching {
            self.walk.matched[rule] = true;
        }
        (self.options.rules.include(&matching).unwrap_or(!is_hidden), matching)
    }

    fn skip(&mut self, path: PathBuf) {
        match &mut self.hidden {
            Some(hidden) => hidden.left_out.push(path),
            None => self.walk.skipped.push(path),
        }
    }

    /// Ends the hidden directory that an entry of this depth is no longer in.
    fn leave_hidden(&mut self, depth: usize) {
        if let Some(hidden) = self.hidden.take_if(|hidden| depth <= hidden.depth) {
            if hidden.taken {
                self.walk.skipped.extend(hidden.left_out);
            } else {
                self.walk.skipped.push(hidden.path);
            }
        }
    }

    /// The text of a key by the path of what was found, as `key_text` of the path within the site.
    fn key_text_of<'p>(&self, full: &'p Path) -> Option<Cow<'p, str>> {
        // The walk puts names after the root: no need to take the path apart, in a site of a million files.
        if MAIN_SEPARATOR == '/'
            && let (Some(full), Some(root)) = (full.to_str(), self.root.to_str())
            && let Some(inside) = full.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'))
        {
            return Some(Cow::Borrowed(inside));
        }
        key_text(&self.within(full)).map(Cow::Owned)
    }

    fn within(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root).unwrap_or(path).to_owned()
    }
}

/// What is wrong with a file of this path where it lies in the state area.
pub(super) fn state_area_problem(options: &ScanOptions, text: &str) -> Option<ScanProblem> {
    let state_prefix = options.state_prefix.as_deref()?;
    let area = state_prefix.trim_end_matches('/');
    let rest = format!("{}{text}", options.prefix);
    let inside = rest.strip_prefix(area).is_some_and(|r| r.is_empty() || r.starts_with('/'));
    (inside && !area.is_empty())
        .then(|| ScanProblem::InStateArea { path: text.into(), state_prefix: state_prefix.to_owned() })
}

/// The path with `/` between its segments; none if it is not UTF-8.
fn key_text(path: &Path) -> Option<String> {
    let segments: Option<Vec<_>> = path.iter().map(std::ffi::OsStr::to_str).collect();
    Some(segments?.join("/"))
}

fn name_of(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

fn is_hidden_name(name: &str) -> bool {
    (name.starts_with('.') && name != WELL_KNOWN) || name == "Thumbs.db"
}

fn private_directory(name: &str) -> Option<&'static str> {
    match name {
        ".git" | ".hg" | ".svn" => Some("a repository"),
        ".ssh" | ".aws" | ".gnupg" | ".kube" | ".docker" => Some("a directory of credentials"),
        _ => None,
    }
}

fn private_file(name: &str) -> Option<&'static str> {
    match name {
        // A file in a work tree of its own, which names the repository.
        ".git" => Some("a repository"),
        ".htpasswd" | ".netrc" | ".npmrc" | ".pypirc" | ".git-credentials" | ".dockercfg" => {
            Some("a file of credentials")
        }
        "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" => Some("a private key"),
        _ if name == ".env" || name.starts_with(".env.") => Some("a file of environment settings"),
        _ => None,
    }
}

/// Names of `found`, sorted by key, that differ only in their Unicode form.
fn name_clashes(found: &[Found], problems: &mut Vec<ScanProblem>) {
    // ASCII is the same in every form, and so are most names.
    let mut seen: HashMap<String, &Key> = HashMap::new();
    for file in found.iter().filter(|file| !file.key.as_str().is_ascii()) {
        let normal: String = file.key.as_str().nfc().collect();
        if let Some(other) = seen.get(&normal) {
            problems.push(ScanProblem::NameClash { path: file.key.as_str().into(), other: other.as_str().into() });
        } else {
            seen.insert(normal, &file.key);
        }
    }
}
