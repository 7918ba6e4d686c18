//! What the edges of each distribution may still hold of what is not served any more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether a distribution has dropped what went out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// It holds nothing that is out of date.
    Fresh,
    /// It may hold old answers under the stale paths.
    Behind,
    /// It was never invalidated since it is configured, and may hold anything. Also what a later version may have written.
    #[serde(other)]
    Unseen,
}

/// Paths that are out of date, and which distributions may still hold them. What is out of date belongs to the site:
/// whichever distributions are configured when it is invalidated, all of them must drop it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Edges {
    /// Paths, as CloudFront takes them, that some distribution has not dropped yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
    /// Makes a repeated request for the same paths the same invalidation; new whenever something goes out of date.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// By id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distributions: BTreeMap<String, Freshness>,
}

impl Edges {
    /// Whether there is nothing to say of any distribution.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an invalidation is to be made, or one that nobody wants any more to be forgotten. Without any distribution
    /// `configured` nothing can be done about it.
    pub fn is_unfinished(&self, configured: &[String]) -> bool {
        let is_fresh = |id: &String| self.distributions.get(id) == Some(&Freshness::Fresh);
        let is_due =
            |(id, freshness): (&String, &Freshness)| !configured.contains(id) && *freshness != Freshness::Fresh;
        !configured.is_empty() && (!configured.iter().all(is_fresh) || self.distributions.iter().any(is_due))
    }

    /// Something went out of date: `stale` is all that has since a distribution was fresh.
    pub fn go_stale(&mut self, stale: Vec<String>, reference: String) {
        if self.distributions.is_empty() {
            return;
        }
        for freshness in self.distributions.values_mut().filter(|freshness| **freshness == Freshness::Fresh) {
            *freshness = Freshness::Behind;
        }
        self.stale = stale;
        self.reference = reference;
        self.forget_paths_of_none();
    }

    /// Takes in the distributions that are `configured`.
    pub fn enlist(&mut self, configured: &[String], reference: String) {
        let unknown: Vec<&String> = configured.iter().filter(|id| !self.distributions.contains_key(*id)).collect();
        if !unknown.is_empty() {
            // One that was known before may have an invalidation of the old reference, made for what it held then.
            self.reference = reference;
        }
        self.distributions.extend(unknown.into_iter().map(|id| (id.clone(), Freshness::Unseen)));
    }

    /// The same, and forgets all others, but where none is configured. Gives those that are forgotten before they were fresh.
    pub fn settle(&mut self, configured: &[String], reference: String) -> Vec<String> {
        if configured.is_empty() {
            return Vec::new();
        }
        let mut forgotten = Vec::new();
        self.distributions.retain(|id, freshness| {
            let is_kept = configured.contains(id);
            if !is_kept && *freshness != Freshness::Fresh {
                forgotten.push(id.clone());
            }
            is_kept
        });
        self.enlist(configured, reference);
        self.forget_paths_of_none();
        forgotten
    }

    /// A distribution has dropped all that was out of date when `reference` was made.
    pub fn refreshed(&mut self, id: &str, reference: &str) {
        if self.reference != reference {
            return;
        }
        if let Some(freshness) = self.distributions.get_mut(id) {
            *freshness = Freshness::Fresh;
        }
        self.forget_paths_of_none();
    }

    /// What each distribution has to drop, those that are `configured` and not known included; `everything` is the path that
    /// covers the whole site.
    pub fn pending(&self, configured: &[String], everything: &str) -> BTreeMap<String, Vec<String>> {
        let unknown = configured.iter().filter(|id| !self.distributions.contains_key(*id));
        let known = self.distributions.iter().map(|(id, freshness)| (id, *freshness));
        let all = known.chain(unknown.map(|id| (id, Freshness::Unseen)));
        all.filter_map(|(id, freshness)| {
            let paths = match freshness {
                Freshness::Fresh => return None,
                Freshness::Behind => self.stale.clone(),
                Freshness::Unseen => vec![everything.to_owned()],
            };
            Some((id.clone(), paths))
        })
        .collect()
    }

    fn forget_paths_of_none(&mut self) {
        if self.distributions.values().all(|freshness| *freshness != Freshness::Behind) {
            self.stale.clear();
        }
        if self.distributions.values().all(|freshness| *freshness == Freshness::Fresh) {
            self.reference.clear();
        }
    }
}

/// The form of this before there was a record for each distribution: an invalidation that was owed to one.
#[derive(Debug, Deserialize)]
pub(super) struct OwedInvalidation {
    distribution: String,
    caller_reference: String,
    paths: Vec<String>,
}

impl FromIterator<OwedInvalidation> for Edges {
    fn from_iter<I: IntoIterator<Item = OwedInvalidation>>(owed: I) -> Self {
        let mut edges = Self::default();
        for owed in owed {
            edges.stale.extend(owed.paths);
            edges.reference = owed.caller_reference;
            edges.distributions.insert(owed.distribution, Freshness::Behind);
        }
        edges.stale.sort();
        edges.stale.dedup();
        edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn settled(configured: &[&str]) -> Edges {
        let mut edges = Edges::default();
        edges.settle(&ids(configured), "r0".into());
        for id in configured {
            edges.refreshed(id, "r0");
        }
        edges
    }

    #[test]
    fn a_distribution_that_was_never_seen_must_drop_everything() {
        let mut edges = Edges::default();
        assert!(edges.is_unfinished(&ids(&["E1"])) && !edges.is_unfinished(&[]));
        assert_eq!(edges.pending(&ids(&["E1"]), "/*"), BTreeMap::from([("E1".to_owned(), ids(&["/*"]))]));
        edges.settle(&ids(&["E1"]), "r0".into());
        edges.go_stale(ids(&["/a"]), "r1".into());
        assert_eq!(edges.pending(&ids(&["E1"]), "/*"), BTreeMap::from([("E1".to_owned(), ids(&["/*"]))]));
        assert_eq!(edges.clone().settle(&ids(&["E1"]), "r2".into()), [""; 0]);
        let again = {
            let mut again = edges.clone();
            again.settle(&ids(&["E1"]), "r2".into());
            again
        };
        assert_eq!(again, edges, "nothing is left to settle");
        edges.refreshed("E1", "r0");
        assert!(edges.is_unfinished(&ids(&["E1"])), "that was before something went out of date");
        edges.refreshed("E1", "r1");
        assert!(!edges.is_unfinished(&ids(&["E1"])));
        assert_eq!(edges, Edges { distributions: [("E1".to_owned(), Freshness::Fresh)].into(), ..Edges::default() });
    }

    #[test]
    fn what_one_has_dropped_stays_until_all_have() {
        let mut edges = settled(&["E1", "E2"]);
        edges.go_stale(ids(&["/a"]), "r1".into());
        edges.refreshed("E1", "r1");
        assert_eq!(edges.pending(&[], "/*"), BTreeMap::from([("E2".to_owned(), ids(&["/a"]))]));
        edges.go_stale(ids(&["/a", "/b"]), "r2".into());
        assert_eq!(edges.pending(&[], "/*").len(), 2);
        edges.refreshed("E1", "r2");
        edges.refreshed("E2", "r2");
        assert_eq!(edges, settled(&["E1", "E2"]));
    }

    #[test]
    fn a_corrected_id_is_a_new_distribution_and_the_wrong_one_is_forgotten() {
        let mut edges = settled(&["E1"]);
        edges.settle(&ids(&["ETYPO"]), "r1".into());
        edges.go_stale(ids(&["/a"]), "r2".into());
        assert_eq!(edges.settle(&ids(&["E1"]), "r3".into()), ["ETYPO"]);
        assert_eq!(edges.pending(&ids(&["E1"]), "/*"), BTreeMap::from([("E1".to_owned(), ids(&["/*"]))]));
        assert_eq!(edges.reference, "r3");
    }

    #[test]
    fn one_that_is_not_configured_any_more_is_forgotten_once_another_is() {
        let mut edges = settled(&["E1", "E2"]);
        edges.go_stale(ids(&["/a"]), "r1".into());
        edges.refreshed("E1", "r1");
        assert!(edges.is_unfinished(&ids(&["E1"])), "to be forgotten");
        assert_eq!(edges.settle(&ids(&["E1"]), "r2".into()), ["E2"]);
        assert_eq!(edges, settled(&["E1"]));
        assert!(settled(&["E1", "E2"]).clone().settle(&ids(&["E1"]), String::new()).is_empty(), "it was fresh");
    }

    #[test]
    fn where_the_variable_was_forgotten_what_went_out_of_date_is_remembered() {
        let mut edges = settled(&["E1"]);
        assert!(edges.settle(&[], "r1".into()).is_empty());
        edges.go_stale(ids(&["/a"]), "r2".into());
        assert!(!edges.is_unfinished(&[]) && edges.is_unfinished(&ids(&["E1"])));
        assert_eq!(edges.pending(&ids(&["E1"]), "/*"), BTreeMap::from([("E1".to_owned(), ids(&["/a"]))]));
    }

    #[test]
    fn a_site_without_a_cdn_has_nothing_to_remember() {
        let mut edges = Edges::default();
        edges.settle(&[], "r1".into());
        edges.go_stale(ids(&["/a"]), "r2".into());
        assert!(edges.is_empty());
    }

    #[test]
    fn what_a_later_version_wrote_is_no_proof_of_freshness() {
        let edges: Edges = serde_json::from_str(r#"{"distributions":{"E1":"half-fresh","E2":"fresh"}}"#).unwrap();
        assert_eq!(edges.distributions["E1"], Freshness::Unseen);
        assert_eq!(edges.distributions["E2"], Freshness::Fresh);
    }
}
