//! Every address of a page is invalidated and looked at, as the routing says which there are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use asset_sync::Error;
use asset_sync::deploy::{Invalidate, Options, Report};
use asset_sync::plan::{Addressing, Routing};
use asset_sync::verify::{Fault, HttpVerifier, Verdict, VerifierOptions};
use tokio_util::sync::CancellationToken;

use crate::verification_evidence::{Answer, answer, bucket, deploy_with, options, serve, verdict_with};
use crate::world::{APP_1, APP_2, DISTRIBUTION, World, info, page, v1, v2};

fn routed(world: &World, routing: Routing) -> Options {
    Options { addressing: Addressing { routing, ..Addressing::default() }, ..world.options() }
}

/// Two releases, with a page that is in both and differs, under both kinds of names.
fn sites() -> [Vec<(String, String)>; 2] {
    let with = |mut files: Vec<(String, String)>, title: &str, app: &str| {
        files.push(("about/index.html".to_owned(), page(title, &[app])));
        files.push(("blog.html".to_owned(), page(title, &[app])));
        files
    };
    [with(v1(), "one", APP_1), with(v2(), "two", APP_2)]
}

/// Where the first release is live.
async fn first(routing: Routing) -> World {
    let world = World::new();
    deploy_with(&world, &sites()[0], "1.0.0", routed(&world, routing)).await.unwrap();
    world
}

/// Where the second is live, after the first.
async fn second(routing: Routing) -> World {
    let world = first(routing).await;
    deploy_with(&world, &sites()[1], "2.0.0", routed(&world, routing)).await.unwrap();
    world
}

fn looking(url: &str, routing: Routing) -> VerifierOptions {
    VerifierOptions { routing, ..options(url) }
}

async fn deploy_second(world: &World, url: &str, routing: Routing) -> Result<Report, Error> {
    let verifier = Arc::new(HttpVerifier::new(&looking(url, routing)).unwrap());
    let options = Options { verifier: Some(verifier), ..routed(world, routing) };
    deploy_with(world, &sites()[1], "2.0.0", options).await
}

/// The function or the error response of the set-up that the routing speaks of.
fn function(routing: Routing, path: &str) -> String {
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    match routing {
        _ if path.ends_with('/') => format!("{path}index.html"),
        Routing::Directory if !is_file => format!("{path}/index.html"),
        Routing::Html if !is_file => format!("{path}.html"),
        _ => path.to_owned(),
    }
}

/// What the bucket has, through that.
fn served(world: &World, routing: Routing) -> impl Fn(&str) -> Answer + Send + Sync + Clone + use<> {
    let site = bucket(world);
    move |path| {
        let found = site(&function(routing, path));
        if found.status == 404 && routing == Routing::Spa { site("/index.html") } else { found }
    }
}

fn said(verdict: &Verdict) -> String {
    verdict.unseen.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn each_address_of_a_page_that_changes_or_goes_is_invalidated_as_planned() {
    for (routing, expected) in [
        (Routing::Exact, &["/about/", "/blog.html", "/new/", "/old/", "/old/index.html"][..]),
        (Routing::Directory, &["/about", "/about/", "/about/index.html", "/blog.html", "/new", "/old", "/old/"]),
        (Routing::Html, &["/about/", "/about/index", "/blog", "/blog.html", "/index", "/old/index", "/old/"]),
        (Routing::Spa, &["/*"]),
    ] {
        let world = first(routing).await;
        let before = world.cdn.invalidations(DISTRIBUTION).len();
        let options = routed(&world, routing);
        let plan = world.deployer_with(options.clone()).plan(&world.site(&sites()[1]), &info("2.0.0")).await.unwrap();
        deploy_with(&world, &sites()[1], "2.0.0", options).await.unwrap();
        let made = world.cdn.invalidations(DISTRIBUTION).into_iter().skip(before).flat_map(|made| made.paths);
        let made: BTreeSet<String> = made.collect();
        let planned: BTreeSet<String> = plan.invalidation_paths.into_iter().collect();
        let everything = BTreeSet::from(["/*".to_owned()]);
        assert_eq!(planned, if routing == Routing::Spa { everything } else { made.clone() }, "{routing:?}");
        for path in expected {
            assert!(made.contains(*path), "{routing:?}: {path} in {made:?}");
        }
        assert_eq!(made.contains("/about"), routing == Routing::Directory);
        assert_eq!(made.contains("/blog"), routing == Routing::Html);
    }
}

#[tokio::test]
async fn an_address_that_is_asked_for_is_invalidated_with_its_other_forms() {
    let world = second(Routing::Directory).await;
    let deployer = world.deployer_with(routed(&world, Routing::Directory));
    let paths = Invalidate::Paths(vec!["/about".to_owned()]);
    deployer.invalidate(&paths, &CancellationToken::new()).await.unwrap();
    let made = world.cdn.invalidations(DISTRIBUTION).pop().unwrap();
    assert_eq!(made.paths, ["/about", "/about/", "/about/index.html"]);
}

#[tokio::test]
async fn a_site_that_answers_as_its_routing_says_is_right_under_each_address() {
    for (routing, addresses) in [
        (Routing::Exact, &[][..]),
        (Routing::Directory, &["/about/", "/about", "/new/", "/new"]),
        (Routing::Html, &["/blog", "/about/", "/about/index"]),
        (Routing::Spa, &["/deploy-verify/made-up-address"]),
    ] {
        let world = second(routing).await;
        let asked = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let (site, log) = (served(&world, routing), Arc::clone(&asked));
        let server = serve(move |_, path| {
            log.lock().unwrap().insert(path.to_owned());
            site(path)
        });
        let seen = verdict_with(&world, &looking(&server.url, routing)).await;
        assert_eq!(seen.fault(), None, "{routing:?}: {seen:?}");
        let asked = asked.lock().unwrap();
        for address in addresses {
            assert!(asked.contains(*address), "{routing:?}: {address} in {asked:?}");
        }
    }
}

/// An edge that has one of the addresses of the page before.
#[tokio::test]
async fn the_release_before_under_any_address_is_stale() {
    for (routing, address) in [
        (Routing::Directory, "/about"),
        (Routing::Directory, "/about/"),
        (Routing::Html, "/blog"),
        (Routing::Spa, "/deploy-verify/made-up-address"),
    ] {
        let world = first(routing).await;
        let old = served(&world, routing)(address);
        let site = served(&world, routing);
        let server = serve(move |_, path| if path == address { old.clone() } else { site(path) });
        let error = deploy_second(&world, &server.url, routing).await.unwrap_err();
        let Error::NotVerified(seen) = &error else { panic!("{address}: {error}") };
        assert_eq!(seen.fault, Fault::Stale, "{address}: {error}");
        assert!(error.to_string().contains(address), "{error}");
        assert_eq!(world.current().live_release().unwrap().version, "2.0.0");
    }
}

/// The set-up lacks the function: another release would be served no better, so none is taken down for it.
#[tokio::test]
async fn an_address_that_nothing_answers_is_told_and_takes_no_release_down() {
    for (routing, key) in
        [(Routing::Directory, "about/index.html"), (Routing::Html, "blog.html"), (Routing::Spa, "index.html")]
    {
        for status in [403, 404, 410, 200] {
            let world = first(routing).await;
            let site = served(&world, routing);
            let plain = bucket(&world);
            let server = serve(move |_, path| {
                let is_own = path == "/" || plain(path).status == 200;
                if is_own { site(path) } else { answer(status, "<p>nothing here") }
            });
            deploy_second(&world, &server.url, routing).await.unwrap();
            assert_eq!(world.current().live_release().unwrap().version, "2.0.0");
            let seen = verdict_with(&world, &looking(&server.url, routing)).await;
            assert_eq!(seen.fault(), Some(Fault::Unseen), "{routing:?} {status}: {seen:?}");
            let said = said(&seen);
            assert!(said.contains(&format!("DEPLOY_ROUTING={} says that {key}", routing.name())), "{said}");
            assert!(said.contains("give the distribution"), "{said}");
        }
    }
}

/// What speaks against the release elsewhere still does, also where the site is so large that no request is left over.
#[tokio::test]
async fn a_wrong_file_counts_where_addresses_are_not_answered() {
    for (routing, others) in [(Routing::Directory, 0), (Routing::Spa, 0), (Routing::Spa, 300)] {
        let world = first(routing).await;
        let mut files = sites()[1].clone();
        files.extend((0..others).map(|n| (format!("data/{n}.json"), "{}".to_owned())));
        deploy_with(&world, &files, "2.0.0", routed(&world, routing)).await.unwrap();
        let site = bucket(&world);
        let server = serve(move |_, path| if path.ends_with(APP_2) { answer(404, "not found") } else { site(path) });
        let seen = verdict_with(&world, &looking(&server.url, routing)).await;
        assert_eq!(seen.fault(), Some(Fault::Wrong), "{routing:?} {others}: {seen:?}");
        assert!(server.requests.load(Ordering::SeqCst) <= 200);
    }
}

/// A firewall that turns the client away says nothing of the routing.
#[tokio::test]
async fn a_client_that_is_turned_away_at_an_address_hears_nothing_of_the_routing() {
    let world = second(Routing::Directory).await;
    let site = served(&world, Routing::Directory);
    let is_closed = std::sync::atomic::AtomicBool::new(false);
    let server = serve(move |_, path| {
        is_closed.fetch_or(path == "/about/", Ordering::SeqCst);
        if is_closed.load(Ordering::SeqCst) { answer(403, "blocked") } else { site(path) }
    });
    let seen = verdict_with(&world, &looking(&server.url, Routing::Directory)).await;
    assert_eq!(seen.fault(), Some(Fault::Unseen), "{seen:?}");
    assert!(!said(&seen).contains("DEPLOY_ROUTING"), "{seen:?}");
}

/// A set-up without the function is not asked for every page of a large site.
#[tokio::test]
async fn addresses_take_a_share_of_the_requests_and_stop_when_none_is_answered() {
    let world = World::new();
    let mut files = v1();
    files.extend((0..80).map(|n| (format!("p{n}/index.html"), page(&format!("p{n}"), &[]))));
    deploy_with(&world, &files, "1.0.0", routed(&world, Routing::Directory)).await.unwrap();
    let site = bucket(&world);
    let server = serve(move |_, path| site(path));
    let seen = verdict_with(&world, &looking(&server.url, Routing::Directory)).await;
    assert_eq!((seen.fault(), seen.unseen.len()), (Some(Fault::Unseen), 3), "{seen:?}");
    let site = served(&world, Routing::Directory);
    let server = serve(move |_, path| site(path));
    let seen = verdict_with(&world, &looking(&server.url, Routing::Directory)).await;
    assert_eq!(seen.fault(), None, "{seen:?}");
    let sent = server.requests.load(Ordering::SeqCst);
    assert!((130..=200).contains(&sent), "{sent} requests for 50 pages, the rest and 50 addresses");
}
