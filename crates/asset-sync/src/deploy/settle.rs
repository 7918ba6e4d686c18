//! Comparing a release with what the bucket holds, until nothing is left open.

use std::collections::{BTreeSet, HashMap};

use super::context::Context;
use super::inspect::inspect;
use super::listing::list_scope;
use super::snapshot::Snapshot;
use crate::bucket::ListedObject;
use crate::error::{Error, Refusal};
use crate::plan::{Adopt, Claims, Diff, DiffInput, Inspection};
use crate::progress::Step;
use crate::state::{Inventory, Manifest};

/// How often the bucket may change while it is looked at.
const ROUNDS: usize = 4;

/// Diffs and looks at what needs looking at, until nothing is left open.
pub(super) async fn settle(
    cx: &Context,
    desired: &Manifest,
    inventory: &Inventory,
    claims: &Claims,
    listed: &mut Vec<ListedObject>,
) -> Result<(Diff, HashMap<String, Inspection>), Error> {
    let mut inspected = HashMap::new();
    for _ in 0..ROUNDS {
        let diff =
            Diff::new(DiffInput { desired, inventory, claims, listed, inspected: &inspected, adopt: cx.options.adopt });
        if diff.inspect.is_empty() {
            return Ok((diff, inspected));
        }
        let count = diff.inspect.len();
        let found = cx.step(Step::Inspect, count as u64, 0, inspect(cx, &diff.inspect)).await?;
        let vanished = found.len() < count;
        inspected.extend(found);
        if vanished {
            *listed = list_scope(&cx.bucket, cx.scope(), &inventory.keys().collect::<Vec<_>>()).await?;
        }
    }
    Err(Error::Unsettled { what: "objects vanished while they were looked at".to_owned() })
}

/// Refuses to write where another target lies.
pub(super) fn check_nested(snapshot: &Snapshot, desired: &Manifest, diff: &Diff) -> Result<(), Error> {
    // An object that is taken is both.
    let changed: BTreeSet<usize> =
        diff.writes.iter().map(|w| w.file).chain(diff.obstacles.iter().map(|o| o.file)).collect();
    let mut inside = changed
        .into_iter()
        .map(|file| &desired.files[file].key)
        .filter_map(|key| Some((snapshot.nested.owner(key)?, key)));
    match inside.next() {
        Some((prefix, key)) => {
            let (prefix, key, more) = (prefix.to_owned(), key.to_string(), inside.count());
            Err(Refusal::NestedTarget { prefix, key, more }.into())
        }
        None => Ok(()),
    }
}

pub(super) fn check_obstacles(cx: &Context, desired: &Manifest, diff: &Diff) -> Result<(), Error> {
    if diff.obstacles.is_empty() || cx.options.adopt == Adopt::Take {
        return Ok(());
    }
    let keys = diff.obstacles.iter().map(|o| desired.files[o.file].key.to_string()).collect();
    Err(Refusal::Foreign { keys }.into())
}
