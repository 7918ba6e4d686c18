//! What manifests and service workers say about names.

use std::fs;

use super::*;

#[test]
fn a_manifest_names_doubtful_files() {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        fs::write(dir.path().join(path), text).unwrap();
    };
    let certain = |name: &str, others: &[&str]| is_certain(&judged_in(dir.path(), &[&[name], others].concat())[0]);
    let vite = "assets/main-Ab12Page.js";
    assert!(!certain(vite, &[]));
    put(".vite/manifest.json", r#"{"src/main.ts": {"file": "assets/main-Ab12Page.js", "isEntry": true}}"#);
    assert_eq!(
        judged_in(dir.path(), &[vite]),
        [Fingerprint::Certain(Evidence::Listed { manifest: "manifest.json".into() })]
    );
    // Output without a hash, and a word that was added, are listed too.
    put(
        ".vite/manifest.json",
        r#"{"src/main.ts": {"file": "assets/main.js"}, "a.ts": {"file": "assets/a-Settings.js"}}"#,
    );
    assert!(!certain("assets/main.js", &[]) && !certain("assets/a-Settings.js", &[]));
    // Broken, too large, or no object.
    for text in ["{", "[]", "3", "", &" ".repeat(5 << 20)] {
        put(".vite/manifest.json", text);
        assert!(!certain(vite, &[]));
    }
    put(
        "asset-manifest.json",
        r#"{"files": {"main.css": "/static/css/main.06956719.css", "x": null}, "entrypoints": []}"#,
    );
    assert!(certain("static/css/main.06956719.css", &["asset-manifest.json"]));
    assert!(!certain("static/css/main.06956719.css", &[]), "a manifest that is not of the site says nothing");
}

#[test]
fn workbox_declares_names_that_look_hashed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("sw.js"),
        r#"s.precacheAndRoute([{url:"assets/a-Ab12Page.js",revision:null},{'revision':null,'url':'assets/b-Ab12Page.js'},
        {url:"assets/c-Ab12Page.js",revision:"3f2a9c0d"},{url:"assets/settings.js",revision:null},{"revision":"#,
    )
    .unwrap();
    let names = ["assets/a-Ab12Page.js", "assets/b-Ab12Page.js", "assets/c-Ab12Page.js", "assets/settings.js", "sw.js"];
    let certain: Vec<_> = judged_in(dir.path(), &names).iter().map(is_certain).collect();
    assert_eq!(certain, [true, true, false, false, false]);
}
