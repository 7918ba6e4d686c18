//! `inspect`: what a release's image says of itself.

use asset_sync::site::SiteManifest;
use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::identity::{self, Identity};
use crate::image::{self, Descriptor};
use crate::layer::first_file;
use crate::reference::{Digest, Reference};
use crate::registry::Registry;
use crate::release::describe;
use crate::site::MANIFEST;

/// An image, as it says.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The image as it was named.
    pub image: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// What release it is; none where it was not made for one.
    pub release: Option<Identity>,
    /// The number of the build that cut it.
    pub build: Option<String>,
    /// The base image as it was named.
    pub base: Option<String>,
    /// When it says it was made.
    pub created: Option<String>,
    /// Its platforms, as `linux/amd64`.
    pub platforms: Vec<String>,
    /// Bytes of its layers as the registry keeps them; of the first platform.
    pub size: u64,
    /// The site in it; none where it was not cut by `image-tagger`.
    pub site: Option<SiteManifest>,
}

/// Looks at an image: its manifest, its configuration, and the layer that holds the site.
///
/// # Errors
/// It is not there, or not an image.
pub async fn inspect(registry: &dyn Registry, reference: &Reference) -> Result<Inspection, Error> {
    let unusable = |reason| Error::UnusableImage { image: reference.clone(), reason };
    let work = tempfile::tempdir().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let root = registry.manifest(reference).await?.ok_or_else(|| Error::NoSuchImage(reference.clone()))?;
    let standing = describe(registry, reference, &root, work.path()).await?;
    let json = root.json().map_err(unusable)?;
    let (manifest, platforms) = if root.is_index() {
        let images = image::platforms(&json).map_err(unusable)?;
        let platforms =
            images.iter().map(|(_, entry)| platform(entry.get("platform").unwrap_or(&Value::Null))).collect();
        let first = images.first().map(|(descriptor, _)| reference.repository.at(descriptor.digest));
        let first = first.ok_or_else(|| unusable("its index lists no image".to_owned()))?;
        let manifest = registry.manifest(&first).await?.ok_or(Error::NoSuchImage(first))?;
        (manifest.json().map_err(unusable)?, platforms)
    } else {
        (json.clone(), Vec::new())
    };
    let config = image::config(&manifest).map_err(unusable)?;
    let config = crate::release::read_json(registry, reference, config, work.path()).await?;
    let platforms = if platforms.is_empty() { vec![platform(&config)] } else { platforms };
    let said = |key| {
        let annotation = json.get("annotations").and_then(|annotations| annotations.get(key));
        let label = config.pointer("/config/Labels").and_then(|labels| labels.get(key));
        annotation.or(label).and_then(Value::as_str).map(str::to_owned)
    };

    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_site = |layer: &&Value| {
        layer.pointer(&format!("/annotations/{}", identity::LAYER)).and_then(Value::as_str) == Some("site")
    };
    let site = match layers.iter().rev().find(is_site) {
        Some(layer) => {
            let blob = Descriptor::from_json(layer).map_err(unusable)?;
            let path = work.path().join("layer");
            registry.pull_blob(&reference.repository, blob, &path).await?;
            let bytes = first_file(&path, MANIFEST)
                .map_err(|error| unusable(format!("its site cannot be unpacked: {error}")))?;
            let parsed = bytes.map(|bytes| SiteManifest::parse(&bytes)).transpose();
            parsed.map_err(|error| unusable(format!("the manifest of its site {error}")))?
        }
        None => None,
    };
    Ok(Inspection {
        image: reference.to_string(),
        digest: standing.digest,
        release: standing.identity,
        build: standing.build,
        base: said(identity::BASE_NAME),
        created: config.get("created").and_then(Value::as_str).map(str::to_owned),
        platforms,
        size: layers.iter().filter_map(|layer| layer.get("size")?.as_u64()).sum(),
        site,
    })
}

fn platform(of: &Value) -> String {
    let parts = ["os", "architecture", "variant"].iter().filter_map(|key| of.get(key)?.as_str());
    parts.collect::<Vec<_>>().join("/")
}
