//! Scan: a directory becomes a [`Site`].

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hash::{Depth, Outcome, hash_all};
use super::precompressed::{self, Served};
use super::preflight::Look;
use super::rules::{Applied, Rules, is_immutable};
use super::values::{self, SiteValues};
use super::walk::{Found, Walk, state_area_problem, walk};
use super::{
    BakedManifest, Findings, Key, PreflightOptions, Role, ScanError, ScanProblem, ScanWarning, Site, SiteFile, Source,
    fingerprint::{self, Evidence, Fingerprint, Fingerprints, Named},
    media_type,
};
use crate::digest::Sha256;
use crate::headers::Headers;

/// The key of the root page.
const ROOT: &str = "index.html";
/// What fingerprinted files are served with unless a rule says otherwise: kept for a year, the
/// longest time caches are asked to keep anything.
pub(crate) const CACHE_FINGERPRINTED: &str = "public, max-age=31536000, immutable";
/// What all others are served with: kept, but asked about each time.
const CACHE_REVALIDATE: &str = "public, max-age=0, must-revalidate";

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
    /// The values of the environment. `None` leaves placeholders as they are; an empty set of
    /// values makes each of them a problem.
    pub values: Option<SiteValues>,
    /// The manifest of the site, where it lies in an image that was cut with one. Files that are as it says are not
    /// read; any other that is not is a problem.
    pub manifest: Option<BakedManifest>,
    /// Number of threads that read and hash; 0 means one for each core.
    pub threads: usize,
    /// Called with the number of bytes just hashed, counted as they are served; never for a file that is not read. Calls come from
    /// several threads at once.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl fmt::Debug for ScanOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanOptions")
            .field("prefix", &self.prefix)
            .field("state_prefix", &self.state_prefix)
            .field("rules", &self.rules)
            .field("values", &self.values)
            .field("manifest", &self.manifest.as_ref().map(|manifest| &manifest.path))
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Walks the directory `root`, hashes every file, and decides its headers and role.
///
/// Links that stay inside the directory are followed. Dot files, dot directories except
/// `.well-known`, `Thumbs.db` and configuration files of other hosts (`_redirects`) are left out,
/// and so is what a rule says to leave out. All problems of all files are reported together. Memory is a small constant per file, whatever the
/// files' sizes.
///
/// This blocks; call it from `spawn_blocking` in async code.
pub fn scan(root: &Path, options: &ScanOptions) -> Result<Site, ScanError> {
    read(root, options, None)
}

/// [`scan`] and [`preflight`](super::preflight) in one: the same site, with the findings in it, and
/// each file is read once.
///
/// This blocks, as `scan` does.
///
/// # Errors
/// As [`scan`]; findings are not errors.
pub fn scan_and_preflight(root: &Path, options: &ScanOptions, preflight: &PreflightOptions) -> Result<Site, ScanError> {
    read(root, options, Some(preflight))
}

fn read(root: &Path, options: &ScanOptions, preflight: Option<&PreflightOptions>) -> Result<Site, ScanError> {
    let canonical = open_root(root)?;
    let mut walk = walk(&canonical, options);
    if walk.found.is_empty() && walk.problems.is_empty() {
        return Err(ScanError::Empty { path: root.to_owned(), skipped: walk.skipped.len() });
    }
    if let Some(manifest) = &options.manifest {
        walk.problems.extend(manifest.differences(&canonical, walk.found.iter().map(|found| &found.key)));
    }
    let generated = generate(options, &mut walk);
    let generated_keys: HashSet<&Key> = generated.iter().map(|(key, _)| key).collect();
    let found = std::mem::take(&mut walk.found);
    let mut files = describe(&canonical, &found, &options.rules, &generated_keys, &mut walk.problems);
    for file in &mut files {
        if let Some((_, bytes)) = generated.iter().find(|(key, _)| *key == file.key) {
            file.source = Source::Generated(Arc::clone(bytes));
        }
    }
    // Nothing will come of the digests where there are problems: only look for more of them.
    let depth = if walk.problems.is_empty() { Depth::Whole } else { Depth::Head };
    let Outcome { problems, used, strays, report } = hash_all(&mut files, depth, options, preflight, &walk.skipped);
    walk.problems.extend(problems);
    walk.problems.extend(broken_integrity(&files, options));
    let mut findings = Findings::default();
    if let Some(preflight) = preflight.filter(|_| walk.problems.is_empty()) {
        match Look::new(&files, &walk.skipped, preflight).judge(report) {
            Ok(judged) => findings = judged,
            Err((file, source)) => {
                walk.problems.push(ScanProblem::Unreadable { path: file.key.as_str().into(), source });
            }
        }
    }
    if !walk.problems.is_empty() {
        walk.problems.sort_by(|a, b| a.path().cmp(b.path()));
        return Err(ScanError::Problems(walk.problems));
    }
    let mut warnings = Vec::new();
    if let Some(values) = &options.values
        && generated.is_empty()
    {
        let unused = values.names().filter(|name| !used.contains(*name));
        warnings.extend(unused.map(|name| ScanWarning::UnusedValue { name: name.to_owned() }));
    }
    warnings.extend(strays.into_iter().map(|(index, placeholder)| ScanWarning::StrayPlaceholder {
        path: files[index].key.as_str().into(),
        placeholder,
    }));
    warnings.extend(walk.warnings());
    warnings.extend(precompressed::warnings(&files, &options.rules));
    warnings.extend(fingerprint::looks_hashed(&files));
    let Walk { skipped, matched, .. } = walk;
    let rules = options.rules.as_slice().iter().zip(matched);
    // A rule that allows something may be for a key that is not in the build.
    let unmatched_rules = rules.filter(|(r, matched)| !matched && r.allow.is_empty()).map(|(r, _)| r.clone()).collect();
    Ok(Site { files, skipped, unmatched_rules, warnings, findings })
}

/// The files that are made of the values, added to the walk's in the order of their keys.
fn generate(options: &ScanOptions, walk: &mut Walk) -> Vec<(Key, Arc<[u8]>)> {
    let Some(values) = &options.values else { return Vec::new() };
    let content = &values.filling.values;
    let wanted = [
        values.env_json.as_ref().map(|key| (key, values::env_json(content))),
        values.env_js.as_ref().map(|key| (key, values::env_js(content))),
    ];
    let mut generated = Vec::new();
    for (key, bytes) in wanted.into_iter().flatten() {
        let path = PathBuf::from(key.as_str());
        if let Err(error) = Key::under(&options.prefix, key.as_str()) {
            walk.problems.push(ScanProblem::Key { path, error });
        } else if let Some(problem) = state_area_problem(options, key.as_str()) {
            walk.problems.push(problem);
        } else {
            match walk.found.binary_search_by(|found| found.key.cmp(key)) {
                Ok(_) => walk.problems.push(ScanProblem::Taken { path }),
                Err(at) => {
                    let matching = options.rules.matching(key.as_str());
                    for &rule in &matching {
                        walk.matched[rule] = true;
                    }
                    walk.found.insert(at, Found { key: key.clone(), matching });
                    generated.push((key.clone(), bytes.into()));
                }
            }
        }
    }
    generated
}

/// Where pages state the hash of a file that takes values.
fn broken_integrity(files: &[SiteFile], options: &ScanOptions) -> Vec<ScanProblem> {
    let is_page = |file: &&SiteFile| media_type::is_html(&file.headers.content_type);
    let changed: HashSet<&Key> = files.iter().filter(|f| f.has_values() && !is_page(f)).map(|f| &f.key).collect();
    if changed.is_empty() || options.values.is_none() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for page in files.iter().filter(is_page) {
        let mut source = Vec::new();
        // As it is on disk: what is wrong with its placeholders has been said. One that cannot be
        // read is a problem already.
        let Ok(mut file) = page.decoded() else { continue };
        if file.read_to_end(&mut source).is_err() || memchr::memmem::find(&source, b"integrity").is_none() {
            continue;
        }
        let path = || PathBuf::from(page.key.as_str());
        let broken = values::integrity::broken_by(&changed, &page.key, &source).into_iter();
        problems.extend(broken.map(|(line, target)| ScanProblem::Integrity { path: path(), line, target }));
    }
    problems
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
fn describe(
    root: &Path,
    found: &[Found],
    rules: &Rules,
    generated: &HashSet<&Key>,
    problems: &mut Vec<ScanProblem>,
) -> Vec<SiteFile> {
    let mut described = Vec::with_capacity(found.len());
    for file in found {
        let mut applied = rules.apply(&file.matching);
        if generated.contains(&file.key) {
            applied.precompressed = None;
        }
        let has = |key: &str| found.binary_search_by(|found| found.key.as_str().cmp(key)).is_ok();
        let head = || precompressed::head_of(&root.join(file.key.as_str()));
        match precompressed::served(&file.key, &applied, rules, has, head) {
            Ok(served) => described.push((file, applied, served)),
            Err(problem) => problems.push(problem),
        }
    }
    let named: Vec<_> =
        described.iter().map(|(file, _, served)| Named { key: &file.key, content_type: served.content_type }).collect();
    let fingerprints = Fingerprints::of(root, &named);
    // Most files share their headers with many others.
    let mut shared: HashSet<Arc<Headers>> = HashSet::new();
    let root: Arc<Path> = root.into();
    let mut files = Vec::with_capacity(found.len());
    for ((file, applied, served), by_name) in described.into_iter().zip(fingerprints.judgements()) {
        let fingerprint = match applied.fingerprinted {
            // Another content in each environment, under one name.
            _ if generated.contains(&file.key) => Fingerprint::No,
            Some((true, rule)) => Fingerprint::Certain(Evidence::Rule { number: rule.number }),
            Some((false, _)) => Fingerprint::No,
            // A page's address is what people keep, whatever its name looks like.
            None if media_type::is_html(served.content_type) => Fingerprint::No,
            // A rule says how long it is cached: history must not.
            None if *by_name == Fingerprint::Likely && applied.cache_control.is_some() => Fingerprint::No,
            None => by_name.clone(),
        };
        if let Some((true, rule)) = applied.fingerprinted
            && file.key.as_str() == ROOT
        {
            problems.push(ScanProblem::FingerprintedRoot { path: ROOT.into(), rule: rule.to_string() });
        }
        let (headers, role) = headers_and_role(&file.key, &applied, &served, &fingerprint);
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
            root: Arc::clone(&root),
            sha256: Sha256::of(b""),
            size: 0,
            encoding: served.encoding,
            precompressed: served.precompressed,
            headers,
            role,
            fingerprint,
            source: Source::Disk,
        });
    }
    files
}

/// Whether an HTML file is taken for a part of a page, which scripts fetch by its name, as in `views/list.3f2a9c0d.html`.
/// It goes up before the pages, and stays for the grace time like any other entry file. Names that end in `_` and a
/// hash are pages: doxygen writes `dir_<hash of the path>.html`. So are those that are nothing but a hash.
fn is_partial(key: &Key) -> bool {
    let parts = fingerprint::parts(key.as_str());
    parts.is_some_and(|parts| !parts.stem.is_empty() && matches!(parts.separator, Some('.' | '-')))
        && fingerprint::name_looks_hashed(key.as_str())
}

fn headers_and_role(
    key: &Key,
    applied: &Applied<'_>,
    served: &Served<'_>,
    fingerprint: &Fingerprint,
) -> (Headers, Role) {
    let text = |value: Option<&str>| value.map(str::to_owned);
    let content_type = served.content_type;
    let role = if key.as_str() == ROOT {
        Role::Root
    } else if matches!(fingerprint, Fingerprint::Certain(_)) {
        Role::Fingerprinted
    } else if media_type::is_html(content_type) && !(applied.fingerprinted.is_none() && is_partial(key)) {
        Role::Html
    } else {
        Role::Entry
    };
    let default_cache = if role == Role::Fingerprinted { CACHE_FINGERPRINTED } else { CACHE_REVALIDATE };
    let headers = Headers {
        content_type: content_type.to_owned(),
        cache_control: Some(applied.cache_control.map_or(default_cache, |(v, _)| v).to_owned()),
        content_encoding: text(served.content_encoding()),
        content_disposition: text(applied.content_disposition),
        content_language: text(applied.content_language),
        redirect: text(applied.redirect),
    };
    (headers, role)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
