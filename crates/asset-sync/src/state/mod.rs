//! What a deployment remembers between runs: the state area of a target.
//!
//! One small object, [`Current`], names the live release, holds the lease and the journal, and is
//! only ever replaced by a conditional write, so that its history is a single line. Everything
//! else is written once under a name of its own and then only read: the [`Manifest`] of each
//! release, the [`Inventory`] of what the bucket was seen to hold, and entry files' bytes by
//! content hash.
//!
//! | key under the state root | content |
//! |---|---|
//! | `current` | [`Current`], JSON |
//! | `inventory/N` | [`Inventory`] as of generation N, JSON lines |
//! | `releases/ID/entries`, `releases/ID/assets` | [`Manifest`], JSON lines |
//! | `blobs/SHA256` | bytes of an entry file, as served |
//! | `probe` | nothing: a key on which a write must fail, to learn whether the store checks conditions |
//!
//! Every object states its format. A newer one than this program knows is refused; older ones are
//! read for ever.

mod current;
mod edges;
mod inventory;
mod known_warnings;
mod layout;
mod lines;
mod manifest;
mod release;
mod table;

pub use current::{Current, Lease, Operation, Pending, Phase, RecordedUpload};
pub use edges::{Edges, Freshness};
pub use inventory::{Inventory, Record, Span};
pub use known_warnings::KnownWarnings;
pub use layout::{StateArea, Target};
pub use manifest::{Manifest, ReleaseFile, ReleaseId};
pub use release::{Ended, NamedRelease, ReleaseRecord};

/// The format written by this version, of every object in the state area.
///
/// Format 2 added to `current` who replaced whom, executions and what verification saw; a version that knows format 1
/// only would drop these when it writes, and then go back too far.
pub const FORMAT: u32 = 2;

/// The first version of this program that reads [`FORMAT`]: what a later format says of itself to older versions.
pub const READABLE_SINCE: &str = "0.2.0";

/// A state object that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Written by a later version of this program.
    #[error(
        "{key} has state format {found}, and this version ({}) knows formats up to {FORMAT}: use {} for this target", env!("CARGO_PKG_VERSION"), .readable_since.as_ref().map_or_else(|| "a newer `deploy` image".to_owned(), |v| format!("a `deploy` image with version {v} or later"))
    )]
    Newer {
        /// Full key of the object.
        key: String,
        /// The format it states.
        found: u32,
        /// The first version that reads that format, where the object says so.
        readable_since: Option<String>,
    },
    /// Not what this program writes.
    #[error(
        "{key} is not a state object this program wrote: {reason}. If it was edited or cut off, restore it from the bucket's versions or a backup"
    )]
    Malformed {
        /// Full key of the object.
        key: String,
        /// What is wrong, with the line where known.
        reason: String,
    },
    /// Something `current` refers to is not there.
    #[error("{key} is missing, and the live state refers to it: restore it from the bucket's versions or a backup")]
    Missing {
        /// Full key of the object.
        key: String,
    },
}

impl StateError {
    pub(crate) fn malformed(key: &str, reason: &str) -> Self {
        Self::Malformed { key: key.to_owned(), reason: reason.to_owned() }
    }

    /// Whether the object is lost or was damaged, as opposed to one that a later version wrote.
    pub(crate) fn is_damage(&self) -> bool {
        !matches!(self, Self::Newer { .. })
    }
}
