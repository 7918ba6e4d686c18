//! Targets that lie below this one in the same bucket. Their keys are theirs, also those that this target once wrote.

use crate::bucket::ListedObject;
use crate::site::Key;

/// The places of such targets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NestedTargets {
    /// Relative to this target, each with its slash.
    prefixes: Vec<String>,
}

impl NestedTargets {
    /// Those whose state a listing shows. `state` is the key of this target's own state, relative to it: others keep theirs
    /// at the same place.
    pub(crate) fn of(listed: &[ListedObject], state: &str) -> Self {
        let prefixes = listed.iter().filter_map(|object| object.key.strip_suffix(state));
        Self { prefixes: prefixes.filter(|prefix| prefix.ends_with('/')).map(str::to_owned).collect() }
    }

    /// The target that a key belongs to; `None` if that is this one.
    pub(crate) fn owner(&self, key: &Key) -> Option<&str> {
        self.prefixes.iter().map(String::as_str).find(|prefix| key.as_str().starts_with(prefix))
    }

    /// Their places.
    pub(crate) fn prefixes(&self) -> &[String] {
        &self.prefixes
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_target_is_known_by_its_state() {
        let object = |key: &str| ListedObject {
            key: key.into(),
            size: 1,
            etag: "\"1\"".into(),
            last_modified: Timestamp::UNIX_EPOCH,
        };
        let listed = ["app/.deploy/current", "app/index.html", "appendix/x.deploy/current", "b/c/.deploy/current"];
        let nested = NestedTargets::of(&listed.map(object), ".deploy/current");
        assert_eq!(nested.prefixes(), ["app/", "b/c/"]);
        let owner = |key: &str| nested.owner(&Key::new(key).unwrap());
        assert_eq!(
            (owner("app/index.html"), owner("b/c/d"), owner("b/d"), owner("appendix/x")),
            (Some("app/"), Some("b/c/"), None, None)
        );
    }
}
