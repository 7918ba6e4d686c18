use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::site::hash::BUFFER;

fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        put(&dir, path, bytes);
    }
    dir
}

fn put(dir: &TempDir, path: &str, bytes: &[u8]) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn with_rules(text: &str) -> ScanOptions {
    ScanOptions { rules: Rules::parse(text).unwrap(), ..ScanOptions::default() }
}

fn keys(site: &Site) -> Vec<&str> {
    site.files.iter().map(|f| f.key.as_str()).collect()
}

fn file<'a>(site: &'a Site, key: &str) -> &'a SiteFile {
    site.files.iter().find(|f| f.key.as_str() == key).unwrap()
}

fn problems(dir: &TempDir, options: &ScanOptions) -> Vec<ScanProblem> {
    match scan(dir.path(), options) {
        Err(ScanError::Problems(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn a_site_has_its_digests_headers_and_roles() {
    let dir = tree(&[
        ("index.html", b"<p>"),
        ("docs/index.html", b"<p>docs"),
        ("docs/page.3f2a9c0d.html", b"<p>page"),
        ("assets/app-3f2a9c0de1.js", b"js"),
        ("robots.txt", b""),
        ("sw.js", b"sw"),
    ]);
    let site = scan(dir.path(), &ScanOptions::default()).unwrap();
    assert_eq!(
        site.files.iter().map(|f| (f.key.as_str(), f.role)).collect::<Vec<_>>(),
        [
            ("assets/app-3f2a9c0de1.js", Role::Fingerprinted),
            ("docs/index.html", Role::Html),
            // A part of pages, which scripts fetch: in place before the pages, kept for the grace time.
            ("docs/page.3f2a9c0d.html", Role::Entry),
            ("index.html", Role::Root),
            ("robots.txt", Role::Entry),
            ("sw.js", Role::Entry),
        ]
    );
    for f in &site.files {
        let bytes = fs::read(f.path()).unwrap();
        assert_eq!((f.sha256, f.size), (Sha256::of(&bytes), bytes.len() as u64));
        let cache = f.headers.cache_control.as_deref().unwrap();
        assert_eq!(cache.contains("immutable"), f.role == Role::Fingerprinted, "{}", f.key);
    }
    assert_eq!(file(&site, "sw.js").headers.content_type, "text/javascript; charset=utf-8");
    assert_eq!(site.total_bytes(), 21);
    assert!(site.skipped.is_empty() && site.unmatched_rules.is_empty());
}

#[test]
fn rules_set_headers_encoding_and_role() {
    let dir = tree(&[
        ("index.html", b"<p>"),
        ("about", b"<p>about"),
        ("big.json", "{\"a\": 1}".repeat(1000).as_bytes()),
        ("vendor/lib.js", b"lib"),
        ("left/out.txt", b"x"),
        ("old", b""),
        ("x.3f2a9c0d.js", b"reused name"),
    ]);
    let site = scan(
        dir.path(),
        &with_rules(
            r#"
rule = [
  { glob = "about", content-type = "text/html; charset=utf-8" },
  { glob = "**/*.json", content-encoding = "gzip", content-disposition = "attachment" },
  { glob = "vendor/**", fingerprinted = true },
  { glob = "left/**", include = false },
  { glob = "old", redirect = "/new", content-language = "en" },
  { glob = "x.*.js", fingerprinted = false },
  { glob = "typo/**", cache-control = "no-store" },
]"#,
        ),
    )
    .unwrap();
    assert_eq!(file(&site, "about").role, Role::Html);
    assert_eq!(file(&site, "vendor/lib.js").role, Role::Fingerprinted);
    assert_eq!(file(&site, "x.3f2a9c0d.js").role, Role::Entry);
    let json = file(&site, "big.json");
    let mut served = Vec::new();
    json.encoding.open(&json.path()).unwrap().read_to_end(&mut served).unwrap();
    assert_eq!(served[..2], [0x1f, 0x8b]);
    assert_eq!((json.sha256, json.size), (Sha256::of(&served), served.len() as u64));
    assert_eq!(json.headers.content_encoding.as_deref(), Some("gzip"));
    assert_eq!(json.headers.content_disposition.as_deref(), Some("attachment"));
    let old = file(&site, "old");
    assert_eq!(old.headers.redirect.as_deref(), Some("/new"));
    assert_eq!(old.headers.content_language.as_deref(), Some("en"));
    assert_eq!(site.skipped, [PathBuf::from("left/out.txt")]);
    assert_eq!(site.unmatched_rules.iter().map(|r| r.number).collect::<Vec<_>>(), [7]);
}

#[test]
fn an_html_file_is_fingerprinted_where_a_rule_says_so_and_never_by_its_name() {
    let pages: [(&str, &[u8]); 6] = [
        ("index.html", b"x"),
        ("views/list.3f2a9c0d.html", b"x"),
        ("views/menu-3f2a9c0d.html", b"x"),
        ("views/shown-77aa0b1c.html", b"x"),
        ("docs/dir_d44c64559bbebec7f509842c48db8b23.html", b"x"),
        ("notes/3f2a9c0d.html", b"x"),
    ];
    let rules = with_rules(
        "[[rule]]\nglob = 'views/list.*'\nfingerprinted = true\n\n[[rule]]\nglob = 'views/shown*'\nfingerprinted = false\n",
    );
    let site = scan(tree(&pages).path(), &rules).unwrap();
    let role = |key| file(&site, key).role;
    assert_eq!(role("views/list.3f2a9c0d.html"), Role::Fingerprinted);
    assert!(file(&site, "views/list.3f2a9c0d.html").headers.cache_control.as_ref().unwrap().contains("immutable"));
    assert_eq!(role("views/menu-3f2a9c0d.html"), Role::Entry);
    assert!(!file(&site, "views/menu-3f2a9c0d.html").headers.cache_control.as_ref().unwrap().contains("immutable"));
    // Pages: the rule says so; the hash of a path; a name that says nothing else.
    for page in ["views/shown-77aa0b1c.html", "docs/dir_d44c64559bbebec7f509842c48db8b23.html", "notes/3f2a9c0d.html"] {
        assert_eq!(role(page), Role::Html, "{page}");
    }
}

#[test]
fn the_root_page_is_never_fingerprinted() {
    let dir = tree(&[("index.html", b"x"), ("docs/index.html", b"x")]);
    let broad = "[[rule]]\nglob = '**/*.html'\nfingerprinted = true\n";
    let text = ScanError::Problems(problems(&dir, &with_rules(broad))).to_string();
    insta::assert_snapshot!(text, @r#""index.html": rule 1 (line 1, "**/*.html") has `fingerprinted = true`, but it is the root page, which browsers must be able to renew: except it from the rule, or add a later rule with `fingerprinted = false` for it"#);
    let excepted = format!("{broad}\n[[rule]]\nglob = 'index.html'\nfingerprinted = false\n");
    let site = scan(dir.path(), &with_rules(&excepted)).unwrap();
    assert_eq!(file(&site, "index.html").role, Role::Root);
    assert_eq!(file(&site, "docs/index.html").role, Role::Fingerprinted);
}

#[test]
fn nothing_without_a_hash_is_immutable() {
    let dir = tree(&[("a.3f2a9c0d.js", b"a"), ("plain.js", b"b"), ("page.html", b"c"), ("ok.js", b"d")]);
    let found = problems(
        &dir,
        &with_rules(
            "[[rule]]\nglob = '**'\ncache-control = 'max-age=9, immutable'\n\n\
             [[rule]]\nglob = 'ok.js'\nfingerprinted = true\n",
        ),
    );
    let text = ScanError::Problems(found).to_string();
    insta::assert_snapshot!(text, @r#"
    "page.html": rule 1 (line 1, "**") makes it `immutable`, but it is an HTML page, which browsers must be able to renew: except pages from the rule
    "plain.js": rule 1 (line 1, "**") makes it `immutable`, but it is not known that its name changes whenever its content does: remove `immutable`, or add `fingerprinted = true` if it does
    "#);
}

#[test]
fn hidden_files_are_left_out_and_named() {
    let dir = tree(&[
        ("index.html", b"x"),
        (".DS_Store", b""),
        ("a/.DS_Store", b""),
        ("a/Thumbs.db", b""),
        (".git/config", b""),
        (".git/objects/aa", b""),
        (".env", b"SECRET=1"),
        (".vite/manifest.json", b"{}"),
        (".well-known/security.txt", b"Contact: x"),
        (".well-known/.cache", b""),
    ]);
    let site = scan(dir.path(), &ScanOptions::default()).unwrap();
    assert_eq!(keys(&site), [".well-known/security.txt", "index.html"]);
    let skipped: Vec<_> = site.skipped.iter().map(|p| p.to_str().unwrap()).collect();
    assert_eq!(skipped, [".DS_Store", ".env", ".git", ".vite", ".well-known/.cache", "a/.DS_Store", "a/Thumbs.db"]);

    let taken = with_rules("[[rule]]\nglob = ['.vite/*', '.DS_Store']\ninclude = true\n");
    let site = scan(dir.path(), &taken).unwrap();
    assert_eq!(keys(&site), [".DS_Store", ".vite/manifest.json", ".well-known/security.txt", "index.html"]);
    assert!(site.skipped.contains(&PathBuf::from(".git")));
}

#[test]
fn configuration_of_other_hosts_is_left_out_and_named() {
    let dir = tree(&[
        ("index.html", b"x"),
        ("_headers", b"/*\n  X-A: b"),
        ("_redirects", b"/* /index.html 200"),
        (".htaccess", b"RewriteEngine On"),
        ("a/.htaccess", b"RewriteEngine On"),
        ("b/.htaccess", b"RewriteEngine On"),
        ("c/.htaccess", b"RewriteEngine On"),
        (".cache/.htaccess", b""),
        ("staticwebapp.config.json", b"{}"),
        ("vercel.json", b"{}"),
        ("web.config", b"<configuration/>"),
        ("_worker.js/index.js", b""),
        ("routes.json", b"{}"),
        ("static.json", b"{\"items\": []}"),
    ]);
    let site = scan(dir.path(), &ScanOptions::default()).unwrap();
    assert_eq!(keys(&site), ["index.html", "routes.json", "static.json"]);
    assert!(
        site.skipped.contains(&PathBuf::from("_redirects")) && site.skipped.contains(&PathBuf::from("a/.htaccess"))
    );
    let text = site.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text, @r#"
    ".htaccess", "a/.htaccess", "b/.htaccess" and 1 more: configuration of Apache, which S3 and CloudFront do not read, was left out. Instead, redirect and rewrite in a CloudFront function, set `cache-control` and the like by rules, and other headers by a response headers policy of the distribution. A rule with `include = true` uploads it all the same
    "_headers": configuration of Netlify and Cloudflare Pages, which S3 and CloudFront do not read, was left out. Instead, set `cache-control` and the like by rules, and other headers by a response headers policy of the distribution. A rule with `include = true` uploads it all the same
    "_redirects": configuration of Netlify and Cloudflare Pages, which S3 and CloudFront do not read, was left out. Instead, redirect in a CloudFront function, or by rules with `redirect` where an S3 website endpoint serves the site. A rule with `include = true` uploads it all the same
    "_worker.js/index.js": configuration of Cloudflare Pages, which S3 and CloudFront do not read, was left out. Instead, run code in a CloudFront function or behind another origin of the distribution. A rule with `include = true` uploads it all the same
    "staticwebapp.config.json": configuration of Azure Static Web Apps, which S3 and CloudFront do not read, was left out. Instead, redirect and rewrite in a CloudFront function, set `cache-control` and the like by rules, and other headers by a response headers policy of the distribution. A rule with `include = true` uploads it all the same
    "vercel.json": configuration of Vercel, which S3 and CloudFront do not read, was left out. Instead, redirect and rewrite in a CloudFront function, set `cache-control` and the like by rules, and other headers by a response headers policy of the distribution. A rule with `include = true` uploads it all the same
    "web.config": configuration of IIS, which S3 and CloudFront do not read, was left out. Instead, redirect and rewrite in a CloudFront function, set `cache-control` and the like by rules, and other headers by a response headers policy of the distribution. A rule with `include = true` uploads it all the same
    "#);

    let rules = "[[rule]]\nglob = ['_*', '**/.htaccess', '*.json', '_worker.js/*']\ninclude = true\n\
                 [[rule]]\nglob = 'web.config'\ninclude = false\n";
    let site = scan(dir.path(), &with_rules(rules)).unwrap();
    assert!(site.warnings.is_empty(), "{:?}", site.warnings);
    assert!(
        ["_redirects", "a/.htaccess", "vercel.json", "_worker.js/index.js"].iter().all(|key| keys(&site).contains(key))
    );
    assert!(!keys(&site).contains(&"web.config"));
}

#[test]
fn private_files_are_refused_whatever_a_rule_says() {
    let pem = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    let dir = tree(&[
        ("index.html", b"x"),
        (".env", b"A=1"),
        (".env.production", b"A=1"),
        (".git/config", b""),
        (".git/HEAD", b""),
        ("keys/server.pem", pem),
        ("keys/public.pem", b"-----BEGIN CERTIFICATE-----\n"),
    ]);
    let found = problems(&dir, &with_rules("[[rule]]\nglob = '**'\ninclude = true\n"));
    assert!(found.iter().all(|p| matches!(p, ScanProblem::Private { .. })), "{found:?}");
    let paths: Vec<_> = found.iter().map(|p| p.path().to_str().unwrap()).collect();
    assert_eq!(paths, [".env", ".env.production", ".git", "keys/server.pem"]);
    let site = scan(dir.path(), &with_rules("[[rule]]\nglob = 'keys/server.pem'\ninclude = false\n"));
    assert_eq!(keys(&site.unwrap()), ["index.html", "keys/public.pem"]);
}

#[test]
fn keys_are_checked_with_the_prefix_and_the_state_area() {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let dir = tree(&[(long.as_str(), b"x"), ("state/x.json", b"x"), ("state2/x.json", b"x"), ("statement.txt", b"x")]);
    let prefix = format!("{}/", "p".repeat(622));
    let mut options = ScanOptions { prefix: prefix.clone(), ..ScanOptions::default() };
    assert_eq!(scan(dir.path(), &options).unwrap().files.len(), 4);
    options.state_prefix = Some(format!("{prefix}state/"));
    options.prefix.insert(0, 'p');
    let found = problems(&dir, &options);
    assert!(
        matches!(&found[..], [ScanProblem::Key { error: crate::site::KeyError::TooLong { bytes: 1025, .. }, .. }]),
        "{found:?}"
    );
    options.prefix = prefix;
    let found = problems(&dir, &options);
    assert!(
        matches!(&found[..], [ScanProblem::InStateArea { path, .. }] if path == Path::new("state/x.json")),
        "{found:?}"
    );
}

#[test]
fn the_same_name_in_two_unicode_forms_is_a_problem() {
    let dir = tree(&[("caf\u{e9}.txt", b"a"), ("cafe\u{301}.txt", b"b"), ("\u{fc}.txt", b"c")]);
    if fs::read_dir(dir.path()).unwrap().count() != 3 {
        eprintln!("SKIPPED: this file system normalises names");
        return;
    }
    let found = problems(&dir, &ScanOptions::default());
    assert!(
        matches!(&found[..], [ScanProblem::NameClash { path, other }]
            if path == Path::new("caf\u{e9}.txt") && other == Path::new("cafe\u{301}.txt")),
        "{found:?}"
    );
}

#[test]
fn a_missing_or_empty_source_is_told_apart() {
    let dir = tree(&[("file", b"x"), ("empty/.gitkeep", b"")]);
    let at = |path: &str| scan(&dir.path().join(path), &ScanOptions::default()).unwrap_err();
    assert!(matches!(at("none"), ScanError::Missing { .. }));
    assert!(matches!(at("file"), ScanError::NotDirectory { .. }));
    assert!(matches!(at("file/below"), ScanError::NotDirectory { .. }));
    assert!(matches!(at("empty"), ScanError::Empty { skipped: 1, .. }));
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn links_inside_the_site_are_followed() {
        let dir = tree(&[("real/a.txt", b"a"), ("..data/index.html", b"x")]);
        symlink("real", dir.path().join("alias")).unwrap();
        symlink("../real/a.txt", dir.path().join("real/b.txt")).unwrap();
        // How Kubernetes mounts a ConfigMap.
        symlink("..data/index.html", dir.path().join("index.html")).unwrap();
        let site = scan(dir.path(), &ScanOptions::default()).unwrap();
        assert_eq!(keys(&site), ["alias/a.txt", "alias/b.txt", "index.html", "real/a.txt", "real/b.txt"]);
        // The source itself may be a link too.
        let outer = tempfile::tempdir().unwrap();
        symlink(dir.path(), outer.path().join("current")).unwrap();
        let again = scan(&outer.path().join("current"), &ScanOptions::default()).unwrap();
        assert_eq!(again.files, site.files);
    }

    #[test]
    fn all_that_is_wrong_is_reported_at_once() {
        let outside = tree(&[("secret.txt", b"s"), ("d/x", b"x")]);
        let dir = tree(&[
            ("index.html", b"x"),
            ("a\\b.txt", b"x"),
            ("new\nline", b"x"),
            (".git/config", b"x"),
            ("key.txt", b"-----BEGIN PRIVATE KEY-----\n"),
            ("sub/x", b"x"),
        ]);
        let at = |name: &str| dir.path().join(name);
        symlink(outside.path().join("secret.txt"), at("leak.txt")).unwrap();
        symlink(outside.path().join("d"), at("leakdir")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("..", at("sub/loop")).unwrap();
        symlink("self", at("self")).unwrap();
        symlink(".git", at("git")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::write(dir.path().join(OsStr::from_bytes(b"latin\xe9.txt")), "x").unwrap();

        let found = problems(&dir, &ScanOptions::default());
        let kinds: BTreeMap<_, _> = found
            .iter()
            .map(|p| {
                let kind = format!("{p:?}");
                let kind = kind.split([' ', '{']).next().unwrap().to_owned();
                (p.path().to_string_lossy().into_owned(), kind)
            })
            .collect();
        let expected = [
            ("a\\b.txt", "Key"),
            ("dangling", "DanglingLink"),
            ("git", "Private"),
            ("key.txt", "Private"),
            ("latin\u{fffd}.txt", "NotUtf8"),
            ("leak.txt", "LinkLeavesSite"),
            ("leakdir", "LinkLeavesSite"),
            ("new\nline", "Key"),
            ("self", "Unreadable"),
            ("socket", "NotAFile"),
            ("sub/loop", "LinkLoop"),
        ]
        .map(|(p, k)| (p.to_owned(), k.to_owned()));
        assert_eq!(kinds, BTreeMap::from(expected));
        assert_eq!(found.len(), 11);
        let text = ScanError::Problems(found).to_string();
        assert_eq!(text.lines().count(), 11, "one line each:\n{text}");

        let all =
            with_rules("[[rule]]\nglob = '**'\ninclude = false\n\n[[rule]]\nglob = 'index.html'\ninclude = true\n");
        let left = problems(&dir, &all);
        assert!(
            left.iter().all(|p| matches!(p, ScanProblem::NotUtf8 { .. })),
            "a rule can leave out what is in the way, if it can name it: {left:?}"
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tree(&[("index.html", b"x"), ("closed.txt", b"x"), ("shut/x", b"x")]);
        let closed = dir.path().join("closed.txt");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(dir.path().join("shut"), fs::Permissions::from_mode(0o000)).unwrap();
        if File::open(&closed).is_ok() {
            eprintln!("SKIPPED: permissions do not bind this user (root)");
        } else {
            let found = problems(&dir, &ScanOptions::default());
            let paths: Vec<_> = found.iter().map(ScanProblem::path).collect();
            assert!(found.iter().all(|p| matches!(p, ScanProblem::Unreadable { .. })));
            assert_eq!(paths, [Path::new("closed.txt"), Path::new("shut")]);
        }
        fs::set_permissions(dir.path().join("shut"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

/// Binding for root as well: what the walk saw as a file is gone, or a directory, when it is read.
#[test]
fn what_vanishes_before_it_is_read_is_named() {
    let dir = tree(&[("a.txt", b"a"), ("b.txt", b"b"), ("c.txt", b"c")]);
    let options = ScanOptions::default();
    let walk = walk(&fs::canonicalize(dir.path()).unwrap(), &options);
    let mut files = describe(dir.path(), &walk.found, &options.rules, &HashSet::new(), &mut Vec::new());
    fs::remove_file(dir.path().join("a.txt")).unwrap();
    fs::remove_file(dir.path().join("b.txt")).unwrap();
    fs::create_dir(dir.path().join("b.txt")).unwrap();
    for depth in [Depth::Whole, Depth::Head] {
        let mut found = hash_all(&mut files, depth, &options, None, &[]).problems;
        found.sort_by(|a, b| a.path().cmp(b.path()));
        assert!(
            matches!(&found[..], [ScanProblem::Unreadable { path: a, .. }, ScanProblem::Unreadable { path: b, .. }]
                if a == Path::new("a.txt") && b == Path::new("b.txt")),
            "{found:?}"
        );
    }
}

/// Scans a site of one large file, and does `change` to it after its first bytes were hashed.
fn scan_while(change: impl Fn(&Path) + Send + Sync + 'static, rules: &str) -> Vec<ScanProblem> {
    let dir = tree(&[("big.bin", &vec![7; 3 * BUFFER])]);
    let path = dir.path().join("big.bin");
    let changed = AtomicU64::new(0);
    let mut options = with_rules(rules);
    options.progress = Some(Arc::new(move |_| {
        if changed.fetch_add(1, Ordering::SeqCst) == 0 {
            change(&path);
        }
    }));
    problems(&dir, &options)
}

#[test]
fn a_file_that_changes_while_it_is_read_is_a_problem() {
    let append = |path: &Path| {
        File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
    };
    let rewrite = |path: &Path| {
        // The same size; the time is set so that a coarse clock cannot hide the change.
        let mut file = File::options().write(true).open(path).unwrap();
        file.write_all(b"other").unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    };
    let replace = |path: &Path| {
        let (old, new) = (fs::metadata(path).unwrap(), path.with_extension("new"));
        fs::write(&new, vec![8; 3 * BUFFER]).unwrap();
        File::options().write(true).open(&new).unwrap().set_modified(old.modified().unwrap()).unwrap();
        fs::rename(&new, path).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let encoded = "[[rule]]\nglob = '*'\ncontent-encoding = 'gzip'\n";
    for found in [
        scan_while(append, ""),
        scan_while(append, encoded),
        scan_while(rewrite, ""),
        scan_while(remove, ""),
        #[cfg(unix)]
        scan_while(replace, ""),
    ] {
        assert!(matches!(&found[..], [ScanProblem::Changed { path }] if path == Path::new("big.bin")), "{found:?}");
    }
}

#[test]
fn progress_adds_up_to_the_bytes() {
    let dir = tree(&[("a.bin", &vec![1; 2 * BUFFER + 1]), ("b", b"xyz"), ("empty", b"")]);
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let progress = move |n| {
        counter.fetch_add(n, Ordering::SeqCst);
    };
    let options = ScanOptions { progress: Some(Arc::new(progress)), threads: 3, ..ScanOptions::default() };
    let site = scan(dir.path(), &options).unwrap();
    assert_eq!(site.total_bytes(), 2 * BUFFER as u64 + 4);
    assert_eq!(seen.load(Ordering::SeqCst), site.total_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Against the plainest program that could do it.
    #[test]
    fn a_scan_equals_a_naive_one(
        files in prop::collection::btree_map(
            "([a-cé.]{1,3}/){0,3}[a-c+ é]{1,3}\\.(html|js|txt)",
            prop::collection::vec(any::<u8>(), 0..400),
            1..20,
        ),
        threads in 0usize..4,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = BTreeMap::new();
        for (key, bytes) in &files {
            if key.split('/').any(|s| s == "." || s == "..") {
                continue;
            }
            let path = dir.path().join(key);
            // A name may be both a file's and a directory's: whichever was first stays.
            if fs::create_dir_all(path.parent().unwrap()).is_err() || fs::write(&path, bytes).is_err() {
                continue;
            }
            if !key.split('/').any(|s| s.starts_with('.')) {
                expected.insert(key.clone(), Sha256::of(bytes));
            }
        }
        let options = ScanOptions { threads, ..ScanOptions::default() };
        match scan(dir.path(), &options) {
            Ok(site) => {
                let found: BTreeMap<_, _> =
                    site.files.iter().map(|f| (f.key.to_string(), f.sha256)).collect();
                prop_assert!(site.files.is_sorted_by(|a, b| a.key < b.key));
                prop_assert_eq!(found, expected);
            }
            Err(ScanError::Empty { .. }) => prop_assert!(expected.is_empty()),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
