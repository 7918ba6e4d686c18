use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::digest::Sha256;
use crate::site::{
    BakedManifest, FindingKind, PACKED_MTIME, PreflightOptions, Role, ScanError, ScanOptions, Site, SiteManifest,
    SiteValues, ValuesInput, preflight, scan, scan_and_preflight,
};

const SCRIPT: &[u8] = b"import './other.js'; console.log('a script that is compressed')";
/// Nothing here can make Zstandard: its magic, and bytes of no meaning.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd and so on";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ContentEncoding::Brotli.encode(bytes).read_to_end(&mut out).unwrap();
    out
}

fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn with_rules(text: &str) -> ScanOptions {
    ScanOptions { rules: Rules::parse(text).unwrap(), ..ScanOptions::default() }
}

/// `key: content type, content encoding`, and that the bytes are those on disk; one line each.
fn told(dir: &TempDir, site: &Site) -> String {
    let line = |file: &SiteFile| {
        let mut bytes = Vec::new();
        file.open().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!((file.sha256, file.size), (Sha256::of(&bytes), bytes.len() as u64), "{}", file.key);
        let is_as_on_disk = bytes == fs::read(dir.path().join(file.key.as_str())).unwrap();
        let how = if is_as_on_disk { "" } else { ", encoded here" };
        let encoding = file.headers.content_encoding.as_deref().unwrap_or("-");
        format!("{}: {}, {encoding}{how}", file.key, file.headers.content_type)
    };
    site.files.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn warnings_of(site: &Site) -> String {
    site.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn magic_is_of_gzip_and_zstandard() {
    for bytes in [b"".as_slice(), b"x", &gzip(b""), &gzip(SCRIPT), &gzip(&vec![7; 100_000])] {
        assert_eq!(Precompressed::of_bytes(&gzip(bytes)), Some(Precompressed::Gzip));
    }
    let mut flawed = gzip(b"x");
    flawed[3] = 0x20;
    assert_eq!(Precompressed::of_bytes(&flawed), None, "a reserved flag");
    assert_eq!(Precompressed::of_bytes(ZSTD), Some(Precompressed::Zstd));
    for other in [b"".as_slice(), b"\x1f\x8b", b"PK\x03\x04", b"\x89PNG", b"<!doctype html>", &brotli(SCRIPT)] {
        assert_eq!(Precompressed::of_bytes(other), None, "{other:?}");
    }
}

#[test]
fn what_the_build_has_only_compressed_is_served_to_be_decoded() {
    let (gz, br) = (gzip(SCRIPT), brotli(SCRIPT));
    let dir = tree(&[
        ("index.html", b"<p>"),
        ("Build/game.loader.js", b"loader"),
        ("Build/game.framework.js.br", &br),
        ("Build/game.wasm.br", &br),
        ("Build/game.data.br", &br),
        ("Build/game.symbols.json.br", &br),
        ("Build/old.data.gz", &gz),
        ("Build/old.symbols.json.gz", &gz),
        ("Build/old.WASM.GZ", &gz),
        ("Build/old.data.unityweb", &gz),
        ("a.css.gz", &gz),
        ("a.js.zst", ZSTD),
        ("a.svg.gz", &gz),
        ("a.xml.br", &br),
        ("a/page.html.gz", &gz),
        ("logo.svgz", &gz),
        // Downloads, and what a script decodes.
        ("d/a.json.gz", &gz),
        ("d/a.csv.gz", &gz),
        ("d/a.tar.gz", &gz),
        ("d/a.tgz", &gz),
        ("d/a.tar.br", &br),
        ("d/a.sql.gz", &gz),
        ("d/a.json.zst", ZSTD),
        ("sitemap.xml.gz", &gz),
        ("messages.br", b"text of Brazil"),
        // Not what their names say.
        ("e/a.js.gz", b"plain"),
        ("e/a.js.zst", b"plain"),
        ("e/b.js.br", &gz),
    ]);
    let site = scan(dir.path(), &ScanOptions::default()).unwrap();
    insta::assert_snapshot!(told(&dir, &site), @r#"
    Build/game.data.br: application/octet-stream, br
    Build/game.framework.js.br: text/javascript; charset=utf-8, br
    Build/game.loader.js: text/javascript; charset=utf-8, -
    Build/game.symbols.json.br: application/json, br
    Build/game.wasm.br: application/wasm, br
    Build/old.WASM.GZ: application/wasm, gzip
    Build/old.data.gz: application/octet-stream, gzip
    Build/old.data.unityweb: application/octet-stream, -
    Build/old.symbols.json.gz: application/json, gzip
    a.css.gz: text/css; charset=utf-8, gzip
    a.js.zst: text/javascript; charset=utf-8, zstd
    a.svg.gz: image/svg+xml, gzip
    a.xml.br: application/xml, br
    a/page.html.gz: text/html; charset=utf-8, gzip
    d/a.csv.gz: application/gzip, -
    d/a.json.gz: application/gzip, -
    d/a.json.zst: application/zstd, -
    d/a.sql.gz: application/gzip, -
    d/a.tar.br: application/x-tar, br
    d/a.tar.gz: application/gzip, -
    d/a.tgz: application/gzip, -
    e/a.js.gz: application/gzip, -
    e/a.js.zst: application/zstd, -
    e/b.js.br: text/javascript; charset=utf-8, gzip
    index.html: text/html; charset=utf-8, -
    logo.svgz: image/svg+xml, gzip
    messages.br: application/octet-stream, -
    sitemap.xml.gz: application/gzip, -
    "#);
    assert_eq!(warnings_of(&site), "");
    let role = |key: &str| site.files.iter().find(|file| file.key.as_str() == key).unwrap().role;
    assert_eq!(role("a/page.html.gz"), Role::Html);
}

#[test]
fn copies_beside_their_originals_stay_as_they_are() {
    let (gz, br) = (gzip(SCRIPT), brotli(SCRIPT));
    let files: [(&str, &[u8]); 8] = [
        ("a.js", SCRIPT),
        ("a.js.br", &br),
        ("a.js.gz", &gz),
        ("a.js.zst", ZSTD),
        ("d/table.csv.gz", &gz),
        ("d/x.tgz", &gz),
        ("index.html", b"<p>"),
        ("index.html.br", &br),
    ];
    let dir = tree(&files);
    let site = scan(dir.path(), &ScanOptions::default()).unwrap();
    insta::assert_snapshot!(told(&dir, &site), @r#"
    a.js: text/javascript; charset=utf-8, -
    a.js.br: application/octet-stream, -
    a.js.gz: application/gzip, -
    a.js.zst: application/zstd, -
    d/table.csv.gz: application/gzip, -
    d/x.tgz: application/gzip, -
    index.html: text/html; charset=utf-8, -
    index.html.br: application/octet-stream, -
    "#);
    insta::assert_snapshot!(warnings_of(&site), @r#"
    4 compressed copies ("a.js.br", "a.js.gz", "a.js.zst" and 1 more) lie beside the original, and S3 does not choose between them: no browser gets a compressed copy unless a page names it. Leave copies out by a rule with `include = false`, and let `content-encoding` compress the originals
    "#);
    for encoding in ["gzip", "br"] {
        let rules = format!("[[rule]]\nglob = '**'\ncontent-encoding = '{encoding}'\n");
        let site = scan(dir.path(), &with_rules(&rules)).unwrap();
        for file in &site.files {
            let is_original = ["a.js", "index.html"].contains(&file.key.as_str());
            assert_eq!(file.headers.content_encoding.as_deref(), is_original.then_some(encoding), "{}", file.key);
        }
        assert!(matches!(&site.warnings[..], [ScanWarning::EncodedCopies { files }] if files.len() == 4));
    }
    let knowing = with_rules("[[rule]]\nglob = '**/*.{gz,br,zst}'\nprecompressed = false\n");
    assert_eq!(warnings_of(&scan(dir.path(), &knowing).unwrap()), "");
    let without = with_rules("[[rule]]\nglob = '**/*.{gz,br,zst}'\ninclude = false\n");
    assert_eq!(warnings_of(&scan(dir.path(), &without).unwrap()), "");
    // The copies alone: of a build whose originals are left out.
    let alone = with_rules("[[rule]]\nglob = ['a.js', 'a.js.{br,zst}', 'index.html.br']\ninclude = false\n");
    let site = scan(dir.path(), &alone).unwrap();
    assert!(told(&dir, &site).contains("a.js.gz: text/javascript; charset=utf-8, gzip\n"));
}

#[test]
fn a_file_that_was_compressed_under_its_own_name_gets_the_header() {
    let gz = gzip(SCRIPT);
    let big = gzip(&(0..400_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>());
    assert!(big.len() > crate::site::hash::BUFFER);
    let files: [(&str, &[u8]); 8] = [
        ("app.js", &gz),
        ("big.json", &big),
        ("data.bin", &gz),
        ("dump", &gz),
        ("index.html", &gz),
        ("plain.js", SCRIPT),
        ("z.css", ZSTD),
        ("x.wasm", &gz),
    ];
    let dir = tree(&files);
    let site = scan(dir.path(), &ScanOptions::default()).unwrap();
    insta::assert_snapshot!(told(&dir, &site), @r#"
    app.js: text/javascript; charset=utf-8, gzip
    big.json: application/json, gzip
    data.bin: application/octet-stream, -
    dump: application/octet-stream, -
    index.html: text/html; charset=utf-8, gzip
    plain.js: text/javascript; charset=utf-8, -
    x.wasm: application/wasm, gzip
    z.css: text/css; charset=utf-8, zstd
    "#);
    assert_eq!(warnings_of(&site), "");
    let site = scan(dir.path(), &with_rules("[[rule]]\nglob = '**'\ncontent-encoding = 'br'\n")).unwrap();
    insta::assert_snapshot!(told(&dir, &site), @r#"
    app.js: text/javascript; charset=utf-8, gzip
    big.json: application/json, gzip
    data.bin: application/octet-stream, gzip
    dump: application/octet-stream, gzip
    index.html: text/html; charset=utf-8, gzip
    plain.js: text/javascript; charset=utf-8, br, encoded here
    x.wasm: application/wasm, gzip
    z.css: text/css; charset=utf-8, zstd
    "#);
    insta::assert_snapshot!(warnings_of(&site), @r#"
    rule 1 (line 1, "**") asks for `content-encoding = "br"`, and 6 files ("app.js", "big.json", "data.bin" and 3 more) are gzip already: served with `Content-Encoding: gzip`. Except such files from the rule, or let the build leave them uncompressed
    rule 1 (line 1, "**") asks for `content-encoding = "br"`, and 1 file ("z.css") is zstd already: served with `Content-Encoding: zstd`. Except such files from the rule, or let the build leave them uncompressed
    "#);
    let downloads = "[[rule]]\nglob = '**'\nprecompressed = false\n[[rule]]\nglob = 'app.js'\ncontent-encoding = 'gzip'\n\
                     [[rule]]\nglob = 'dump'\ncontent-type = 'application/gzip'\n";
    let site = scan(dir.path(), &with_rules(downloads)).unwrap();
    assert!(site.files.iter().all(|file| file.headers.content_encoding.is_none()), "{}", told(&dir, &site));
    let archive = "[[rule]]\nglob = 'dump'\ncontent-type = 'application/gzip'\ncontent-encoding = 'gzip'\n";
    let site = scan(dir.path(), &with_rules(archive)).unwrap();
    assert!(told(&dir, &site).contains("dump: application/gzip, -\n"), "{}", told(&dir, &site));
}

#[test]
fn a_rule_says_what_is_compressed() {
    let (gz, br) = (gzip(SCRIPT), brotli(SCRIPT));
    let dir = tree(&[
        ("a.js", b"a"),
        ("a.js.br", &br),
        ("a.js.gz", &gz),
        ("d/a.json.gz", &gz),
        ("net.wasm.gz", &gz),
        ("tiles/1.pbf", &gz),
        ("x/bundle.js", &br),
        ("x/odd.gz", &br),
        ("z/a.bin", ZSTD),
    ]);
    let rules = r#"
rule = [
  { glob = "**", content-encoding = "gzip" },
  { glob = "**/*.{br,gz}", precompressed = true },
  { glob = "tiles/*", precompressed = true, content-type = "application/vnd.mapbox-vector-tile" },
  { glob = ["x/bundle.js", "x/odd.gz"], precompressed = true, content-encoding = "br" },
  { glob = "net.wasm.gz", precompressed = false },
  { glob = "z/*", precompressed = true },
]"#;
    let site = scan(dir.path(), &with_rules(rules)).unwrap();
    insta::assert_snapshot!(told(&dir, &site), @r#"
    a.js: text/javascript; charset=utf-8, gzip, encoded here
    a.js.br: text/javascript; charset=utf-8, br
    a.js.gz: text/javascript; charset=utf-8, gzip
    d/a.json.gz: application/json, gzip
    net.wasm.gz: application/gzip, -
    tiles/1.pbf: application/vnd.mapbox-vector-tile, gzip
    x/bundle.js: text/javascript; charset=utf-8, br
    x/odd.gz: application/octet-stream, br
    z/a.bin: application/octet-stream, zstd
    "#);
    insta::assert_snapshot!(warnings_of(&site), @r#"
    rule 1 (line 3, "**") asks for `content-encoding = "gzip"`, and 1 file ("z/a.bin") is zstd already: served with `Content-Encoding: zstd`. Except such files from the rule, or let the build leave them uncompressed
    "#);
}

#[test]
fn a_rule_for_the_compressed_files_alone_means_them() {
    let (gz, br) = (gzip(SCRIPT), brotli(SCRIPT));
    let dir = tree(&[("a.js", b"a"), ("a.js.gz", &gz), ("a.js.br", &br), ("d/a.csv.gz", &gz)]);
    let rules =
        "[[rule]]\nglob = '**/*.gz'\ncontent-encoding = 'gzip'\n[[rule]]\nglob = '*.br'\ncontent-encoding = 'br'\n";
    let site = scan(dir.path(), &with_rules(rules)).unwrap();
    insta::assert_snapshot!(told(&dir, &site), @r#"
    a.js: text/javascript; charset=utf-8, -
    a.js.br: text/javascript; charset=utf-8, br
    a.js.gz: text/javascript; charset=utf-8, gzip
    d/a.csv.gz: text/csv; charset=utf-8, gzip
    "#);
}

#[test]
fn a_rule_that_is_wrong_about_a_file_is_a_problem() {
    let dir = tree(&[("a.js", b"plain"), ("b.js.gz", b"plain"), ("c.js", b"plain"), ("index.html", b"<p>")]);
    let rules = "[[rule]]\nglob = ['a.js', 'b.js.gz']\nprecompressed = true\n\
                 [[rule]]\nglob = 'c.js'\nprecompressed = true\ncontent-encoding = 'gzip'\n";
    let error = scan(dir.path(), &with_rules(rules)).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    "a.js": rule 1 (line 1, "a.js, b.js.gz") says that it is compressed already, but neither its name nor its bytes show how: add `content-encoding = "br"` if it is Brotli, or except it from the rule
    "b.js.gz": rule 1 (line 1, "a.js, b.js.gz") says that it is compressed already, but its bytes are not gzip: remove `precompressed` to serve it as it is
    "c.js": rule 2 (line 4, "c.js") says that it is compressed already, but its bytes are not gzip: remove `precompressed` to serve it as it is
    "#);
}

#[test]
fn what_is_inside_is_checked() {
    let key = gzip(b"-----BEGIN PRIVATE KEY-----\nAAAA\n");
    let dir = tree(&[("index.html", b"<p>"), ("a.txt", &key), ("b.js.gz", &key)]);
    let ScanError::Problems(problems) = scan(dir.path(), &ScanOptions::default()).unwrap_err() else { panic!() };
    assert!(problems.iter().all(|problem| matches!(problem, ScanProblem::Private { .. })) && problems.len() == 2);

    // Of the size of a small file and of a large one; the noise is a comment.
    let mut random = fastrand::Rng::with_seed(7);
    let noise: String = (0..300_000).map(|_| random.alphanumeric()).collect();
    let large = gzip(format!("import './missing.js'; /*{noise}*/").as_bytes());
    assert!(large.len() > crate::site::hash::BUFFER);
    let (gz, br) = (gzip(SCRIPT), brotli(SCRIPT));
    let cut = &gz[..gz.len() - 4];
    let page =
        b"<script type=module>import '/a.js'; import '/b/b.js.br'; import '/c/large.js'; import '/d/cut.js'</script>";
    let dir = tree(&[
        ("index.html", page),
        ("a.js", &gz),
        ("b/b.js.br", &br),
        ("c/large.js", &large),
        ("d/cut.js", cut),
        ("e/z.js", ZSTD),
    ]);
    let options = PreflightOptions::default();
    let site = scan_and_preflight(dir.path(), &ScanOptions::default(), &options).unwrap();
    let findings = &site.findings;
    let missing: Vec<_> = findings.refusals.iter().filter(|f| f.kind == FindingKind::MissingReference).collect();
    let targets: Vec<_> = missing.iter().map(|finding| finding.target.as_deref().unwrap()).collect();
    assert_eq!(targets, ["other.js", "b/other.js", "c/missing.js", "d/other.js"]);
    assert_eq!(preflight(&site, &options).unwrap(), *findings);
}

fn values() -> SiteValues {
    SiteValues::new(ValuesInput::new("WEBAPP_", BTreeMap::from([("WEBAPP_A".into(), "a".into())]))).unwrap()
}

#[test]
fn compressed_files_take_no_values() {
    let dir = tree(&[("index.html", b"<p>__WEBAPP_A__"), ("a.js", &gzip(b"'__WEBAPP_A__'"))]);
    let options = ScanOptions { values: Some(values()), ..ScanOptions::default() };
    let site = scan(dir.path(), &options).unwrap();
    assert!(matches!(&site.warnings[..], [ScanWarning::StrayPlaceholder { path, .. }] if path == Path::new("a.js")));
    fs::write(dir.path().join("page.html"), gzip(b"<p>__WEBAPP_A__")).unwrap();
    fs::write(dir.path().join("other.html"), gzip(b"<p>nothing")).unwrap();
    insta::assert_snapshot!(scan(dir.path(), &options).unwrap_err(), @r#"
    "page.html": __WEBAPP_A__ is in a file that the build compressed, which takes no values: let the build leave it uncompressed
    "#);
}

#[test]
fn a_manifest_knows_what_is_compressed() {
    let (gz, br) = (gzip(b"console.log('__WEBAPP_A__')"), brotli(b"'__OTHER_A__'"));
    let dir = tree(&[("index.html", b"<p>__WEBAPP_A__"), ("a.js", &gz), ("b.js", &gzip(b"b")), ("c.js.br", &br)]);
    let plain = scan(dir.path(), &ScanOptions::default()).unwrap();
    let manifest = SiteManifest::of(&plain).unwrap();
    let listed: Vec<_> = manifest.files.iter().map(|f| (f.key.as_str(), f.encoded, f.placeholders.join(" "))).collect();
    let gzip = Some(Precompressed::Gzip);
    let expected = [
        ("a.js", gzip, "WEBAPP".to_owned()),
        ("b.js", gzip, String::new()),
        ("c.js.br", None, "OTHER".to_owned()),
        ("index.html", None, "WEBAPP".to_owned()),
    ];
    assert_eq!(listed, expected);
    let path = dir.path().with_extension("json");
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    for file in &plain.files {
        let packed = SystemTime::UNIX_EPOCH + Duration::from_secs(PACKED_MTIME);
        fs::File::options().write(true).open(file.path()).unwrap().set_modified(packed).unwrap();
    }
    let manifest = Some(BakedManifest::read(&path).unwrap());
    let unread = ScanOptions { values: Some(values()), manifest, ..ScanOptions::default() };
    let read = ScanOptions { values: Some(values()), ..ScanOptions::default() };
    let (unread, read) = (scan(dir.path(), &unread).unwrap(), scan(dir.path(), &read).unwrap());
    fs::remove_file(path).unwrap();
    assert_eq!(told(&dir, &unread), told(&dir, &read));
    assert_eq!(unread.warnings, read.warnings);
    let is_unread = |key: &str| {
        let file = unread.files.iter().find(|file| file.key.as_str() == key).unwrap();
        format!("{:?}", file.clone()).contains("Baked")
    };
    assert!(is_unread("b.js") && is_unread("c.js.br") && !is_unread("a.js"));
}

fn decode(encoding: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        None => out.extend(bytes),
        Some("gzip") => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap()),
        Some("br") => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out).unwrap()),
        Some(other) => panic!("{other}"),
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Whatever the names and rules: what a browser gets is what the build meant, or the file as it is on disk to be
    /// saved. Nothing is encoded twice.
    #[test]
    fn a_browser_decodes_every_file_once(
        content in "[a-z ]{0,80}",
        form in 0usize..3,
        name in prop::sample::select(vec!["a.js", "a.html", "a.json", "a.csv", "a.bin", "a.data", "a.wasm", "a.tar", "a"]),
        has_ending in any::<bool>(),
        has_original in any::<bool>(),
        rules in prop::collection::vec(
            (
                prop::sample::select(vec!["**", "*", "d/**", "**/a.*", "**/*.gz", "**/*.br", "**/*.{gz,br}", "**/*.js"]),
                prop::sample::select(vec!["", "gzip", "br", "identity"]),
                prop::option::of(any::<bool>()),
            ),
            0..3,
        ),
    ) {
        let on_disk = [content.clone().into_bytes(), gzip(content.as_bytes()), brotli(content.as_bytes())][form].clone();
        let ending = match form {
            // Only its name shows Brotli.
            2 => ".br",
            _ if has_ending => ".gz",
            _ => "",
        };
        let key = format!("d/{name}{ending}");
        let mut text = String::new();
        for (glob, encoding, precompressed) in &rules {
            let says_so = rules.iter().any(|(_, _, precompressed)| *precompressed == Some(true));
            if *encoding == "br" && says_so && (form == 0 || has_original) {
                // A rule that is wrong about a file, which nothing can show.
                return Ok(());
            }
            text.extend(["[[rule]]\ncontent-language = 'en'\nglob = '", glob, "'\n"]);
            if !encoding.is_empty() {
                text.extend(["content-encoding = '", encoding, "'\n"]);
            }
            if let Some(precompressed) = precompressed {
                text.extend(["precompressed = ", &precompressed.to_string(), "\n"]);
            }
        }
        let mut files: Vec<(&str, &[u8])> = vec![(&key, &on_disk)];
        let original = format!("d/{name}");
        if has_original && !ending.is_empty() {
            files.push((&original, content.as_bytes()));
        }
        let dir = tree(&files);
        let site = match scan(dir.path(), &with_rules(&text)) {
            Ok(site) => site,
            Err(ScanError::Problems(problems)) => {
                prop_assert!(problems.iter().all(|p| matches!(p, ScanProblem::NotPrecompressed { .. })), "{:?}", problems);
                return Ok(());
            }
            Err(other) => panic!("{other}"),
        };
        for file in &site.files {
            let on_disk = fs::read(file.path()).unwrap();
            let mut served = Vec::new();
            file.open().unwrap().read_to_end(&mut served).unwrap();
            prop_assert_eq!(file.sha256, Sha256::of(&served));
            let header = file.headers.content_encoding.as_deref();
            let shown = decode(header, &served);
            if header.is_some() {
                prop_assert_eq!(shown, content.as_bytes(), "{} {}", file.key, text);
                let precompressed = file.precompressed.map(Precompressed::header);
                prop_assert_eq!(header, precompressed.or(file.encoding.header()));
                prop_assert!(precompressed.is_none() || served == on_disk);
            } else {
                prop_assert_eq!(shown, on_disk, "{} {}", file.key, text);
            }
        }
    }
}
