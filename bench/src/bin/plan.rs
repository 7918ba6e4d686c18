//! `bench-plan record|plan TREE STATE`: how large a site the library can plan for.
//!
//! TREE is one of `trees.flat`: files whose names follow from their numbers. `record` writes into
//! STATE what a deployment of TREE would have left behind. `plan` scans TREE and plans its deployment
//! where all of it is there already: by that state, and by a listing that is made up page by page as
//! it is asked for, so that neither a store nor a list of all keys stands beside what is measured.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use asset_sync::bucket::{
    Bucket, BucketError, BucketErrorKind, Condition, CopySource, ETag, ListPage, ListedObject, MAX_BATCH, ObjectBody,
    ObjectInfo, ObjectSpec, UploadedPart,
};
use asset_sync::cdn::MemoryCdn;
use asset_sync::deploy::{Options, ReleaseInfo};
use asset_sync::site::{ScanOptions, Site, scan};
use asset_sync::state::{
    Current, Inventory, Manifest, Operation, Record, ReleaseFile, ReleaseRecord, StateArea, Target,
};
use asset_sync::{Deployer, Headers, Sha256};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;

type Failure = Box<dyn Error + Send + Sync>;

const BUCKET: &str = "site";
const VERSION: &str = "1.0.0";
/// Sorts after all others.
const ROOT: &str = "index.html";
const WRITTEN: Timestamp = Timestamp::UNIX_EPOCH;
/// Bytes of a state object that arrive at once.
const PIECE: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, tree, state] = arguments.as_slice() else {
        return Err("usage: bench-plan record|plan TREE STATE".into());
    };
    let (tree, state) = (PathBuf::from(tree), PathBuf::from(state));
    match mode.as_str() {
        "record" => record(&scan(&tree, &ScanOptions::default())?, &state),
        "plan" => plan(tree, state).await,
        _ => Err("usage: bench-plan record|plan TREE STATE".into()),
    }
}

/// The key of a file by its number: as `trees.flat` names them.
fn key(number: u64) -> String {
    let hash = number.wrapping_mul(2_654_435_761) & 0xffff_ffff;
    format!("assets/{:04}/c{number:07}-{hash:08x}.js", number / 1000)
}

fn etag(key: &str) -> ETag {
    // As long as the store's own.
    format!("\"{:.32}\"", Sha256::of(key.as_bytes()).to_string()).as_str().into()
}

fn record(site: &Site, state: &Path) -> Result<(), Failure> {
    let files = site.files.iter().map(|file| ReleaseFile {
        key: file.key.clone(),
        sha256: file.sha256,
        size: file.size,
        headers: Arc::clone(&file.headers),
        role: file.role,
        demoted: false,
    });
    let manifest = Manifest { files: files.collect() };
    let release = ReleaseRecord::new(1, VERSION, &manifest, WRITTEN);
    let mut current = Current::default();
    current.begin(Operation::Deploy, release.clone(), None, WRITTEN);
    current.activate(&release.id, false, WRITTEN);
    (current.pending, current.inventory) = (None, Some(1));
    current.unrecorded.clear();
    let seen = |file: &ReleaseFile| Some((etag(file.key.as_str()), WRITTEN));
    let records = manifest.files.iter().map(|file| Record { seen: seen(file), ..Record::unseen(file) });
    fs::create_dir_all(state)?;
    fs::write(state.join("current"), current.encode())?;
    fs::write(state.join("inventory"), Inventory { records: records.collect(), ..Inventory::default() }.encode())?;
    Ok(())
}

async fn plan(tree: PathBuf, state: PathBuf) -> Result<(), Failure> {
    let started = Instant::now();
    let area = StateArea::in_target(&Target { bucket: BUCKET.into(), prefix: String::new() }, ".deploy/");
    let count = fs::read_to_string(tree.with_extension("made"))?
        .split_whitespace()
        .nth(1)
        .ok_or("no number of files beside the tree")?
        .parse::<u64>()?;
    let bucket = Simulated {
        objects: count - 1,
        size: fs::metadata(tree.join(key(0)))?.len(),
        root_size: fs::metadata(tree.join(ROOT))?.len(),
        current: area.current(),
        inventory: area.inventory(1),
        state,
    };
    let deployer = Deployer::new("", Arc::new(bucket), area, None, Arc::new(MemoryCdn::new()), Options::default());
    let run = deployer.begin();
    let site = tokio::task::spawn_blocking(move || scan(&tree, &ScanOptions::default())).await??;
    let scanned = started.elapsed();
    let plan = run.plan(&site, &ReleaseInfo { version: VERSION.to_owned(), build: None }).await?;
    let (files, planned) = (site.files.len(), started.elapsed());
    writeln!(std::io::stderr(), "{files} files scanned in {scanned:.2?}, planned after {planned:.2?}")?;
    if !plan.unchanged || plan.unchanged_files.files != count {
        return Err(format!("{} files are to be written", plan.writes.len()).into());
    }
    Ok(())
}

/// Holds `objects` numbered objects and a root document, and the state in a folder.
#[derive(Debug)]
struct Simulated {
    objects: u64,
    size: u64,
    root_size: u64,
    current: String,
    inventory: String,
    state: PathBuf,
}

impl Simulated {
    /// The key of the object at a place in the order of keys.
    fn key_at(&self, place: u64) -> String {
        if place < self.objects { key(place) } else { ROOT.to_owned() }
    }

    /// The place of the first object whose key comes after this text.
    fn after(&self, text: &str) -> u64 {
        let (mut low, mut high) = (0, self.objects + 1);
        while low < high {
            let middle = u64::midpoint(low, high);
            if self.key_at(middle).as_str() > text { high = middle } else { low = middle + 1 }
        }
        low
    }

    fn unsupported<T>(operation: &'static str, key: &str) -> Result<T, BucketError> {
        Err(error(BucketErrorKind::Invalid, operation, key, "a plan has no need of this".to_owned()))
    }
}

fn error(kind: BucketErrorKind, operation: &'static str, key: &str, message: String) -> BucketError {
    BucketError {
        kind,
        operation,
        bucket: BUCKET.to_owned(),
        key: Some(key.to_owned()),
        message,
        request_id: None,
        source: None,
    }
}

#[async_trait]
impl Bucket for Simulated {
    fn name(&self) -> &str {
        BUCKET
    }

    async fn list(&self, _: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        let first = start_after.map_or(0, |text| self.after(text));
        let end = self.objects + 1;
        let last = end.min(first + MAX_BATCH as u64);
        let objects = (first..last).map(|place| {
            let key = self.key_at(place);
            let size = if place < self.objects { self.size } else { self.root_size };
            ListedObject { etag: etag(&key), key: key.into(), size, last_modified: WRITTEN }
        });
        Ok(ListPage { objects: objects.collect(), truncated: last < end })
    }

    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        let name = match key {
            _ if key == self.current => "current",
            _ if key == self.inventory => "inventory",
            _ => return Ok(None),
        };
        let failed = |source: std::io::Error| error(BucketErrorKind::Invalid, "GetObject", name, source.to_string());
        let file = File::open(self.state.join(name)).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let info = ObjectInfo {
            size,
            etag: etag(key),
            last_modified: Some(WRITTEN),
            headers: Headers::default(),
            sha256: None,
            sha256_is_computed: false,
        };
        let pieces = stream::unfold(file, move |file| async move {
            let mut piece = Vec::with_capacity(PIECE);
            match (&file).take(PIECE as u64).read_to_end(&mut piece) {
                Ok(0) => None,
                Ok(_) => Some((Ok(Bytes::from(piece)), file)),
                Err(source) => Some((Err(failed(source)), file)),
            }
        });
        Ok(Some(ObjectBody { info, stream: pieces.boxed() }))
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        Self::unsupported("HeadObject", key)
    }

    async fn put(&self, spec: ObjectSpec<'_>, _: Bytes, _: &Condition) -> Result<ETag, BucketError> {
        Self::unsupported("PutObject", spec.key)
    }

    async fn copy(&self, _: CopySource<'_>, spec: ObjectSpec<'_>, _: &Condition) -> Result<ETag, BucketError> {
        Self::unsupported("CopyObject", spec.key)
    }

    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
        Self::unsupported("CreateMultipartUpload", spec.key)
    }

    async fn upload_part(&self, key: &str, _: &str, _: i32, _: Bytes, _: Sha256) -> Result<UploadedPart, BucketError> {
        Self::unsupported("UploadPart", key)
    }

    async fn complete_multipart(
        &self,
        key: &str,
        _: &str,
        _: &[UploadedPart],
        _: &Condition,
    ) -> Result<ETag, BucketError> {
        Self::unsupported("CompleteMultipartUpload", key)
    }

    async fn abort_multipart(&self, key: &str, _: &str) -> Result<(), BucketError> {
        Self::unsupported("AbortMultipartUpload", key)
    }

    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        Self::unsupported("DeleteObjects", keys.first().map_or("", |(key, _)| key))
    }
}
