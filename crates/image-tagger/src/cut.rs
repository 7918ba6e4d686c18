//! `cut`: a release's image from a base image and a built site, straight into the registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::Value;

use crate::identity::{BASE_NAME, BUILD, CREATED, Identity, SOURCE};
use crate::image::{self, Additions, Descriptor, Manifest};
use crate::layer::{self, Layer};
use crate::progress::{Event, Progress};
use crate::reference::{Digest, Reference, Repository, Tag};
use crate::registry::{Blob, Content, Registry};
use crate::release::{Tagged, compare, read_json, set_tag, standing};
use crate::site::{DIRECTORY, MANIFEST, RULES, Site};
use crate::version::{Channel, ReleaseName};
use crate::{Error, site};

/// Blobs moved at once.
const AT_ONCE: usize = 4;

/// What to cut.
#[derive(Debug, Clone)]
pub struct Request {
    /// The directory of built files.
    pub site: PathBuf,
    /// A file of rules that goes into the image.
    pub rules: Option<PathBuf>,
    /// The base image.
    pub base: Reference,
    /// Where the image goes.
    pub repository: Repository,
    /// What it is called.
    pub name: ReleaseName,
    /// The commit it was built from.
    pub commit: Option<String>,
    /// The number of the pipeline run.
    pub build: Option<u64>,
    /// The address of the sources.
    pub source: Option<String>,
    /// When it says it was made, in seconds since 1970; else it keeps the base image's time.
    pub created: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A new image was pushed and tagged.
    Cut,
    /// The image was there already; nothing was pushed.
    Unchanged,
}

/// The image, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What came of it.
    pub result: Status,
    /// The version.
    pub version: String,
    /// The tag.
    pub tag: Tag,
    /// Who may want it.
    pub channel: Channel,
    /// The image by its tag.
    pub image: String,
    /// The image by its digest: what to deploy.
    pub reference: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The commit.
    pub commit: Option<String>,
    /// The number of the build that cut it, which may have been an earlier one.
    pub build: Option<String>,
    /// The base image as it was named.
    pub base: String,
    /// The digest it had.
    pub base_digest: Digest,
    /// The digest of the site's files.
    pub site_digest: Digest,
    /// Number of files of the site.
    pub files: usize,
    /// Bytes of the site's files.
    pub bytes: u64,
    /// What was done with the image's blobs.
    pub blobs: Blobs,
}

/// What was done with an image's blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Blobs {
    /// Those sent.
    pub sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Those the registry took over from another of its repositories.
    pub mounted: u64,
    /// Those it had.
    pub present: u64,
}

/// One image of the base: of one platform.
struct BaseImage {
    /// Its entry in the index, where there is one.
    entry: Option<Value>,
    manifest: Value,
    config: Value,
}

/// Cuts an image. Until its tag is set, which is the last step, nothing that exists is touched.
///
/// # Errors
/// The tag exists and is another image; what is wrong with site, base or rules; whatever the
/// registry failed at. Blobs that were pushed stay without a tag, and are found again by the next run.
pub async fn cut(registry: &dyn Registry, request: &Request, progress: &dyn Progress) -> Result<Outcome, Error> {
    let work = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    progress.tell(&Event::Step("reading the site"));
    let (site, base) = tokio::try_join!(read_site(request), async {
        let base = registry.manifest(&request.base).await?;
        base.ok_or_else(|| Error::NoSuchImage(request.base.clone()))
    })?;
    for rule in &site.unmatched_rules {
        progress.tell(&Event::Warning(&format!("{rule} of the rules matches no file")));
    }
    let identity = Identity {
        site: site.digest,
        base: base.digest(),
        version: request.name.version.to_string(),
        commit: request.commit.clone(),
    };
    let image = request.repository.tagged(request.name.tag.clone());
    let outcome = |result, digest: Digest, build: Option<String>, blobs| Outcome {
        result,
        version: identity.version.clone(),
        tag: request.name.tag.clone(),
        channel: request.name.channel,
        image: image.to_string(),
        reference: request.repository.at(digest).to_string(),
        digest,
        commit: identity.commit.clone(),
        build,
        base: request.base.to_string(),
        base_digest: identity.base,
        site_digest: identity.site,
        files: site.manifest.files.len(),
        bytes: site.manifest.total_bytes(),
        blobs,
    };
    if let Some(there) = standing(registry, &image, work.path()).await? {
        let there = compare(&image, there, None, Some(&identity))?;
        return Ok(outcome(Status::Unchanged, there.digest, there.build, Blobs::default()));
    }

    progress.tell(&Event::Step("packing the site"));
    let layer_path = work.path().join("layer");
    let (layer, bases) = tokio::try_join!(
        pack(Arc::clone(&site), layer_path.clone()),
        base_images(registry, &request.base, &base, work.path())
    )?;

    let additions = additions(request, &identity, &site);
    let made = make(&request.base, &base, &bases, &layer, &additions)?;

    progress.tell(&Event::Step("pushing"));
    let blobs = push_blobs(registry, request, &bases, &made, (&layer, &layer_path), progress, work.path()).await?;
    for manifest in made.images.iter().map(|(_, manifest)| manifest).chain(made.index.as_ref()) {
        let at = request.repository.at(manifest.digest());
        registry.put_manifest(&at, manifest).await?;
        if registry.manifest(&at).await?.is_none() {
            return Err(Error::Lost(at.to_string()));
        }
    }

    progress.tell(&Event::Step("tagging"));
    let root = made.root()?;
    match set_tag(registry, &image, root, Some(&identity), work.path()).await? {
        Tagged::New => Ok(outcome(Status::Cut, root.digest(), request.build.map(|build| build.to_string()), blobs)),
        Tagged::Stands(there) => Ok(outcome(Status::Unchanged, there.digest, there.build, blobs)),
    }
}

async fn read_site(request: &Request) -> Result<Arc<Site>, Error> {
    let (directory, rules) = (request.site.clone(), request.rules.clone());
    blocking(move || site::read(&directory, rules.as_deref())).await.map(Arc::new)
}

async fn pack(site: Arc<Site>, into: PathBuf) -> Result<Layer, Error> {
    blocking(move || layer::pack(&site, &into)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal(error.to_string()))?
}

/// The images of the base: one, or one for each platform.
async fn base_images(
    registry: &dyn Registry,
    base: &Reference,
    manifest: &Manifest,
    work: &Path,
) -> Result<Vec<BaseImage>, Error> {
    let unusable = |reason| Error::UnusableImage { image: base.clone(), reason };
    let json = manifest.json().map_err(unusable)?;
    let mut manifests = Vec::new();
    if manifest.is_index() {
        for (descriptor, entry) in image::platforms(&json).map_err(unusable)? {
            let at = base.repository.at(descriptor.digest);
            let manifest = registry.manifest(&at).await?.ok_or(Error::NoSuchImage(at))?;
            manifests.push((Some(entry), manifest.json().map_err(unusable)?));
        }
    } else {
        manifests.push((None, json));
    }
    let mut images = Vec::with_capacity(manifests.len());
    for (entry, manifest) in manifests {
        let config = read_json(registry, base, image::config(&manifest).map_err(unusable)?, work).await?;
        images.push(BaseImage { entry, manifest, config });
    }
    Ok(images)
}

fn additions(request: &Request, identity: &Identity, site: &Site) -> Additions {
    let created = request
        .created
        .and_then(|seconds| jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok())
        .map(|time| time.to_string());
    let mut annotations: Vec<_> = identity.annotations().into_iter().collect();
    annotations.push((BASE_NAME, request.base.to_string()));
    let more = [
        (BUILD, request.build.map(|build| build.to_string())),
        (SOURCE, request.source.clone()),
        (CREATED, created.clone()),
    ];
    annotations.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let environment = vec![
        ("DEPLOY_SOURCE", Some(DIRECTORY.to_owned())),
        ("DEPLOY_SITE_MANIFEST", Some(MANIFEST.to_owned())),
        ("DEPLOY_VERSION", Some(identity.version.clone())),
        ("DEPLOY_BUILD", request.build.map(|build| build.to_string())),
        ("DEPLOY_COMMIT", identity.commit.clone()),
        ("DEPLOY_RULES", site.rules.as_ref().map(|_| RULES.to_owned())),
    ];
    Additions { environment, annotations, created }
}

/// The new images, ready to be pushed.
struct Made {
    configs: Vec<bytes::Bytes>,
    images: Vec<(Option<Value>, Manifest)>,
    index: Option<Manifest>,
}

impl Made {
    /// What the tag will name.
    fn root(&self) -> Result<&Manifest, Error> {
        let root = self.index.as_ref().or_else(|| self.images.first().map(|(_, manifest)| manifest));
        root.ok_or_else(|| Error::Internal("no image was made".to_owned()))
    }
}

fn make(
    base: &Reference,
    base_manifest: &Manifest,
    bases: &[BaseImage],
    layer: &Layer,
    additions: &Additions,
) -> Result<Made, Error> {
    let unusable = |reason| Error::UnusableImage { image: base.clone(), reason };
    let mut made = Made { configs: Vec::new(), images: Vec::new(), index: None };
    for base in bases {
        let appended = image::append(&base.manifest, &base.config, layer, additions).map_err(unusable)?;
        made.configs.push(appended.config);
        made.images.push((base.entry.clone(), appended.manifest));
    }
    if base_manifest.is_index() {
        let entries: Vec<_> =
            made.images.iter().filter_map(|(entry, manifest)| Some((entry.clone()?, manifest.clone()))).collect();
        let index = base_manifest.json().map_err(unusable)?;
        made.index = Some(image::reindex(&index, &entries, additions).map_err(unusable)?);
    }
    Ok(made)
}

/// Gets every blob of the new images into the repository, several at once.
async fn push_blobs(
    registry: &dyn Registry,
    request: &Request,
    bases: &[BaseImage],
    made: &Made,
    (layer, layer_path): (&Layer, &Path),
    progress: &dyn Progress,
    work: &Path,
) -> Result<Blobs, Error> {
    let unusable = |reason| Error::UnusableImage { image: request.base.clone(), reason };
    // By digest: platforms may share layers.
    let mut wanted: BTreeMap<Digest, (u64, Origin)> = BTreeMap::new();
    for base in bases {
        for Descriptor { digest, size } in image::layers(&base.manifest).map_err(unusable)? {
            wanted.insert(digest, (size, Origin::Base));
        }
    }
    wanted.insert(layer.digest, (layer.size, Origin::Here(Content::File(layer_path.to_owned()))));
    for config in &made.configs {
        wanted.insert(Digest::of(config), (config.len() as u64, Origin::Here(Content::Bytes(config.clone()))));
    }
    let mut moves = Vec::with_capacity(wanted.len());
    for (digest, (size, origin)) in wanted {
        moves.push(push_one(registry, request, Descriptor { digest, size }, origin, progress, work));
    }
    let done: Vec<Blobs> = stream::iter(moves).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(done.into_iter().fold(Blobs::default(), |sum, one| Blobs {
        sent: sum.sent + one.sent,
        bytes_sent: sum.bytes_sent + one.bytes_sent,
        mounted: sum.mounted + one.mounted,
        present: sum.present + one.present,
    }))
}

/// Where a blob's bytes are.
enum Origin {
    Base,
    Here(Content),
}

async fn push_one(
    registry: &dyn Registry,
    request: &Request,
    blob: Descriptor,
    origin: Origin,
    progress: &dyn Progress,
    work: &Path,
) -> Result<Blobs, Error> {
    let (from, to) = (&request.base.repository, &request.repository);
    if registry.has_blob(to, blob.digest).await? {
        return Ok(Blobs { present: 1, ..Blobs::default() });
    }
    let content = match origin {
        Origin::Here(content) => content,
        Origin::Base => {
            if from.registry() == to.registry()
                && from != to
                && registry.mount_blob(to, from, blob.digest).await?
                && registry.has_blob(to, blob.digest).await?
            {
                return Ok(Blobs { mounted: 1, ..Blobs::default() });
            }
            let path = work.join(format!("blob-{}", blob.digest));
            registry.pull_blob(from, blob, &path).await?;
            Content::File(path)
        }
    };
    progress.tell(&Event::Sending(blob.size));
    registry.push_blob(to, &Blob { descriptor: blob, content }).await?;
    if registry.has_blob(to, blob.digest).await? {
        Ok(Blobs { sent: 1, bytes_sent: blob.size, ..Blobs::default() })
    } else {
        Err(Error::Lost(format!("{to}@{}", blob.digest)))
    }
}
