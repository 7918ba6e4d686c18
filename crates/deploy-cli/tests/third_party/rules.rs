//! Headers by rules, and a change of rules alone.

use std::fs;

use crate::ministack::Ministack;
use crate::site::Site;

/// What the names say of hashes, said once more for those that read like words; and compression.
const RULES: &str = r#"
[[rule]]
glob = "static/**"
fingerprinted = true

[[rule]]
glob = "**/*.{js,css}"
content-encoding = "gzip"
"#;

/// More of them, about three files.
const MORE: &str = r#"
[[rule]]
glob = "index.html"
content-encoding = "gzip"

[[rule]]
glob = "favicon.png"
cache-control = "public, max-age=3600"

[[rule]]
glob = "manifest.json"
content-type = "application/manifest+json"
redirect = "/elsewhere.json"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_rules_alone_updates_what_they_are_about() {
    let Some(mut site) = Site::streamlit("1.46.0") else { return };
    let Some(ministack) = Ministack::start().await else { return };
    let mut target = ministack.target("").await;
    let rules = tempfile::NamedTempFile::new().unwrap();
    target.program = target.program.with("DEPLOY_RULES", rules.path().to_str().unwrap());

    fs::write(rules.path(), RULES).unwrap();
    site.hashes_are_told = true;
    for (key, object) in &mut site.files {
        if [".js", ".css"].iter().any(|extension| key.ends_with(extension)) {
            object.content_encoding = Some("gzip".to_owned());
        }
    }
    target.deploy(&site, "1.46.0").ended("deployed");
    target.holds(&site, &[], &[]).await;

    fs::write(rules.path(), format!("{RULES}{MORE}")).unwrap();
    site.files.get_mut("index.html").unwrap().content_encoding = Some("gzip".to_owned());
    site.files.get_mut("favicon.png").unwrap().cache_control = Some("public, max-age=3600".to_owned());
    let manifest = site.files.get_mut("manifest.json").unwrap();
    manifest.content_type = Some("application/manifest+json".to_owned());
    manifest.redirect = Some("/elsewhere.json".to_owned());
    let changed = target.deploy(&site, "1.46.0").ended("deployed");
    assert_eq!(changed.number("/uploaded/files"), 3);
    target.holds(&site, &[], &[]).await;

    let before = target.listing().await;
    target.deploy(&site, "1.46.0").ended("unchanged");
    assert_eq!(target.listing().await, before);
}
