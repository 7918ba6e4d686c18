use std::collections::HashMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::bucket::ListedObject;
use crate::headers::Headers;
use crate::plan::{Adopt, Claims, Inspection};
use crate::site::Role;
use crate::state::{Inventory, Manifest, Record, ReleaseFile};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// A file as a release has it: content and headers, each one of three.
type Version = (u8, u8);

/// What stands under one key, and what is known of it.
#[derive(Debug, Clone)]
struct Place {
    wanted: Option<Version>,
    stands: Option<Version>,
    recorded: Option<Version>,
    /// The listing shows what was recorded.
    confirmed: bool,
    claimed: Vec<Version>,
    role: Role,
}

fn place() -> impl Strategy<Value = Place> {
    let version = || (0..3_u8, 0..3_u8);
    let role = prop::sample::select(vec![Role::Fingerprinted, Role::Entry, Role::Html]);
    let some = || prop::option::of(version());
    (some(), some(), some(), any::<bool>(), prop::collection::vec(version(), 0..3), role).prop_map(
        |(wanted, stands, recorded, confirmed, claimed, role)| {
            // Only what was written is confirmed.
            let recorded = if confirmed { stands.or(recorded) } else { recorded };
            let confirmed = confirmed && stands.is_some();
            Place { wanted, stands, recorded, confirmed, claimed, role }
        },
    )
}

fn sha(version: Version) -> Sha256 {
    Sha256::of(&[version.0])
}

fn size(version: Version) -> u64 {
    u64::from(version.0) + 1
}

fn headers(version: Version) -> Headers {
    Headers { content_type: format!("type/{}", version.1), ..Headers::default() }
}

fn etag(version: Version) -> ETag {
    format!("\"{}\"", version.0).as_str().into()
}

fn file(key: &str, role: Role, version: Version) -> ReleaseFile {
    let key = Key::new(key).unwrap();
    ReleaseFile {
        key,
        sha256: sha(version),
        size: size(version),
        headers: headers(version).into(),
        role,
        demoted: false,
    }
}

proptest! {
    /// Whatever stands in the bucket, and whatever is on record: afterwards each file of the release has its bytes and
    /// headers, and recorded bytes that were replaced are in the archive.
    #[test]
    fn a_release_is_restored_and_what_it_replaces_is_archived(places in prop::collection::vec(place(), KEYS.len())) {
        let places: Vec<(&str, Place)> = KEYS.into_iter().zip(places).collect();
        let now = Timestamp::UNIX_EPOCH;
        let all = |get: fn(&Place) -> Option<Version>| {
            let files = places.iter().filter_map(|(key, p)| Some(file(key, p.role, get(p)?)));
            Manifest { files: files.collect() }
        };
        let desired = all(|p| p.wanted);
        let mut inventory = Inventory {
            records: places.iter().filter_map(|(key, p)| {
                let version = p.recorded?;
                let seen = p.confirmed.then(|| (etag(version), now));
                Some(Record { seen, ..Record::unseen(&file(key, p.role, version)) })
            }).collect(),
            ..Inventory::default()
        };
        inventory.add_release(&desired, 1);
        let claims: Claims = places.iter().filter(|(_, p)| !p.claimed.is_empty()).map(|(key, p)| {
            (Key::new(key).unwrap(), p.claimed.iter().map(|v| file(key, p.role, *v)).collect())
        }).collect();
        let listed: Vec<ListedObject> = places.iter().filter_map(|(key, p)| {
            let version = p.stands?;
            Some(ListedObject { key: (*key).into(), size: size(version), etag: etag(version), last_modified: now })
        }).collect();
        let mut inspected = HashMap::new();
        let mut diff = Diff::default();
        for _ in 0..2 {
            let input = DiffInput {
                desired: &desired, inventory: &inventory, claims: &claims, listed: &listed, inspected: &inspected,
                adopt: Adopt::Refuse,
            };
            diff = Diff::new(input);
            for question in &diff.inspect {
                let (_, place) = places.iter().find(|(key, _)| *key == question.key.as_str()).unwrap();
                let version = place.stands.unwrap();
                inspected.insert(question.key.as_str().to_owned(), Inspection {
                    etag: etag(version), size: size(version), headers: headers(version), sha256: Some(sha(version)),
                });
            }
        }
        prop_assert!(diff.inspect.is_empty() && diff.obstacles.is_empty());
        let input = DiffInput {
            desired: &desired, inventory: &inventory, claims: &claims, listed: &listed, inspected: &inspected,
            adopt: Adopt::Refuse,
        };
        let writes = restoring_writes(&input, &diff);
        let archived = overwritten(&input, &writes);
        for (key, place) in &places {
            let Some(wanted) = place.wanted else { continue };
            let write = writes.iter().find(|w| desired.files[w.file].key.as_str() == *key);
            prop_assert_eq!(write.is_some(), place.stands != Some(wanted), "{} {:?}", key, place);
            let Some(write) = write else { continue };
            let condition = place.stands.map_or(Condition::IfAbsent, |v| Condition::IfMatch(etag(v)));
            prop_assert_eq!(&write.condition, &condition);
            let same_content = place.stands.is_some_and(|v| v.0 == wanted.0);
            prop_assert_eq!(write.reason == Reason::Headers, same_content, "{} {:?}", key, place);
            let is_recorded = |v: &Version| {
                place.recorded.iter().chain(&place.claimed).any(|known| known.0 == v.0)
            };
            let replaced = place.stands.filter(|v| v.0 != wanted.0 && is_recorded(v)).map(sha);
            let found = archived.iter().find(|o| o.key.as_str() == *key).map(|o| o.sha256);
            prop_assert_eq!(found, replaced, "{} {:?}", key, place);
        }
    }
}
