//! Comparing the bucket with the records: every file of the live release, and all that kept releases need.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::context::Context;
use super::snapshot::read_manifest_if_sound;
use crate::bucket::{Bucket as _, hash_object};
use crate::digest::Sha256;
use crate::error::Error;
use crate::progress::Step;
use crate::site::Role;
use crate::state::{NamedRelease, ReleaseFile};

/// How closely objects are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// By the checksum that the store computed when the object was written.
    Checksum,
    /// By reading every byte.
    Read,
}

/// What is wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// It is not there.
    Missing,
    /// Its content is not the one on record.
    Content,
    /// Its headers are not those on record.
    Headers,
}

/// An object that is not as the records say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Full key.
    pub key: String,
    /// What is wrong with it.
    pub damage: Damage,
    /// Whether it is part of the live release; otherwise an earlier release cannot be gone back to.
    pub live: bool,
    /// Whether a rollback to the live release restores it: the archive has its content. What is not restored so is by a
    /// deployment of the same build.
    pub restorable: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The live release.
    pub audited: NamedRelease,
    /// Kept releases whose files were looked at, the live one included.
    pub releases: u64,
    /// Objects that are as the records say.
    pub right: u64,
    /// Objects whose store has no checksum of their content, so that only reading them would tell.
    pub unchecked: u64,
    /// Objects that are not as the records say, by key.
    pub differences: Vec<Difference>,
}

/// An object that must be there.
#[derive(Debug, Clone)]
struct Needed {
    sha256: Sha256,
    size: u64,
    /// The file whose headers it has; of archived bytes the headers do not matter.
    file: Option<ReleaseFile>,
    is_live: bool,
    in_state: bool,
}

/// How an object is.
enum Found {
    Right,
    Unchecked,
    Wrong(Damage),
}

/// See [`Deployer::audit`](super::Deployer::audit).
pub(super) async fn audit(cx: &Context, depth: Depth) -> Result<Audit, Error> {
    let (current, _) = cx.store.read_current().await?;
    cx.warn_of_mismatch(&current);
    let live = current.live_release();
    let live = live.ok_or_else(|| Error::NoSuchRelease("no release is live on this target".to_owned()))?;
    let mut needed: BTreeMap<String, Needed> = BTreeMap::new();
    let mut releases = 1;
    let add = |needed: &mut BTreeMap<String, Needed>, files: Vec<ReleaseFile>, is_live: bool| {
        for file in files {
            let (sha256, size) = (file.sha256, file.size);
            if file.role != Role::Fingerprinted {
                let blob = Needed { sha256, size, file: None, is_live, in_state: true };
                needed.entry(cx.store.area.blob(&sha256)).or_insert(blob);
            }
            // Of an earlier release only what stays in its place.
            if is_live || file.role == Role::Fingerprinted {
                let there = Needed { sha256, size, file: Some(file.clone()), is_live, in_state: false };
                needed.entry(cx.key(file.key.as_str())).or_insert(there);
            }
        }
    };
    add(&mut needed, cx.store.read_manifest(live).await?.files, true);
    let mut seen = BTreeSet::from([live.stored_as().clone()]);
    for record in current.releases.iter().filter(|r| r.activated_at.is_some()) {
        if seen.insert(record.stored_as().clone())
            && let Some(manifest) = read_manifest_if_sound(cx, record).await?
        {
            releases += 1;
            add(&mut needed, manifest.files, false);
        }
    }
    let all: Vec<(String, Needed)> = needed.into_iter().collect();
    let looked = cx.each(all.len(), |index| {
        let (key, needed) = &all[index];
        async move { Ok((index, look(cx, key, needed, depth).await?)) }
    });
    let found = cx.step(Step::Inspect, all.len() as u64, 0, looked).await?;
    let mut audit =
        Audit { audited: NamedRelease::from(live), releases, right: 0, unchecked: 0, differences: Vec::new() };
    let wrong = found.iter().filter(|(_, found)| matches!(found, Found::Wrong(_)));
    let wrong: HashSet<&str> = wrong.map(|(index, _)| all[*index].0.as_str()).collect();
    for (index, found) in &found {
        let (key, needed) = &all[*index];
        match found {
            Found::Right => audit.right += 1,
            Found::Unchecked => audit.unchecked += 1,
            Found::Wrong(damage) => {
                let has_bytes = *damage == Damage::Headers
                    || needed.file.as_ref().is_some_and(|file| file.role != Role::Fingerprinted)
                        && !wrong.contains(cx.store.area.blob(&needed.sha256).as_str());
                audit.differences.push(Difference {
                    key: key.clone(),
                    damage: *damage,
                    live: needed.is_live && !needed.in_state,
                    restorable: needed.is_live && !needed.in_state && has_bytes,
                });
            }
        }
    }
    audit.differences.sort_unstable_by(|a, b| (!a.live, &a.key).cmp(&(!b.live, &b.key)));
    Ok(audit)
}

async fn look(cx: &Context, key: &str, needed: &Needed, depth: Depth) -> Result<Found, Error> {
    let bucket = if needed.in_state { &cx.store.bucket } else { &cx.bucket };
    let Some(info) = bucket.head(key).await? else { return Ok(Found::Wrong(Damage::Missing)) };
    if info.size != needed.size {
        return Ok(Found::Wrong(Damage::Content));
    }
    let computed = info.sha256.filter(|_| info.sha256_is_computed);
    let sha256 = match depth {
        Depth::Read => match hash_object(&**bucket, key).await? {
            Some((_, sha256)) => Some(sha256),
            None => return Ok(Found::Wrong(Damage::Missing)),
        },
        Depth::Checksum => computed,
    };
    Ok(match sha256 {
        Some(sha256) if sha256 != needed.sha256 => Found::Wrong(Damage::Content),
        _ if needed.file.as_ref().is_some_and(|file| *file.headers != info.headers) => Found::Wrong(Damage::Headers),
        Some(_) => Found::Right,
        None => Found::Unchecked,
    })
}
