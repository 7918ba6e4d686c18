//! `tag`: a release's tag for an image that is already in the repository.

use serde::Serialize;

use crate::Error;
use crate::reference::{Digest, Reference, Repository, Tag};
use crate::registry::Registry;
use crate::release::{Tagged, describe, set_tag};
use crate::version::{Channel, ReleaseName};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The tag was set.
    Tagged,
    /// It was there already, on the same release.
    Unchanged,
}

/// The tagged image.
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
}

/// Tags the image `source` with a release's tag. Only its manifest is moved.
///
/// # Errors
/// The tag exists and is another image; `source` is not there, is in another repository, or says
/// that it is another version.
pub async fn tag(
    registry: &dyn Registry,
    source: &Reference,
    repository: &Repository,
    name: &ReleaseName,
) -> Result<Outcome, Error> {
    let unusable = |reason| Error::UnusableImage { image: source.clone(), reason };
    if source.repository != *repository {
        return Err(unusable(format!(
            "is not in {repository}: push it there first; images are not copied between repositories"
        )));
    }
    let work = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let manifest = registry.manifest(source).await?.ok_or_else(|| Error::NoSuchImage(source.clone()))?;
    let identity = describe(registry, source, &manifest, work.path()).await?.identity;
    let version = name.version.to_string();
    if let Some(identity) = &identity
        && identity.version != version
    {
        return Err(unusable(format!("is version {}, and was to be tagged as {version}", identity.version)));
    }
    let image = repository.tagged(name.tag.clone());
    let (result, digest) = match set_tag(registry, &image, &manifest, identity.as_ref(), work.path()).await? {
        Tagged::New => (Status::Tagged, manifest.digest()),
        Tagged::Stands(there) => (Status::Unchanged, there.digest),
    };
    Ok(Outcome {
        result,
        version,
        tag: name.tag.clone(),
        channel: name.channel,
        image: image.to_string(),
        reference: repository.at(digest).to_string(),
        digest,
    })
}
