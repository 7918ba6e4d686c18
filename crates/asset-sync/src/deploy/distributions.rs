//! The distributions are what the run takes them for: looked at before the first write.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::context::Context;
use crate::cdn::{CdnError, CdnErrorKind};
use crate::error::Error;

/// An invalidation that no distribution has: asking for it tells whether the distribution can be reached, with a right that
/// every run needs anyway.
const NOBODYS: &str = "I00000000000000";

/// How long a check may take, repeated requests of the client included: nothing is told meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// Refuses to begin where a distribution does not exist or is not open to these credentials: after the switch it would be
/// too late to say so. A CDN that does not answer stops nothing: the invalidation stays on record until it does.
pub(super) async fn check_distributions(cx: &Context) -> Result<(), Error> {
    refuse(wrong_distributions(cx, is_final).await)
}

/// The same for who only looks, whose rights say nothing about those of a run.
pub(super) async fn look_for_distributions(cx: &Context) -> Result<(), Error> {
    refuse(wrong_distributions(cx, |error| error.kind == CdnErrorKind::NoSuchDistribution).await)
}

fn refuse(wrong: Vec<CdnError>) -> Result<(), Error> {
    if wrong.is_empty() { Ok(()) } else { Err(Error::Distributions(wrong)) }
}

/// Asks for each distribution. Warns of what is not found wrong by `is_wrong`.
async fn wrong_distributions(cx: &Context, is_wrong: fn(&CdnError) -> bool) -> Vec<CdnError> {
    let asked = cx.options.distributions.iter().map(|id| async move {
        cx.recorder.request("GetInvalidation");
        let asked = timeout(PATIENCE, cx.cdn.invalidation(id, NOBODYS)).await;
        if asked.is_err() {
            cx.warn(format!("could not check distribution {id}: no answer within {} s", PATIENCE.as_secs()));
        }
        asked.ok()?.err()
    });
    let (wrong, unsure): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().flatten().partition(is_wrong);
    for error in unsure {
        cx.warn(format!("could not check the distribution: {error}"));
    }
    wrong
}

/// Whether invalidating would end so, too. An answer to this question alone, such as one that dislikes our made-up id, is no
/// reason to stop a deployment.
fn is_final(error: &CdnError) -> bool {
    match error.kind {
        CdnErrorKind::NoSuchDistribution
        | CdnErrorKind::Denied
        | CdnErrorKind::Credentials
        | CdnErrorKind::WrongClock => true,
        CdnErrorKind::Invalid
        | CdnErrorKind::ReferenceReused
        | CdnErrorKind::TooManyInProgress
        | CdnErrorKind::Throttled
        | CdnErrorKind::Transient => false,
    }
}
