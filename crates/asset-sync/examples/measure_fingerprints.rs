//! Measures on real builds which files are taken to be fingerprinted.
//!
//! `MTRIBES_TEST_BUILDS` names a folder of builds, `<package>-<version>` each. Of two builds of one package, a name that
//! stays while its content changes is wrong if it is taken to be fingerprinted; a name that goes while another one of the
//! same stem comes is missed if it is not. Exits with 1 if a name is wrong.
//!
//! Run with `cargo run --release --example measure_fingerprints --no-default-features`.

#![allow(clippy::print_stdout, reason = "a table is what it makes")]

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use asset_sync::site::{Fingerprint, ScanOptions, Site, SiteFile, scan};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = std::env::var("MTRIBES_TEST_BUILDS")?;
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&folder)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    let mut packages: BTreeMap<&str, Vec<(&str, Site)>> = BTreeMap::new();
    for name in &names {
        match scan(&Path::new(&folder).join(name), &ScanOptions::default()) {
            Ok(site) => packages.entry(package(name)).or_default().push((name, site)),
            Err(error) => println!("{name}: not measured: {}", error.to_string().lines().next().unwrap_or_default()),
        }
    }
    println!(
        "{:48} {:>6} {:>6} {:>6} {:>6} {:>8} {:>6}",
        "build", "files", "hashed", "likely", "missed", "of bytes", "wrong"
    );
    let mut wrong = 0;
    for builds in packages.values() {
        for (name, site) in builds {
            let others: Vec<&Site> = builds.iter().filter(|(other, _)| other != name).map(|(_, site)| site).collect();
            wrong += report(name, site, &others);
        }
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The name of a build without its version or, of one that was made here, without its letter.
fn package(build: &str) -> &str {
    let version =
        build.match_indices('-').map(|(at, _)| at).find(|at| build[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    let letter = build.strip_suffix("-a").or_else(|| build.strip_suffix("-b"));
    letter.or_else(|| version.map(|at| &build[..at])).unwrap_or(build)
}

/// Prints what was found in a build; gives the number of names that are wrong.
fn report(name: &str, site: &Site, others: &[&Site]) -> usize {
    let is_hashed = |file: &&SiteFile| matches!(file.fingerprint, Fingerprint::Certain(_));
    let likely = site.files.iter().filter(|file| file.fingerprint == Fingerprint::Likely).count();
    let hashed: Vec<_> = site.files.iter().filter(is_hashed).collect();
    let changed =
        |file: &&SiteFile| others.iter().any(|other| of(other, file).is_some_and(|o| o.sha256 != file.sha256));
    let wrong: Vec<_> = hashed.iter().copied().filter(changed).collect();
    let came = came(site, others);
    let missed: Vec<_> =
        site.files.iter().filter(|file| !is_hashed(file) && is_replaced(file, others, &came)).collect();
    let bytes = |files: &[&SiteFile]| files.iter().map(|file| file.size).sum::<u64>();
    let share = bytes(&missed) as f64 * 100.0 / (bytes(&missed) + bytes(&hashed)).max(1) as f64;
    println!(
        "{name:48} {:6} {:6} {likely:6} {:6} {share:7.2}% {:6}",
        site.files.len(),
        hashed.len(),
        missed.len(),
        wrong.len()
    );
    for file in &wrong {
        println!("  wrong: {} {:?}", file.key, file.fingerprint);
    }
    for file in missed.iter().take(3) {
        println!("  missed: {}", file.key);
    }
    wrong.len()
}

fn of<'a>(site: &'a Site, file: &SiteFile) -> Option<&'a SiteFile> {
    let index = site.files.binary_search_by(|other| other.key.cmp(&file.key)).ok()?;
    Some(&site.files[index])
}

/// The shapes of the names that other builds have and this one lacks.
fn came<'a>(site: &Site, others: &[&'a Site]) -> HashSet<Shape<'a>> {
    let files = others.iter().flat_map(|other| &other.files);
    files.filter(|file| of(site, file).is_none()).filter_map(|file| shape(file.key.as_str())).collect()
}

/// Whether the other builds lack the name and have another one for it, which this build lacks: the same but for a part
/// of at least seven characters before the endings. Source maps and documents do not count.
fn is_replaced(file: &SiteFile, others: &[&Site], came: &HashSet<Shape<'_>>) -> bool {
    let key = file.key.as_str();
    let is_document = [".map", ".html", ".txt", ".md"].iter().any(|ending| key.ends_with(ending));
    !is_document
        && others.iter().all(|other| of(other, file).is_none())
        && shape(key).is_some_and(|shape| came.contains(&shape))
}

/// What stands before the last part of a name, the length of that part, and the endings.
type Shape<'a> = (&'a str, usize, &'a str);

fn shape(key: &str) -> Option<Shape<'_>> {
    let name = key.rfind('/').map_or(0, |at| at + 1);
    // All endings but those of a version or a hash: the last dots whose text starts with a letter and is short.
    let is_ending = |text: &str| text.len() < 7 && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut stem = key;
    while let Some((rest, ending)) = stem.rsplit_once('.')
        && rest.len() > name
        && is_ending(ending)
    {
        stem = rest;
    }
    let last = stem[name..].rfind(['-', '.', '_']).map_or(name, |at| name + at + 1);
    let is_short = stem.len() - last < 7;
    let start = if is_short { stem.len().checked_sub(8).filter(|&at| at > name)? } else { last };
    stem.is_char_boundary(start).then(|| (&stem[..start], stem.len() - start, &key[stem.len()..]))
}
