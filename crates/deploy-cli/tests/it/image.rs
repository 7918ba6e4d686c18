//! A site in an image, with the manifest that it was cut with beside it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use asset_sync::site::{PACKED_MTIME, ScanOptions, SiteManifest, scan};

use crate::support::{Run, Target};

const PAGE: &str = "<!doctype html><title>__WEBAPP_TITLE__</title><img src=\"logo.png\">";

/// The site, as it lies in an image.
struct Image {
    target: Target,
    site: PathBuf,
    manifest: PathBuf,
}

impl Image {
    fn cut(logo: &str) -> Self {
        let target = Target::new();
        let site = target.site("site", &[("index.html", PAGE), ("logo.png", logo), ("robots.txt", "User-agent: *")]);
        let manifest = site.with_extension("manifest.json");
        let listed = SiteManifest::of(&scan(&site, &ScanOptions::default()).unwrap()).unwrap();
        fs::write(&manifest, serde_json::to_vec(&listed).unwrap()).unwrap();
        for file in ["index.html", "logo.png", "robots.txt"] {
            set_packed_time(&site.join(file));
        }
        Self { target, site, manifest }
    }

    /// Another content without a trace that the file system has.
    fn change(&self, file: &str, content: &str) {
        let path = self.site.join(file);
        assert_eq!(fs::metadata(&path).unwrap().len(), content.len() as u64);
        fs::write(&path, content).unwrap();
        set_packed_time(&path);
    }

    fn run(&self, version: &str, more: &[(&str, &str)]) -> Run {
        let mut command = self.target.publish("run", &self.site, version);
        command.env("DEPLOY_SITE_MANIFEST", &self.manifest).env("WEBAPP_TITLE", "Shop");
        command.envs(more.iter().copied());
        Run::of(&mut command)
    }
}

fn set_packed_time(path: &Path) {
    let packed = SystemTime::UNIX_EPOCH + Duration::from_secs(PACKED_MTIME);
    File::options().write(true).open(path).unwrap().set_modified(packed).unwrap();
}

#[test]
fn what_is_unchanged_is_not_read_and_what_is_uploaded_is_checked() {
    let image = Image::cut("logo 1");
    let run = image.run("1.0.0", &[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(image.target.body("index.html"), PAGE.replace("__WEBAPP_TITLE__", "Shop"));
    assert_eq!(image.target.body("logo.png"), "logo 1");

    // Had the file been read, this would be another site.
    image.change("logo.png", "logo 2");
    image.target.stand_ins.faults().reset_log();
    let run = image.run("1.0.0", &[]);
    assert_eq!((run.code, &run.result()["result"]), (0, &"unchanged".into()), "{run:?}");
    assert_eq!(image.target.writes(), Vec::<&str>::new());

    // Where it is to be sent, it is found out; without the manifest it is a site like any other.
    let elsewhere = [("DEPLOY_PREFIX", "elsewhere")];
    let (message, hint) = image.run("1.0.0", &elsewhere).failed(8, "unfinished");
    assert!(
        message.contains("logo.png is not what the manifest ") && message.contains("site.manifest.json"),
        "{message}"
    );
    assert!(hint.contains("DEPLOY_SITE_MANIFEST"), "{hint}");
    assert!(image.target.objects("elsewhere/").is_empty());
    let run = image.run("1.0.0", &[("DEPLOY_PREFIX", "elsewhere"), ("DEPLOY_SITE_MANIFEST", "")]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(image.target.body("elsewhere/logo.png"), "logo 2");
}

/// The same of a file that goes in parts.
#[test]
fn a_large_file_is_checked_as_it_is_uploaded() {
    let image = Image::cut(&"a".repeat(11 << 20));
    image.change("logo.png", &"b".repeat(11 << 20));
    let (message, _) = image.run("1.0.0", &[("DEPLOY_PART_SIZE", "5MiB")]).failed(8, "unfinished");
    assert!(message.contains("logo.png is not what the manifest "), "{message}");
    assert!(image.target.objects("").is_empty());
    assert!(image.target.writes().contains(&"AbortMultipartUpload"), "{:?}", image.target.writes());
}

#[test]
fn an_image_that_was_changed_is_refused_before_anything_is_written() {
    let image = Image::cut("logo 1");
    fs::write(image.site.join("robots.txt"), "").unwrap();
    fs::write(image.site.join("logo.png"), "logo 2").unwrap();
    fs::write(image.site.join("index.html"), PAGE.replace("img", "IMG")).unwrap();
    fs::write(image.site.join("more.txt"), "").unwrap();
    let (message, hint) = image.run("1.0.0", &[]).failed(2, "usage");
    for line in ["\"more.txt\": is not listed, by the manifest", "\"robots.txt\": has 0 bytes in place of 13"] {
        assert!(message.contains(line), "{line} in {message}");
    }
    assert!(hint.contains("DEPLOY_SITE_MANIFEST"), "{hint}");
    fs::remove_file(image.site.join("more.txt")).unwrap();
    fs::write(image.site.join("robots.txt"), "User-agent: *").unwrap();
    let (message, _) = image.run("1.0.0", &[]).failed(2, "usage");
    for line in ["\"index.html\": has another content", "\"logo.png\": has another content"] {
        assert!(message.contains(line), "{line} in {message}");
    }
    assert!(!message.contains("robots.txt"), "{message}");
    assert_eq!(image.target.writes(), Vec::<&str>::new());
}

#[test]
fn a_manifest_that_cannot_be_used_is_told_with_all_that_is_wrong() {
    let image = Image::cut("logo");
    fs::write(&image.manifest, r#"{"format": 2, "pages": []}"#).unwrap();
    let run = image.run("1.0.0", &[("DEPLOY_RULES", "no-such.toml")]);
    let (message, _) = run.failed(2, "usage");
    assert!(message.contains("DEPLOY_RULES: ") && message.contains("DEPLOY_SITE_MANIFEST: "), "{message}");
    assert!(message.contains("has format 2, and this version knows 1: use a newer version"), "{message}");
    fs::remove_file(&image.manifest).unwrap();
    let (message, hint) = image.run("1.0.0", &[]).failed(2, "usage");
    assert!(message.starts_with("DEPLOY_SITE_MANIFEST: ") && message.contains("cannot be read"), "{message}");
    assert!(hint.contains("set it to nothing"), "{hint}");
    assert!(image.target.stand_ins.faults().requests().is_empty());
}
