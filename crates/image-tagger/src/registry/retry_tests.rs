use std::collections::VecDeque;
use std::sync::Mutex;

use super::super::RegistryErrorKind;
use super::*;

/// Fails as told, then succeeds; has a blob once a push of it failed as told or succeeded.
struct Scripted {
    failures: Mutex<VecDeque<(RegistryErrorKind, Option<Duration>)>>,
    calls: Mutex<Vec<&'static str>>,
    has: bool,
}

impl Scripted {
    fn new(failures: &[(RegistryErrorKind, Option<Duration>)], has: bool) -> Self {
        Self { failures: Mutex::new(failures.iter().copied().collect()), calls: Mutex::default(), has }
    }

    fn next(&self, call: &'static str) -> Result<(), RegistryError> {
        self.calls.lock().unwrap().push(call);
        match self.failures.lock().unwrap().pop_front() {
            Some((kind, retry_after)) => Err(RegistryError {
                kind,
                operation: call,
                subject: "r.io/x".to_owned(),
                message: "told to".to_owned(),
                retry_after,
            }),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Registry for Scripted {
    async fn manifest(&self, _: &Reference) -> Result<Option<Manifest>, RegistryError> {
        self.next("manifest").map(|()| None)
    }
    async fn put_manifest(&self, _: &Reference, _: &Manifest) -> Result<(), RegistryError> {
        self.next("put_manifest")
    }
    async fn has_blob(&self, _: &Repository, _: Digest) -> Result<bool, RegistryError> {
        self.calls.lock().unwrap().push("has_blob");
        Ok(self.has)
    }
    async fn mount_blob(&self, _: &Repository, _: &Repository, _: Digest) -> Result<bool, RegistryError> {
        self.next("mount_blob").map(|()| true)
    }
    async fn pull_blob(&self, _: &Repository, _: Descriptor, _: &Path) -> Result<(), RegistryError> {
        self.next("pull_blob")
    }
    async fn push_blob(&self, _: &Repository, _: &Blob) -> Result<(), RegistryError> {
        self.next("push_blob")
    }
}

fn retrying(inner: Scripted) -> Retrying<Scripted> {
    Retrying::new(inner, Policy::default(), Arc::new(crate::progress::Silent))
}

fn image() -> Reference {
    "r.io/x:1".parse().unwrap()
}

use RegistryErrorKind::{Denied, Rejected, Throttled, Transient};

#[tokio::test(start_paused = true)]
async fn transient_failures_are_tried_again_and_others_are_not() {
    let registry =
        retrying(Scripted::new(&[(Transient, None), (Throttled, None), (RegistryErrorKind::Corrupt, None)], false));
    assert_eq!(registry.manifest(&image()).await.unwrap(), None);
    assert_eq!(registry.inner().calls.lock().unwrap().len(), 4);
    for kind in [Denied, Rejected, RegistryErrorKind::NotFound, RegistryErrorKind::Unsafe] {
        let registry = retrying(Scripted::new(&[(kind, None)], false));
        assert_eq!(registry.manifest(&image()).await.unwrap_err().kind, kind);
        assert_eq!(registry.inner().calls.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_and_says_how_often_it_tried() {
    let registry = retrying(Scripted::new(&[(Transient, None); 10], false));
    let start = tokio::time::Instant::now();
    let error = registry.manifest(&image()).await.unwrap_err();
    assert!(error.to_string().contains("attempt 6 of 6"), "{error}");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(15_500) && waited <= Duration::from_secs(31), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_registrys_wish_is_followed_within_reason() {
    let hour = Duration::from_hours(1);
    let registry =
        retrying(Scripted::new(&[(Throttled, Some(Duration::from_secs(20))), (Throttled, Some(hour))], false));
    let start = tokio::time::Instant::now();
    registry.manifest(&image()).await.unwrap();
    let waited = start.elapsed();
    // Timers of tokio are of milliseconds.
    assert!(waited >= Duration::from_secs(80) && waited < Duration::from_secs(81), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_arrived_is_not_sent_again() {
    let blob = Blob::in_memory(bytes::Bytes::from_static(b"x"));
    let repository: Repository = "r.io/x".parse().unwrap();
    let registry = retrying(Scripted::new(&[(Transient, None)], true));
    registry.push_blob(&repository, &blob).await.unwrap();
    assert_eq!(*registry.inner().calls.lock().unwrap(), ["push_blob", "has_blob"]);
    let registry = retrying(Scripted::new(&[(Transient, None)], false));
    registry.push_blob(&repository, &blob).await.unwrap();
    assert_eq!(*registry.inner().calls.lock().unwrap(), ["push_blob", "has_blob", "push_blob"]);
}
