//! The builds of the table against the limits.

use crate::measure::{Measured, measure};
use crate::names::percent;
use crate::{results, table};

/// The largest part of the hashed bytes, in percent, that may be missed in a build with many hashed files.
const MISSED_IN_A_BUILD: f64 = 10.0;
/// A build with so many hashed files or more has many.
const MANY_HASHED: usize = 20;
/// The largest part of the hashed bytes, in percent, that may be missed over all builds.
const MISSED_OVER_ALL: f64 = 2.0;
/// From so many builds on the limit over all holds: one odd build among five says little.
const ENOUGH_BUILDS: usize = 30;

#[test]
fn real_builds_keep_the_limits() {
    let Some((folder, builds)) = table::chosen() else { return };
    let seed = table::seed();
    let measured = measure(&folder, &builds, seed);
    print!("{}", results::table(&measured));
    let faults = faults(&measured);
    if table::variable("MTRIBES_TEST_WRITE_RESULTS").is_some() {
        assert_eq!(builds.len(), table::read().len(), "the document is about all builds of the table");
        results::write(&measured, seed);
    }
    assert!(faults.is_empty(), "with the seed {seed}:\n{}", faults.join("\n"));
}

/// Every limit that is not kept.
fn faults(measured: &[Measured<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    for one in measured {
        let name = &one.build.name;
        let wrong = one.names.wrong.iter().map(|file| format!("{file} is immutable, and changes"));
        let refused =
            one.false_refusals.iter().map(|refusal| format!("refused, which the table does not explain: {refusal}"));
        faults.extend(wrong.chain(refused).chain(one.passed.iter().cloned()).map(|what| format!("{name}: {what}")));
        let hashed = one.names.hashed_files + one.names.missed.len();
        if hashed >= MANY_HASHED && one.names.missed_percent() > MISSED_IN_A_BUILD {
            let (missed, share) = (one.names.missed.len(), one.names.missed_percent());
            faults.push(format!("{name}: {missed} of {hashed} hashed files missed, {share:.1} % of their bytes"));
        }
    }
    let over_all = missed_over_all(measured);
    if measured.len() >= ENOUGH_BUILDS && over_all > MISSED_OVER_ALL {
        faults.push(format!("over all: {over_all:.2} % of the hashed bytes missed"));
    }
    faults
}

/// The missed part of the hashed bytes of all builds that could be compared, in percent.
pub(crate) fn missed_over_all(measured: &[Measured<'_>]) -> f64 {
    let compared = || measured.iter().filter(|one| one.names.is_compared);
    percent(compared().map(|one| one.names.missed_bytes()).sum(), compared().map(|one| one.names.hashed_bytes).sum())
}
