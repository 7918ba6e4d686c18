//! What the verifier concludes from what servers answer that stand between it and the bucket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asset_sync::deploy::{Options, Report};
use asset_sync::verify::{Fault, HttpVerifier, InvalidVerifier, Verdict, VerifierOptions};
use asset_sync::{Error, ErrorClass};
use tokio_util::sync::CancellationToken;

use crate::world::{APP_2, World, info, page, v1, v2};

#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

pub(crate) fn answer(status: u16, body: &str) -> Answer {
    Answer { status, kind: "text/html".to_owned(), body: body.as_bytes().to_vec(), headers: Vec::new() }
}

/// A server, and how many requests it got.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) requests: Arc<AtomicUsize>,
}

/// Answers by the number of the request, from 1, and its path.
pub(crate) fn serve(answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let (answer, count) = (Arc::new(answer), Arc::clone(&requests));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            std::thread::spawn(move || connection(stream, &*answer, &count));
        }
    });
    Server { url, requests }
}

fn connection(mut stream: TcpStream, answer: &dyn Fn(usize, &str) -> Answer, count: &AtomicUsize) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(first)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
        let Answer { status, kind, body, headers } = answer(count.fetch_add(1, Ordering::SeqCst) + 1, &path);
        let more: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let more = more.concat();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{more}content-length: {length}\r\n\r\n");
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

/// What is in the bucket, as a CDN serves it that is denied the state area.
pub(crate) fn bucket(world: &World) -> impl Fn(&str) -> Answer + Send + Sync + Clone + use<> {
    let store = world.store.clone();
    move |path| {
        let key = path.trim_start_matches('/');
        match store.snapshot("site").get(if key.is_empty() { "index.html" } else { key }) {
            Some(object) if !key.starts_with(".deploy/") => Answer {
                status: 200,
                kind: object.headers.content_type.clone(),
                body: object.body.to_vec(),
                headers: object.headers.cache_control.iter().map(|v| ("cache-control", v.clone())).collect(),
            },
            _ => answer(404, "not found"),
        }
    }
}

pub(crate) fn options(url: &str) -> VerifierOptions {
    let (patience, pause) = (Duration::ZERO, Duration::from_millis(1));
    VerifierOptions { patience, pause, ..VerifierOptions::new(url) }
}

pub(crate) async fn verdict_with(world: &World, options: &VerifierOptions) -> Verdict {
    world.deployer().verify(&HttpVerifier::new(options).unwrap()).await.unwrap()
}

async fn verdict(world: &World, server: &Server) -> Verdict {
    verdict_with(world, &options(&server.url)).await
}

/// Deploys without looking at the site.
async fn deploy(world: &World, files: &[(String, String)], version: &str) {
    deploy_with(world, files, version, world.options()).await.unwrap();
}

pub(crate) async fn deploy_with(
    world: &World,
    files: &[(String, String)],
    version: &str,
    options: Options,
) -> Result<Report, Error> {
    // The clock of these tests is the real one, for their servers.
    let options = Options { invalidation_poll: Duration::from_millis(1), ..options };
    world.deployer_with(options).deploy(&world.site(files), &info(version), &CancellationToken::new()).await
}

/// Where 1.0.0 is live.
async fn first() -> World {
    let world = World::new();
    deploy(&world, &v1(), "1.0.0").await;
    world
}

/// Where 2.0.0 is live, after 1.0.0.
async fn world() -> World {
    let world = first().await;
    deploy(&world, &v2(), "2.0.0").await;
    world
}

/// Deploys 2.0.0 over 1.0.0, with a server in front.
async fn deploy_second(world: &World, server: &Server) -> Result<Report, Error> {
    let verifier = Arc::new(HttpVerifier::new(&options(&server.url)).unwrap());
    deploy_with(world, &v2(), "2.0.0", Options { verifier: Some(verifier), ..world.options() }).await
}

fn is_html(answer: &Answer) -> bool {
    answer.kind.starts_with("text/html")
}

#[tokio::test]
async fn a_site_that_is_served_as_released_is_right() {
    let world = world().await;
    let site = bucket(&world);
    let seen = verdict(&world, &serve(move |_, path| site(path))).await;
    assert_eq!(seen.fault(), None, "{seen:?}");
    assert_eq!((seen.looked_at, seen.files), (6, 6), "{seen:?}");
}

/// Whatever stands under every address is not the release's fault.
#[tokio::test]
async fn the_same_answer_under_every_address_is_no_evidence() {
    let world = world().await;
    for status in [200, 202, 401, 403, 404, 405, 410, 429, 500, 503, 511] {
        let seen = verdict(&world, &serve(move |_, _| answer(status, "<form>password</form>"))).await;
        assert_eq!(seen.fault(), Some(Fault::Unreachable), "{status}: {seen:?}");
    }
}

/// A rate rule, a bot challenge, a login or a maintenance page that begins while the run looks, at
/// whichever of its requests.
#[tokio::test]
async fn what_turns_the_client_away_after_some_requests_is_no_evidence() {
    let world = world().await;
    for status in [200, 202, 403, 404, 405, 410, 429, 503] {
        for let_in in 1..=8 {
            let site = bucket(&world);
            let server = serve(move |n, path| if n > let_in { answer(status, "<p>later") } else { site(path) });
            let seen = verdict(&world, &server).await;
            assert_ne!(seen.fault(), Some(Fault::Wrong), "{status} after {let_in}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_run_that_is_turned_away_stops() {
    let world = World::new();
    let mut files = v1();
    files.extend((0..40).map(|n| (format!("p{n}/index.html"), page("p", &[]))));
    deploy(&world, &files, "1.0.0").await;
    let site = bucket(&world);
    let server = serve(move |n, path| if n > 6 { answer(403, "blocked") } else { site(path) });
    let seen = verdict(&world, &server).await;
    assert_eq!(seen.fault(), Some(Fault::Unseen), "{seen:?}");
    let sent = server.requests.load(Ordering::SeqCst);
    assert!(sent < 30, "{sent} requests: those in flight, two for the root, one for the state");
}

#[tokio::test]
async fn a_rate_rule_takes_no_release_down() {
    let world = first().await;
    let site = bucket(&world);
    let server = serve(move |n, path| if n > 4 { answer(403, "blocked") } else { site(path) });
    deploy_second(&world, &server).await.unwrap();
    assert_eq!(world.current().live_release().unwrap().version, "2.0.0");
}

#[tokio::test]
async fn the_address_of_another_environment_is_no_evidence() {
    let world = world().await;
    let other = World::new();
    let mut files = v2();
    files.retain(|(name, _)| !name.ends_with("index.html"));
    files.push(("index.html".to_owned(), page("another environment", &[APP_2])));
    files.push(("new/index.html".to_owned(), page("and another page", &[])));
    deploy(&other, &files, "2.0.0").await;
    let site = bucket(&other);
    let seen = verdict(&world, &serve(move |_, path| site(path))).await;
    assert!(matches!(seen.fault(), Some(Fault::Unreachable | Fault::Unseen)), "{seen:?}");
}

/// A page that did not change is served by every environment.
#[tokio::test]
async fn a_page_that_the_release_before_has_too_is_no_evidence() {
    let (world, other) = (World::new(), World::new());
    let with = |mut files: Vec<(String, String)>| {
        files.push(("about.html".to_owned(), page("about", &[])));
        files
    };
    deploy(&world, &with(v1()), "1.0.0").await;
    deploy(&world, &with(v2()), "2.0.0").await;
    let files = vec![("index.html".to_owned(), page("other", &[])), ("robots.txt".to_owned(), "other".to_owned())];
    deploy(&other, &with(files), "3.0.0").await;
    let site = bucket(&other);
    let seen = verdict(&world, &serve(move |_, path| site(path))).await;
    assert!(seen.right > 0 && seen.fault() == Some(Fault::Unseen), "{seen:?}");
}

/// Each way in which a file of the release can be wrong while its pages are right.
#[tokio::test]
async fn a_wrong_file_beside_right_pages_takes_the_release_down() {
    let ways: [fn(Answer) -> Answer; 5] = [
        |_| answer(404, "not found"),
        |_| answer(410, "gone"),
        |_| answer(200, "<title>custom page for what is not found</title>"),
        |right| Answer { body: b"other bytes".to_vec(), ..right },
        |right| Answer { kind: "text/plain".to_owned(), ..right },
    ];
    for (way, wrong) in ways.into_iter().enumerate() {
        let world = first().await;
        let site = bucket(&world);
        let server = serve(move |_, path| if path.ends_with(APP_2) { wrong(site(path)) } else { site(path) });
        let error = deploy_second(&world, &server).await.unwrap_err();
        let Error::NotVerified(seen) = &error else { panic!("{way}: {error}") };
        assert_eq!(seen.fault, Fault::Wrong, "{way}: {error}");
        assert!(error.to_string().contains(APP_2), "{way}: {error}");
        assert_eq!(world.current().live_release().unwrap().version, "1.0.0", "{way}");
    }
}

/// What turned the client away between two looks is no evidence: after a wrong file, a page must be right again. Pages are
/// refused from each request on. Shown to fail when the page is not requested at the end.
#[tokio::test]
async fn a_wrong_file_is_no_evidence_once_no_page_is_served_any_more() {
    let mut taken_down = 0;
    for let_in in 1..=16 {
        let world = world().await;
        let (site, log) = (bucket(&world), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&log);
        let server = serve(move |n, path| {
            let answer = match path.ends_with(APP_2) {
                true => answer(404, "not found"),
                false if n > let_in => answer(403, "blocked"),
                false => site(path),
            };
            told.lock().unwrap().push((path.to_owned(), answer.status));
            answer
        });
        let seen = verdict(&world, &server).await;
        let log = log.lock().unwrap();
        let last_wrong = log.iter().rposition(|(path, _)| path.ends_with(APP_2));
        let last_page =
            log.iter().rposition(|(path, status)| *status == 200 && (path == "/" || path.ends_with("index.html")));
        let is_wrong = seen.fault() == Some(Fault::Wrong);
        assert!(!is_wrong || last_page > last_wrong, "after {let_in}: {log:?}");
        taken_down += u32::from(is_wrong);
    }
    assert!(taken_down > 0, "pages that are served are evidence");
}

/// Pages that did not change are all that shows the release where none changed.
#[tokio::test]
async fn where_no_page_changed_each_page_shows_the_release() {
    let world = first().await;
    let mut files = v1();
    files[2].1 = "two".to_owned();
    deploy(&world, &files, "2.0.0").await;
    let site = bucket(&world);
    let server = serve(move |_, path| if path == "/robots.txt" { answer(404, "not found") } else { site(path) });
    let seen = verdict(&world, &server).await;
    assert_eq!(seen.fault(), Some(Fault::Wrong), "{seen:?}");
}

#[tokio::test]
async fn a_page_that_the_release_before_does_not_have_shows_the_release() {
    let world = world().await;
    let site = bucket(&world);
    let server = serve(move |_, path| match path {
        "/" | "/index.html" => answer(403, "members only"),
        _ if path.ends_with(APP_2) => answer(404, "not found"),
        _ => site(path),
    });
    let seen = verdict(&world, &server).await;
    assert_eq!(seen.fault(), Some(Fault::Wrong), "{seen:?}");
}

/// Single-page applications are often served so that every missing file is the page.
#[tokio::test]
async fn the_page_in_place_of_a_script_takes_the_release_down() {
    let world = first().await;
    let site = bucket(&world);
    let server = serve(move |_, path| site(if path.ends_with(APP_2) { "/" } else { path }));
    let error = deploy_second(&world, &server).await.unwrap_err();
    assert!(error.to_string().contains("fallback page"), "{error}");
    assert_eq!(world.current().live_release().unwrap().version, "1.0.0");
}

/// What was wrong for a while, and is right when it is looked at again.
#[tokio::test]
async fn a_file_that_recovers_is_right() {
    let world = world().await;
    let (site, asked) = (bucket(&world), AtomicUsize::new(0));
    let server = serve(move |_, path| {
        let is_late = path.ends_with(APP_2) && asked.fetch_add(1, Ordering::SeqCst) < 2;
        if is_late { answer(404, "not found") } else { site(path) }
    });
    let seen = verdict(&world, &server).await;
    assert_eq!(seen.fault(), None, "{seen:?}");
}

#[tokio::test]
async fn an_edge_that_serves_the_release_before_is_stale_and_the_release_stays() {
    let world = first().await;
    let (site, cached) = (bucket(&world), world.store.snapshot("site"));
    let server = serve(move |_, path| {
        let fresh = site(path);
        let key = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
        match cached.get(key) {
            Some(old) if fresh.status == 200 => Answer { body: old.body.to_vec(), ..fresh },
            _ => fresh,
        }
    });
    let error = deploy_second(&world, &server).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Verification);
    let text = error.to_string();
    assert!(text.contains(&server.url) && text.contains("deploy invalidate --all"), "{text}");
    let Error::NotVerified(seen) = error else { panic!("{text}") };
    assert_eq!((seen.fault, seen.rolled_back_to), (Fault::Stale, None));
    assert_eq!(world.current().live_release().unwrap().version, "2.0.0");
    assert_eq!(verdict(&world, &server).await.fault(), Some(Fault::Stale), "`verify` sees the same");
}

#[tokio::test]
async fn pages_that_are_rewritten_on_the_way_are_named_and_no_fault() {
    let world = world().await;
    let site = bucket(&world);
    let server = serve(move |_, path| {
        let mut answer = site(path);
        if is_html(&answer) {
            answer.body.extend_from_slice(b"<script src=\"https://cdn.example/beacon.js\"></script>");
        }
        answer
    });
    let seen = verdict(&world, &server).await;
    assert_eq!(seen.fault(), None, "{seen:?}");
    let rewritten = seen.remarks.iter().filter(|o| o.what.contains("rewritten on the way")).count();
    assert_eq!(rewritten, 3, "two pages, the root at two addresses: {seen:?}");
}

#[tokio::test]
async fn what_others_answer_can_be_left_out() {
    let world = world().await;
    let site = bucket(&world);
    let server = serve(move |_, path| if path == "/robots.txt" { answer(200, "of the CDN") } else { site(path) });
    assert_eq!(verdict(&world, &server).await.fault(), Some(Fault::Wrong));
    for glob in ["robots.txt", "/robots.txt", "*.txt"] {
        let options = VerifierOptions { ignore: vec![glob.to_owned()], ..options(&server.url) };
        let seen = verdict_with(&world, &options).await;
        assert_eq!((seen.fault(), seen.looked_at), (None, 5), "{glob}: {seen:?}");
    }
    let options = VerifierOptions { ignore: vec!["a[".to_owned()], ..options(&server.url) };
    assert!(matches!(HttpVerifier::new(&options).unwrap_err(), InvalidVerifier::Ignore { .. }));
}

#[tokio::test]
async fn a_run_sends_at_most_two_hundred_requests_and_says_how_much_it_saw() {
    let world = World::new();
    let mut files = v1();
    files.extend((0..120).map(|n| (format!("p{n}/index.html"), page("p", &[]))));
    files.extend((0..300).map(|n| (format!("data/{n}.json"), format!("{n}"))));
    deploy(&world, &files, "1.0.0").await;
    let site = bucket(&world);
    let server = serve(move |_, path| site(path));
    let seen = verdict(&world, &server).await;
    assert_eq!(seen.fault(), None, "{seen:?}");
    assert!(server.requests.load(Ordering::SeqCst) <= 200);
    assert!((180..=200).contains(&seen.looked_at) && seen.files == 426, "{} of {}", seen.looked_at, seen.files);

    // A site at fault all over costs no more.
    let site = bucket(&world);
    let server = serve(move |_, path| if path == "/" { site(path) } else { answer(404, "not found") });
    let seen = verdict(&world, &server).await;
    assert_eq!(seen.fault(), Some(Fault::Wrong), "{} wrong", seen.wrong.len());
    assert!(server.requests.load(Ordering::SeqCst) <= 200);
}
