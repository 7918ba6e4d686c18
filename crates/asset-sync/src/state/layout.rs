//! Where a target's state lives.

use crate::digest::Sha256;
use crate::state::ReleaseId;

/// What is deployed to: a prefix in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The bucket.
    pub bucket: String,
    /// Empty, or ends with `/`: so a sibling (`app2/` beside `app/`) never matches.
    pub prefix: String,
}

/// The place of a target's state: a bucket and a root under it that no other target shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateArea {
    /// The bucket.
    pub bucket: String,
    /// Full key prefix of all state objects; ends with `/`.
    pub root: String,
    /// Whether the root lies within the target itself.
    pub in_target: bool,
}

impl StateArea {
    /// Inside the target: `<prefix><state_prefix>`.
    pub fn in_target(target: &Target, state_prefix: &str) -> Self {
        Self { bucket: target.bucket.clone(), root: format!("{}{state_prefix}", target.prefix), in_target: true }
    }

    /// In a bucket that targets share: `<state_prefix><target bucket>/<target prefix, one segment>/`.
    ///
    /// The prefix is written as one segment (`~` as `~0`, `/` as `~1`, as JSON pointers do; the
    /// empty one as `~`), so that one target's state never lies within another's.
    pub fn shared(target: &Target, state_bucket: &str, state_prefix: &str) -> Self {
        let segment =
            if target.prefix.is_empty() { "~".to_owned() } else { target.prefix.replace('~', "~0").replace('/', "~1") };
        let root = format!("{state_prefix}{}/{segment}/", target.bucket);
        let in_target = state_bucket == target.bucket && root.starts_with(&target.prefix);
        Self { bucket: state_bucket.to_owned(), root, in_target }
    }

    /// Key of [`Current`](crate::state::Current).
    pub fn current(&self) -> String {
        format!("{}current", self.root)
    }

    /// Prefix of all inventories.
    pub fn inventories(&self) -> String {
        format!("{}inventory/", self.root)
    }

    /// Key of the inventory written at `generation`.
    pub fn inventory(&self, generation: u64) -> String {
        format!("{}inventory/{generation}", self.root)
    }

    /// Prefix of all manifests.
    pub fn releases(&self) -> String {
        format!("{}releases/", self.root)
    }

    /// Key of the part of a release's manifest that lists its entry files.
    pub fn release_entries(&self, id: &ReleaseId) -> String {
        format!("{}releases/{id}/entries", self.root)
    }

    /// Key of the part of a release's manifest that lists its fingerprinted files.
    pub fn release_assets(&self, id: &ReleaseId) -> String {
        format!("{}releases/{id}/assets", self.root)
    }

    /// Prefix of all archived entry files.
    pub fn blobs(&self) -> String {
        format!("{}blobs/", self.root)
    }

    /// Key of an archived entry file.
    pub fn blob(&self, sha256: &Sha256) -> String {
        format!("{}blobs/{sha256}", self.root)
    }

    /// The content that is archived under this full key.
    pub fn blob_of(&self, key: &str) -> Option<Sha256> {
        key.strip_prefix(&self.blobs())?.parse().ok()
    }

    /// Key of the object that conditional writes are tried on.
    pub fn probe(&self) -> String {
        format!("{}probe", self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(prefix: &str) -> Target {
        Target { bucket: "site".into(), prefix: prefix.into() }
    }

    #[test]
    fn state_lies_inside_the_target_by_default() {
        let area = StateArea::in_target(&target("app/"), ".deploy/");
        assert_eq!(area.current(), "app/.deploy/current");
    }

    #[test]
    fn targets_that_share_a_state_bucket_never_share_a_root() {
        let prefixes = ["", "app/", "app/web/", "app~1web/", "~/", "app2/"];
        let roots: Vec<_> = prefixes.iter().map(|p| StateArea::shared(&target(p), "state", "s/").root).collect();
        for (i, a) in roots.iter().enumerate() {
            for (j, b) in roots.iter().enumerate() {
                assert!(i == j || !a.starts_with(b.as_str()), "{a} lies in {b}");
            }
        }
        assert_eq!(roots[2], "s/site/app~1web~1/");
    }

    #[test]
    fn a_shared_bucket_that_is_the_target_is_noticed() {
        assert!(StateArea::shared(&target(""), "site", ".deploy/").in_target);
        assert!(!StateArea::shared(&target("app/"), "site", ".deploy/").in_target);
        assert!(!StateArea::shared(&target(""), "state", ".deploy/").in_target);
    }
}
