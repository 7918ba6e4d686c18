//! Breaks builds on purpose: files removed, secrets planted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use asset_sync::site::{
    Finding, FindingKind, Findings, PreflightOptions, ScanOptions, Site, preflight, scan_and_preflight,
};
use fastrand::Rng;

use crate::page::Needed;

/// Removes one needed file of each kind, chosen by the seed, and returns how many were removed and those that the
/// pre-flight let pass.
pub(crate) fn remove_some(site: &Site, needed: &BTreeMap<String, Needed>, random: &mut Rng) -> (usize, Vec<String>) {
    let mut kinds: BTreeMap<Needed, Vec<&str>> = BTreeMap::new();
    for (path, kind) in needed {
        // A sheet of fonts is not needed: without it text shows in another font.
        if *kind != Needed::StyleSheet || !path.to_ascii_lowercase().contains("font") {
            kinds.entry(*kind).or_default().push(path);
        }
    }
    let chosen: Vec<(Needed, &str)> =
        kinds.iter().map(|(kind, paths)| (*kind, paths[random.usize(..paths.len())])).collect();
    let passed = chosen.iter().filter(|(_, path)| !names(&without(site, path).refusals, path));
    (chosen.len(), passed.map(|(kind, path)| format!("{kind:?} {path} removed, and not refused")).collect())
}

/// What is found in the site without this file.
pub(crate) fn without(site: &Site, path: &str) -> Findings {
    let mut broken = site.clone();
    broken.files.retain(|file| file.key.as_str() != path);
    assert_eq!(broken.files.len() + 1, site.files.len(), "{path} is no file of the site");
    preflight(&broken, &PreflightOptions::default()).unwrap()
}

/// Whether a refusal names the missing file.
pub(crate) fn names(refusals: &[Finding], path: &str) -> bool {
    refusals
        .iter()
        .any(|finding| finding.kind == FindingKind::MissingReference && finding.target.as_deref() == Some(path))
}

/// Plants a token into one script, page or JSON file of the site, chosen by the seed, and returns an error if it is let
/// pass. The file is looked at by itself, so that the build need not be copied.
pub(crate) fn plant_secret(root: &Path, site: &Site, random: &mut Rng) -> Result<(), String> {
    let is_text = |name: &str| [".js", ".mjs", ".html", ".json"].iter().any(|ending| name.ends_with(ending));
    let files: Vec<_> = site.files.iter().filter(|file| is_text(file.key.as_str()) && file.size < 1 << 20).collect();
    let Some(file) = random.choice(files) else { return Ok(()) };
    let text = fs::read(root.join(file.key.as_str())).map_err(|error| format!("{}: {error}", file.key))?;
    let token = github_token(random);
    let planted = match file.key.as_str().rsplit('.').next() {
        Some("html") => format!("\n<script>const t='{token}'</script>"),
        Some("json") => format!("\n{{\"token\":\"{token}\"}}"),
        _ => format!("\n;const t=\"{token}\";"),
    };
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join(file.key.as_str());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, [text.as_slice(), planted.as_bytes()].concat()).unwrap();
    let found = scan_and_preflight(copy.path(), &ScanOptions::default(), &PreflightOptions::default())
        .map_err(|error| error.to_string())?
        .findings;
    let is_refused =
        found.refusals.iter().any(|finding| finding.kind == FindingKind::Secret && finding.file == file.key);
    if is_refused { Ok(()) } else { Err(format!("a GitHub token planted into {}, and not refused", file.key)) }
}

/// A token that never was valid: its last six characters are the checksum of the others, CRC-32 in base 62, as
/// <https://github.blog/engineering/behind-githubs-new-authentication-token-formats> describes.
fn github_token(random: &mut Rng) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body: String = (0..30).map(|_| random.alphanumeric()).collect();
    let mut crc = flate2::Crc::new();
    crc.update(body.as_bytes());
    let mut rest = crc.sum();
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = DIGITS[rest as usize % 62];
        rest /= 62;
    }
    format!("ghp_{body}{}", String::from_utf8_lossy(&checksum))
}
