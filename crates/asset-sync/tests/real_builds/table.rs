//! The table of builds, and which of them this run is about.

use std::env;
use std::path::{Path, PathBuf};

use asset_sync::site::{Finding, FindingKind};

/// What the table says about the completeness of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Sound,
    /// Made for another URL path than `/`.
    Prefix,
    /// A server replaces the placeholder in `prefix`, or fills in the page.
    Template,
    NoRoot,
    Incomplete,
}

/// One line of `scripts/real-builds.tsv`.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub(crate) name: String,
    /// The same for all versions of one site.
    pub(crate) site: String,
    pub(crate) tool: String,
    pub(crate) state: State,
    /// A URL path such as `/app/`, or empty.
    pub(crate) prefix: String,
    /// What its pages refer to and it does not have; `*` stands for any text.
    pub(crate) missing: Vec<String>,
}

impl Build {
    /// Whether the table says why this refusal of the build is right.
    pub(crate) fn explains(&self, refusal: &Finding) -> bool {
        match refusal.kind {
            FindingKind::MissingRoot => self.state == State::NoRoot,
            FindingKind::MissingReference => {
                let target = refusal.target.as_deref().unwrap_or_default();
                self.missing.iter().any(|pattern| matches(pattern.trim_start_matches("../"), target))
            }
            FindingKind::BasePath | FindingKind::Secret | FindingKind::SourceMap => false,
        }
    }

    /// Whether this refusal says that the build was made for another URL path, which the table says too.
    pub(crate) fn explains_by_prefix(&self, refusal: &Finding) -> bool {
        let prefix = self.prefix.trim_matches('/');
        match refusal.kind {
            FindingKind::BasePath => !prefix.is_empty() && refusal.reference.trim_matches('/') == prefix,
            FindingKind::MissingReference => {
                let target = refusal.target.as_deref().unwrap_or_default();
                !prefix.is_empty() && format!("/{target}").contains(&format!("/{prefix}/"))
            }
            _ => false,
        }
    }
}

/// Whether the target ends with the pattern, whose `*` stands for any text.
fn matches(pattern: &str, target: &str) -> bool {
    let mut rest = target;
    let mut parts = pattern.split('*').rev();
    let last = parts.next().unwrap_or_default();
    let Some(before) = rest.strip_suffix(last) else { return false };
    rest = before;
    parts.all(|part| match rest.rfind(part) {
        Some(at) => {
            rest = &rest[..at];
            true
        }
        None => false,
    })
}

pub(crate) fn read() -> Vec<Build> {
    let path = repository().join("scripts/real-builds.tsv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let build = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |name: &str| fields[columns.iter().position(|column| *column == name).unwrap()];
        let optional = |name: &str| Some(field(name)).filter(|text| *text != "-").unwrap_or_default();
        Build {
            name: field("name").to_owned(),
            site: format!("{} {} {}", field("ecosystem"), field("package"), field("path")),
            tool: field("tool").to_owned(),
            state: match field("state") {
                "sound" => State::Sound,
                "prefix" => State::Prefix,
                "template" => State::Template,
                "no-root" => State::NoRoot,
                "incomplete" => State::Incomplete,
                other => panic!("{}: unknown state `{other}`", path.display()),
            },
            prefix: optional("prefix").to_owned(),
            missing: optional("missing").split_whitespace().map(str::to_owned).collect(),
        }
    };
    lines.map(build).collect()
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The value of a variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folder with the builds, and those of the table that this run is about: all that are in the folder, unless
/// `MTRIBES_TEST_BUILD_NAMES` names some. `None`, said on stderr, if there are none.
pub(crate) fn chosen() -> Option<(PathBuf, Vec<Build>)> {
    let Some(folder) = variable("MTRIBES_TEST_BUILDS").map(PathBuf::from) else {
        let required = variable("CI").is_some_and(|ci| ci == "true") || variable("MTRIBES_TEST_REQUIRED").is_some();
        assert!(!required, "MTRIBES_TEST_BUILDS is not set: scripts/install-test-tools fetches real builds");
        eprintln!("SKIPPED: real builds: MTRIBES_TEST_BUILDS is not set; scripts/install-test-tools fetches some");
        return None;
    };
    let mut builds = read();
    match variable("MTRIBES_TEST_BUILD_NAMES") {
        Some(names) => {
            let names: Vec<&str> = names.split_whitespace().collect();
            let unknown: Vec<_> = names.iter().filter(|name| builds.iter().all(|build| build.name != **name)).collect();
            assert!(unknown.is_empty(), "not in scripts/real-builds.tsv: {unknown:?}");
            builds.retain(|build| names.contains(&build.name.as_str()));
        }
        None => builds.retain(|build| folder.join(&build.name).is_dir()),
    }
    assert!(!builds.is_empty(), "no build of scripts/real-builds.tsv is in {}", folder.display());
    Some((folder, builds))
}

/// The number that decides what is removed and planted, so that a run can be repeated.
pub(crate) fn seed() -> u64 {
    let given = variable("MTRIBES_TEST_SEED").map(|text| text.parse().expect("MTRIBES_TEST_SEED is a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed}: MTRIBES_TEST_SEED={seed} repeats what was removed and planted");
    seed
}

#[test]
fn patterns_match_the_end_of_a_path() {
    assert!(matches("assets/img/ais_*.png", "app/assets/img/ais_red.png"));
    assert!(matches("vite.svg", "vite.svg"));
    assert!(!matches("assets/*.png", "assets/a.js"));
    assert!(!matches("assets/*.png", "other/a.png"));
}
