//! Setting a release's tag, which is done once and never undone.

use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::error::Taken;
use crate::identity::{BUILD, Identity};
use crate::image::{self, Manifest};
use crate::reference::{Digest, Reference};
use crate::registry::Registry;

/// The image that a tag names now.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// Its digest.
    pub(crate) digest: Digest,
    /// What release it is; none where it is not one of ours.
    pub(crate) identity: Option<Identity>,
    /// The number of the build that cut it.
    pub(crate) build: Option<String>,
}

/// What came of setting a tag.
#[derive(Debug, Clone)]
pub(crate) enum Tagged {
    /// It names the new image.
    New,
    /// It named the same release before, and still does.
    Stands(Standing),
}

/// The image at `image`; none where there is none.
pub(crate) async fn standing(
    registry: &dyn Registry,
    image: &Reference,
    work: &Path,
) -> Result<Option<Standing>, Error> {
    match registry.manifest(image).await? {
        Some(manifest) => describe(registry, image, &manifest, work).await.map(Some),
        None => Ok(None),
    }
}

/// What `manifest` says of itself: in its annotations, or in its labels where it was built by docker.
pub(crate) async fn describe(
    registry: &dyn Registry,
    image: &Reference,
    manifest: &Manifest,
    work: &Path,
) -> Result<Standing, Error> {
    let unusable = |reason| Error::UnusableImage { image: image.clone(), reason };
    let digest = manifest.digest();
    let json = manifest.json().map_err(unusable)?;
    let said = |annotations: &Value| Standing {
        digest,
        identity: Identity::from_annotations(annotations),
        build: annotations.get(BUILD).and_then(Value::as_str).map(str::to_owned),
    };
    let by_annotations = said(json.get("annotations").unwrap_or(&Value::Null));
    if by_annotations.identity.is_some() {
        return Ok(by_annotations);
    }
    let json = if manifest.is_index() {
        // Of an index without annotations each image would say the same, so one is asked.
        let Some((first, _)) = image::platforms(&json).ok().and_then(|platforms| platforms.into_iter().next()) else {
            return Ok(by_annotations);
        };
        let at = image.repository.at(first.digest);
        match registry.manifest(&at).await? {
            Some(manifest) => manifest.json().map_err(unusable)?,
            None => return Ok(by_annotations),
        }
    } else {
        json
    };
    let Ok(descriptor) = image::config(&json) else {
        return Ok(by_annotations);
    };
    let config = read_json(registry, image, descriptor, work).await?;
    Ok(said(config.pointer("/config/Labels").unwrap_or(&Value::Null)))
}

/// Pulls a small blob and reads it as JSON.
pub(crate) async fn read_json(
    registry: &dyn Registry,
    image: &Reference,
    blob: image::Descriptor,
    work: &Path,
) -> Result<Value, Error> {
    const LARGEST: u64 = 8 << 20;
    let unusable = |reason| Error::UnusableImage { image: image.clone(), reason };
    if blob.size > LARGEST {
        return Err(unusable(format!("its configuration has {} bytes, more than {LARGEST}", blob.size)));
    }
    let path = work.join(format!("config-{}", blob.digest));
    registry.pull_blob(&image.repository, blob, &path).await?;
    let bytes = tokio::fs::read(&path).await.map_err(|source| Error::Read { path, source })?;
    serde_json::from_slice(&bytes).map_err(|error| unusable(format!("its configuration is not JSON: {error}")))
}

/// Whether the image that stands under a tag is the one that is to get it.
///
/// # Errors
/// It is another one.
pub(crate) fn compare(
    image: &Reference,
    there: Standing,
    digest: Option<Digest>,
    identity: Option<&Identity>,
) -> Result<Standing, Error> {
    let same = digest == Some(there.digest) || (identity.is_some() && there.identity.as_ref() == identity);
    if same {
        return Ok(there);
    }
    let differing = match (&there.identity, identity) {
        (Some(there), Some(here)) => here.differences(there),
        _ => Vec::new(),
    };
    let here =
        identity.map_or_else(|| digest.map_or_else(String::new, |digest| digest.to_string()), ToString::to_string);
    Err(Error::Taken(Box::new(Taken { image: image.clone(), there: there.identity, here, differing })))
}

/// Sets the tag of `image` to `manifest`, all of which is already in the repository, unless the tag
/// exists.
///
/// Registries cannot set a tag on condition that it is not there. So it is looked for right before,
/// and read again right after: of two runs that pass between each other's two requests the later one
/// wins. A registry with immutable tags closes that gap.
pub(crate) async fn set_tag(
    registry: &dyn Registry,
    image: &Reference,
    manifest: &Manifest,
    identity: Option<&Identity>,
    work: &Path,
) -> Result<Tagged, Error> {
    let digest = manifest.digest();
    if let Some(there) = standing(registry, image, work).await? {
        return compare(image, there, Some(digest), identity).map(Tagged::Stands);
    }
    let put = registry.put_manifest(image, manifest).await;
    if let Err(error) = put {
        // The registry may have refused to move a tag that came up meanwhile (ECR with 400, GitLab with 403,
        // Harbor with 412), or answered an attempt whose forerunner succeeded.
        return match standing(registry, image, work).await {
            Ok(Some(there)) if there.digest == digest => Ok(Tagged::New),
            Ok(Some(there)) => compare(image, there, Some(digest), identity).map(Tagged::Stands),
            Ok(None) | Err(_) => Err(error.into()),
        };
    }
    match standing(registry, image, work).await? {
        Some(there) if there.digest == digest => Ok(Tagged::New),
        Some(there) if identity.is_some() && there.identity.as_ref() == identity => Ok(Tagged::Stands(there)),
        there => Err(Error::Moved {
            image: image.clone(),
            digest,
            now: there.map_or_else(|| "nothing".to_owned(), |there| there.digest.to_string()),
        }),
    }
}
