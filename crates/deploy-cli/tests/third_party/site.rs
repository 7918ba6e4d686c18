//! Sites as they are expected to be served.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const REVALIDATE: &str = "public, max-age=0, must-revalidate";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// One file as a visitor gets it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// The content, decoded where it is sent encoded.
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) redirect: Option<String>,
}

impl Object {
    /// Whether browsers keep it without asking again.
    pub(crate) fn is_immutable(&self) -> bool {
        self.cache_control.as_deref() == Some(IMMUTABLE)
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object")
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .field("content_type", &self.content_type)
            .field("cache_control", &self.cache_control)
            .field("content_encoding", &self.content_encoding)
            .field("redirect", &self.redirect)
            .finish()
    }
}

/// A directory of built files, and what each of them is expected to become.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) files: BTreeMap<String, Object>,
    /// Whether each name that carries a hash is known to.
    ///
    /// Some hashes read like words. Where no rule says what they are, such files are revalidated
    /// rather than trusted, and that is right too.
    pub(crate) hashes_are_told: bool,
    /// Goes with the site, where it was made for a test.
    _owned: Option<TempDir>,
}

impl Site {
    /// The front end of a version of Streamlit; `None`, said loudly, where it is not at hand.
    pub(crate) fn streamlit(version: &str) -> Option<Self> {
        let Some(sites) = crate::tool("MTRIBES_TEST_SITES", "sites") else {
            crate::skip("the site streamlit");
            return None;
        };
        let mut site = Self::in_folder(sites.join(format!("streamlit-{version}")), None);
        site.hashes_are_told = false;
        assert!(site.files.len() > 100, "{version} has {} files", site.files.len());
        assert!(site.files.contains_key("index.html"), "{version} has no index.html");
        Some(site)
    }

    /// A site of files with these names and contents.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (key, content) in files {
            let path = folder.path().join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self::in_folder(folder.path().to_owned(), Some(folder))
    }

    /// A copy of it with these files written over or added.
    pub(crate) fn with(&self, files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let write = |key: &str, bytes: &[u8]| {
            let path = folder.path().join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        for (key, object) in &self.files {
            write(key, &object.bytes);
        }
        for (key, content) in files {
            write(key, content.as_bytes());
        }
        let hashes_are_told = self.hashes_are_told;
        Self { hashes_are_told, ..Self::in_folder(folder.path().to_owned(), Some(folder)) }
    }

    fn in_folder(folder: PathBuf, owned: Option<TempDir>) -> Self {
        let mut files = BTreeMap::new();
        read(&folder, &folder, &mut files);
        Self { folder, files, hashes_are_told: true, _owned: owned }
    }

    /// Whether the name carries a hash: in a build of Vite's, all that is in `static/`.
    pub(crate) fn is_fingerprinted(key: &str) -> bool {
        key.starts_with("static/")
    }

    /// How a file of this key must be served, given how it is; `None` where the site has none.
    pub(crate) fn expects(&self, key: &str, served: &Object) -> Option<Object> {
        let mut expected = self.files.get(key)?.clone();
        if !self.hashes_are_told && Self::is_fingerprinted(key) && served.cache_control.as_deref() == Some(REVALIDATE) {
            expected.cache_control.clone_from(&served.cache_control);
        }
        Some(expected)
    }

    /// How many of its files are not in `other` with the same content.
    pub(crate) fn difference(&self, other: &Self) -> usize {
        self.files.iter().filter(|(key, object)| other.files.get(*key) != Some(*object)).count()
    }
}

fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, Object>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
            continue;
        }
        let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let cache_control = if Site::is_fingerprinted(&key) { IMMUTABLE } else { REVALIDATE };
        let object = Object {
            bytes: fs::read(&path).unwrap(),
            content_type: Some(content_type(&key).to_owned()),
            cache_control: Some(cache_control.to_owned()),
            content_encoding: None,
            redirect: None,
        };
        files.insert(key, object);
    }
}

/// As the WHATWG and IANA name them, written down here once more so that the program's own table is
/// not what it is compared with.
fn content_type(key: &str) -> &'static str {
    match key.rsplit('.').next().unwrap() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "gif" => "image/gif",
        "ttf" => "font/ttf",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        other => panic!("{key}: say here what type .{other} has"),
    }
}
