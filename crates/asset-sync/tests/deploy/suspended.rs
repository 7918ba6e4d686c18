//! A run that is suspended until another one took over: what it may still do when it wakes up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asset_sync::Error;
use asset_sync::deploy::Report;
use asset_sync::site::Site;
use futures::FutureExt as _;

use crate::world::{APP_1, APP_2, World, page};

/// Longer than a holder's lease and its last request, so that others have taken over meanwhile.
const SUSPENDED: Duration = Duration::from_mins(5);

/// A site with several files of each kind. What has the content `rest` is the same in two of three releases.
fn site(world: &World, title: &str, rest: &str, script: &str, pages: &[&str]) -> Site {
    let mut files = vec![
        ("index.html".to_owned(), page(title, &[script])),
        ("robots.txt".to_owned(), title.to_owned()),
        ("a.json".to_owned(), rest.to_owned()),
        ("b.json".to_owned(), rest.to_owned()),
        (script.to_owned(), script.to_owned()),
    ];
    files.extend(pages.iter().map(|name| ((*name).to_owned(), page(rest, &[script]))));
    world.site(&files)
}

/// Runs in a thread with a clock of its own, as another process does.
fn elsewhere<F: Future<Output = Result<Report, Error>>>(run: impl FnOnce() -> F + Send) {
    std::thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            runtime.unwrap().block_on(run()).unwrap();
        };
        scope.spawn(run).join().unwrap();
    });
}

/// The second of three releases is suspended at each of its requests until the third one is live. The request that is
/// under way cannot be taken back; no other may change what is live. Shown to fail without the check of the lease before
/// a visible write.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_suspended_past_its_lease_does_not_write_over_the_next_ones_release() {
    let mut switching = 0;
    for at in 1.. {
        let world = Arc::new(World::new());
        let first = site(&world, "one", "same", APP_1, &["about/index.html", "contact/index.html"]);
        let second = site(&world, "two", "other", APP_2, &["about/index.html"]);
        let third = site(&world, "three", "same", APP_1, &["about/index.html", "contact/index.html"]);
        world.deploy(&first, "1.0.0").await.unwrap();

        let suspended = Arc::new(Mutex::new(None));
        let (other, seen) = (Arc::clone(&world), Arc::clone(&suspended));
        let (count, last, is_asleep) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        world.store.on_call(move |call| {
            // The keys of one DeleteObjects ask again under the same number; and the third release asks too.
            let is_new = last.swap(call.number, Ordering::SeqCst) != call.number;
            let is_own = is_new && !is_asleep.load(Ordering::SeqCst);
            if is_own && count.fetch_add(1, Ordering::SeqCst) + 1 == at {
                is_asleep.store(true, Ordering::SeqCst);
                elsewhere(|| other.deploy(&third, "3.0.0"));
                *seen.lock().unwrap() = Some((call.clone(), other.visible()));
                // The clock goes on, and nothing else of the run comes before its next step.
                tokio::time::advance(SUSPENDED).now_or_never();
            }
            None
        });
        let outcome = world.deploy(&second, "2.0.0").await;
        world.store.clear_faults();
        let Some((call, after)) = suspended.lock().unwrap().take() else {
            // It has no such request.
            outcome.unwrap();
            break;
        };

        let context = format!("suspended at request {at}: {} {:?}", call.operation, call.key);
        switching += u32::from(call.key.as_ref().is_some_and(|key| ["a.json", "b.json"].contains(&&**key)));
        assert_eq!(world.current().live_release().unwrap().version, "3.0.0", "{context}: {outcome:?}");
        let now = world.visible();
        for key in after.keys().chain(now.keys()).filter(|key| after.get(*key) != now.get(*key)) {
            let is_deleted = call.operation == "DeleteObjects" && !now.contains_key(key);
            // A new asset, which no page refers to.
            let is_staged = key == APP_2;
            assert!(call.key.as_ref() == Some(key) || is_deleted || is_staged, "{context}: {key}");
        }
    }
    assert!(switching >= 2, "{switching}");
}
