//! What somebody may do to a target, and how likely.

use proptest::prelude::*;
use proptest::sample::Index;

/// What a look at the site shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nobody looks.
    None,
    Right,
    Wrong,
    Stale,
    Unseen,
}

/// What somebody with the rights to a target does.
#[derive(Debug, Clone)]
pub(super) enum Run {
    /// A new version of one of the sites (counted round), by an execution of its own.
    Deploy {
        site: usize,
        look: Look,
    },
    /// A deployment that was tried before, the last one or an earlier one, by the same execution or by a new one. Older
    /// releases may be `forced`.
    Retry {
        nth: usize,
        same_execution: bool,
        forced: bool,
        look: Look,
    },
    RollBack {
        look: Look,
    },
    /// To the nth of all releases there are (counted round); while there is none, to one that never was.
    RollBackTo {
        nth: usize,
    },
    /// The rollback step of a pipeline, for the last execution or an earlier one.
    Step {
        nth: usize,
    },
    Prune,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Run(Run),
    /// The run is killed at one of its requests, with or without that one's effect.
    Crash {
        run: Run,
        at: u64,
        effect: bool,
    },
    BreakLease,
    Pass {
        hours: i64,
    },
    /// Somebody else's hand: each on the nth of the objects that are ours.
    Edit {
        nth: Index,
    },
    EditHeaders {
        nth: Index,
    },
    Delete {
        nth: Index,
    },
    /// An object that is not ours.
    Foreign {
        key: u8,
        content: u8,
    },
}

fn look() -> impl Strategy<Value = Look> {
    prop_oneof![
        6 => Just(Look::None),
        2 => Just(Look::Right),
        3 => Just(Look::Wrong),
        1 => Just(Look::Stale),
        1 => Just(Look::Unseen),
    ]
}

/// The last, most often; or the one before it, and so on.
fn recent() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(0), 2 => 1..5_usize]
}

fn run() -> impl Strategy<Value = Run> {
    prop_oneof![
        6 => (0..6_usize, look()).prop_map(|(site, look)| Run::Deploy { site, look }),
        3 => (recent(), any::<bool>(), prop::bool::weighted(0.3), look())
            .prop_map(|(nth, same_execution, forced, look)| Run::Retry { nth, same_execution, forced, look }),
        2 => look().prop_map(|look| Run::RollBack { look }),
        3 => (0..12_usize).prop_map(|nth| Run::RollBackTo { nth }),
        2 => recent().prop_map(|nth| Run::Step { nth }),
        2 => Just(Run::Prune),
    ]
}

fn one() -> impl Strategy<Value = Step> {
    let nth = any::<Index>;
    prop_oneof![
        8 => run().prop_map(Step::Run),
        4 => (run(), 1..60_u64, any::<bool>()).prop_map(|(run, at, effect)| Step::Crash { run, at, effect }),
        1 => Just(Step::BreakLease),
        2 => (1..40_i64).prop_map(|hours| Step::Pass { hours }),
        1 => nth().prop_map(|nth| Step::Edit { nth }),
        1 => nth().prop_map(|nth| Step::EditHeaders { nth }),
        1 => nth().prop_map(|nth| Step::Delete { nth }),
        1 => (0..3_u8, any::<u8>()).prop_map(|(key, content)| Step::Foreign { key, content }),
    ]
}

/// Steps, each at the inner target or (more often) at the outer one.
pub(super) fn history() -> impl Strategy<Value = Vec<(bool, Step)>> {
    prop::collection::vec((prop::bool::weighted(0.2), one()), 1..16)
}
