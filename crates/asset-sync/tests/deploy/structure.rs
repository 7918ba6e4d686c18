//! The modules of `deploy` depend on each other in one direction, method calls counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The names after each `marker` in a text.
fn names_after<'a>(text: &'a str, marker: &str) -> Vec<&'a str> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(marker).skip(1).filter_map(|rest| rest.split(ends).next()).filter(|name| !name.is_empty()).collect()
}

/// The code of each module without its unit tests.
fn sources() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deploy");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), code)
        })
        .collect()
}

/// How many modules the longest way from each down to one that uses none takes.
///
/// # Panics
/// Where there is a circle, with its modules.
fn levels(graph: &Graph) -> BTreeMap<&str, usize> {
    let mut levels = BTreeMap::new();
    while levels.len() < graph.len() {
        let open = graph.iter().filter(|(module, _)| !levels.contains_key(module.as_str()));
        let next: Vec<(&str, usize)> = open
            .filter_map(|(module, uses)| {
                let below: Option<Vec<usize>> = uses.iter().map(|used| levels.get(used.as_str()).copied()).collect();
                Some((module.as_str(), below?.into_iter().max().map_or(0, |level| level + 1)))
            })
            .collect();
        let left = || graph.keys().filter(|module| !levels.contains_key(module.as_str())).collect::<Vec<_>>();
        assert!(!next.is_empty(), "there is a circle among {:?}", left());
        levels.extend(next);
    }
    levels
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&str, &[&str])]| -> Graph {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        pairs.iter().map(|(module, used)| ((*module).to_owned(), own(used))).collect()
    };
    let graph = uses(&[("a", &["b"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(levels(&graph), BTreeMap::from([("a", 2), ("b", 1), ("c", 0)]));
    let circle = uses(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]);
    assert!(std::panic::catch_unwind(|| levels(&circle).len()).is_err());
}

#[test]
fn methods_stand_beside_their_types() {
    let sources = sources();
    let mut homes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, code) in &sources {
        for name in ["struct ", "enum "].iter().flat_map(|kind| names_after(code, kind)) {
            homes.entry(name).or_default().insert(module);
        }
    }
    let mut found = 0;
    for (module, code) in &sources {
        for line in code.lines().filter(|line| line.starts_with("impl")) {
            let implemented = line.rsplit(" for ").next().unwrap().replace("impl", " ");
            let home = names_after(&implemented, " ").into_iter().find_map(|name| homes.get(name));
            assert!(home.is_none_or(|home| home.contains(module.as_str())), "`{line}` stands apart from its type");
            found += usize::from(home.is_some());
        }
    }
    assert!(found > 10, "{found}");
}

/// `docs/architecture.md` shows the modules line by line: each uses only modules of lines above its own.
#[test]
fn the_modules_of_deploy_are_drawn_without_a_circle() {
    let sources = sources();
    let mut graph: Graph = sources
        .iter()
        .map(|(module, code)| (module.clone(), names_after(code, "super::").into_iter().map(str::to_owned).collect()))
        .collect();
    // The facade names its parts by paths of its own.
    graph.insert("mod".to_owned(), names_after(&sources["mod"], "\nmod ").into_iter().map(str::to_owned).collect());
    for (module, uses) in &mut graph {
        uses.retain(|used| sources.contains_key(used) && used != module);
    }
    let mut lines: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (module, level) in levels(&graph) {
        lines.entry(level).or_default().push(if module == "mod" { "Deployer" } else { module });
    }
    let lines: Vec<String> = lines.values().map(|modules| modules.join("  ")).collect();
    let drawing = format!("```\n{}\n```", lines.join("\n"));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/architecture.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&drawing), "docs/architecture.md should show\n{drawing}");
}
