//! What stood in the bucket before the first deployment.

use super::{Diff, DiffInput};
use crate::site::Role;
use crate::state::{Manifest, ReleaseFile};

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
