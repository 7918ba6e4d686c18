//! What stood in the bucket before the first deployment.

use jiff::Timestamp;

use super::{Diff, DiffInput};
use crate::site::Role;
use crate::state::{Current, Ended, Manifest, ReleaseFile, ReleaseId, ReleaseRecord};

/// What stood in the bucket before the first deployment, as a release that can be restored:
/// the objects that are replaced, archived by now, and those that are kept as they are.
pub(crate) fn adopted_release(found: &DiffInput<'_>, diff: &Diff) -> Option<Manifest> {
    if diff.obstacles.is_empty() {
        return None;
    }
    let file = |index: usize| &found.desired.files[index];
    let replaced = diff.obstacles.iter().filter_map(|obstacle| {
        let there = obstacle.found.as_ref()?;
        let wanted = file(obstacle.file);
        Some(ReleaseFile {
            key: wanted.key.clone(),
            sha256: there.sha256?,
            size: there.size,
            headers: there.headers.clone().into(),
            // From the archive, so that a rollback finds it there.
            role: wanted.role.max(Role::Entry),
            demoted: wanted.role == Role::Fingerprinted,
        })
    });
    let kept = diff.adopted.iter().map(|index| {
        let wanted = file(*index);
        let there = found.inspected.get(wanted.key.as_str());
        ReleaseFile {
            headers: there.map_or_else(|| wanted.headers.clone(), |f| f.headers.clone().into()),
            ..wanted.clone()
        }
    });
    let mut files: Vec<ReleaseFile> = replaced.chain(kept).collect();
    files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Some(Manifest { files })
}

/// What is put on record of an adoption.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Adoption {
    pub(crate) record: ReleaseRecord,
    pub(crate) manifest: Manifest,
    /// The record in whose place it comes.
    pub(crate) instead_of: Option<ReleaseId>,
}

/// Earlier adoptions that another one may be part of.
pub(crate) fn earlier_adoptions(current: &Current) -> impl Iterator<Item = &ReleaseRecord> {
    current.releases.iter().filter(|r| r.adopted && current.live.as_ref() != Some(&r.id))
}

/// What is put on record where `found` is adopted and `earlier` was before, by runs that died or by one that adopted
/// other files: there is one state before the first deployment, and it is restored whole. Only where the two have a file
/// that differs are they two. `None` if all is on record.
pub(crate) fn adoption(found: Manifest, earlier: &[(ReleaseId, Manifest)], now: Timestamp) -> Option<Adoption> {
    let merged = earlier.iter().find_map(|(id, manifest)| Some((id.clone(), found.merged(manifest)?)));
    let (instead_of, manifest) = merged.map_or((None, found), |(id, manifest)| (Some(id), manifest));
    let record = ReleaseRecord {
        activated_at: Some(now),
        superseded_at: Some(now),
        adopted: true,
        ended: Some(Ended::Adopted),
        ..ReleaseRecord::new(0, "adopted", &manifest, now)
    };
    (instead_of.as_ref() != Some(&record.id)).then_some(Adoption { record, manifest, instead_of })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Headers;
    use crate::bucket::{ETag, ListedObject};
    use crate::digest::Sha256;
    use crate::plan::{Adopt, Claims, Inspection};
    use crate::site::Key;
    use crate::state::Inventory;

    fn file(name: &str, content: &str, role: Role) -> ReleaseFile {
        ReleaseFile {
            key: Key::new(name).unwrap(),
            sha256: Sha256::of(content.as_bytes()),
            size: content.len() as u64,
            headers: std::sync::Arc::default(),
            role,
            demoted: false,
        }
    }

    fn manifest(files: &[(&str, &str)]) -> Manifest {
        Manifest { files: files.iter().map(|(name, content)| file(name, content, Role::Entry)).collect() }
    }

    #[test]
    fn what_is_replaced_comes_from_the_archive_and_what_is_kept_from_its_place() {
        let there =
            [("app.js", "theirs"), ("index.html", "same"), ("logo-3f2a9c0d.svg", "theirs"), ("other.txt", "foreign")];
        let headers = Headers { content_type: "text/odd".into(), ..Headers::default() };
        let listed: Vec<ListedObject> = there
            .iter()
            .map(|(key, content)| ListedObject {
                key: (*key).into(),
                etag: "\"e\"".into(),
                size: content.len() as u64,
                last_modified: Timestamp::UNIX_EPOCH,
            })
            .collect();
        let look = |(key, content): &(&str, &str)| {
            let sha256 = Some(Sha256::of(content.as_bytes()));
            let (etag, size) = (ETag::from("\"e\""), content.len() as u64);
            ((*key).to_owned(), Inspection { etag, size, headers: headers.clone(), sha256 })
        };
        let inspected: HashMap<String, Inspection> = there.iter().map(look).collect();
        let files = [
            file("app.js", "ours", Role::Entry),
            file("index.html", "same", Role::Root),
            file("logo-3f2a9c0d.svg", "ours", Role::Fingerprinted),
            file("new.html", "ours", Role::Html),
        ];
        let (desired, inventory, claims) = (Manifest { files: files.into() }, Inventory::default(), Claims::new());
        let input = DiffInput {
            desired: &desired,
            inventory: &inventory,
            claims: &claims,
            listed: &listed,
            inspected: &inspected,
            adopt: Adopt::Take,
        };
        let adopted = adopted_release(&input, &Diff::new(input)).unwrap();
        let names: Vec<(&str, Role, bool)> =
            adopted.files.iter().map(|f| (f.key.as_str(), f.role, f.demoted)).collect();
        let expected = [
            ("app.js", Role::Entry, false),
            ("index.html", Role::Root, false),
            ("logo-3f2a9c0d.svg", Role::Entry, true),
        ];
        assert_eq!(names, expected, "neither what stays foreign nor what was not there");
        for file in &adopted.files {
            let content = there.iter().find(|(key, _)| *key == file.key.as_str()).unwrap().1;
            assert_eq!((file.sha256, &*file.headers), (Sha256::of(content.as_bytes()), &headers), "{}", file.key);
        }
        let same = Manifest { files: vec![file("index.html", "same", Role::Root)] };
        let input = DiffInput { desired: &same, ..input };
        assert_eq!(adopted_release(&input, &Diff::new(input)), None, "nothing is replaced");
    }

    #[test]
    fn parts_of_one_adoption_are_one() {
        let now = Timestamp::UNIX_EPOCH;
        let first = adoption(manifest(&[("a", "1")]), &[], now).unwrap();
        assert_eq!((first.instead_of.as_ref(), first.record.id.number()), (None, 0));
        assert!(first.record.adopted && first.record.activated_at.is_some());
        let earlier = [(first.record.id.clone(), first.manifest.clone())];
        assert_eq!(adoption(manifest(&[("a", "1")]), &earlier, now), None, "all is on record");
        let both = adoption(manifest(&[("b", "2")]), &earlier, now).unwrap();
        assert_eq!((both.instead_of, both.manifest), (Some(first.record.id), manifest(&[("a", "1"), ("b", "2")])));
        let apart = adoption(manifest(&[("a", "other")]), &earlier, now).unwrap();
        assert_eq!(apart.instead_of, None, "the two cannot be restored as one");
    }

    #[test]
    fn an_adopted_release_that_is_live_is_left_alone() {
        let adopted = adoption(manifest(&[("a", "1")]), &[], Timestamp::UNIX_EPOCH).unwrap().record;
        let mut current = Current { releases: vec![adopted.clone()], ..Current::default() };
        assert_eq!(earlier_adoptions(&current).count(), 1);
        current.live = Some(adopted.id);
        assert_eq!(earlier_adoptions(&current).count(), 0);
    }
}
