use std::collections::BTreeMap;
use std::fs::FileTimes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::site::{Rules, ScanOptions, SiteValues, ValuesInput, scan};

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/site-manifest-1.json");

/// A site as it lies in an image, and the manifest beside it.
struct Image {
    directory: TempDir,
    read: Arc<AtomicU64>,
}

impl Image {
    fn cut(files: &[(&str, &str)]) -> Self {
        let image = Self { directory: tempfile::tempdir().unwrap(), read: Arc::default() };
        for (key, text) in files {
            image.put(key, text);
        }
        let scanned = scan(&image.site(), &ScanOptions::default()).unwrap();
        let manifest = serde_json::to_vec(&SiteManifest::of(&scanned).unwrap()).unwrap();
        fs::write(image.directory.path().join("site.manifest.json"), manifest).unwrap();
        image
    }

    fn site(&self) -> PathBuf {
        self.directory.path().join("site")
    }

    /// Writes a file with the time it has in a layer.
    fn put(&self, key: &str, text: &str) {
        let path = self.site().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let packed = SystemTime::UNIX_EPOCH + Duration::from_secs(PACKED_MTIME);
        File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(packed)).unwrap();
    }

    fn options(&self) -> ScanOptions {
        let manifest = BakedManifest::read(&self.directory.path().join("site.manifest.json")).unwrap();
        let read = Arc::clone(&self.read);
        ScanOptions {
            manifest: Some(manifest),
            progress: Some(Arc::new(move |bytes| {
                read.fetch_add(bytes, Ordering::Relaxed);
            })),
            ..ScanOptions::default()
        }
    }

    fn scan(&self) -> Result<Site, ScanError> {
        scan(&self.site(), &self.options())
    }

    /// What is wrong, by path.
    fn differences(&self) -> Vec<(String, Difference)> {
        let Err(ScanError::Problems(problems)) = self.scan() else { return Vec::new() };
        let told = problems.into_iter().map(|problem| match problem {
            ScanProblem::NotAsCut { path, manifest, difference } => {
                assert!(manifest.ends_with("site.manifest.json"));
                (path.to_str().unwrap().to_owned(), difference)
            }
            other => panic!("{other}"),
        });
        told.collect()
    }
}

const FILES: [(&str, &str); 3] = [("app.js", "const a = 1"), ("deep/logo.png", "png"), ("index.html", "<p>")];

#[test]
fn the_golden_file_is_read_and_written_for_ever() {
    let manifest = SiteManifest::parse(GOLDEN).unwrap();
    assert_eq!(manifest.files.len(), 2);
    assert_eq!(manifest.files[1].placeholders, ["WEBAPP"]);
    let written = serde_json::to_string(&manifest).unwrap();
    assert_eq!(written, std::str::from_utf8(GOLDEN).unwrap().trim_end());
    // What the first images had.
    let without = r#"{"format":1,"files":[{"key":"a","sha256":"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b","size":1,"content_type":"text/plain"}]}"#;
    assert!(SiteManifest::parse(without.as_bytes()).unwrap().files[0].placeholders.is_empty());
}

#[test]
fn what_is_not_a_manifest_is_refused() {
    let newer = SiteManifest::parse(br#"{"format": 2, "sites": []}"#).unwrap_err();
    assert_eq!(newer.to_string(), "has format 2, and this version knows 1: use a newer version");
    for broken in ["", "[]", "{}", r#"{"format": 1}"#, r#"{"format": "1", "files": []}"#] {
        assert!(SiteManifest::parse(broken.as_bytes()).is_err(), "{broken}");
    }
    let twice = String::from_utf8(GOLDEN.to_vec()).unwrap().replace("assets/app-1f2e3d4c.js", "index.html");
    assert!(matches!(SiteManifest::parse(twice.as_bytes()), Err(SiteManifestError::Order { .. })));
    let outside = String::from_utf8(GOLDEN.to_vec()).unwrap().replace("index.html", "../index.html");
    assert!(SiteManifest::parse(outside.as_bytes()).is_err());
    assert!(matches!(BakedManifest::read(Path::new("/nonexistent")), Err(SiteManifestError::Unreadable(_))));
}

#[test]
fn what_is_as_it_was_cut_is_not_read_and_gives_the_same_site() {
    let image = Image::cut(&FILES);
    let site = image.scan().unwrap();
    assert_eq!(image.read.load(Ordering::Relaxed), 0);
    let read = scan(&image.site(), &ScanOptions::default()).unwrap();
    let told = |site: &Site| -> Vec<_> {
        let files = site.files.iter();
        files.map(|f| (f.key.clone(), f.sha256, f.size, Arc::clone(&f.headers), f.role)).collect()
    };
    assert_eq!(told(&site), told(&read));
    // What is sent is read all the same.
    let mut bytes = Vec::new();
    site.files[0].open().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"const a = 1");
}

/// A content of the same size and with the same time is found out where bytes are sent, and not before.
#[test]
fn what_was_changed_without_a_trace_is_an_error_of_the_upload() {
    let image = Image::cut(&FILES);
    image.put("app.js", "const a = 2");
    let site = image.scan().unwrap();
    let file = &site.files[0];
    assert_eq!(file.sha256, Sha256::of(b"const a = 1"));
    let error = file.changed();
    assert!(matches!(&error, crate::Error::NotAsCut { .. }), "{error}");
    assert!(error.to_string().contains("site.manifest.json"), "{error}");
    assert_eq!(error.class(), crate::ErrorClass::Usage);
}

#[test]
fn a_file_with_another_time_is_read_and_must_be_the_same() {
    let image = Image::cut(&FILES);
    fs::write(image.site().join("app.js"), "const a = 1").unwrap();
    let site = image.scan().unwrap();
    assert_eq!(image.read.load(Ordering::Relaxed), 11);
    assert!(matches!(site.files[0].changed(), crate::Error::SourceChanged { .. }));
    fs::write(image.site().join("app.js"), "const a = 2").unwrap();
    assert_eq!(image.differences(), [("app.js".to_owned(), Difference::Content)]);
}

#[test]
fn every_difference_is_told_at_once() {
    let image = Image::cut(&FILES);
    image.put("index.html", "<p>longer");
    image.put("more.txt", "more");
    fs::remove_dir_all(image.site().join("deep")).unwrap();
    let expected = [
        ("deep/logo.png", Difference::Missing),
        ("index.html", Difference::Size { size: 9, listed: 3 }),
        ("more.txt", Difference::Unlisted),
    ];
    assert_eq!(image.differences(), expected.map(|(key, difference)| (key.to_owned(), difference)));
}

#[test]
fn a_file_that_a_rule_leaves_out_is_not_missed() {
    let image = Image::cut(&FILES);
    let rules = Rules::parse("[[rule]]\nglob = \"**/*.png\"\ninclude = false\n").unwrap();
    let site = scan(&image.site(), &ScanOptions { rules, ..image.options() }).unwrap();
    assert_eq!(site.files.len(), 2);
    assert_eq!(image.read.load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_compressed_is_read_and_compared_as_it_lies_there() {
    let image = Image::cut(&FILES);
    let options = || {
        let rules = Rules::parse("[[rule]]\nglob = \"app.js\"\ncontent-encoding = \"gzip\"\n").unwrap();
        ScanOptions { rules, ..image.options() }
    };
    let site = scan(&image.site(), &options()).unwrap();
    assert_ne!(site.files[0].sha256, Sha256::of(b"const a = 1"));
    image.put("app.js", "const a = 2");
    let error = scan(&image.site(), &options()).unwrap_err();
    assert!(error.to_string().contains("has another content"), "{error}");
}

fn values(text: &str) -> SiteValues {
    let values = BTreeMap::from([("WEBAPP_A".to_owned(), text.to_owned())]);
    SiteValues::new(ValuesInput::new("WEBAPP_", values)).unwrap()
}

#[test]
fn a_file_that_takes_values_is_read_compared_and_then_filled_in() {
    let page = ("page.html", "<p>__WEBAPP_A__");
    let image = Image::cut(&[page, ("index.html", "<p>__OTHER_A__"), ("stray.js", "'__WEBAPP_A__'"), ("app.js", "1")]);
    let options = || ScanOptions { values: Some(values("staging")), ..image.options() };
    let site = scan(&image.site(), &options()).unwrap();
    let key = |key: &str| site.files.iter().find(|f| f.key.as_str() == key).unwrap();
    assert_eq!(key("page.html").sha256, Sha256::of(b"<p>staging"));
    assert_eq!(key("index.html").sha256, Sha256::of(b"<p>__OTHER_A__"));
    // The page as it is served, and the script in which the placeholder is looked for: those two alone.
    assert_eq!(image.read.load(Ordering::Relaxed), 10 + 14);
    assert_eq!(site.warnings.len(), 1, "{:?}", site.warnings);
    image.put("page.html", "<q>__WEBAPP_A__");
    let error = scan(&image.site(), &options()).unwrap_err();
    assert!(error.to_string().contains("has another content"), "{error}");
}

/// A generated file is not listed, and is nobody's to list.
#[test]
fn generated_files_are_no_difference() {
    let image = Image::cut(&FILES);
    let mut input = ValuesInput::new("WEBAPP_", BTreeMap::new());
    input.env_json = Some("env.json".to_owned());
    let options = ScanOptions { values: Some(SiteValues::new(input).unwrap()), ..image.options() };
    assert_eq!(scan(&image.site(), &options).unwrap().files.len(), 4);
}
