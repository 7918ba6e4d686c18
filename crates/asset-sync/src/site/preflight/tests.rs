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
    let site_at_once = scan_and_preflight(root, scanning, looking).unwrap();
    assert_eq!(site_at_once.files, site.files);
    assert_eq!(site_at_once.findings, findings);
    (site, findings)
}

#[test]
fn a_file_of_any_size_is_looked_into() {
    let page = "<script type=module src=a.js></script>";
    for length in [0, 1, 128 * 1024 - 40, 128 * 1024 + 1, 1024 * 1024] {
        let text = format!("{}\nimport './gone.js'", " ".repeat(length));
        let found = look(&[("index.html", page), ("a.js", &text)], "", PreflightOptions::default());
        assert_eq!(found.refusals.len(), 1, "{length}: {found:?}");
    }
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// GitHub's published example. Not written in one piece, so that no scanner takes this file for a leak.
fn token() -> String {
    format!("ghp_{}", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17")
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
    "backup.p12": is a store of private keys: take it out of the build (if it is real and was published before, replace it too)
    "assets/app.js" line 2: holds what looks like a GitHub token: take it out of the build (if it is real and was published before, replace it too)
    "assets/app.js" line 1: refers to "./gone.js", that is "assets/gone.js", which is not in the build
    "docs/index.html" line 1: refers to "/assets/gone.css", which is not in the build
    "#);
    insta::assert_snapshot!(lines(&found.warnings), @r#"
    "index.html": is missing, so the site has no page at its root; there are pages such as "docs/index.html": if that is not meant, check which folder the build writes
    "assets/style.css" line 1: refers to "fonts/gone.woff2", that is "assets/fonts/gone.woff2", which is not in the build
    "docs/index.html" line 3: refers to "gone%20too.png", that is "docs/gone too.png", which is not in the build
    "docs/index.html" line 3: refers to "gone.png", that is "docs/gone.png", which is not in the build
    "docs/index.html" line 4: refers to "gone.html", that is "docs/gone.html", which is not in the build
    "assets/app.js.map": is a source map, which shows the source code to everyone
    "#);
    let error = found.check(usize::MAX).unwrap_err();
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
    assert!(found.check(usize::MAX).is_ok());
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
fn a_base_that_a_server_fills_in_makes_relative_references_uncertain() {
    let page = r#"<base href="{{ base_url | default('./') }}"><script type=module src="./a.js"></script>
<script src="./lost.js"></script><script src="/gone.js"></script>"#;
    let files = [("index.html", page), ("a.js", "import './gone-too.js'")];
    let found = look(&files, "", PreflightOptions::default());
    let targets = |list: &[Finding]| list.iter().filter_map(|finding| finding.target.clone()).collect::<Vec<_>>();
    assert_eq!(targets(&found.refusals), ["gone.js", "gone-too.js"]);
    assert_eq!(targets(&found.warnings), ["lost.js"]);
}

#[test]
fn a_prefix_and_a_base_move_references() {
    let files = [
        (
            "index.html",
            "<script src='/app/a.js'></script><script src='/other.js'></script><script src='/app/gone.js'></script>",
        ),
        ("sub/p.html", "<base href='/app/'><script src='a.js'></script><script src='gone.mjs'></script>"),
        ("sub/q.html", "<base href='https://cdn.example/'><script src='gone-too.js'></script>"),
        ("a.js", ""),
    ];
    let found = look(&files, "", PreflightOptions { url_prefix: "/app".into(), ..PreflightOptions::default() });
    let targets: Vec<_> = found.refusals.iter().map(|f| (f.file.as_str(), f.target.as_deref().unwrap())).collect();
    assert_eq!(targets, [("index.html", "gone.js"), ("sub/p.html", "gone.mjs")]);
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
    assert_eq!((found.refusals.len(), found.warnings.len()), (0, 4), "{found:?}");
    assert!(!format!("{} {found:?}", lines(&found.warnings)).contains("pl4nted"));
}

#[test]
fn preloads_from_an_unknown_base_are_found_anywhere() {
    let chunk = r#"const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["assets/a.css","assets/x-3f2a9c0d.css","assets/y.css"])))=>i.map(i=>d[i]);"#;
    let page = "<script type=module src=app/assets/a.js></script>";
    let files = [("index.html", page), ("app/assets/a.js", chunk), ("app/assets/a.css", "")];
    let found = look(&files, "", PreflightOptions::default());
    let targets = |list: &[Finding]| list.iter().map(|f| f.target.clone().unwrap()).collect::<Vec<_>>();
    assert_eq!(targets(&found.refusals), ["assets/x-3f2a9c0d.css"]);
    assert_eq!(targets(&found.warnings), ["assets/y.css"]);
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

/// What was found of a site whose root page has this head: what refuses, then what warns.
fn found_with(head: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let files: Vec<_> = files.iter().copied().chain([("index.html", head)]).collect();
    let found = look(&files, "", PreflightOptions::default());
    let texts = |list: &[Finding]| list.iter().map(|f| f.reference.trim_matches('"').to_owned()).collect();
    (texts(&found.refusals), texts(&found.warnings))
}

/// Each way to ask for a file that is not there, and whether it refuses the site.
#[test]
fn what_a_page_needs_refuses_and_all_else_warns() {
    for (head, refuses) in [
        ("<script src=gone.js></script>", true),
        ("<script defer src=gone.js></script>", true),
        ("<script type=module src=gone.js></script>", true),
        ("<script nomodule src=gone.js></script>", true),
        // The root page's own.
        ("<script async src=gone.js></script>", true),
        ("<link rel=stylesheet href=gone.css>", true),
        ("<link rel='preload stylesheet' as=style href=gone.css>", true),
        ("<link rel=stylesheet media=print onload=\"this.media='all'\" href=gone.css>", true),
        ("<link rel=preload as=style onload=\"this.rel='stylesheet'\" href=gone.css>", true),
        ("<link rel=stylesheet media='screen, print' href=gone.css>", true),
        ("<link rel=modulepreload href=a-3f2a9c0d.js>", true),
        ("<link rel=preload as=script href=a-3f2a9c0d.js>", true),
        ("<link rel=prefetch href=a-3f2a9c0d.css>", true),
        ("<script>import('./start-3f2a9c0d.js')</script>", true),
        ("<script type=module>import './gone.js'</script>", true),
        ("<style>@import 'gone.css';</style>", true),
        ("<script type=importmap>{\"imports\": {\"a\": \"./a-3f2a9c0d.js\"}}</script>", true),
        ("<link rel=modulepreload href=gone.js>", false),
        ("<link rel=preload as=font href=a-3f2a9c0d.woff2>", false),
        ("<link rel=preload as=image href=a-3f2a9c0d.png>", false),
        ("<link rel='alternate stylesheet' href=gone.css>", false),
        ("<link rel=stylesheet media=print href=gone.css>", false),
        ("<link rel=stylesheet disabled href=gone.css>", false),
        ("<link rel=icon href=/favicon.ico>", false),
        ("<link rel=manifest href=/manifest.json>", false),
        ("<noscript><link rel=stylesheet href=gone.css></noscript>", false),
        ("<noscript><script src=gone.js></script></noscript>", false),
        ("<img src=gone.png>", false),
        ("<iframe src=gone.html></iframe>", false),
        ("<a href=gone.html>x</a>", false),
        ("<style>a { background: url(gone.png) }</style>", false),
        ("<style>@import 'resources/fonts/gone.css';</style>", false),
        ("<script>import('./gone.js')</script>", false),
        ("<script type=module>new Worker(new URL('./a-3f2a9c0d.js', import.meta.url))</script>", false),
        ("<script type=importmap>{\"imports\": {\"a\": \"./gone.js\"}}</script>", false),
    ] {
        let (refusals, warnings) = found_with(head, &[]);
        assert_eq!((refusals.len(), warnings.len()), if refuses { (1, 0) } else { (0, 1) }, "{head}");
    }
    for head in [
        "<template><script src=gone.js></script></template>",
        "<script type='text/x-template'>import './gone.js'</script>",
        "<script type=application/json>{\"x\": \"import './gone.js'\"}</script>",
        "<script>const s = \"import './gone.js'\"</script>",
        "<script src='/%7B%7BBASE%7D%7D/gone.js'></script>",
    ] {
        assert_eq!(found_with(head, &[]), (vec![], vec![]), "{head}");
    }
}

/// rustdoc asks for `trait.impl/….js`, which it writes only where there is something to say.
#[test]
fn an_async_script_of_an_inner_page_refuses_only_if_it_is_part_of_the_application() {
    let inner = |script: &str| {
        let page = format!("<script async src={script}></script>");
        let found = look(&[("index.html", ""), ("struct/a.html", &page)], "", PreflightOptions::default());
        found.refusals.len()
    };
    assert_eq!(inner("../trait.impl/demo/trait.Greet.js"), 0);
    assert_eq!(inner("/_next/static/chunks/main-3f2a9c0d1122aabb.js"), 1);
}

/// Storybook and `JupyterLite` ship scripts that no page loads, with imports of what they do not ship.
#[test]
fn only_what_a_page_reaches_refuses() {
    let entry = "import './a.js'; const s = 'import \"./mentioned.js\"'; // import './commented.js'";
    let files = [
        ("app.js", entry),
        ("a.js", "const lazy = () => import('./b.js')"),
        ("b.js", "export * from './gone-1.js'; new Worker(new URL('./worker.js', import.meta.url))"),
        ("worker.js", "import './gone-2.js'"),
        ("leftover.js", "import './gone-3.js'; import './leftover-2.js'"),
        ("leftover-2.js", "import './gone-4.js'"),
        ("mentioned.js", "import './gone-5.js'"),
        ("commented.js", "import './gone-6.js'"),
        ("style.css", "@import 'sub/x.css'; a { background: url(gone-7.png) }"),
        ("sub/x.css", "@import url('gone-8.css');"),
        ("unused.css", "@import 'gone-9.css';"),
    ];
    let (refusals, warnings) =
        found_with("<script type=module src=app.js></script><link rel=stylesheet href=style.css>", &files);
    let mut refusals = refusals;
    refusals.sort();
    assert_eq!(refusals, ["./gone-1.js", "./gone-2.js", "gone-8.css"]);
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    // By an inline script alone, as SvelteKit starts.
    let (refusals, _) = found_with("<script>{ import('./start.js') }</script>", &[("start.js", "import './gone.js'")]);
    assert_eq!(refusals, ["./gone.js"]);
    // A preload and an import map are ways to reach a script too.
    for head in
        ["<link rel=modulepreload href=m.js>", "<script type=importmap>{\"imports\":{\"m\":\"/m.js\"}}</script>"]
    {
        assert_eq!(found_with(head, &[("m.js", "import './gone.js'")]).0, ["./gone.js"], "{head}");
    }
}

#[test]
fn a_site_needs_one_page_and_not_at_its_root() {
    let found = |files: &[(&str, &str)]| look(files, "", PreflightOptions::default());
    let no_page = found(&[("a.js", "")]);
    assert_eq!((no_page.refusals.len(), no_page.refusals[0].kind), (1, FindingKind::MissingRoot));
    for page in ["en/index.html", "about.html", "a/b/c.htm"] {
        let found = found(&[(page, ""), ("a.js", "")]);
        assert_eq!((found.refusals.len(), found.warnings.len()), (0, 1), "{page}");
        assert!(found.warnings[0].to_string().contains(&format!("{page:?}")), "{}", found.warnings[0]);
    }
    // The first page of each language counts as a root page.
    let localized = found(&[
        ("en/index.html", "<script async src=gone.js></script>"),
        ("en/x/index.html", "<script async src=gone-2.js></script>"),
    ]);
    assert_eq!(localized.refusals.iter().map(|f| f.reference.as_str()).collect::<Vec<_>>(), ["\"gone.js\""]);
}

#[test]
fn a_build_for_another_base_path_is_named_once() {
    let page = "<script src=/app/main.js></script><link rel=stylesheet href=/app/main.css><img src=/app/x.png><script src=/other.js></script>";
    let files = [("index.html", page), ("main.js", ""), ("main.css", "")];
    let found = look(&files, "", PreflightOptions::default());
    let text = found.refusals[0].to_string();
    assert_eq!(found.refusals[0].kind, FindingKind::BasePath, "the decisive one first");
    for part in ["for /app/,", "served at /:", "DEPLOY_PREFIX=app/", "DEPLOY_URL_PREFIX=/app/"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(found.refusals.len(), 4);
    // Most must lie there.
    let few = [
        ("index.html", "<script src=/app/main.js></script><script src=/a.js></script><script src=/b.js></script>"),
        ("main.js", ""),
    ];
    assert!(look(&few, "", PreflightOptions::default()).refusals.iter().all(|f| f.kind != FindingKind::BasePath));
    // Several folders, and the other way round: a build for the root that is served in a folder.
    let deep = [("index.html", "<script src=/a/b/main.js></script>"), ("main.js", "")];
    assert_eq!(look(&deep, "", PreflightOptions::default()).refusals[0].reference, "/a/b/");
    let options = || PreflightOptions { url_prefix: "/app/".into(), ..PreflightOptions::default() };
    let found = look(&[("index.html", "<script src=/main.js></script>"), ("main.js", "")], "", options());
    assert_eq!((found.refusals.len(), found.warnings[0].kind), (0, FindingKind::BasePath));
    let text = found.warnings[0].to_string();
    assert!(text.contains("for /, ") && text.contains("served at /app/"), "{text}");
    let found = look(&[("index.html", "<script src=/old/main.js></script>"), ("main.js", "")], "", options());
    assert_eq!(found.warnings[0].reference, "/old/");
    // A relative reference tells nothing of a base.
    let relative = [("index.html", "<script src=./static/main.js></script>"), ("main.js", "")];
    assert!(look(&relative, "", options()).refusals.iter().all(|f| f.kind != FindingKind::BasePath));
    let deeper = [("index.html", "<script src=/app/old/main.js></script>"), ("main.js", "")];
    assert_eq!(look(&deeper, "", options()).refusals[0].reference, "/app/old/");
    let right =
        [("index.html", "<script src=/app/main.js></script><script src=/elsewhere.js></script>"), ("main.js", "")];
    assert_eq!(look(&right, "", options()), Findings::default());
}

#[test]
fn a_missing_file_that_is_there_in_another_way_is_explained() {
    let page =
        "<script src=.hidden/a.js></script><script src=/Assets/App.js></script><script src=left/out.js></script>";
    let files = [("index.html", page), (".hidden/a.js", ""), ("assets/app.js", ""), ("left/out.js", "")];
    let found = look(&files, "[[rule]]\nglob = 'left/**'\ninclude = false", PreflightOptions::default());
    insta::assert_snapshot!(lines(&found.refusals), @r#"
    "index.html" line 1: refers to ".hidden/a.js", which was left out as hidden or by a rule: a rule with `include = true` takes it
    "index.html" line 1: refers to "/Assets/App.js", which is not in the build; there is "assets/app.js", in other upper and lower case
    "index.html" line 1: refers to "left/out.js", which was left out as hidden or by a rule: a rule with `include = true` takes it
    "#);
}

#[test]
fn a_report_is_as_long_as_people_read() {
    let pages: Vec<(String, String)> = (0..9)
        .map(|n| (format!("p{n}.html"), format!("<script src=/shared.js></script><script src=gone-{n}.js></script>")))
        .collect();
    let mut files: Vec<(&str, &str)> = pages.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("a.js.map", "{}"));
    let found = look(&files, "", PreflightOptions { source_maps: SourceMaps::Refuse, ..PreflightOptions::default() });
    insta::assert_snapshot!(report(&found.refusals, 3).join("\n"), @r#"
    "p0.html" line 1: refers to "/shared.js", which is not in the build (and 8 more references to it)
    "p0.html" line 1: refers to "gone-0.js", which is not in the build
    "p1.html" line 1: refers to "gone-1.js", which is not in the build
    and 7 more references to files that are not in the build (`deploy plan --all` lists all)
    "a.js.map": is a source map, which shows the source code to everyone
    "#);
    assert_eq!(report(&found.refusals, usize::MAX).len(), 19);
    let error = found.check(usize::MAX).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1 + 19, "every finding on a line after the first");
    assert_eq!(found.check(5).unwrap_err().to_string().lines().count(), 1 + 5 + 1 + 1);
}
