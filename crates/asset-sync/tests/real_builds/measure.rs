//! What is measured in each build.

use std::collections::BTreeMap;
use std::path::Path;

use asset_sync::site::{Finding, FindingKind, PreflightOptions, ScanOptions, Site, scan_and_preflight};
use fastrand::Rng;

use crate::breakage;
use crate::names::{self, Names};
use crate::page;
use crate::table::{Build, State};

/// One build, measured.
pub(crate) struct Measured<'a> {
    pub(crate) build: &'a Build,
    pub(crate) files: usize,
    pub(crate) names: Names,
    /// Refusals that the table explains.
    pub(crate) true_refusals: usize,
    /// Refusals that it does not explain.
    pub(crate) false_refusals: Vec<String>,
    /// In how many ways the build was broken.
    pub(crate) broken: usize,
    /// What was broken and let through.
    pub(crate) passed: Vec<String>,
}

/// Measures the builds. Those of one site are compared with each other.
pub(crate) fn measure<'a>(folder: &Path, builds: &'a [Build], seed: u64) -> Vec<Measured<'a>> {
    let mut sites: BTreeMap<&str, Vec<&Build>> = BTreeMap::new();
    for build in builds {
        sites.entry(&build.site).or_default().push(build);
    }
    let mut measured = Vec::new();
    for versions in sites.values() {
        let scanned: Vec<Site> = versions.iter().map(|build| look(&folder.join(&build.name), "")).collect();
        for (index, build) in versions.iter().enumerate() {
            let others: Vec<&Site> =
                scanned.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, s)| s).collect();
            measured.push(measure_one(&folder.join(&build.name), build, &scanned[index], &others, seed));
        }
    }
    measured
}

fn look(root: &Path, url_prefix: &str) -> Site {
    let preflight = PreflightOptions { url_prefix: url_prefix.to_owned(), ..PreflightOptions::default() };
    scan_and_preflight(root, &ScanOptions::default(), &preflight)
        .unwrap_or_else(|error| panic!("cannot scan {}: {error}", root.display()))
}

fn measure_one<'a>(root: &Path, build: &'a Build, site: &Site, others: &[&Site], seed: u64) -> Measured<'a> {
    let mut random = Rng::with_seed(seed);
    let is_explained = |refusal: &&Finding| build.explains(refusal) || build.explains_by_prefix(refusal);
    let (explained, unexplained): (Vec<_>, Vec<_>) = site.findings.refusals.iter().partition(is_explained);
    let mut false_refusals: Vec<String> = unexplained.iter().map(ToString::to_string).collect();
    // Where pages ask for the prefix by relative names, no path makes them work.
    let is_relative = |refusal: &&Finding| {
        refusal.kind == FindingKind::MissingReference && !refusal.reference.trim_start_matches('"').starts_with('/')
    };
    if !build.prefix.is_empty() && !explained.iter().copied().any(|refusal| is_relative(&refusal)) {
        let served = look(root, &build.prefix);
        let left = served.findings.refusals.iter().filter(|refusal| !build.explains(refusal));
        false_refusals.extend(left.map(|refusal| format!("at {}: {refusal}", build.prefix)));
    }
    let (mut broken, mut passed) = (0, Vec::new());
    if build.state == State::Sound {
        (broken, passed) = breakage::remove_some(site, &page::needed_files(root), &mut random);
    }
    broken += 1;
    passed.extend(breakage::plant_secret(root, site, &mut random).err());
    Measured {
        build,
        files: site.files.len(),
        names: names::judge(site, others),
        true_refusals: explained.len(),
        false_refusals,
        broken,
        passed,
    }
}
