//! Scan: a directory becomes a [`Site`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::rules::{Applied, Rules, is_immutable};
use super::walk::{Found, Walk, walk};
use super::{ContentEncoding, Key, Role, ScanError, ScanProblem, Site, SiteFile, fingerprint, media_type};
use crate::digest::{Hasher, Sha256};
use crate::headers::Headers;

/// What fingerprinted files are served with unless a rule says otherwise: kept for a year, the
/// longest time caches are asked to keep anything.
const CACHE_FINGERPRINTED: &str = "public, max-age=31536000, immutable";
/// What all others are served with: kept, but asked about each time.
const CACHE_REVALIDATE: &str = "public, max-age=0, must-revalidate";
/// Bytes a thread reads at a time.
const BUFFER: usize = 128 * 1024;
/// Bytes of a file's start by which a private key is known.
const HEAD: usize = 64;

/// How to scan a directory.
#[derive(Clone, Default)]
pub struct ScanOptions {
    /// The text put directly before each key in the bucket: empty, or `app/` with its slash. The
    /// length of keys is checked with it.
    pub prefix: String,
    /// The full key prefix of the state area where it is in the same bucket, as `app/.deploy/`:
    /// a file of the site inside it is a problem.
    pub state_prefix: Option<String>,
    /// Rules by glob.
    pub rules: Rules,
    /// Number of threads that read and hash; 0 means one for each core.
    pub threads: usize,
    /// Called with the number of bytes just hashed, counted as they are served. Calls come from
    /// several threads at once.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl fmt::Debug for ScanOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanOptions")
            .field("prefix", &self.prefix)
            .field("state_prefix", &self.state_prefix)
            .field("rules", &self.rules)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Walks the directory `root`, hashes every file, and decides its headers and role.
///
/// Links that stay inside the directory are followed. Dot files, dot directories except
/// `.well-known`, and `Thumbs.db` are left out, and so is what a rule says to leave out. All
/// problems of all files are reported together. Memory is a small constant per file, whatever the
/// files' sizes.
///
/// This blocks; call it from `spawn_blocking` in async code.
pub fn scan(root: &Path, options: &ScanOptions) -> Result<Site, ScanError> {
    let canonical = open_root(root)?;
    let mut walk = walk(&canonical, options);
    if walk.found.is_empty() && walk.problems.is_empty() {
        return Err(ScanError::Empty { path: root.to_owned(), skipped: walk.skipped.len() });
    }
    let mut files = describe(&walk.found, &options.rules, &mut walk.problems);
    // Nothing will come of the digests where there are problems: only look for more of them.
    let depth = if walk.problems.is_empty() { Depth::Whole } else { Depth::Head };
    walk.problems.extend(hash_all(&mut files, depth, options));
    if !walk.problems.is_empty() {
        walk.problems.sort_by(|a, b| a.path().cmp(b.path()));
        return Err(ScanError::Problems(walk.problems));
    }
    let Walk { skipped, matched, .. } = walk;
    let unmatched_rules = options
        .rules
        .as_slice()
        .iter()
        .zip(matched)
        .filter(|(_, matched)| !matched)
        .map(|(rule, _)| rule.clone())
        .collect();
    Ok(Site { files, skipped, unmatched_rules })
}

/// The root without links, so that what links inside it lead to can be compared with it.
fn open_root(root: &Path) -> Result<PathBuf, ScanError> {
    let path = || root.to_owned();
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ScanError::Missing { path: path() },
        io::ErrorKind::NotADirectory => ScanError::NotDirectory { path: path() },
        _ => ScanError::Unreadable { path: path(), source },
    };
    if !fs::metadata(root).map_err(unreadable)?.is_dir() {
        return Err(ScanError::NotDirectory { path: path() });
    }
    let canonical = fs::canonicalize(root).map_err(unreadable)?;
    fs::read_dir(&canonical).map_err(unreadable)?;
    Ok(canonical)
}

/// Everything about the files but their bytes.
fn describe(found: &[Found], rules: &Rules, problems: &mut Vec<ScanProblem>) -> Vec<SiteFile> {
    let looks_hashed = fingerprint::classify(&found.iter().map(|f| &f.key).collect::<Vec<_>>());
    // Most files share their headers with many others.
    let mut shared: HashSet<Arc<Headers>> = HashSet::new();
    let mut files = Vec::with_capacity(found.len());
    for (file, looks_hashed) in found.iter().zip(looks_hashed) {
        let applied = rules.apply(&file.matching);
        let (headers, role) = headers_and_role(&file.key, &applied, looks_hashed);
        if let Some((value, rule)) = applied.cache_control
            && role != Role::Fingerprinted
            && is_immutable(value)
        {
            problems.push(ScanProblem::Immutable {
                path: file.key.as_str().into(),
                rule: rule.to_string(),
                html: role != Role::Entry,
            });
        }
        let headers = shared.get(&headers).cloned().unwrap_or_else(|| {
            let headers = Arc::new(headers);
            shared.insert(Arc::clone(&headers));
            headers
        });
        files.push(SiteFile {
            key: file.key.clone(),
            path: file.path.clone(),
            sha256: Sha256::of(b""),
            size: 0,
            encoding: applied.content_encoding.unwrap_or_default(),
            headers,
            role,
        });
    }
    files
}

fn headers_and_role(key: &Key, applied: &Applied<'_>, looks_hashed: bool) -> (Headers, Role) {
    let text = |value: Option<&str>| value.map(str::to_owned);
    let name = key.as_str().rsplit('/').next().unwrap_or_default();
    let content_type = applied.content_type.unwrap_or_else(|| media_type::of_name(name));
    let role = if key.as_str() == "index.html" {
        Role::Root
    } else if media_type::is_html(content_type) {
        // A page's address is what people keep, whatever its name looks like.
        Role::Html
    } else if applied.fingerprinted.unwrap_or(looks_hashed) {
        Role::Fingerprinted
    } else {
        Role::Entry
    };
    let default_cache = if role == Role::Fingerprinted { CACHE_FINGERPRINTED } else { CACHE_REVALIDATE };
    let encoding = applied.content_encoding.unwrap_or_default();
    let headers = Headers {
        content_type: content_type.to_owned(),
        cache_control: Some(applied.cache_control.map_or(default_cache, |(v, _)| v).to_owned()),
        content_encoding: text(encoding.header()),
        content_disposition: text(applied.content_disposition),
        content_language: text(applied.content_language),
        redirect: text(applied.redirect),
    };
    (headers, role)
}

/// How much of each file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Its start, to see that it can be read and may be published.
    Head,
    /// All of it.
    Whole,
}

/// Sets the digest and size of every file, on several threads.
fn hash_all(files: &mut [SiteFile], depth: Depth, options: &ScanOptions) -> Vec<ScanProblem> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let next = AtomicUsize::new(0);
    let results = Mutex::new(HashMap::with_capacity(files.len()));
    let work = || {
        let mut buffer = vec![0; BUFFER];
        while let Some((index, file)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            files.get(index).map(|file| (index, file))
        } {
            let result = hash(file, depth, &mut buffer, options);
            results.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut problems = Vec::new();
    for (index, result) in results {
        match result {
            Ok((sha256, size)) => (files[index].sha256, files[index].size) = (sha256, size),
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

fn hash(file: &SiteFile, depth: Depth, buffer: &mut [u8], options: &ScanOptions) -> Result<(Sha256, u64), ScanProblem> {
    let path = || PathBuf::from(file.key.as_str());
    let unreadable = |source| ScanProblem::Unreadable { path: path(), source };

    let mut source = File::open(&file.path).map_err(unreadable)?;
    let before = source.metadata().map_err(unreadable)?;
    let mut head = Vec::with_capacity(HEAD);
    source.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(unreadable)?;
    if is_private_key(&head) {
        return Err(ScanProblem::Private { path: path(), what: "a private key" });
    }
    if depth == Depth::Head {
        return Ok((Sha256::of(b""), 0));
    }

    let mut hasher = Hasher::default();
    let mut size = 0;
    let mut bytes = file.encoding.encode(head.as_slice().chain(source));
    loop {
        let n = match bytes.read(buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        hasher.update(&buffer[..n]);
        size += n as u64;
        if let Some(progress) = &options.progress {
            progress(n as u64);
        }
    }
    let changed = ScanProblem::Changed { path: path() };
    // By path, not by handle: a build may have put another file in its place.
    let Ok(after) = fs::metadata(&file.path) else {
        return Err(changed);
    };
    let complete = file.encoding != ContentEncoding::Identity || size == before.len();
    if Identity::of(&before) != Identity::of(&after) || !complete {
        return Err(changed);
    }
    Ok((hasher.finish(), size))
}

/// What tells that a file is still the same.
#[derive(PartialEq, Eq)]
struct Identity {
    size: u64,
    modified: Option<SystemTime>,
    inode: Option<(u64, u64)>,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt as _;
            Some((metadata.dev(), metadata.ino()))
        };
        #[cfg(not(unix))]
        let inode = None;
        Self { size: metadata.len(), modified: metadata.modified().ok(), inode }
    }
}

/// PEM (RFC 7468) of any private key, OpenSSH's and PGP's among them, or a key of `PuTTY`.
fn is_private_key(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let line = text.trim_start().lines().next().unwrap_or_default();
    (line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY")) || line.starts_with("PuTTY-User-Key-File-")
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
