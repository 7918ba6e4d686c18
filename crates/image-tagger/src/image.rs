//! The JSON of images: reading a base image's, and making the new image's from it.
//!
//! Manifests and configurations are edited as raw JSON, so that fields nobody here knows survive.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::layer::Layer;
use crate::reference::Digest;

/// An OCI image's manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI index: the manifests of several platforms.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's form of a manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's form of an index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// What a layer is called by Docker, and by OCI.
const LAYER_TYPES: [(&str, &str); 2] = [
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_LAYER),
    ("application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"),
];

/// A manifest or index, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Manifest {
    /// Its digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// As JSON.
    ///
    /// # Errors
    /// Says why it is none.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.bytes).map_err(|error| format!("its manifest is not JSON: {error}"))
    }

    /// Whether it is an index of several platforms.
    pub fn is_index(&self) -> bool {
        [OCI_INDEX, DOCKER_LIST].contains(&self.media_type.as_str())
    }

    /// Makes one of JSON.
    fn from_json(media_type: &str, json: &Value) -> Self {
        Self { media_type: media_type.to_owned(), bytes: json.to_string().into() }
    }

    /// A descriptor of it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor { digest: self.digest(), size: self.bytes.len() as u64 }
    }
}

/// What a manifest says of a blob, as far as it takes to move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl Descriptor {
    /// Reads one.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn from_json(json: &Value) -> Result<Self, String> {
        let digest = json.get("digest").and_then(Value::as_str).ok_or("a descriptor has no digest")?;
        let digest = digest.parse().map_err(|error: crate::reference::ParseError| error.to_string())?;
        let size = json.get("size").and_then(Value::as_u64).ok_or("a descriptor has no size")?;
        Ok(Self { digest, size })
    }
}

/// The manifests of an index that are images, each with its entry. What builders put beside them (signatures,
/// provenance) tells of the base image, not of one made from it, and is left out.
///
/// # Errors
/// Says what is wrong with the index.
pub fn platforms(index: &Value) -> Result<Vec<(Descriptor, Value)>, String> {
    let entries = index.get("manifests").and_then(Value::as_array).ok_or("its index has no manifests")?;
    let is_image = |entry: &&Value| {
        let media_type = entry.get("mediaType").and_then(Value::as_str);
        let system = entry.pointer("/platform/os").and_then(Value::as_str);
        media_type.is_some_and(|media_type| [OCI_MANIFEST, DOCKER_MANIFEST].contains(&media_type))
            && system != Some("unknown")
    };
    let images = entries.iter().filter(is_image);
    let images =
        images.map(|entry| Ok((Descriptor::from_json(entry)?, entry.clone()))).collect::<Result<Vec<_>, String>>()?;
    if images.is_empty() { Err("its index lists no image".to_owned()) } else { Ok(images) }
}

/// The configuration of an image.
///
/// # Errors
/// Says what is wrong with the manifest.
pub fn config(manifest: &Value) -> Result<Descriptor, String> {
    Descriptor::from_json(manifest.get("config").ok_or("its manifest has no config")?)
}

/// The layers of an image.
///
/// # Errors
/// Says what is wrong with the manifest, or which layer cannot be moved.
pub fn layers(manifest: &Value) -> Result<Vec<Descriptor>, String> {
    let layers = manifest.get("layers").and_then(Value::as_array).ok_or("its manifest has no layers")?;
    layers
        .iter()
        .map(|layer| {
            let media_type = layer.get("mediaType").and_then(Value::as_str).unwrap_or_default();
            if media_type.contains("foreign") || media_type.contains("nondistributable") {
                return Err(format!(
                    "it has a layer that lies outside the registry ({media_type}), which is not supported"
                ));
            }
            Descriptor::from_json(layer)
        })
        .collect()
}

/// What the new image is told beyond its layer.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    /// Environment variables; a variable without a value is removed.
    pub environment: Vec<(&'static str, Option<String>)>,
    /// Labels of the configuration, and annotations of manifest and index.
    pub annotations: Vec<(&'static str, String)>,
    /// When it was made, as RFC 3339; without it the base image's time stays.
    pub created: Option<String>,
}

/// One image made from a base image and a layer.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The configuration's bytes.
    pub config: Bytes,
    /// The manifest.
    pub manifest: Manifest,
}

/// Puts `layer` on the image of `manifest` and `config`. The result is an OCI image, also where the
/// base is Docker's form.
///
/// # Errors
/// Says what is wrong with the base image.
pub fn append(manifest: &Value, config: &Value, layer: &Layer, additions: &Additions) -> Result<Appended, String> {
    let config = append_to_config(config, layer, additions)?.to_string();
    let config = Bytes::from(config);

    let mut manifest = object(manifest, "manifest")?;
    manifest.insert("schemaVersion".to_owned(), json!(2));
    manifest.insert("mediaType".to_owned(), json!(OCI_MANIFEST));
    // It names an image that the base belongs to, not this one.
    manifest.remove("subject");
    let size = config.len();
    manifest.insert("config".to_owned(), json!({"mediaType": OCI_CONFIG, "digest": Digest::of(&config), "size": size}));
    let layers = manifest.get_mut("layers").and_then(Value::as_array_mut).ok_or("its manifest has no layers")?;
    for layer in layers.iter_mut() {
        let named = layer.get("mediaType").and_then(Value::as_str);
        if let Some((_, oci)) = LAYER_TYPES.iter().find(|(docker, _)| named == Some(docker)) {
            layer["mediaType"] = json!(oci);
        }
    }
    layers.push(json!({
        "mediaType": OCI_LAYER,
        "digest": layer.digest,
        "size": layer.size,
        "annotations": {crate::identity::LAYER: "site"},
    }));
    annotate(&mut manifest, additions)?;
    Ok(Appended { config, manifest: Manifest::from_json(OCI_MANIFEST, &Value::Object(manifest)) })
}

fn append_to_config(config: &Value, layer: &Layer, additions: &Additions) -> Result<Value, String> {
    let mut config = object(config, "configuration")?;
    let rootfs = config.entry("rootfs").or_insert_with(|| json!({"type": "layers"}));
    let diff_ids = object_in(rootfs, "rootfs")?.entry("diff_ids").or_insert_with(|| json!([]));
    let diff_ids = diff_ids.as_array_mut().ok_or("its configuration has bad diff_ids")?;
    let is_first = diff_ids.is_empty();
    diff_ids.push(json!(layer.diff_id));

    // A history must tell of every layer or be absent.
    if is_first || config.contains_key("history") {
        let history = config.entry("history").or_insert_with(|| json!([]));
        let history = history.as_array_mut().ok_or("its configuration has a bad history")?;
        let mut entry = json!({"created_by": "image-tagger cut", "comment": "the built site"});
        if let Some(created) = &additions.created {
            entry["created"] = json!(created);
        }
        history.push(entry);
    }
    if let Some(created) = &additions.created {
        config.insert("created".to_owned(), json!(created));
    }

    let inner = config.entry("config").or_insert_with(|| json!({}));
    if inner.is_null() {
        *inner = json!({});
    }
    let inner = object_in(inner, "config")?;
    let environment = inner.entry("Env").or_insert_with(|| json!([]));
    if environment.is_null() {
        *environment = json!([]);
    }
    let environment = environment.as_array_mut().ok_or("its configuration has a bad Env")?;
    for (name, value) in &additions.environment {
        let is_it =
            |entry: &Value| entry.as_str().and_then(|entry| entry.split_once('=')).is_some_and(|(key, _)| key == *name);
        environment.retain(|entry| !is_it(entry));
        if let Some(value) = value {
            environment.push(json!(format!("{name}={value}")));
        }
    }
    let labels = inner.entry("Labels").or_insert_with(|| json!({}));
    if labels.is_null() {
        *labels = json!({});
    }
    let labels = object_in(labels, "Labels")?;
    for (name, value) in &additions.annotations {
        labels.insert((*name).to_owned(), json!(value));
    }
    Ok(Value::Object(config))
}

/// The index of images made from the base's `index`: each entry with the manifest made from it.
///
/// # Errors
/// Says what is wrong with the index.
pub fn reindex(index: &Value, images: &[(Value, Manifest)], additions: &Additions) -> Result<Manifest, String> {
    let mut index = object(index, "index")?;
    index.insert("schemaVersion".to_owned(), json!(2));
    index.insert("mediaType".to_owned(), json!(OCI_INDEX));
    index.remove("subject");
    let entries = images.iter().map(|(entry, manifest)| {
        let mut entry = object(entry, "index")?;
        entry.insert("mediaType".to_owned(), json!(manifest.media_type));
        entry.insert("digest".to_owned(), json!(manifest.digest()));
        entry.insert("size".to_owned(), json!(manifest.bytes.len()));
        // Bytes of the base's manifest, and a place it can be had from.
        entry.remove("data");
        entry.remove("urls");
        Ok(Value::Object(entry))
    });
    let entries = entries.collect::<Result<Vec<_>, String>>()?;
    index.insert("manifests".to_owned(), Value::Array(entries));
    annotate(&mut index, additions)?;
    Ok(Manifest::from_json(OCI_INDEX, &Value::Object(index)))
}

fn annotate(target: &mut Map<String, Value>, additions: &Additions) -> Result<(), String> {
    let annotations = target.entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    let annotations = object_in(annotations, "annotations")?;
    for (name, value) in &additions.annotations {
        annotations.insert((*name).to_owned(), json!(value));
    }
    Ok(())
}

fn object(value: &Value, what: &str) -> Result<Map<String, Value>, String> {
    value.as_object().cloned().ok_or_else(|| format!("its {what} is not a JSON object"))
}

fn object_in<'a>(value: &'a mut Value, what: &str) -> Result<&'a mut Map<String, Value>, String> {
    value.as_object_mut().ok_or_else(|| format!("its {what} is not a JSON object"))
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
