//! The sites that are deployed: what one has the next one changes, lacks, or has alone.

use asset_sync::site::{Rules, ScanOptions, Site};

use crate::world::{APP_1, APP_2, World, page};

/// The target within the other one.
pub(super) const INNER: &str = "app/";

const LAZY: &str = "assets/lazy-0a1b2c3d.js";
/// A fingerprinted name whose content nevertheless changes from site to site.
pub(super) const MAP: &str = "assets/lib-5e1d2c3b.js";
const FOUR: &str = "assets/four-11223344aa.js";

/// Files, and a rule about their roles.
type Build = (Vec<(&'static str, String)>, &'static str);

fn outer() -> Vec<Build> {
    let no_rule = "";
    vec![
        (
            vec![
                ("index.html", page("one", &[APP_1, LAZY])),
                ("old/index.html", page("old", &[APP_1])),
                ("robots.txt", "one".into()),
                ("logo.svg", "<svg/>".into()),
                (APP_1, "app one".into()),
                (MAP, "map one".into()),
                (LAZY, "lazy".into()),
            ],
            no_rule,
        ),
        (
            vec![
                ("index.html", page("two", &[APP_2, LAZY])),
                ("new/index.html", page("new", &[APP_2])),
                ("robots.txt", "two".into()),
                ("logo.svg", "<svg/>".into()),
                (APP_2, "app two".into()),
                (MAP, "map two".into()),
                (LAZY, "lazy".into()),
            ],
            no_rule,
        ),
        (
            vec![
                ("index.html", page("three", &[APP_1])),
                ("new/index.html", page("another new", &[APP_1])),
                ("manifest.json", "{}".into()),
                ("logo.svg", "<svg x=\"3\"/>".into()),
                (APP_1, "app one".into()),
                ("sw.js", "three".into()),
                ("old/index.html", page("old", &[APP_1])),
            ],
            no_rule,
        ),
        (
            vec![
                ("index.html", page("four", &[FOUR])),
                ("new/index.html", page("new", &[APP_2])),
                ("robots.txt", "one".into()),
                ("sw.js", "four".into()),
                (APP_2, "app two".into()),
                (MAP, "map one".into()),
                (FOUR, "four".into()),
            ],
            no_rule,
        ),
        // What is fingerprinted elsewhere is an entry file here, with other content; and a page lies where the other
        // target will be.
        (
            vec![
                ("index.html", page("five", &[APP_1, LAZY])),
                ("robots.txt", "five".into()),
                ("app/legacy.html", page("legacy", &[])),
                (APP_1, "app one".into()),
                (MAP, "map two".into()),
                (LAZY, "lazy, changed".into()),
            ],
            "[[rule]]\nglob = \"assets/l*.js\"\nfingerprinted = false\n",
        ),
        // An entry file elsewhere is fingerprinted here.
        (
            vec![
                ("index.html", page("six", &[APP_2])),
                ("robots.txt", "six".into()),
                ("logo.svg", "<svg x=\"6\"/>".into()),
                ("sw.js", "three".into()),
                (APP_2, "app two".into()),
            ],
            "[[rule]]\nglob = \"{logo.svg,sw.js}\"\nfingerprinted = true\n",
        ),
    ]
}

fn inner() -> Vec<Build> {
    let reference = |script: &str| format!("{INNER}{script}");
    let index = |title: &str, script: &str| page(title, &[&reference(script)]);
    vec![
        (vec![("index.html", index("inner one", APP_1)), ("data.json", "1".into()), (APP_1, "inner".into())], ""),
        (
            vec![
                ("index.html", index("inner two", APP_2)),
                ("new/index.html", index("inner new", APP_2)),
                ("data.json", "2".into()),
                (APP_2, "inner".into()),
            ],
            "",
        ),
    ]
}

/// All sites of both targets, on disk as long as this is.
pub(super) struct Pool {
    pub(super) outer: Vec<Site>,
    pub(super) inner: Vec<Site>,
    _disk: World,
}

impl Pool {
    pub(super) fn new() -> Self {
        let disk = World::new();
        let scan = |prefix: &str, builds: Vec<Build>| {
            let scan = |(files, rules): Build| {
                let rules = Rules::parse(rules).unwrap();
                disk.site_with(&files, &ScanOptions { prefix: prefix.to_owned(), rules, ..ScanOptions::default() })
            };
            builds.into_iter().map(scan).collect()
        };
        let (outer, inner) = (scan("", outer()), scan(INNER, inner()));
        Self { outer, inner, _disk: disk }
    }
}

/// Whether a file has the same bytes in every site that has it.
pub(super) fn is_steady(sites: &[Site], key: &str) -> bool {
    let mut hashes = sites.iter().flat_map(|s| &s.files).filter(|f| f.key.as_str() == key).map(|f| f.sha256);
    let first = hashes.next();
    hashes.all(|hash| Some(hash) == first)
}

/// Whether any site has the file, in whichever role.
pub(super) fn is_known(sites: &[Site], key: &str) -> bool {
    sites.iter().any(|site| has(site, key))
}

pub(super) fn has(site: &Site, key: &str) -> bool {
    site.files.iter().any(|f| f.key.as_str() == key)
}

pub(super) fn is_page(key: &str) -> bool {
    std::path::Path::new(key).extension().is_some_and(|extension| extension == "html")
}
