mod manifests;
mod properties;
mod rates;

use super::*;

fn judged(names: &[impl AsRef<str>]) -> Vec<Fingerprint> {
    judged_in(Path::new("no such folder"), names)
}

fn judged_in(root: &Path, names: &[impl AsRef<str>]) -> Vec<Fingerprint> {
    let keys: Vec<_> = names.iter().map(|name| Key::new(name.as_ref()).unwrap()).collect();
    let content_type = |key: &Key| media_type::of_key(key.as_str());
    let files: Vec<_> = keys.iter().map(|key| Named { key, content_type: content_type(key) }).collect();
    Fingerprints::of(root, &files).judgements().to_vec()
}

fn is_certain(judgement: &Fingerprint) -> bool {
    matches!(judgement, Fingerprint::Certain(_))
}

fn classified(names: &[impl AsRef<str>]) -> Vec<bool> {
    judged(names).iter().map(is_certain).collect()
}

/// Alone in its site, so that no name helps another.
fn alone(name: &str) -> bool {
    classified(&[name])[0]
}

fn evidence(names: &[&str]) -> Vec<String> {
    let text = |judgement| match judgement {
        Fingerprint::Certain(evidence) => evidence.to_string(),
        other => format!("{other:?}"),
    };
    judged(names).into_iter().map(text).collect()
}

/// Names in the style of each tool, with made-up hashes, each alone in a site.
#[test]
fn names_that_bundlers_write() {
    for name in [
        // webpack, Create React App, Storybook
        "main.3f2a9c0d.chunk.js",
        "static/js/main.8d3f2a9c.js",
        "3f2a9c0d1122.js",
        "app-3f2a9c0de1.min.css",
        "main.1ffd3a9e.iframe.bundle.js",
        // Next.js: webpack, then Turbopack
        "_next/static/chunks/pages/_app-0a1b2c3d4e5f6789.js",
        "_next/static/css/0a1b2c3d4e5f6789.css",
        "_next/static/media/logo.73baad45.svg",
        "_next/static/chunks/0a2k5oak2hvw5.js",
        "_next/static/chunks/turbopack-0zq_vp9s-5ndp.js",
        "_next/static/chunks/1ovifyoesniil.js",
        // Angular
        "polyfills.0a1b2c3d4e5f6789.js",
        "polyfills-FFHMD2TL.js",
        "styles-5DKTRTSO.css",
        "main-XKQJRTPA.js",
        "chunk-UHOVCHON.js",
        // Parcel
        "index.d8c8d5c1.js",
        // Vite, Rollup, SvelteKit, Astro, VitePress, Nuxt
        "assets/index-BHKSl2Cm.js",
        "assets/index-pSlzKFX1.js",
        "index.DKv_lXO7.js",
        "assets/guide.md.C7x9kLmQ.lean.js",
        "_app/immutable/entry/start.BvXs_1aB.js",
        "_app/immutable/chunks/BsqLnRXa.js",
        "_app/immutable/chunks/Loader.DVXUTESP.js",
        "_astro/hoisted.C7x9kLmQ.js",
        "_nuxt/entry-hg693j9b.js",
        // Blazor
        "_framework/System.Collections.98tzo6dc2v.wasm.br",
        "_framework/dotnet.runtime.8f3kq01xzp.js",
        "static/js/index.BI9-p_-s.js",
        // esbuild, Stencil
        "chunk-7XQ2ABCD.js",
        "chunks/entry-C4YZOFS6.css",
        "build/p-3f2a9c0d.entry.js",
        // Hugo, Sprockets, rustdoc, mkdocs-material
        "style.min.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.css",
        "assets/application-d41d8cd98f00b204e9800998ecf8427e.css",
        "static.files/FiraSans-Regular-0fe48ade.woff2",
        "static.files/LICENSE-MIT-65090722.txt",
        "assets/javascripts/bundle.5cf534bf.min.js",
        // compressed after they were named
        "assets/index-BHKSl2Cm.js.br",
        "assets/index-BHKSl2Cm.js.gz",
    ] {
        assert!(alone(name), "{name} carries a hash");
    }
}

/// Base path before the folder of a framework.
#[test]
fn a_folder_counts_at_any_depth() {
    assert!(alone("base/_next/static/chunks/1ovifyoesniil.js"));
    assert!(!alone("my_next/static/chunks/1ovifyoesniil.js"));
}

#[test]
fn names_that_people_write() {
    for name in [
        "index.html",
        "my-settings.js",
        "index-Settings.js",
        "main-ABCDEFGH.js",
        "release-20241122.js",
        "release-20241122a.js",
        "jquery-3.6.0.min.js",
        "bootstrap-5.3.0-alpha1.min.css",
        "MyButton-Container.js",
        "font-awesome.css",
        "sw.js",
        "manifest.json",
        "README",
        "3f2a9c0d1122",
        "app.3f2a9c0d",
        "x-deadbeef.js",
        "face2face.js",
        "the-decade2020.js",
        "x-facade24.css",
        "x-abc1234.js",
        "main.3f2a9c0d.js.LICENSE.txt",
        "photo-IMG_0123.jpg",
        "photo-Dsc_0123.jpg",
        "photo-P1010234.jpg",
        "guide-Chapter2.html",
        "page-MyPage01.js",
        "x-Html5Css.js",
        "x-Web3Page.js",
        "x-iPhone15.png",
        "x-ISO27001.pdf",
        "x-MODULE02.js",
        "1732233600123.js",
        "backup-20241122T120000Z.json",
        "lib-2.0.0-SNAPSHOT.js",
        "übergröße-Ä1234567.js",
        "TeX-MML-AM_CHTML.js",
        "fonts/KFOlCnqEu92Fr1MmEU9fBBc4.woff2",
        "api-v1beta1.js",
        // Files of frameworks that change under their name.
        "_next/static/k3Jd9sPq2/_buildManifest.js",
        "_next/static/k3Jd9sPq2/_ssgManifest.js",
        "_next/static/k3Jd9sPq2/_clientMiddlewareManifest.js",
        "_framework/System.Security.Cryptography.X509Certificates.wasm",
        "_framework/blazor.webassembly.js",
        "_framework/blazor.boot.json",
        "_astro/hero-1200x800.webp",
        // Images of Astro's image service: the second hash is that of the options, not of what the encoder made.
        "_astro/photo.C7x9kLmQ_Z2k3xV.webp",
        "_app/version.json",
        "_app/env.js",
        "_nuxt/builds/latest.json",
        "_nuxt/builds/meta/3f2a9c0d-1122-4a5b-8c9d-aabbccddeeff.json",
        "_astro/settings.js",
        "main.dart.js",
        "page-data/sq/d/2359500961.json",
    ] {
        assert!(!alone(name), "{name} carries no hash");
    }
}

/// Hashes of a symbol, a path, a user or a record.
#[test]
fn hashes_of_identities() {
    let md5 = |n: u32| crate::digest::Sha256::of(&n.to_be_bytes()).to_string()[..32].to_owned();
    let many = |name: &dyn Fn(u32) -> String| (0..40).map(name).collect::<Vec<_>>();
    let sites = [
        // doxygen: the escaped names and the hashes of symbols and paths
        many(&|n| format!("class{n}Eigen_1_1KdBVH{n}.js")),
        many(&|n| format!("unsupported/class{n}_1_1Ab3{n}xY9z.js")),
        many(&|n| format!("dir_{}.js", md5(n))),
        many(&|n| format!("dir_{}.html", md5(n))),
        many(&|n| format!("structA{n}_{}.map", md5(n))),
        many(&|n| format!("structA{n}_{}.md5", md5(n))),
        many(&|n| format!("structA{n}_{}.png", md5(n))),
        // Sphinx: graphs and formulas
        many(&|n| format!("_images/math/{}8c9d0e1f.png", md5(n))),
        many(&|n| format!("_images/inheritance-{}8c9d0e1f.png", md5(n))),
        // users, uploads, records
        many(&|n| format!("uploads/{}.png", md5(n))),
        many(&|n| format!("avatars/user-{}.jpg", &md5(n)[..8])),
        many(&|n| format!("data/record-{}.json", &md5(n)[..8])),
        many(&|n| format!("notes/Meeting-{}.md", md5(n))),
        many(&|n| format!("{}.csv", md5(n))),
        many(&|n| format!("api/{}.xml", md5(n))),
        many(&|n| format!("papers/paper.{}.pdf", &md5(n)[..20])),
        many(&|n| format!("p/{}.html", md5(n))),
    ];
    for mut names in sites {
        assert!(!classified(&names).contains(&true), "{}", names[0]);
        // The same in a site whose scripts have hashes.
        names.extend((0..40).map(|n| format!("js/app{n}-{}.js", &md5(n)[..8])));
        names.extend((0..40).map(|n| format!("js/app{n}.{}.js", &md5(n)[..20])));
        assert!(!classified(&names)[..40].contains(&true), "{} among scripts with hashes", names[0]);
    }
}

/// Not even the history of a target may speak for them: a class that is renamed looks like a hash that changed.
#[test]
fn names_of_doxygen_are_not_in_doubt() {
    let names = ["classEigen_1_1KdBVH.js", "dir_0a1b2c3d4e5f67890a1b2c3d4e5f6789.js", "unsupported/a_1_1Ab3xY9z.css"];
    assert_eq!(judged(&names), [Fingerprint::No, Fingerprint::No, Fingerprint::No]);
}

/// The hash in the name of a source map is that of its script.
#[test]
fn source_maps_change_under_their_name() {
    let names =
        ["_next/static/chunks/main-0a1b2c3d4e5f6789.js.map", "assets/index-BHKSl2Cm.css.map", "a.3f2a9c0d.js.MAP"];
    assert_eq!(judged(&names), [Fingerprint::No, Fingerprint::No, Fingerprint::No]);
}

#[test]
fn neighbours_decide_about_doubtful_names() {
    let names = ["a/x-fFBsqRXa.js", "a/x-Ab12Page.js", "a/x-BHKSl2Cm.js", "a/x-C7x9kLmQ.js"];
    assert!(!alone("a/x-Ab12Page.js"));
    assert_eq!(classified(&names), [true, true, true, true]);
    // A word stays a word among hashes, and where there are many words doubts are words too.
    let mut names = vec!["x-Settings.js", "x-Ab12Page.js", "x-BHKSl2Cm.js"];
    assert_eq!(classified(&names), [false, false, true]);
    names.extend(["x-DKv_lXO7.js", "x-BvXs_1aB.js"]);
    assert_eq!(classified(&names), [false, true, true, true, true]);
    // Another separator is another style.
    assert_eq!(classified(&["x.Ab12Page.js", "x-BHKSl2Cm.js", "x-C7x9kLmQ.js"]), [false, true, true]);
}

#[test]
fn a_style_vouches_for_its_alphabet_only() {
    let mut names: Vec<_> =
        (0..40).map(|n| format!("a/x{n}-{}", &crate::digest::Sha256::of(&[n]).to_string()[..8])).collect();
    for name in &mut names {
        name.push_str(".js");
    }
    names.push("a/y-35473018.js".to_owned());
    names.push("a/y-Ab12Page.js".to_owned());
    names.push("a/y-20241122.js".to_owned());
    assert_eq!(
        classified(&names)[40..],
        [true, false, false],
        "figures are hexadecimal digits, letters of two cases are not"
    );
}

#[test]
fn images_follow_the_scripts() {
    let code = ["static/js/main.3f2a9c0d.js", "static/js/2.8d3f2a9c.js", "static/js/3.0a1b2c3d.js"];
    let with = |name: &str| classified(&[&code[..], &[name]].concat())[3];
    for name in
        ["static/media/logo.6ce24c58.svg", "static/media/logo.6ce24c58023cc2f8fd88.svg", "img/logo.6ce24c58.png"]
    {
        assert!(!alone(name) && with(name), "{name}");
    }
    for name in ["uploads/logo.6ce24c58.png", "static/media/6ce24c58023cc2f8fd88.png", "static/media/logo-Ab3xY9zQ.png"]
    {
        assert!(!with(name), "{name}");
    }
    // In the folder of the scripts they need no stem.
    assert!(with("static/js/6ce24c58023cc2f8fd88.woff"));
    assert_eq!(judged(&["uploads/logo.6ce24c58.png"]), [Fingerprint::Likely]);
}

#[test]
fn small_sites_work() {
    let angular =
        ["chunk-5HKWTMOB.js", "main-GZVLKQ4R.js", "polyfills-FFHMD2TL.js", "styles-XQWKJZNR.css", "index.html"];
    assert_eq!(classified(&angular), [true, true, true, true, false]);
    let vite = ["assets/index-BsqLnRXa.js", "assets/index-DKvGlXO7.css", "index.html", "vite.svg"];
    assert_eq!(classified(&vite), [true, true, false, false]);
    let react = ["static/js/main.acf57093.js", "static/css/main.f855e6bc.css", "static/js/787.28cb0dcd.chunk.js"];
    assert_eq!(classified(&react), [true, true, true]);
}

#[test]
fn seven_digits_need_company() {
    assert!(!alone("lab/a.1a2b3c4.js"), "a commit's short name");
    let names = ["lab/a.1a2b3c4.js", "lab/b.9f0e1d2.js", "lab/c.5c6b7a8.js"];
    assert_eq!(classified(&names), [true; 3]);
    // The same everywhere is a commit's, whose builds can differ.
    for commit in ["1a2b3c4", "1a2b3c4d", "1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b"] {
        let names = ["app", "vendor", "styles"].map(|stem| format!("{stem}-{commit}.js"));
        assert_eq!(judged(&names), [Fingerprint::Likely, Fingerprint::Likely, Fingerprint::Likely], "{commit}");
    }
    // A script and its style share the hash of their chunk.
    assert_eq!(classified(&["app.1a2b3c4d.js", "app.1a2b3c4d.css", "b.9f0e1d2c.js"]), [true; 3]);
}

#[test]
fn evidence_is_short_and_the_same_for_all_of_a_style() {
    let names: Vec<_> = (0..3).map(|n| format!("static/assets/of/the/application/x{n}.{n}a1b2c3d.js")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let texts = evidence(&names);
    assert_eq!(texts, ["name like 2 others in …he/application/ (hex, 8)"; 3]);
    assert!(texts[0].chars().count() <= 60);
    assert_eq!(evidence(&["_app/immutable/nodes/0.C7x9kLmQ.js"]), ["folder _app/immutable/ (SvelteKit)"]);
    assert_eq!(evidence(&["chunk-7XQ2ABCD.js"]), ["name (base32, 8)"]);
    assert_eq!(evidence(&["a/app-3f2a9c0d.js", "b.js"]), ["name in a/ (hex, 8)", "No"]);
}

#[test]
fn names_outside_the_site_are_judged_too() {
    let keys = ["a/x-BHKSl2Cm.js", "a/x-C7x9kLmQ.js", "a/x-DKv_lXO7.js"].map(|name| Key::new(name).unwrap());
    let named: Vec<_> = keys.iter().map(|key| Named { key, content_type: "text/javascript" }).collect();
    let site = Fingerprints::of(Path::new("no such folder"), &named);
    assert!(site.carries_hash("b/app-3f2a9c0d.js") && site.carries_hash("_next/static/chunks/1ovifyoesniil.js"));
    assert!(site.carries_hash("a/y-Ab12Page.js") && !site.carries_hash("a/y-Settings.js"));
    let none = Fingerprints::of(Path::new("no such folder"), &[]);
    assert!(!none.carries_hash("a/y-Ab12Page.js") && !none.carries_hash("a/"));
}

#[test]
fn partials_are_told_from_pages() {
    assert!(name_looks_hashed("views/list.3f2a9c0d.html") && name_looks_hashed("views/list-3f2a9c0de1.html"));
    for page in ["index.html", "about-2024.html", "dir_0a1b2c3d4e5f67890a1b2c3d4e5f6789.html", "classA_1_1B2c3D4e.html"]
    {
        assert!(!name_looks_hashed(page), "{page}");
    }
}

#[test]
fn a_name_is_cut_at_its_token() {
    let cut = |key| parts(key).map(|p| (p.directory, p.stem, p.separator, p.token, p.endings));
    assert_eq!(cut("a/b/index-B03_NDQ-.js.map"), Some(("a/b/", "index", Some('-'), "B03_NDQ-", ".js.map")));
    assert_eq!(cut("0a1b2c3d4e.chunk.js.br"), Some(("", "", None, "0a1b2c3d4e", ".chunk.js.br")));
    assert_eq!(cut("turbopack-0zq_vp9s-5ndp.js"), Some(("", "turbopack", Some('-'), "0zq_vp9s-5ndp", ".js")));
    assert_eq!((cut("short-3f2a9c.js"), cut("no-extension-3f2a9c0d"), cut(".js"), cut("")), (None, None, None, None));
}
