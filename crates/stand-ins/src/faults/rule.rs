//! When something goes wrong, and what.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::StatusCode;
use tokio::sync::watch;

use super::RequestInfo;

type Predicate = Arc<dyn Fn(&RequestInfo) -> bool + Send + Sync>;
type HookFn = Arc<dyn Fn(RequestInfo) -> BoxFuture<'static, ()> + Send + Sync>;

/// The requests that a rule is about.
#[derive(Clone)]
pub struct When(Predicate);

impl When {
    /// Every request.
    pub fn always() -> Self {
        Self::matching(|_| true)
    }

    /// The request with this number, counted from 1.
    pub fn number(number: u64) -> Self {
        Self::matching(move |request| request.number == number)
    }

    /// The request with this number and all after it.
    pub fn from_number(number: u64) -> Self {
        Self::matching(move |request| request.number >= number)
    }

    /// Every request of an operation, such as `PutObject` or `CreateInvalidation`.
    pub fn operation(name: impl Into<String>) -> Self {
        let name = name.into();
        Self::matching(move |request| request.operation == name)
    }

    /// Every request of an operation on one key.
    pub fn key(operation: impl Into<String>, key: impl Into<String>) -> Self {
        let (operation, key) = (operation.into(), key.into());
        Self::matching(move |request| request.operation == operation && request.key.as_deref() == Some(&key))
    }

    /// Every request for which the closure says so.
    pub fn matching(predicate: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(predicate))
    }

    /// Only those that `other` names too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::matching(move |request| (self.0)(request) && (other.0)(request))
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("When")
    }
}

/// What happens to a request.
#[derive(Clone)]
#[non_exhaustive]
pub enum Effect {
    /// It waits for so long before it is handled.
    Delay(Duration),
    /// It waits before it is handled until the gate opens.
    HoldBefore(Gate),
    /// It is handled, and its answer waits until the gate opens.
    HoldAfter(Gate),
    /// A closure runs to its end before it is handled; see [`Effect::before`].
    Before(Hook),
    /// A closure runs to its end after it was handled and before it is answered.
    After(Hook),
    /// It is answered with an error and not handled.
    Respond {
        /// HTTP status.
        status: StatusCode,
        /// The code in the body, such as `SlowDown`.
        code: String,
        /// The message in the body.
        message: String,
    },
    /// The connection is reset and the request not handled.
    ResetBefore,
    /// It is handled, and the connection is reset instead of an answer.
    ResetAfter,
    /// It is handled and the headers of the answer are sent, but no body until the gate opens.
    StallBody(Gate),
    /// It is handled and answered, but the connection breaks after so many bytes of the body,
    /// short of what `Content-Length` promised.
    TruncateBody {
        /// Bytes sent before the connection breaks.
        keep: u64,
    },
}

/// A closure to run around a request.
#[derive(Clone)]
pub struct Hook(pub(super) HookFn);

impl Hook {
    fn new<F, Fut>(hook: F) -> Self
    where
        F: Fn(RequestInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(hook(request))))
    }
}

impl Effect {
    /// An error answer.
    ///
    /// `status` outside 100 to 999 becomes 500.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Respond {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    /// 503 `SlowDown`, S3's throttling.
    pub fn slow_down() -> Self {
        Self::error(503, "SlowDown", "Please reduce your request rate.")
    }

    /// 500 `InternalError`.
    pub fn internal_error() -> Self {
        Self::error(500, "InternalError", "We encountered an internal error. Please try again.")
    }

    /// 403 `AccessDenied`.
    pub fn access_denied() -> Self {
        Self::error(403, "AccessDenied", "Access Denied")
    }

    /// 400 `ExpiredToken`, what S3 answers to temporary credentials past their time.
    pub fn expired_token() -> Self {
        Self::error(400, "ExpiredToken", "The provided token has expired.")
    }

    /// 409 `ConditionalRequestConflict`: another write to the key was under way, try again.
    pub fn conditional_conflict() -> Self {
        Self::error(
            409,
            "ConditionalRequestConflict",
            "A conflicting conditional operation is currently in progress against this resource.",
        )
    }

    /// Runs an async closure before the request is handled.
    pub fn before<F, Fut>(hook: F) -> Self
    where
        F: Fn(RequestInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::Before(Hook::new(hook))
    }

    /// Runs an async closure after the request was handled and before it is answered.
    pub fn after<F, Fut>(hook: F) -> Self
    where
        F: Fn(RequestInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::After(Hook::new(hook))
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(by) => write!(f, "Delay({by:?})"),
            Self::HoldBefore(_) => f.write_str("HoldBefore"),
            Self::HoldAfter(_) => f.write_str("HoldAfter"),
            Self::Before(_) => f.write_str("Before"),
            Self::After(_) => f.write_str("After"),
            Self::Respond { status, code, .. } => write!(f, "Respond({status}, {code})"),
            Self::ResetBefore => f.write_str("ResetBefore"),
            Self::ResetAfter => f.write_str("ResetAfter"),
            Self::StallBody(_) => f.write_str("StallBody"),
            Self::TruncateBody { keep } => write!(f, "TruncateBody({keep})"),
        }
    }
}

/// Holds requests until it is opened, and tells how many arrived. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Clone, Copy, Debug, Default)]
struct GateState {
    arrived: usize,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(GateState::default())))
    }

    /// Waits until so many requests have arrived at the gate, now or before.
    pub async fn arrived(&self, requests: usize) {
        let mut state = self.0.subscribe();
        // The sender lives in `self`, so this cannot end in an error.
        drop(state.wait_for(|state| state.arrived >= requests).await);
    }

    /// Number of requests that have arrived so far.
    pub fn arrivals(&self) -> usize {
        self.0.borrow().arrived
    }

    /// Lets pass all that wait and all that come.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Counts an arrival and waits until the gate is open.
    pub(super) async fn pass(&self) {
        self.0.send_modify(|state| state.arrived += 1);
        let mut state = self.0.subscribe();
        drop(state.wait_for(|state| state.open).await);
    }
}

/// An effect on some of the requests that a [`When`] names.
#[derive(Clone, Debug)]
pub struct Rule {
    when: When,
    effect: Effect,
    skip: u64,
    every: u64,
    times: Option<u64>,
}

impl Rule {
    /// The effect on every request that `when` names.
    pub fn new(when: When, effect: Effect) -> Self {
        Self { when, effect, skip: 0, every: 1, times: None }
    }

    /// Leaves the first `requests` of them alone.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Applies to every `nth` of them only: 3 means the third, the sixth and so on. 0 is taken
    /// for 1.
    #[must_use]
    pub fn every(mut self, nth: u64) -> Self {
        self.every = nth.max(1);
        self
    }

    /// Applies so many times in all.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// A rule with its count of what it has seen.
#[derive(Debug)]
pub(super) struct ArmedRule {
    rule: Rule,
    seen: u64,
    applied: u64,
}

impl ArmedRule {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, seen: 0, applied: 0 }
    }

    /// The effect if the rule applies to this request; each request may be asked about once.
    pub(super) fn effect_on(&mut self, request: &RequestInfo) -> Option<Effect> {
        let Rule { when, effect, skip, every, times } = &self.rule;
        if times.is_some_and(|times| self.applied >= times) || !(when.0)(request) {
            return None;
        }
        self.seen += 1;
        if self.seen <= *skip || !(self.seen - skip).is_multiple_of(*every) {
            return None;
        }
        self.applied += 1;
        Some(effect.clone())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::{super::Service, *};

    #[test]
    fn skips_then_takes_every_nth_a_limited_number_of_times() {
        let rule = Rule::new(When::operation("ListBuckets"), Effect::ResetBefore);
        let mut rule = ArmedRule::new(rule.skip(2).every(3).times(2));
        let applied: Vec<u64> = (1..=20)
            .filter(|number| {
                let uri = Uri::from_static("/");
                let request = RequestInfo::new(*number, Service::S3, &Method::GET, &uri, &HeaderMap::new());
                rule.effect_on(&request).is_some()
            })
            .collect();
        assert_eq!(applied, [5, 8]);
    }
}
