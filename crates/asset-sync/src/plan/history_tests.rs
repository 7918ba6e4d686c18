use proptest::prelude::*;

use super::*;
use crate::digest::Sha256;
use crate::plan::demote;
use crate::state::ReleaseFile;

const CACHE: CacheControl<'_> = CacheControl { entry: "revalidate", fingerprinted: "immutable" };

fn file(name: &str, content: &str) -> ReleaseFile {
    let headers = Headers { cache_control: Some(CACHE.entry.into()), ..Headers::default() };
    ReleaseFile {
        key: Key::new(name).unwrap(),
        sha256: Sha256::of(content.as_bytes()),
        size: content.len() as u64,
        headers: Arc::new(headers),
        role: Role::Entry,
        demoted: false,
    }
}

fn manifest(files: &[(&str, &str)]) -> Manifest {
    let mut files: Vec<_> = files.iter().map(|(name, content)| file(name, content)).collect();
    files.sort_by(|a, b| a.key.cmp(&b.key));
    Manifest { files }
}

fn inventory(files: &[(&str, &str)]) -> Inventory {
    Inventory { records: manifest(files).files.iter().map(Record::unseen).collect(), ..Inventory::default() }
}

/// All names of the release that have a token, none of them decided.
fn promoted_among(release: &mut Manifest, inventory: &Inventory, claims: &Claims) -> Vec<String> {
    let keys: Vec<Key> = release.files.iter().map(|f| f.key.clone()).collect();
    let names: Vec<HashedName<'_>> = keys
        .iter()
        .enumerate()
        .filter_map(|(file, key)| Some(HashedName { file, parts: parts(key.as_str())?, undecided: true }))
        .collect();
    promote(release, &names, inventory, claims, CACHE).iter().map(ToString::to_string).collect()
}

fn promoted(before: &[(&str, &str)], now: &[(&str, &str)]) -> Vec<String> {
    promoted_among(&mut manifest(now), &inventory(before), &Claims::new())
}

const NONE: [&str; 0] = [];
/// Two files of an Angular build, and what the next build calls them.
const BUILD_1: [(&str, &str); 3] =
    [("main-DJKSHEUW.js", "1"), ("polyfills-SCHOHYNV.js", "p"), ("styles-LZQKRTAB.css", "1")];
const BUILD_2: [(&str, &str); 3] =
    [("main-XTPAOMNE.js", "2"), ("polyfills-SCHOHYNV.js", "p"), ("styles-BWVUOYIP.css", "2")];

#[test]
fn two_replaced_files_show_that_names_carry_hashes() {
    // What stayed the same proves nothing, also of itself.
    assert_eq!(promoted(&BUILD_1, &BUILD_2), ["main-XTPAOMNE.js", "styles-BWVUOYIP.css"]);
    assert_eq!(promoted(&[], &BUILD_1), NONE);
    assert_eq!(promoted(&BUILD_1, &BUILD_1), NONE);
}

#[test]
fn a_promoted_file_is_served_as_immutable_unless_it_has_a_time_of_its_own() {
    let mut release = manifest(&BUILD_2);
    let own = Headers { cache_control: Some("max-age=60".into()), ..Headers::default() };
    release.files[2].headers = Arc::new(own);
    promoted_among(&mut release, &inventory(&BUILD_1), &Claims::new());
    let told: Vec<_> = release.files.iter().map(|f| f.headers.cache_control.as_deref().unwrap()).collect();
    assert_eq!(told, ["immutable", "revalidate", "max-age=60"]);
    assert_eq!(release.files[0].role, Role::Fingerprinted);
}

#[test]
fn one_replaced_file_may_be_chance() {
    let doxygen = [("classEigen_1_1KdBVH_a8.js", "1"), ("x-DJKSHEUW.js", "1")];
    assert_eq!(promoted(&doxygen, &[("x-BWVUOYIP.js", "2"), doxygen[0]]), NONE);
    // Two files of one stem are two records of one kind: one removed, another added.
    assert_eq!(
        promoted(
            &[("u/me-DJKSHEUW.png", "1"), ("u/me-SCHOHYNV.png", "2"), ("u/me-LZQKRTAB.png", "3")],
            &[("u/me-DJKSHEUW.png", "1"), ("u/me-BWVUOYIP.png", "4"), ("u/me-XTPAOMNE.png", "5")],
        ),
        NONE
    );
}

/// The featured author changed, and with the author two pictures: they will change under the names of the new one.
#[test]
fn files_that_share_a_token_are_one_replacement() {
    assert_eq!(
        promoted(
            &[("img/face-8f3a1c2e.png", "1"), ("img/back-8f3a1c2e.png", "2")],
            &[("img/face-07be94d1.png", "3"), ("img/back-07be94d1.png", "4")],
        ),
        NONE
    );
}

#[test]
fn a_renamed_or_counted_name_is_no_hash() {
    let pairs = [
        ("1_1KdBVHA", "1_1KdBVHB"),
        ("20240101a", "20240102b"),
        ("release1", "release2"),
        ("DJKSHEUW", "DJKSHEUV"),
        ("SETTINGS", "calendar"),
    ];
    for (one, other) in pairs {
        assert!(!are_unrelated(one, other), "{one} {other}");
        let before = [(format!("a-{one}.js"), "1"), (format!("b-{one}x.js"), "2")];
        let now = [(format!("a-{other}.js"), "3"), (format!("b-{other}x.js"), "4")];
        let as_text = |files: &[(String, &'static str); 2]| files.clone().map(|(name, content)| (name, content));
        let (before, now) = (as_text(&before), as_text(&now));
        let borrowed = |files: &[(String, &'static str); 2]| [0, 1].map(|i| (files[i].0.clone(), files[i].1));
        let (before, now) = (borrowed(&before), borrowed(&now));
        let before: Vec<_> = before.iter().map(|(n, c)| (n.as_str(), *c)).collect();
        let now: Vec<_> = now.iter().map(|(n, c)| (n.as_str(), *c)).collect();
        assert_eq!(promoted(&before, &now), NONE, "{one} {other}");
    }
    assert!(are_unrelated("3f2a9c0d", "77aa0b1c"));
}

/// doxygen: the hash of a symbol stays while the text about it changes.
#[test]
fn a_name_whose_content_changed_speaks_against_its_whole_style() {
    let mut before = BUILD_1.to_vec();
    let mut now = BUILD_2.to_vec();
    before.push(("struct-QWERTZUI.js", "1"));
    now.push(("struct-QWERTZUI.js", "2"));
    assert_eq!(promoted(&before, &now), NONE);
    // In another directory, or written otherwise, it says nothing about these.
    for other in ["doc/struct-QWERTZUI.js", "struct.QWERTZUI.js", "struct-QWERTZUIOP.js"] {
        before[3].0 = other;
        now[3].0 = other;
        assert_eq!(promoted(&before, &now).len(), 2, "{other}");
    }
    // A source map has the hash of its script.
    before[3].0 = "polyfills-SCHOHYNV.js.map";
    now[3].0 = "polyfills-SCHOHYNV.js.map";
    assert_eq!(promoted(&before, &now).len(), 2);
}

#[test]
fn a_demoted_name_speaks_against_its_style_when_it_is_gone_too() {
    let mut before = inventory(&BUILD_1);
    before.records[0].demoted = true;
    assert_eq!(promoted_among(&mut manifest(&BUILD_2), &before, &Claims::new()), NONE);
}

#[test]
fn the_same_content_under_another_token_is_no_replacement() {
    let now = [("main-XTPAOMNE.js", "1"), ("styles-BWVUOYIP.css", "2")];
    assert_eq!(promoted(&BUILD_1, &now), NONE);
}

#[test]
fn pages_data_and_documents_are_never_promoted_and_are_no_evidence() {
    for ending in ["html", "json", "md", "csv", "xml", "txt", "pdf", "json.gz", "html.br"] {
        let name = |stem: &str, token: &str| format!("{stem}-{token}.{ending}");
        let before = [name("a", "DJKSHEUW"), name("b", "SCHOHYNV")];
        let now = [name("a", "XTPAOMNE"), name("b", "BWVUOYIP")];
        let before = [(before[0].as_str(), "1"), (before[1].as_str(), "2"), ("c-LZQKRTAB.js", "3")];
        let now = [(now[0].as_str(), "4"), (now[1].as_str(), "5"), ("c-MNGHTRKE.js", "6")];
        assert_eq!(promoted(&before, &now), NONE, "{ending}");
    }
}

#[test]
fn what_was_fingerprinted_and_is_unchanged_stays_so() {
    let mut before = inventory(&BUILD_2);
    before.records[0].role = Role::Fingerprinted;
    assert_eq!(promoted_among(&mut manifest(&BUILD_2), &before, &Claims::new()), ["main-XTPAOMNE.js"]);
    before.records[0].demoted = true;
    assert_eq!(promoted_among(&mut manifest(&BUILD_2), &before, &Claims::new()), NONE);
}

/// In the third release one file changes alone: the style was shown to be that of hashes in the second.
#[test]
fn what_replaces_a_fingerprinted_file_is_fingerprinted() {
    let mut before = inventory(&BUILD_2);
    before.records[0].role = Role::Fingerprinted;
    let third = [("main-QGRBZKIL.js", "3"), BUILD_2[1], BUILD_2[2]];
    assert_eq!(promoted_among(&mut manifest(&third), &before, &Claims::new()), ["main-QGRBZKIL.js"]);
}

#[test]
fn what_a_dead_run_may_have_written_otherwise_is_not_promoted() {
    let mut claims = Claims::new();
    let claimed = file("main-XTPAOMNE.js", "another");
    claims.insert(claimed.key.clone(), vec![claimed]);
    assert_eq!(promoted_among(&mut manifest(&BUILD_2), &inventory(&BUILD_1), &claims), NONE);
}

/// Files of any names, by few stems, tokens and contents, so that they meet.
fn files() -> impl Strategy<Value = Vec<(String, String)>> {
    let token = prop::sample::select(&["DJKSHEUW", "SCHOHYNV", "XTPAOMNE", "3f2a9c0d", "77aa0b1c", "aB3xYz12"][..]);
    let ending = prop::sample::select(&["js", "css", "json", "js.map"][..]);
    let name = ("(d/)?[ab]", token, ending).prop_map(|(stem, token, ending)| format!("{stem}-{token}.{ending}"));
    prop::collection::btree_map(name, "[xyz]", 0..10).prop_map(|files| files.into_iter().collect())
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect()
}

proptest! {
    /// Release after release: no name is immutable that ever had another content, a repeat decides the same, and the
    /// order of names and records does not matter.
    #[test]
    fn no_name_is_immutable_whose_content_ever_changed(releases in prop::collection::vec(files(), 1..6)) {
        let mut past = Inventory::default();
        let mut contents: HashMap<Key, HashSet<Sha256>> = HashMap::new();
        for release in &releases {
            let mut decided = manifest(&borrowed(release));
            let promoted = promoted_among(&mut decided, &past, &Claims::new());
            let by_promotion = decided.clone();
            demote(&mut decided, &past, &Claims::new(), CACHE.entry);
            prop_assert!(promoted.iter().all(|key| !is_document(key)));
            for file in &decided.files {
                let seen = contents.entry(file.key.clone()).or_default();
                seen.insert(file.sha256);
                prop_assert!(file.role != Role::Fingerprinted || seen.len() == 1, "{}", file.key);
            }
            for file in &by_promotion.files {
                prop_assert!(file.role != Role::Fingerprinted || contents[&file.key].len() == 1, "{}", file.key);
            }
            // Nothing is pruned here: everything stays on record, the newest content of each name.
            let kept = past.records.iter().filter(|r| decided.get(&r.key).is_none()).cloned();
            let mut records: Vec<Record> = decided.files.iter().map(Record::unseen).chain(kept).collect();
            records.sort_by(|a, b| a.key.cmp(&b.key));
            past = Inventory { records, ..Inventory::default() };
            let mut again = manifest(&borrowed(release));
            promoted_among(&mut again, &past, &Claims::new());
            demote(&mut again, &past, &Claims::new(), CACHE.entry);
            prop_assert_eq!(&again, &decided);
            // Nor does it flip when all other releases are pruned.
            let mut pruned = past.clone();
            pruned.records.retain(|r| decided.get(&r.key).is_some());
            let mut again = manifest(&borrowed(release));
            promoted_among(&mut again, &pruned, &Claims::new());
            demote(&mut again, &pruned, &Claims::new(), CACHE.entry);
            prop_assert_eq!(&again, &decided);
        }
    }

    #[test]
    fn the_order_of_names_does_not_matter(before in files(), now in files(), seed in any::<u64>()) {
        let past = inventory(&borrowed(&before));
        let release = manifest(&borrowed(&now));
        let keys: Vec<Key> = release.files.iter().map(|f| f.key.clone()).collect();
        let mut names: Vec<HashedName<'_>> = keys
            .iter()
            .enumerate()
            .map(|(file, key)| HashedName { file, parts: parts(key.as_str()).unwrap(), undecided: true })
            .collect();
        let mut in_order = release.clone();
        let expected = promote(&mut in_order, &names, &past, &Claims::new(), CACHE);
        names.sort_by_key(|name| (name.file as u64).wrapping_mul(seed | 1));
        let mut shuffled = release.clone();
        prop_assert_eq!(promote(&mut shuffled, &names, &past, &Claims::new(), CACHE), expected);
        prop_assert_eq!(shuffled, in_order);
    }
}
