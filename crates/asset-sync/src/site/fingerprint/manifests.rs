//! What build tools say about the files they wrote.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

/// Most bytes of a manifest that are read.
const MAX_BYTES: u64 = 4 << 20;
/// Manifests that lie at the top of a build or in a hidden folder, where the walk of the site does not see them.
const HIDDEN: [&str; 3] = [".vite/manifest.json", ".vite/ssr-manifest.json", ".next/build-manifest.json"];
/// Names of manifests anywhere in the site.
///
/// Angular's `ngsw.json` is none of them: its asset groups list plain files beside those with hashes in their names
/// (`processAssetGroups` in its `generator.ts`). Nor is Next's `_buildManifest.js`, whose files all lie in
/// `_next/static/`, nor Nuxt's `builds/meta/*.json`, which lists routes.
const NAMES: [&str; 7] = [
    "asset-manifest.json",
    "manifest.json",
    "build-manifest.json",
    "rev-manifest.json",
    "assets-manifest.json",
    "webpack-assets.json",
    "stats.json",
];
/// Service workers, which may list what Workbox precaches.
const WORKERS: [&str; 3] = ["sw.js", "service-worker.js", "serviceworker.js"];

/// The files that manifests name as hashed, by their names without folders.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    listed: HashMap<Box<str>, Arc<str>>,
}

impl Manifests {
    /// Reads the manifests of the site in `root`, whose files are `keys`.
    pub(super) fn read<'a>(root: &Path, keys: impl Iterator<Item = &'a str>) -> Self {
        let mut manifests = Self::default();
        let visible = keys.filter(|key| {
            let name = key.rsplit('/').next().unwrap_or_default();
            NAMES.contains(&name) || WORKERS.contains(&name)
        });
        for path in HIDDEN.into_iter().chain(visible) {
            let Some(text) = read_small(&root.join(path)) else { continue };
            let name: Arc<str> = path.rsplit('/').next().unwrap_or(path).into();
            if WORKERS.contains(&&*name) {
                manifests.add_precached(&text, &name);
            } else if let Ok(value) = serde_json::from_slice::<Value>(&text) {
                manifests.add_pairs(&value, &name);
            }
        }
        manifests
    }

    /// Takes each pair of a logical name and the name of the file that was written for it: the second is the first
    /// with a part more. `{"main.js": "/static/js/main.3f2a9c0d.js"}` of Create React App, Sprockets, gulp-rev, and
    /// `{"src/main.ts": {"file": "assets/main-BHKSl2Cm.js"}}` of Vite.
    fn add_pairs(&mut self, value: &Value, manifest: &Arc<str>) {
        match value {
            Value::Object(entries) => {
                for (logical, value) in entries {
                    let written = value.as_str().or_else(|| value.get("file")?.as_str());
                    if let Some(written) = written {
                        self.add(logical, written, manifest);
                    }
                    if let Some(Value::String(name)) = value.get("name")
                        && let Some(written) = written
                    {
                        self.add(name, written, manifest);
                    }
                    if value.is_object() {
                        self.add_pairs(value, manifest);
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.add_pairs(value, manifest)),
            _ => {}
        }
    }

    fn add(&mut self, logical: &str, written: &str, manifest: &Arc<str>) {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let (logical, written) = (name(logical), name(written));
        let stem = logical.split('.').next().unwrap_or_default();
        let rest = written.strip_prefix(stem).filter(|rest| !stem.is_empty() && rest.starts_with(['.', '-', '_']));
        if rest.is_some() && logical != written {
            self.listed.insert(written.into(), Arc::clone(manifest));
        }
    }

    /// Takes the entries of a precache list of Workbox that have no revision: `dontCacheBustURLsMatching` declares
    /// that their names do. Presets do so for whole folders, so that the name must look hashed too.
    fn add_precached(&mut self, script: &[u8], manifest: &Arc<str>) {
        let Ok(script) = std::str::from_utf8(script) else { return };
        for (at, _) in script.match_indices("revision") {
            let after = script[at + "revision".len()..].trim_start_matches(['"', '\'', ' ']);
            let Some(value) = after.strip_prefix(':') else { continue };
            if !value.trim_start().starts_with("null") {
                continue;
            }
            // The entry is `{url:"…",revision:null}` or `{revision:null,url:"…"}`.
            let start = script[..at].rfind('{').unwrap_or(0);
            let end = script[at..].find('}').map_or(script.len(), |end| at + end);
            if let Some(url) = url_of(&script[start..end]) {
                let name = url.rsplit('/').next().unwrap_or_default();
                self.listed.insert(name.into(), Arc::clone(manifest));
            }
        }
    }

    /// The manifest that names the file, if one does.
    pub(super) fn listed(&self, key: &str) -> Option<&Arc<str>> {
        if self.listed.is_empty() {
            return None;
        }
        self.listed.get(key.rsplit('/').next().unwrap_or_default())
    }
}

fn url_of(entry: &str) -> Option<&str> {
    let (_, after) = entry.split_once("url")?;
    let after = after.trim_start_matches(['"', '\'', ' ']).strip_prefix(':')?.trim_start();
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    after[1..].split(quote).next()
}

fn read_small(path: &Path) -> Option<Vec<u8>> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_BYTES).then_some(bytes)
}
