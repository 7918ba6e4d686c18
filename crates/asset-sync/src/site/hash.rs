//! Reading a file once: its digest, its values, and what must not be in it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::preflight::{Look, Report};
use super::scan::ScanOptions;
use super::source::FileContent;
use super::values::{Fault, Kind, MAX_TEMPLATE, PlaceholderFault, SiteValues, StraySearch};
use super::{
    ContentEncoding, Difference, Precompressed, PreflightOptions, Role, ScanProblem, SiteFile, Source, parallel,
    precompressed,
};
use crate::digest::{Hasher, Sha256};

/// Bytes a thread reads at a time.
pub(super) const BUFFER: usize = 128 * 1024;
/// Bytes of a file's start by which a private key is known.
const HEAD: usize = 64;

/// How much of each file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Its start, to see that it can be read and may be published; templates whole.
    Head,
    /// All of it.
    Whole,
}

/// What reading the files told besides their digests.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) problems: Vec<ScanProblem>,
    /// The variables whose values were used.
    pub(super) used: BTreeSet<String>,
    /// Files that hold a placeholder and take no values: by index, with the first placeholder.
    pub(super) strays: Vec<(usize, String)>,
    /// What the pre-flight found in the files, where it was asked for.
    pub(super) report: Report,
}

/// What a thread reads into.
struct Buffers {
    piece: Vec<u8>,
    /// A file that fits in a piece, whole.
    small: Vec<u8>,
}

/// What one file told.
#[derive(Debug, Default)]
struct Told {
    sha256: Option<Sha256>,
    size: u64,
    /// Set where the file was filled in.
    filled: Option<BTreeSet<String>>,
    stray: Option<String>,
    /// The digest of the file on disk, where it is wanted and not that of what is served.
    on_disk: Option<Sha256>,
    /// Set where the digest is the manifest's.
    is_unread: bool,
    /// Set where the file turned out to be encoded: how it is served.
    encoded: Option<Box<SiteFile>>,
    report: Report,
}

/// The same, for many files: what most of them have nothing of takes no room.
#[derive(Debug)]
struct Entry {
    sha256: Option<Sha256>,
    size: u64,
    is_unread: bool,
    notable: Option<Box<Notable>>,
}

#[derive(Debug)]
struct Notable {
    filled: Option<BTreeSet<String>>,
    stray: Option<String>,
    encoded: Option<Box<SiteFile>>,
    report: Report,
}

impl From<Told> for Entry {
    fn from(told: Told) -> Self {
        let Told { sha256, size, filled, stray, on_disk: _, is_unread, encoded, report } = told;
        let is_notable = filled.is_some() || stray.is_some() || encoded.is_some() || !report.is_empty();
        let notable = is_notable.then(|| Box::new(Notable { filled, stray, encoded, report }));
        Self { sha256, size, is_unread, notable }
    }
}

/// Sets the digest, size and source of every file, on several threads.
pub(super) fn hash_all(
    files: &mut [SiteFile],
    depth: Depth,
    options: &ScanOptions,
    preflight: Option<&PreflightOptions>,
    skipped: &[PathBuf],
) -> Outcome {
    let mut all = Outcome::default();
    let look = preflight.filter(|_| depth == Depth::Whole).map(|options| Look::new(files, skipped, options));
    let mut entries = parallel::for_each(
        files.len(),
        options.threads,
        || Buffers { piece: vec![0; BUFFER], small: Vec::with_capacity(BUFFER) },
        |buffers, index| {
            Reading { file: &files[index], depth, options, look: look.as_ref() }.read(buffers).map(Entry::from)
        },
    );
    let notable = entries.iter_mut().flatten().filter_map(|entry| entry.notable.as_mut());
    all.report = Report::sum(notable.map(|notable| std::mem::take(&mut notable.report)));
    for (index, (entry, file)) in entries.into_iter().zip(files).enumerate() {
        match entry {
            Ok(mut entry) => {
                if let Some(encoded) = entry.notable.as_mut().and_then(|notable| notable.encoded.take()) {
                    *file = *encoded;
                }
                (file.sha256, file.size) = (entry.sha256.unwrap_or(file.sha256), entry.size);
                if let Some(manifest) = options.manifest.as_ref().filter(|_| entry.is_unread) {
                    file.source = Source::Baked(Arc::clone(&manifest.path));
                }
                let Some(notable) = entry.notable else { continue };
                if let (Some(used), Some(values)) = (notable.filled, &options.values) {
                    file.source = Source::Template(Arc::clone(&values.filling), Kind::of(&file.headers.content_type));
                    all.used.extend(used);
                }
                all.strays.extend(notable.stray.map(|stray| (index, stray)));
            }
            Err(problems) => all.problems.extend(problems),
        }
    }
    all
}

/// A file being read.
#[derive(Clone, Copy)]
struct Reading<'a, 'site> {
    file: &'a SiteFile,
    depth: Depth,
    options: &'a ScanOptions,
    look: Option<&'a Look<'site>>,
}

impl<'site> Reading<'_, 'site> {
    fn path(self) -> PathBuf {
        PathBuf::from(self.file.key.as_str())
    }

    fn unreadable(self) -> impl Fn(io::Error) -> Vec<ScanProblem> {
        move |source| vec![ScanProblem::Unreadable { path: self.path(), source }]
    }

    fn read(self, Buffers { piece, small }: &mut Buffers) -> Result<Told, Vec<ScanProblem>> {
        if let Source::Generated(bytes) = &self.file.source {
            let mut told = Told::default();
            self.hash(&mut bytes.as_ref(), piece, &mut told).map_err(self.unreadable())?;
            self.look_into(bytes, std::slice::from_ref(&(0..bytes.len())), &mut told);
            return Ok(told);
        }
        if let Some(mut told) = self.unread()? {
            let listed = self.options.manifest.as_ref().and_then(|manifest| manifest.entry(&self.file.key));
            return self.knowing(listed.and_then(|entry| entry.encoded), |reading| {
                reading.look_at(&mut told)?;
                Ok(told)
            });
        }
        let file = File::open(self.file.path()).map_err(self.unreadable())?;
        let before = file.metadata().map_err(self.unreadable())?;
        // Not to its end: whether it grew shows afterwards.
        let at_first = if before.len() <= BUFFER as u64 { before.len() } else { HEAD as u64 };
        small.clear();
        (&file).take(at_first).read_to_end(small).map_err(self.unreadable())?;
        self.knowing(Precompressed::of_bytes(small), |reading| reading.read_rest(&file, &before, piece, small))
    }

    /// Goes on with the file as it is served if its bytes are encoded so.
    fn knowing(
        self,
        found: Option<Precompressed>,
        go_on: impl FnOnce(Reading<'_, 'site>) -> Result<Told, Vec<ScanProblem>>,
    ) -> Result<Told, Vec<ScanProblem>> {
        let encoded = found.and_then(|found| precompressed::found_in(self.file, found, &self.options.rules));
        let mut told = go_on(Reading { file: encoded.as_ref().unwrap_or(self.file), ..self })?;
        told.encoded = encoded.map(Box::new);
        Ok(told)
    }

    /// Reads a file of which `start` was read: all of it if it is small.
    fn read_rest(
        self,
        file: &File,
        before: &Metadata,
        piece: &mut [u8],
        start: &[u8],
    ) -> Result<Told, Vec<ScanProblem>> {
        let mut told = Told::default();
        if self.is_private_key(start) {
            return Err(vec![ScanProblem::Private { path: self.path(), what: "a private key" }]);
        }
        let is_small = before.len() <= BUFFER as u64;
        let source = start.chain(file.take(if is_small { 0 } else { u64::MAX }));
        let values = self.options.values.as_ref();
        let selected = values.filter(|v| v.selects(&self.file.key, &self.file.headers.content_type));
        if self.file.precompressed.is_some() {
            if self.depth == Depth::Whole {
                self.hash(&mut { source }, piece, &mut told).map_err(self.unreadable())?;
                self.values_inside(selected.is_some(), piece, &mut told)?;
                self.look_at(&mut told)?;
            }
        } else if let Some(values) = selected.filter(|_| before.len() <= MAX_TEMPLATE) {
            self.template(values, source, piece, &mut told)?;
        } else if self.depth == Depth::Whole {
            self.plain(source, selected.is_some(), piece, &mut told)?;
            if is_small {
                self.look_into(start, &[], &mut told);
            } else {
                self.look_at(&mut told)?;
            }
        }
        if self.depth == Depth::Head {
            return Ok(told);
        }
        let after = file.metadata().map_err(self.unreadable())?;
        let whole = self.file.encoding == ContentEncoding::Identity && told.filled.is_none();
        let complete = !whole || told.size == before.len();
        if is_as_it_was(before, &after) && complete {
            self.compare(&told)?;
            Ok(told)
        } else {
            Err(vec![ScanProblem::Changed { path: self.path() }])
        }
    }

    /// Whether a file that starts so is a private key, which the build may have compressed.
    fn is_private_key(self, start: &[u8]) -> bool {
        match self.file.precompressed.and_then(|encoding| encoding.decode(start)) {
            Some(decoded) => {
                let mut head = Vec::new();
                decoded.take(HEAD as u64).read_to_end(&mut head).is_ok() && is_private_key(&head)
            }
            None => is_private_key(&start[..start.len().min(HEAD)]),
        }
    }

    /// Placeholders in a file that the build compressed, which takes no values; `selected` if it should.
    fn values_inside(self, selected: bool, buffer: &mut [u8], told: &mut Told) -> Result<(), Vec<ScanProblem>> {
        let Some(values) = &self.options.values else { return Ok(()) };
        let mut search = StraySearch::new(&values.filling.prefix);
        let mut decoded = self.file.decoded().map_err(self.unreadable())?;
        loop {
            match decoded.read(buffer) {
                Ok(0) => break,
                Ok(n) => search.block(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable()(error)),
            }
        }
        told.stray = search.found();
        self.refuse_stray(selected, PlaceholderFault::Precompressed, told)
    }

    /// Makes a placeholder in a file that should take values, and cannot, a problem.
    fn refuse_stray(self, selected: bool, fault: PlaceholderFault, told: &mut Told) -> Result<(), Vec<ScanProblem>> {
        match told.stray.take_if(|_| selected) {
            Some(placeholder) => {
                let fault = Fault { placeholder, fault };
                Err(vec![ScanProblem::Placeholder { path: self.path(), line: None, fault }])
            }
            None => Ok(()),
        }
    }

    /// The pre-flight of a file whose content before encoding is at hand.
    fn look_into(self, bytes: &[u8], values: &[Range<usize>], told: &mut Told) {
        if let Some(look) = self.look {
            let content = FileContent { bytes: Cow::Borrowed(bytes), values: values.to_vec() };
            told.report = look.content(self.file, Some(&content));
        }
    }

    /// The pre-flight of a file that is on disk as it is served.
    fn look_at(self, told: &mut Told) -> Result<(), Vec<ScanProblem>> {
        if let Some(look) = self.look {
            told.report = look.file(self.file, told.size).map_err(self.unreadable())?;
        }
        Ok(())
    }

    /// What the manifest says of the file, where that may be believed.
    fn unread(self) -> Result<Option<Told>, Vec<ScanProblem>> {
        let Some(manifest) = &self.options.manifest else { return Ok(None) };
        // That it lists the file was seen before.
        let Some(entry) = manifest.entry(&self.file.key) else { return Ok(None) };
        let metadata = fs::metadata(self.file.path()).map_err(self.unreadable())?;
        if metadata.len() != entry.size {
            let difference = Difference::Size { size: metadata.len(), listed: entry.size };
            return Err(vec![manifest.problem(&self.file.key, difference)]);
        }
        let may_take_values = self.options.values.as_ref().is_some_and(|v| entry.may_take(&v.filling.prefix));
        let is_served_as_it_is = self.file.encoding == ContentEncoding::Identity && !may_take_values;
        Ok((is_served_as_it_is && entry.is_as_packed(&metadata)).then(|| Told {
            sha256: Some(entry.sha256),
            size: entry.size,
            is_unread: true,
            ..Told::default()
        }))
    }

    /// Holds a file that was read to the manifest.
    fn compare(self, told: &Told) -> Result<(), Vec<ScanProblem>> {
        let Some(manifest) = &self.options.manifest else { return Ok(()) };
        let Some(entry) = manifest.entry(&self.file.key) else { return Ok(()) };
        if told.on_disk.or(told.sha256) == Some(entry.sha256) {
            Ok(())
        } else {
            Err(vec![manifest.problem(&self.file.key, Difference::Content)])
        }
    }

    /// A file that may hold placeholders.
    fn template(
        self,
        values: &SiteValues,
        source: impl Read,
        buffer: &mut [u8],
        told: &mut Told,
    ) -> Result<(), Vec<ScanProblem>> {
        let mut bytes = Vec::new();
        // A file that grew meanwhile is noticed without reading all of it.
        source.take(MAX_TEMPLATE + 1).read_to_end(&mut bytes).map_err(self.unreadable())?;
        if self.options.manifest.is_some() {
            told.on_disk = Some(Sha256::of(&bytes));
        }
        let problem =
            |(line, fault): (usize, Fault)| ScanProblem::Placeholder { path: self.path(), line: Some(line), fault };
        let filled = values
            .filling
            .fill(Kind::of(&self.file.headers.content_type), &bytes)
            .map_err(|faults| faults.into_iter().map(problem).collect::<Vec<_>>())?;
        if let Some(first) = filled.used.first()
            && self.file.role == Role::Fingerprinted
        {
            let fault = Fault { placeholder: format!("__{first}__"), fault: PlaceholderFault::Fingerprinted };
            return Err(vec![ScanProblem::Placeholder { path: self.path(), line: None, fault }]);
        }
        if self.depth == Depth::Whole {
            self.hash(&mut filled.bytes.as_ref(), buffer, told).map_err(self.unreadable())?;
            self.look_into(&filled.bytes, &filled.inserted, told);
        }
        if let Cow::Owned(_) = filled.bytes {
            told.filled = Some(filled.used);
        }
        Ok(())
    }

    /// A file that is served as it is; `selected` if it should take values and is too large to.
    fn plain(
        self,
        source: impl Read + Send,
        selected: bool,
        buffer: &mut [u8],
        told: &mut Told,
    ) -> Result<(), Vec<ScanProblem>> {
        // A source map repeats the source, placeholders and all, to nobody's harm.
        let is_map = Path::new(self.file.key.as_str()).extension().is_some_and(|e| e == "map");
        let values = self.options.values.as_ref().filter(|_| selected || !is_map);
        let mut search = values.map(|values| StraySearch::new(&values.filling.prefix));
        let is_encoded = self.file.encoding != ContentEncoding::Identity;
        let hasher = (is_encoded && self.options.manifest.is_some()).then(Hasher::default);
        let mut observed = Observed { source, search: search.as_mut(), hasher };
        self.hash(&mut observed, buffer, told).map_err(self.unreadable())?;
        told.on_disk = observed.hasher.map(Hasher::finish);
        told.stray = search.and_then(StraySearch::found);
        self.refuse_stray(selected, PlaceholderFault::TooLarge, told)
    }

    /// The digest and size of what is served for `source`.
    fn hash(self, source: &mut (dyn Read + Send), buffer: &mut [u8], told: &mut Told) -> io::Result<()> {
        let mut hasher = Hasher::default();
        let mut bytes = self.file.encoding.encode(source);
        loop {
            let n = match bytes.read(buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&buffer[..n]);
            told.size += n as u64;
            if let Some(progress) = &self.options.progress {
                progress(n as u64);
            }
        }
        told.sha256 = Some(hasher.finish());
        Ok(())
    }
}

/// Shows a search and a hasher what is read.
struct Observed<'a, R> {
    source: R,
    search: Option<&'a mut StraySearch>,
    hasher: Option<Hasher>,
}

impl<R: Read> Read for Observed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        if let Some(search) = &mut self.search {
            search.block(&buffer[..n]);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..n]);
        }
        Ok(n)
    }
}

/// Whether an open file was neither written to nor lost its name between two looks at it: a build
/// may have put another file in its place. Asked by handle, since a path is slow to follow.
fn is_as_it_was(before: &Metadata, after: &Metadata) -> bool {
    #[cfg(unix)]
    let names = |metadata: &Metadata| std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    let names = |_: &Metadata| 1;
    let told = |metadata: &Metadata| (metadata.len(), metadata.modified().ok(), names(metadata));
    told(before) == told(after)
}

/// PEM (RFC 7468) of any private key, OpenSSH's and PGP's among them, or a key of `PuTTY`.
fn is_private_key(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let line = text.trim_start().lines().next().unwrap_or_default();
    (line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY")) || line.starts_with("PuTTY-User-Key-File-")
}
