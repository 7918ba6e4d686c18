//! What all answers of a run say together: pure.

use super::answer::Judgement;
use super::{Observation, Verdict};

/// What was seen at one URL.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) url: String,
    /// Whether it is a page by which the release can be told from the one before.
    pub(super) shows_release: bool,
    pub(super) judgement: Judgement,
}

/// Whether a page that was served right is still served after something else was not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// It is, or nothing gave a reason to ask.
    Open,
    /// It is not, so that something in front of the site turns this client away. Says what was seen.
    Closed(String),
}

/// Judges a run by all that it saw. A wrong answer counts against the release only if a page of the
/// release was right, and was so again afterwards.
pub(super) fn weigh(looks: Vec<Look>, door: &Door) -> Verdict {
    let was_shown = looks.iter().any(|look| look.shows_release && matches!(look.judgement, Judgement::Right(_)));
    let mut verdict = Verdict::default();
    for Look { url, judgement, .. } in looks {
        let observe = |what: String| Observation { url: url.clone(), what };
        match judgement {
            Judgement::Right(remarks) => {
                verdict.right += 1;
                verdict.remarks.extend(remarks.into_iter().map(observe));
            }
            Judgement::Rewritten => verdict.remarks.push(observe(
                "the page is rewritten on the way: it has all references of the release's page and other bytes"
                    .to_owned(),
            )),
            Judgement::Stale => {
                verdict.stale.push(observe("the edge still serves this file of the release before".to_owned()));
            }
            Judgement::Wrong(what) => match door {
                Door::Open if was_shown => verdict.wrong.push(observe(what)),
                Door::Open => verdict.unseen.push(observe(format!(
                    "{what}; no page that only this release has was served, so that this may be another site"
                ))),
                Door::Closed(seen) => verdict.unseen.push(observe(format!("{what}; {seen}"))),
            },
            Judgement::Unseen(what) => verdict.unseen.push(observe(what)),
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Fault;

    fn right() -> Judgement {
        Judgement::Right(Vec::new())
    }

    fn wrong() -> Judgement {
        Judgement::Wrong("answered 404".to_owned())
    }

    fn look(shows_release: bool, judgement: Judgement) -> Look {
        Look { url: "https://x/".to_owned(), shows_release, judgement }
    }

    #[test]
    fn only_a_wrong_file_beside_a_right_page_counts_against_the_release() {
        let closed = || Door::Closed("/ is answered 403".to_owned());
        let unseen = || Judgement::Unseen("is forbidden (403)".to_owned());
        let cases = [
            (vec![(true, right()), (false, right())], Door::Open, None),
            (vec![(true, right()), (false, wrong())], Door::Open, Some(Fault::Wrong)),
            // The other way round: the order in which they were seen does not matter.
            (vec![(false, wrong()), (true, right())], Door::Open, Some(Fault::Wrong)),
            // The page cannot be had any more.
            (vec![(true, right()), (false, wrong())], closed(), Some(Fault::Unseen)),
            // Right, but the same in the release before.
            (vec![(false, right()), (false, wrong())], Door::Open, Some(Fault::Unseen)),
            // All addresses are wrong: another site, a login, a maintenance page.
            (vec![(true, wrong()), (true, wrong())], Door::Open, Some(Fault::Unreachable)),
            (vec![(true, right()), (false, unseen())], Door::Open, Some(Fault::Unseen)),
            // Rewritten pages are no fault, and no evidence.
            (vec![(true, Judgement::Rewritten), (false, right())], Door::Open, None),
            (vec![(true, Judgement::Rewritten), (false, wrong())], Door::Open, Some(Fault::Unreachable)),
            (vec![(true, Judgement::Stale), (true, Judgement::Stale)], Door::Open, Some(Fault::Stale)),
            (vec![(true, Judgement::Stale), (false, wrong())], Door::Open, Some(Fault::Stale)),
            (vec![(true, right()), (true, Judgement::Stale)], Door::Open, Some(Fault::Stale)),
            (vec![(true, right()), (true, Judgement::Stale), (false, wrong())], Door::Open, Some(Fault::Wrong)),
            (vec![], Door::Open, None),
        ];
        for (seen, door, fault) in cases {
            let case = format!("{seen:?} {door:?}");
            let looks = seen.into_iter().map(|(shows, judgement)| look(shows, judgement)).collect();
            assert_eq!(weigh(looks, &door).fault(), fault, "{case}");
        }
    }
}
