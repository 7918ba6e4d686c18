use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::plan::{Adopt, Diff, DiffInput, Numbers, reconcile};
use crate::site::Role;
use crate::state::{Operation, Phase, ReleaseFile};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn file(name: &str, content: u8, role: Role) -> ReleaseFile {
    let key = Key::new(name).unwrap();
    ReleaseFile { key, sha256: Sha256::of(&[content]), size: 1, headers: Arc::default(), role, demoted: false }
}

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + HOUR * i32::try_from(hours).unwrap()
}

/// Releases by their contents, in the order of their deployment an hour apart; the last one is live.
fn history(contents: &[u8]) -> Current {
    let mut current = Current::default();
    for (hour, content) in contents.iter().enumerate() {
        let manifest = Manifest { files: vec![file("index.html", *content, Role::Root)] };
        let now = at(hour.try_into().unwrap());
        let record = ReleaseRecord::new(current.sequence + 1, &format!("1.{hour}.0"), &manifest, now);
        let id = record.id.clone();
        current.begin(Operation::Deploy, record, None, now);
        current.activate(&id, false, now);
        current.finish();
        current.unrecorded.clear();
    }
    current
}

fn versions(current: &Current, ids: &[ReleaseId]) -> Vec<String> {
    let mut versions: Vec<String> = ids.iter().map(|id| current.release(id).unwrap().version.clone()).collect();
    versions.sort();
    versions
}

#[test]
fn the_contents_that_were_live_last_are_kept() {
    let current = history(&[1, 2, 3, 4]);
    let gone = |keep| versions(&current, &expired(&current, keep, SignedDuration::ZERO, at(10)));
    assert_eq!(gone(0), ["1.0.0", "1.1.0", "1.2.0"]);
    assert_eq!(gone(1), ["1.0.0", "1.1.0"]);
    assert_eq!(gone(3), [""; 0]);
}

#[test]
fn nothing_goes_before_its_time() {
    let current = history(&[1, 2, 3]);
    // 1.0.0 was superseded after one hour, 1.1.0 after two.
    let gone = |hours| versions(&current, &expired(&current, 0, HOUR * 5, at(hours)));
    assert_eq!((gone(5), gone(6)), (vec![], vec!["1.0.0".to_owned()]));
    assert_eq!(gone(7), ["1.0.0", "1.1.0"]);
}

/// The same content under many names is one release to be kept, not many.
#[test]
fn other_names_of_a_content_take_no_place() {
    let current = history(&[1, 2, 3, 3, 3, 3]);
    let gone = versions(&current, &expired(&current, 1, SignedDuration::ZERO, at(10)));
    assert_eq!(gone, ["1.0.0"], "the one before with other content is kept, and so are the names of the live one");
    let current = history(&[1, 2, 2, 2, 3]);
    assert_eq!(versions(&current, &expired(&current, 1, SignedDuration::ZERO, at(10))), ["1.0.0"]);
    assert_eq!(expired(&current, 0, SignedDuration::ZERO, at(10)).len(), 4, "kept and pruned as one");
    // The grace time counts from when the content went, under whatever name.
    let current = history(&[1, 2, 1, 3]);
    assert_eq!(versions(&current, &expired(&current, 0, HOUR * 5, at(7))), ["1.1.0"]);
    assert_eq!(versions(&current, &expired(&current, 0, HOUR * 5, at(8))), ["1.0.0", "1.1.0", "1.2.0"]);
}

#[test]
fn what_is_live_or_begun_stays_under_every_name() {
    let mut current = history(&[1, 2, 3]);
    let first = current.releases[0].clone();
    current.begin(Operation::Rollback, first, None, at(4));
    assert_eq!(versions(&current, &expired(&current, 0, SignedDuration::ZERO, at(9))), ["1.1.0"]);
    current.pending.as_mut().unwrap().phase = Phase::Switching;
    let third = current.releases[2].id.clone();
    assert!(!expired(&current, 0, SignedDuration::ZERO, at(9)).contains(&third));
}

/// Shown to fail where a release that was never live takes the place of one that was.
#[test]
fn what_was_never_live_is_kept_for_the_grace_time_only() {
    let mut current = history(&[1, 2]);
    let manifest = Manifest { files: vec![file("index.html", 9, Role::Root)] };
    let begun = ReleaseRecord::new(3, "given up", &manifest, at(2));
    current.begin(Operation::Deploy, begun, None, at(2));
    let next = ReleaseRecord::new(4, "next", &Manifest { files: vec![file("index.html", 8, Role::Root)] }, at(3));
    let id = next.id.clone();
    current.begin(Operation::Deploy, next, None, at(3));
    current.activate(&id, false, at(3));
    current.finish();
    assert_eq!(versions(&current, &expired(&current, 1, HOUR, at(3))), ["1.0.0"]);
    assert_eq!(versions(&current, &expired(&current, 1, HOUR, at(4))), ["1.0.0", "given up"]);
}

#[test]
fn of_many_names_of_one_content_the_latest_stay() {
    let current = history(&[&[1], &[2; 30][..]].concat());
    let surplus = surplus_names(&current);
    assert_eq!(surplus.len(), 30 - NAMES);
    assert!(surplus.iter().all(|id| id.number() <= 21 && id.number() > 1), "{surplus:?}");
    let mut unrecorded = current.clone();
    unrecorded.unrecorded = vec![surplus[3].clone()];
    assert_eq!(surplus_names(&unrecorded).len(), surplus.len() - 1, "whose files are not on record is not forgotten");
    assert_eq!(surplus_names(&history(&[1, 2, 1, 2])), []);
}

/// One release of a history: names with their contents, and how many releases before the live one are kept then.
type Step = (Vec<(u8, u8)>, usize);

fn release(step: &Step) -> Manifest {
    let names: std::collections::BTreeMap<u8, u8> = step.0.iter().copied().collect();
    let role = |name: u8| if name.is_multiple_of(2) { Role::Entry } else { Role::Fingerprinted };
    Manifest { files: names.iter().map(|(name, content)| file(&format!("f{name}"), *content, role(*name))).collect() }
}

proptest! {
    /// What is on record keeps all that the manifests of the kept releases name, and nothing for ever.
    #[test]
    fn records_keep_what_manifests_need(
        steps in prop::collection::vec((prop::collection::vec((0..6_u8, 0..5_u8), 1..6), 0..4_usize), 1..12),
    ) {
        let (mut current, mut inventory) = (Current::default(), Inventory::default());
        let mut manifests: HashMap<ReleaseId, Manifest> = HashMap::new();
        for (hour, step) in steps.iter().enumerate() {
            let (desired, now) = (release(step), at(hour.try_into().unwrap()));
            let record = ReleaseRecord::new(current.sequence + 1, "v", &desired, now);
            current.begin(Operation::Deploy, record.clone(), None, now);
            current.activate(&record.id, false, now);
            // All that was or is written is there.
            let keys = desired.files.iter().map(|f| f.key.as_str().to_owned());
            let mut keys: Vec<String> = keys.chain(inventory.keys().map(|k| k.as_str().to_owned())).collect();
            keys.sort();
            keys.dedup();
            let listed: Vec<_> = keys.iter().map(|key| crate::bucket::ListedObject {
                key: key.as_str().into(), etag: "\"e\"".into(), size: 1, last_modified: now,
            }).collect();
            let (none, inspected) = (HashMap::new(), HashMap::new());
            let input = DiffInput {
                desired: &desired, inventory: &inventory, claims: &none, listed: &listed, inspected: &inspected,
                adopt: Adopt::Refuse,
            };
            let diff = Diff::new(input);
            let etag = crate::bucket::ETag::from("\"e\"");
            let written = (0..desired.files.len()).map(|index| (index, &etag)).collect();
            let numbers = Numbers::of(&current, &record);
            let (next, unconfirmed) = reconcile(&input, &diff, &written, &listed, &numbers, now);
            prop_assert_eq!(unconfirmed, 0);
            inventory = next;
            current.finish();
            manifests.insert(record.id.clone(), desired);

            let gone = expired(&current, step.1, SignedDuration::ZERO, now);
            let mut needed = Needed::new(&current, &gone);
            needed.add(&manifests[&record.id]);
            current.releases.retain(|r| !gone.contains(&r.id));
            let obsolete: Vec<Key> = inventory.keys().filter(|k| manifests[&record.id].get(k).is_none()).cloned().collect();
            let doomed: HashSet<Key> = obsolete.into_iter().filter(|key| !needed.key(&inventory, key)).collect();
            inventory.forget(|r| doomed.contains(&r.key), current.sequence);
            let blobs = needed.blobs(&inventory);
            inventory.archived.as_mut().unwrap().retain(|sha256, _| blobs.contains(sha256));
            for kept in &current.releases {
                for file in &manifests[&kept.id].files {
                    prop_assert!(inventory.get(&file.key).is_some(), "{} of {}", file.key, kept.id);
                    prop_assert!(blobs.contains(&file.sha256), "content of {} of {}", file.key, kept.id);
                }
            }
            if current.releases.len() == 1 {
                prop_assert_eq!(inventory.records.len(), manifests[&record.id].files.len());
                let live: HashSet<Sha256> = manifests[&record.id].files.iter().map(|f| f.sha256).collect();
                prop_assert!(inventory.archived.as_ref().unwrap().keys().all(|sha256| live.contains(sha256)));
            }
        }
    }
}
