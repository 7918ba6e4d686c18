//! The measured builds as a table, and the document that holds it.

use std::fmt::Write as _;
use std::fs;

use crate::builds::missed_over_all;
use crate::extracts;
use crate::measure::Measured;
use crate::table::{State, repository};

const HEAD: &str = "\
| build | tool | state | files | hashed | missed | of bytes | wrongly immutable | findings true | findings false | broken and let through |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// One line for each build.
pub(crate) fn table(measured: &[Measured<'_>]) -> String {
    let mut text = HEAD.to_owned();
    for one in measured {
        let (missed, share) = if one.names.is_compared {
            (one.names.missed.len().to_string(), format!("{:.1} %", one.names.missed_percent()))
        } else {
            ("–".to_owned(), "–".to_owned())
        };
        let state = match one.build.state {
            State::Sound => "sound",
            State::Prefix => "prefix",
            State::Template => "template",
            State::NoRoot => "no-root",
            State::Incomplete => "incomplete",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {state} | {} | {} | {missed} | {share} | {} | {} | {} | {} of {} |",
            one.build.name,
            one.build.tool,
            one.files,
            one.names.hashed_files,
            one.names.wrong.len(),
            one.true_refusals,
            one.false_refusals.len(),
            one.passed.len(),
            one.broken,
        );
    }
    text
}

/// Writes `docs/real-builds.md`.
pub(crate) fn write(measured: &[Measured<'_>], seed: u64) {
    let sum = |count: fn(&Measured<'_>) -> usize| measured.iter().map(count).sum::<usize>();
    let is_sound = |one: &&Measured<'_>| one.build.state == State::Sound;
    let sound = measured.iter().filter(is_sound).count();
    let refused = measured.iter().filter(is_sound).filter(|one| !one.false_refusals.is_empty()).count();
    let many_missed = measured
        .iter()
        .filter(|one| one.names.hashed_files + one.names.missed.len() >= 20 && one.names.missed_percent() > 10.0)
        .count();
    let mut text = include_str!("document_head.md").to_owned();
    let _ = writeln!(
        text,
        "\n## Sums\n\n\
         | what | measured | limit |\n|---|---:|---:|\n\
         | sound builds refused | {refused} of {sound} | 0 |\n\
         | other builds with a refusal that the table does not explain | {} of {} | 0 |\n\
         | broken builds let through | {} of {} | 0 |\n\
         | immutable files that change | {} of {} | 0 |\n\
         | hashed bytes missed, over all builds with a second version | {:.2} % | 2 % |\n\
         | builds with 20 hashed files or more of which over 10 % of the bytes are missed | {many_missed} | 0 |\n",
        measured.iter().filter(|one| !is_sound(one) && !one.false_refusals.is_empty()).count(),
        measured.len() - sound,
        sum(|one| one.passed.len()),
        sum(|one| one.broken),
        sum(|one| one.names.wrong.len()),
        sum(|one| one.names.hashed_files),
        missed_over_all(measured),
    );
    let _ = writeln!(text, "What was removed and planted was chosen by the seed {seed}.\n");
    text.push_str("## Builds\n\n");
    text.push_str(&table(measured));
    text.push_str("\n## What is missed\n\nUp to three names of each build, and how many there are.\n\n");
    for one in measured.iter().filter(|one| !one.names.missed.is_empty()) {
        let shown: Vec<String> = one.names.missed.iter().take(3).map(|(name, _)| format!("`{name}`")).collect();
        let _ = writeln!(text, "- {}: {} ({})", one.build.name, shown.join(", "), one.names.missed.len());
    }
    text.push_str("\n## Extracts\n\n");
    text.push_str(&extracts::table());
    fs::write(repository().join("docs/real-builds.md"), text).unwrap();
}
