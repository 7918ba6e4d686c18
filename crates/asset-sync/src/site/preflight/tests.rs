//! The pre-flight over whole sites.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::site::{ScanOptions, SiteValues, ValuesInput, scan, scan_and_preflight};

fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn look(files: &[(&str, &str)], rules: &str, options: PreflightOptions) -> Findings {
    let dir = tree(files);
    let rules = Rules::parse(rules).unwrap();
    let scanning = ScanOptions { rules: rules.clone(), ..ScanOptions::default() };
    let (site, findings) = both_ways(dir.path(), &scanning, &PreflightOptions { rules, ..options });
    assert!(site.unmatched_rules.is_empty());
    findings
}

/// Scanned and looked at, which comes to the same one after the other and in one.
fn both_ways(root: &Path, scanning: &ScanOptions, looking: &PreflightOptions) -> (Site, Findings) {
    let site = scan(root, scanning).unwrap();
    let findings = preflight(&site, looking).unwrap();
    let (site_at_once, findings_at_once) = scan_and_preflight(root, scanning, looking).unwrap();
    assert_eq!(site_at_once.files, site.files);
    assert_eq!((&findings_at_once.refusals, &findings_at_once.warnings), (&findings.refusals, &findings.warnings));
    (site, findings)
}

#[test]
fn a_file_of_any_size_is_looked_into() {
    for length in [0, 1, 128 * 1024 - 40, 128 * 1024 + 1, 1024 * 1024] {
        let text = format!("{}\nimport './gone.js'", " ".repeat(length));
        let found = look(&[("index.html", ""), ("a.js", &text)], "", PreflightOptions::default());
        assert_eq!(found.refusals.len(), 1, "{length}: {found:?}");
    }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Not written in one piece, so that no scanner takes this file for a leak.
fn token() -> String {
    format!("ghp_{}", "a1B2".repeat(9))
}

fn broken() -> Vec<(&'static str, String)> {
    vec![
        (
            "docs/index.html",
            "<link rel=stylesheet href='/assets/gone.css'>\n<script src='../assets/app.js'></script>\n\
             <img src='gone.png?x#y' srcset='a.png 1x, gone%20too.png 2x'>\n<a href='gone.html'>x</a> <a href='/route'>x</a>\
             <img src='/api/avatar'><img src='/counter.php'><img src='{{ logo }}.png'><img src='https://x.example/y.png'>"
                .to_owned(),
        ),
        ("docs/a.png", String::new()),
        ("assets/app.js", format!("import './gone.js';\n'import \"./no.js\"'; t = '{}'; t2 = '{}'", token(), token())),
        ("assets/app.js.map", "{}".to_owned()),
        ("assets/style.css", "a { b: url(fonts/gone.woff2) }\n\na { c: url(fonts/gone.woff2#x), url(/docs/a.png) }".to_owned()),
        ("backup.p12", "x".to_owned()),
    ]
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files.iter().map(|(path, text)| (*path, text.as_str())).collect()
}

#[test]
fn all_findings_at_once_with_file_line_and_reference() {
    let files = broken();
    let found = look(&borrowed(&files), "", PreflightOptions::default());
    insta::assert_snapshot!(lines(&found.refusals), @r#"
    "assets/app.js" line 1: refers to "./gone.js", that is "assets/gone.js", which is not in the build: build again, or mend the reference, or allow it by a rule with `allow = "missing-reference"`
    "assets/app.js" line 2: holds what looks like a GitHub token: take it out of the build, and revoke it if it was ever published, or allow it by a rule with `allow = "secret"`
    "assets/style.css" line 1: refers to "fonts/gone.woff2", that is "assets/fonts/gone.woff2", which is not in the build: build again, or mend the reference, or allow it by a rule with `allow = "missing-reference"`
    "backup.p12": is a store of private keys: take it out of the build, and revoke it if it was ever published, or allow it by a rule with `allow = "secret"`
    "docs/index.html" line 1: refers to "/assets/gone.css", that is "assets/gone.css", which is not in the build: build again, or mend the reference, or allow it by a rule with `allow = "missing-reference"`
    "docs/index.html" line 3: refers to "gone%20too.png", that is "docs/gone too.png", which is not in the build: build again, or mend the reference, or allow it by a rule with `allow = "missing-reference"`
    "docs/index.html" line 3: refers to "gone.png", that is "docs/gone.png", which is not in the build: build again, or mend the reference, or allow it by a rule with `allow = "missing-reference"`
    "index.html": is missing, so the site has no page at its root: check which folder the build writes, or allow it by a rule with `allow = "missing-root"`
    "#);
    insta::assert_snapshot!(lines(&found.warnings), @r#"
    "assets/app.js.map": is a source map, which shows the source code to everyone: build without source maps, or allow it by a rule with `allow = "source-map"`
    "docs/index.html" line 4: refers to "gone.html", that is "docs/gone.html", which is not in the build: build again, or mend the reference, or allow it by a rule with `allow = "missing-reference"`
    "#);
    let error = found.check().unwrap_err();
    assert_eq!(error.class(), crate::ErrorClass::Refused);
    assert!(!format!("{error} {error:?}").contains(&token()));
    assert_eq!(error.to_string().lines().count(), 1 + found.refusals.len());
}

#[test]
fn rules_allow_findings() {
    let files = broken();
    let rules = r#"
[[rule]]
glob = ["docs/**", "assets/style.css", "assets/gone.js"]
allow = "missing-reference"
[[rule]]
glob = ["**/*.js", "*.p12"]
allow = "secret"
[[rule]]
glob = "index.html"
allow = "missing-root"
[[rule]]
glob = "**"
allow = ["source-map"]
"#;
    let found = look(&borrowed(&files), rules, PreflightOptions::default());
    assert_eq!(found, Findings::default());
    assert!(found.check().is_ok());
}

#[test]
fn source_maps_are_as_told() {
    let files = [
        ("index.html", ""),
        ("a.js", "f()\n//# sourceMappingURL=data:application/json;base64,e30="),
        ("b.css.map", "{}"),
    ];
    let counts = |source_maps| {
        let found = look(&files, "", PreflightOptions { source_maps, ..PreflightOptions::default() });
        (found.refusals.len(), found.warnings.len())
    };
    assert_eq!(counts(SourceMaps::Allow), (0, 0));
    assert_eq!(counts(SourceMaps::default()), (0, 2));
    assert_eq!(counts(SourceMaps::Refuse), (2, 0));
}

#[test]
fn a_prefix_and_a_base_move_references() {
    let files = [
        (
            "index.html",
            "<script src='/app/a.js'></script><script src='/other.js'></script><script src='/app/gone.js'></script>",
        ),
        ("sub/p.html", "<base href='/app/'><script src='a.js'></script><img src='gone.png'>"),
        ("sub/q.html", "<base href='https://cdn.example/'><script src='gone-too.js'></script>"),
        ("a.js", ""),
    ];
    let found = look(&files, "", PreflightOptions { url_prefix: "/app".into(), ..PreflightOptions::default() });
    let targets: Vec<_> = found.refusals.iter().map(|f| (f.file.as_str(), f.target.as_deref().unwrap())).collect();
    assert_eq!(targets, [("index.html", "gone.js"), ("sub/p.html", "gone.png")]);
}

#[test]
fn references_are_judged_with_their_values_and_shown_without() {
    let dir = tree(&[
        (
            "index.html",
            "<img src='__WEBAPP_ASSETS__/gone.png'><img src='__WEBAPP_ASSETS__/a.png'><img srcset='__WEBAPP_SET__'>\
             <script src='__WEBAPP_CDN__/x.js'></script>",
        ),
        ("moved.html", "<base href='/__WEBAPP_ASSETS__/'><img src='gone.png'>"),
        ("pl4nted/a.png", ""),
    ]);
    let values =
        [("ASSETS", "pl4nted"), ("SET", "b-pl4nted.png 1x, c-pl4nted.png 2x"), ("CDN", "https://pl4nted.example")];
    let values = values.map(|(n, v)| (format!("WEBAPP_{n}"), v.to_owned())).into_iter().collect::<BTreeMap<_, _>>();
    let values = SiteValues::new(ValuesInput { env_js: Some("env.js".into()), ..ValuesInput::new("WEBAPP_", values) });
    let scanning = ScanOptions { values: Some(values.unwrap()), ..ScanOptions::default() };
    let (_, found) = both_ways(dir.path(), &scanning, &PreflightOptions::default());
    assert_eq!(found.refusals.len(), 4, "{}", lines(&found.refusals));
    assert!(!format!("{} {found:?}", lines(&found.refusals)).contains("pl4nted"));
}

#[test]
fn preloads_from_an_unknown_base_are_found_anywhere() {
    let chunk = r#"const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["assets/a.css","assets/gone.css"])))=>i.map(i=>d[i]);"#;
    let files = [("index.html", ""), ("app/assets/a.js", chunk), ("app/assets/a.css", "")];
    let found = look(&files, "", PreflightOptions::default());
    assert_eq!(found.refusals.iter().map(|f| f.target.as_deref()).collect::<Vec<_>>(), [Some("assets/gone.css")]);
}

fn whole_is_large(site: &Site) -> bool {
    site.total_bytes() > 1_000_000
}

/// The builds that prove that nothing is found where nothing is wrong.
fn real_builds() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/site");
    let mut builds = vec![examples.join("v1"), examples.join("v2")];
    match std::env::var_os("MTRIBES_TEST_SITES") {
        Some(folder) => builds.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())),
        None => eprintln!("SKIPPED: the large builds, since MTRIBES_TEST_SITES names no folder of them"),
    }
    builds
}

#[test]
fn nothing_is_found_in_real_builds_and_every_gap_is() {
    for build in real_builds() {
        let values = SiteValues::new(ValuesInput::new("WEBAPP_", BTreeMap::new())).unwrap();
        let scanning = ScanOptions { values: Some(values), ..ScanOptions::default() };
        let (mut site, found) = both_ways(&build, &scanning, &PreflightOptions::default());
        assert!(site.warnings.is_empty(), "{build:?}: {:?}", site.warnings);
        assert_eq!(found.refusals, [], "{}", build.display());
        assert!(found.warnings.iter().all(|f| f.kind == FindingKind::SourceMap), "{}", lines(&found.warnings));
        // Without them the page's own script and style, and whatever else, must be missed.
        let is_asset = |f: &SiteFile| {
            let language = language(f);
            f.role == Role::Fingerprinted && matches!(language, Some(Language::Script | Language::Css))
        };
        let gone: Vec<String> = site.files.iter().filter(|f| is_asset(f)).map(|f| f.key.to_string()).collect();
        for key in &gone {
            let whole = site.clone();
            site.files.retain(|f| f.key.as_str() != key);
            let found = preflight(&site, &PreflightOptions::default()).unwrap();
            let missed = found.refusals.iter().any(|f| f.target.as_ref() == Some(key));
            assert!(missed, "{}: {key} is gone and nobody misses it", build.display());
            site = whole;
            if whole_is_large(&site) {
                // Each of its files takes a second in a debug build; all of them were tried once.
                break;
            }
        }
    }
}
