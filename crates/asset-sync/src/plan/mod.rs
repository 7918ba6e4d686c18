//! Decisions, without I/O: what to write, in which order, what to invalidate, what to delete.

mod adoption;
mod diff;
mod history;
mod invalidation;
mod naming;
mod nested;
mod order;
mod reconcile;
mod release_diff;
mod removal;
mod restore;
mod retention;
mod rollback;
mod routing;
mod shrink;
mod tally;

pub(crate) use adoption::{Adoption, adopted_release, adoption, earlier_adoptions};
pub use diff::{Adopt, Claims, Diff, DiffInput, Inspection, Obsolete, Obstacle, Reason, ToInspect, Write, demote};
pub(crate) use history::{CacheControl, HashedName, promote};
pub use invalidation::{Addressing, InvalidationMode, UrlPrefix, covering_paths};
pub(crate) use invalidation::{coarser, joined_paths, requested_paths};
pub(crate) use naming::{is_named, named_release};
pub(crate) use nested::NestedTargets;
pub(crate) use order::{ReleaseName, check_order, recorded_release};
pub(crate) use reconcile::{Numbers, expected_keys, reconcile};
pub use release_diff::{Change, ChangedFile, DiffFile, FileType, ReleaseDiff, RenamedFile, ReturningVisitor, TypeDiff};
pub(crate) use removal::RemovedPages;
pub(crate) use restore::{Overwritten, overwritten, restoring_writes};
pub(crate) use retention::{Needed, expired, surplus_names};
pub(crate) use rollback::{Consequence, consequence, goes_back, previous, rollback_target, unfinished_retreat};
pub use rollback::{IfLive, RollbackTo};
pub use routing::Routing;
pub use shrink::{MaxShrink, Shrink};
pub use tally::Tally;
