//! Values through a whole scan.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use tempfile::TempDir;

use crate::digest::Sha256;
use crate::site::{
    Role, Rules, ScanError, ScanOptions, ScanProblem, ScanWarning, Site, SiteFile, SiteValues, ValuesInput, scan,
};

const SECRET: &str = "pl4nted-value";

fn tree(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn input(values: &[(&str, &str)]) -> ValuesInput {
    let values: BTreeMap<_, _> = values.iter().map(|(n, v)| (format!("WEBAPP_{n}"), (*v).to_owned())).collect();
    ValuesInput::new("WEBAPP_", values)
}

fn options(input: ValuesInput) -> ScanOptions {
    ScanOptions { values: Some(SiteValues::new(input).unwrap()), ..ScanOptions::default() }
}

fn served(file: &SiteFile) -> String {
    let mut bytes = Vec::new();
    file.open().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!((file.sha256, file.size), (Sha256::of(&bytes), bytes.len() as u64), "{}", file.key);
    String::from_utf8(bytes).unwrap()
}

fn file<'a>(site: &'a Site, key: &str) -> &'a SiteFile {
    site.files.iter().find(|f| f.key.as_str() == key).unwrap()
}

fn problems(dir: &TempDir, options: &ScanOptions) -> String {
    match scan(dir.path(), options) {
        Err(ScanError::Problems(problems)) => {
            let text = ScanError::Problems(problems);
            assert!(!format!("{text} {text:?}").contains(SECRET));
            text.to_string()
        }
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn one_build_serves_two_environments() {
    let dir = tree(&[
        ("index.html", "<p title=\"__WEBAPP_API__\">__WEBAPP_NAME__</p>"),
        ("about.html", "<p>nothing to fill</p>"),
        ("config.json", "{\"api\": \"__WEBAPP_API__\"}"),
        ("deep/config.json", "{\"api\": \"left alone\"}"),
        ("assets/app-3f2a9c0d.js", "app()"),
    ]);
    let mut sites = Vec::new();
    for name in ["staging", "production"] {
        let api = format!("https://{name}.example/?a&b={SECRET}");
        let mut input = input(&[("API", &api), ("NAME", name)]);
        input.env_json = Some("env.json".into());
        input.env_js = Some("assets/env-3f2a9c0d.js".into());
        let options = options(input);
        let site = scan(dir.path(), &options).unwrap();
        assert!(site.warnings.is_empty());
        assert!(site.files.is_sorted_by(|a, b| a.key < b.key));
        let escaped = api.replace('&', "&amp;");
        assert_eq!(served(file(&site, "index.html")), format!("<p title=\"{escaped}\">{name}</p>"));
        assert_eq!(served(file(&site, "config.json")), format!("{{\"api\": \"{api}\"}}"));
        let object = format!("{{\n  \"WEBAPP_API\": \"{api}\",\n  \"WEBAPP_NAME\": \"{name}\"\n}}");
        assert_eq!(served(file(&site, "env.json")), format!("{object}\n"));
        let script = file(&site, "assets/env-3f2a9c0d.js");
        assert_eq!(served(script), format!("globalThis.__ENV__ = Object.freeze({object});\n"));
        assert_eq!(script.role, Role::Entry, "whatever its name looks like");
        assert_eq!(script.headers.cache_control.as_deref(), Some("public, max-age=0, must-revalidate"));
        assert_eq!(script.headers.content_type, "text/javascript; charset=utf-8");
        assert!(!format!("{site:?} {options:?}").contains(SECRET));
        sites.push(site);
    }
    let differing: Vec<_> = sites[0]
        .files
        .iter()
        .zip(&sites[1].files)
        .inspect(|(a, b)| assert_eq!((&a.key, a.role, &a.headers), (&b.key, b.role, &b.headers)))
        .filter(|(a, b)| a.sha256 != b.sha256)
        .map(|(a, _)| (a.key.as_str(), a.has_values()))
        .collect();
    let expected = ["assets/env-3f2a9c0d.js", "config.json", "env.json", "index.html"];
    assert_eq!(differing, expected.map(|key| (key, true)));
}

#[test]
fn values_are_encoded_with_the_file() {
    let dir = tree(&[("index.html", &"<p>__WEBAPP_A__</p>".repeat(100))]);
    let mut options = options(ValuesInput { env_js: Some("env.js".into()), ..input(&[("A", "x")]) });
    options.rules =
        Rules::parse("[[rule]]\nglob = '*'\ncontent-encoding = 'gzip'\ncache-control = 'no-store'\n").unwrap();
    let site = scan(dir.path(), &options).unwrap();
    for (key, expected) in [
        ("index.html", "<p>x</p>".repeat(100)),
        ("env.js", "globalThis.__ENV__ = Object.freeze({\n  \"WEBAPP_A\": \"x\"\n});\n".into()),
    ] {
        let file = file(&site, key);
        let mut encoded = Vec::new();
        file.open().unwrap().read_to_end(&mut encoded).unwrap();
        assert_eq!((file.sha256, file.size), (Sha256::of(&encoded), encoded.len() as u64));
        let mut text = String::new();
        flate2::read::GzDecoder::new(encoded.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
        assert_eq!(file.headers.content_encoding.as_deref(), Some("gzip"));
        assert_eq!(file.headers.cache_control.as_deref(), Some("no-store"));
    }
    assert!(site.unmatched_rules.is_empty());
}

#[test]
fn all_that_stops_a_site_is_named_at_once() {
    let dir = tree(&[
        ("index.html", "<p>\n__WEBAPP_GONE__ <script>'__WEBAPP_A__'</script>"),
        (
            "page.html",
            "<base href='/app/'>\n<script src='env.js' integrity='sha384-x'></script>\n\
             <link rel=preload href='/x/app/data.json?v' integrity='sha384-y'>\n<script src='other.js' integrity='sha384-z'></script>",
        ),
        ("app/data.json", "{\"a\": \"__WEBAPP_A__\"}"),
        ("bad.json", "{\"a\": __WEBAPP_A__}"),
        ("config-3f2a9c0d.json", "{\"a\": \"__WEBAPP_A__\"}"),
        ("app.js", "f('__WEBAPP_A__')"),
        ("env.json", "{}"),
        ("other.js", "f()"),
        (".ssh/id_rsa", "x"),
    ]);
    let mut all = input(&[("A", SECRET)]);
    all.templates = Some(vec!["**".into()]);
    all.env_js = Some("app/env.js".into());
    all.env_json = Some("env.json".into());
    let mut options = options(all);
    options.rules = Rules::parse(
        "[[rule]]\nglob = '.ssh/**'\ninclude = true\n[[rule]]\nglob = 'config-*.json'\nfingerprinted = true\n",
    )
    .unwrap();
    insta::assert_snapshot!(problems(&dir, &options), @r#"
    ".ssh": is a directory of credentials and does not belong on a site: remove it, or leave it out by a rule with `include = false`
    "app.js" line 1: __WEBAPP_A__ is in a file that is neither HTML nor JSON: take the file out of the templates, and let it read the generated env.json or env.js
    "bad.json" line 1: __WEBAPP_A__ is not in a string: write it in quotes
    "config-3f2a9c0d.json": __WEBAPP_A__ is in a file with a content hash in its name, which must be the same in every environment: give the file a name without a hash, or let it read the generated env.json or env.js
    "env.json": is to be generated, and the build has a file of this name: remove it, or choose another name
    "index.html" line 2: __WEBAPP_GONE__ has no value: set the variable WEBAPP_GONE, or remove the placeholder
    "index.html" line 2: __WEBAPP_A__ is in a script, where no escaping is safe: put it in an attribute (`data-…`) or let the script read the generated env.json or env.js
    "page.html" line 2: has an `integrity` attribute for app/env.js, whose content differs in every environment: remove the attribute
    "page.html" line 3: has an `integrity` attribute for app/data.json, whose content differs in every environment: remove the attribute
    "#);
}

#[test]
fn what_is_unused_or_left_over_is_a_warning() {
    let dir = tree(&[
        ("index.html", "<p>__WEBAPP_A__"),
        ("assets/app.js", "f('__WEBAPP_A__', '__WEBAPP_B__')"),
        ("assets/app.js.map", "f('__WEBAPP_A__')"),
        ("assets/ok.js", "f('__WEBAPP_')"),
    ]);
    let options = options(input(&[("A", SECRET), ("UNUSED", SECRET)]));
    let site = scan(dir.path(), &options).unwrap();
    assert_eq!(
        site.warnings,
        [
            ScanWarning::UnusedValue { name: "WEBAPP_UNUSED".into() },
            ScanWarning::StrayPlaceholder { path: "assets/app.js".into(), placeholder: "__WEBAPP_A__".into() },
        ]
    );
    assert_eq!(served(file(&site, "assets/app.js")), "f('__WEBAPP_A__', '__WEBAPP_B__')");
    let shown = site.warnings.iter().map(|w| format!("{w} {w:?}")).collect::<Vec<_>>().join("\n");
    assert!(!shown.contains(SECRET), "{shown}");
    let without = scan(dir.path(), &ScanOptions::default()).unwrap();
    assert!(without.warnings.is_empty());
    assert_eq!(served(file(&without, "index.html")), "<p>__WEBAPP_A__", "no values, no placeholders");
}

#[test]
fn a_template_that_changes_after_the_scan_is_noticed() {
    let dir = tree(&[("index.html", "<p>__WEBAPP_A__")]);
    let site = scan(dir.path(), &options(input(&[("A", SECRET)]))).unwrap();
    fs::write(dir.path().join("index.html"), "<script>__WEBAPP_A__").unwrap();
    let error = site.files[0].open().err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(!error.to_string().contains(SECRET));
}

#[test]
fn generated_files_keep_out_of_the_state_area() {
    let dir = tree(&[("index.html", "")]);
    let mut options = options(ValuesInput { env_json: Some("state/env.json".into()), ..input(&[]) });
    options.state_prefix = Some("state/".into());
    assert!(matches!(
        &scan(dir.path(), &options).unwrap_err(),
        ScanError::Problems(found) if matches!(&found[..], [ScanProblem::InStateArea { .. }])
    ));
}
