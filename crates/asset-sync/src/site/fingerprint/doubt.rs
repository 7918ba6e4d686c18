//! The note about files that look fingerprinted and are not treated so.

use std::collections::BTreeMap;

use super::super::{ScanWarning, SiteFile};
use super::{Fingerprint, parts};

/// Files from which on the note is given.
const FILES: u64 = 5;
/// Share of the site's bytes, in percent, from which on it is given.
const PERCENT: u64 = 5;
/// Names that it shows.
const SHOWN: usize = 3;

/// The note about a site whose files are hashed, if it has enough such files.
pub(in crate::site) fn looks_hashed(files: &[SiteFile]) -> Option<ScanWarning> {
    let likely: Vec<_> = files.iter().filter(|file| file.fingerprint == Fingerprint::Likely).collect();
    let bytes: u64 = likely.iter().map(|file| file.size).sum();
    let total: u64 = files.iter().map(|file| file.size).sum();
    let percent = bytes.saturating_mul(100).checked_div(total).unwrap_or_default();
    let files = likely.len() as u64;
    if files == 0 || (files < FILES && percent < PERCENT) {
        return None;
    }
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for glob in likely.iter().filter_map(|file| glob(file.key.as_str())) {
        *groups.entry(glob).or_default() += 1;
    }
    let (glob, _) = groups.into_iter().max_by_key(|(_, files)| *files)?;
    let examples = likely.iter().take(SHOWN).map(|file| file.key.clone()).collect();
    Some(ScanWarning::LooksHashed { files, bytes, percent, examples, glob })
}

/// A glob for the names that are written like this one, and no words of other lengths beside them.
fn glob(key: &str) -> Option<String> {
    let parts = parts(key)?;
    let stem = if parts.stem.is_empty() { "" } else { "*" };
    let separator = parts.separator.map(String::from).unwrap_or_default();
    let token = "?".repeat(parts.token.len());
    Some(format!("{}{stem}{separator}{token}{}", globset::escape(parts.directory), globset::escape(parts.endings)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::site::{Rules, ScanOptions, scan};

    fn warnings(files: &[(&str, usize)], rules: &str) -> Vec<ScanWarning> {
        let dir = tempfile::tempdir().unwrap();
        for (path, size) in files {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), vec![b'x'; *size]).unwrap();
        }
        let options = ScanOptions { rules: Rules::parse(rules).unwrap(), ..ScanOptions::default() };
        scan(dir.path(), &options).unwrap().warnings
    }

    const FONTS: [(&str, usize); 4] = [
        ("fonts [1]/0a1b2c3d4e5f6789.woff2", 1),
        ("fonts [1]/1a1b2c3d4e5f6789.woff2", 1),
        ("fonts [1]/2a1b2c3d4e5f6789.woff2", 1),
        ("data/3a1b2c3d4e5f6789.json", 1),
    ];

    #[test]
    fn five_files_or_a_twentieth_of_the_bytes_are_told() {
        assert!(warnings(&[&FONTS[..], &[("index.html", 1000)]].concat(), "").is_empty());
        let told = warnings(&[&FONTS[..], &[("index.html", 76)]].concat(), "");
        let [ScanWarning::LooksHashed { files: 4, bytes: 4, percent: 5, .. }] = &told[..] else { panic!("{told:?}") };
        assert!(warnings(&[&FONTS[..], &[("index.html", 77)]].concat(), "").is_empty(), "4 of 81 bytes");
        let five = [&FONTS[..], &[("data/4a1b2c3d4e5f6789.json", 1), ("index.html", 9999)]].concat();
        insta::assert_snapshot!(warnings(&five, "")[0], @r#"5 files (0 % of the site's bytes) have names that look like hashes of their content, which is not certain, so browsers revalidate them at each use: data/3a1b2c3d4e5f6789.json, data/4a1b2c3d4e5f6789.json, fonts [1]/0a1b2c3d4e5f6789.woff2 and 2 more. If their names change whenever their content does, add a rule with `glob = "fonts [[]1[]]/????????????????.woff2"` and `fingerprinted = true`"#);
    }

    #[test]
    fn the_rule_that_the_note_names_ends_it() {
        let site = [&FONTS[..], &[("fonts [1]/readme.woff2", 1)]].concat();
        let told = warnings(&site, "");
        let [ScanWarning::LooksHashed { glob, .. }] = &told[..] else { panic!("{told:?}") };
        assert_eq!(glob, "fonts [[]1[]]/????????????????.woff2");
        let rules = format!("[[rule]]\nglob = ['{glob}', 'data/*']\nfingerprinted = true\n");
        assert!(warnings(&site, &rules).is_empty());
        let refused = "[[rule]]\nglob = ['**']\nfingerprinted = false\n";
        assert!(warnings(&site, refused).is_empty(), "the user has said that they are not");
    }
}
