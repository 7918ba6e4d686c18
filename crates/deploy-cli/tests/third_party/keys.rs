//! Keys that must be encoded on the way, and neighbours whose keys begin alike.

use crate::ministack::Ministack;
use crate::site::Site;

/// Each of them is encoded in another way somewhere: in a path, a copy source, a listing, XML.
const ODD: [(&str, &str); 12] = [
    ("index.html", "<h1>1</h1>"),
    ("with space.txt", "space 1"),
    ("a+b.txt", "plus 1"),
    ("100%.txt", "percent 1"),
    ("%2F.txt", "encoded 1"),
    ("a&b=c;d.txt", "ampersand 1"),
    ("it's \"quoted\".txt", "quotes 1"),
    ("grüße/日本語/😀.txt", "unicode 1"),
    ("<angle>.txt", "angle 1"),
    ("hash#and?query.txt", "query 1"),
    ("(round) [square] {curly} ~!$,@:*|^`.txt", "brackets 1"),
    ("dir name+/index.html", "<h1>dir 1</h1>"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_with_any_character_arrive_as_they_are() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("odd & even/").await;
    let first = Site::of(&ODD);
    target.deploy(&first, "1").ended("deployed");
    target.holds(&first, &[], &[]).await;

    let before = target.listing().await;
    target.deploy(&first, "1").ended("unchanged");
    assert_eq!(target.listing().await, before);

    let changed = ODD.map(|(key, content)| (key, content.replace('1', "2")));
    let second = Site::of(&changed.each_ref().map(|(key, content)| (*key, content.as_str())));
    let run = target.deploy(&second, "2").ended("deployed");
    target.holds(&second, &[], &[]).await;
    let paths: Vec<_> = run.invalidations().into_iter().flat_map(|(_, paths)| paths).map(str::to_owned).collect();
    for path in ["/odd%20&%20even/", "/odd%20&%20even/with%20space.txt", "/odd%20&%20even/100%25.txt"] {
        assert!(paths.iter().any(|there| there == path), "{path} is not in {paths:?}");
    }
    target.invalidations().await;

    // Restores what it archived, by copies whose sources have such names.
    target.program.run(&["rollback"]).ended("rolled-back");
    target.holds(&first, &[], &[]).await;

    // The page of a directory that is no more is deleted.
    let fewer = Site::of(&ODD[..11]);
    target.deploy(&fewer, "3").ended("deployed");
    target.holds(&fewer, &[], &[]).await;
}

/// `laurilehmijoki/s3_website#63`: an apostrophe in the name of a page blocked a target for good. Here `(` is refused, too,
/// which no rule of ours knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_distribution_refuses_blocks_nothing() {
    let Some(ministack) = Ministack::start().await else { return };
    let (target, proxy) = ministack.strict_target("").await;
    let site = |n: u8| {
        let page = format!("<h1>{n}</h1>");
        Site::of(&[("index.html", &page), ("l'osteo.html", &page), ("~me/index.html", &page), ("a(1).html", &page)])
    };
    target.deploy(&site(1), "1.0.0").ended("deployed");
    let run = target.deploy(&site(2), "2.0.0").ended("deployed");
    target.holds(&site(2), &[], &[]).await;
    let paths: Vec<&str> = run.invalidations().into_iter().flat_map(|(_, paths)| paths).collect();
    assert_eq!(paths, ["/*"], "~me can be named by the root alone");
    assert_eq!(proxy.refused.lock().unwrap().as_slice(), [""; 0], "what is known to be refused is not asked for");

    let page = |text| Site::of(&[("index.html", "<h1>1</h1>"), ("l'osteo.html", text), ("a(1).html", text)]);
    target.deploy(&page("one"), "3.0.0").ended("deployed");
    let run = target.deploy(&page("two"), "4.0.0").ended("deployed");
    let paths: Vec<&str> = run.invalidations().into_iter().flat_map(|(_, paths)| paths).collect();
    assert_eq!(paths, ["/a*", "/l*"]);
    assert_eq!(proxy.refused.lock().unwrap().len(), 2, "one for each of the two releases");
    target.deploy(&page("two"), "4.0.0").ended("unchanged");
    target.invalidations().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sibling_prefix_is_never_touched() {
    let Some(ministack) = Ministack::start().await else { return };
    // The policy lets it read and write under its own prefix only.
    let target = ministack.target("app/").await;
    let mut siblings = Vec::new();
    for key in ["app", "app2/index.html", "app2/.deploy/current", "app-index.html", "apple/static/js/a.3f2a9c0d.js"] {
        target.put(key, "a sibling's").await;
        siblings.push(key);
    }
    let before = target.listing().await;

    let first = Site::of(&[("index.html", "<h1>1</h1>"), ("about.html", "about"), ("static/a.3f2a9c0d.js", "a()")]);
    let second = Site::of(&[("index.html", "<h1>2</h1>"), ("static/b.0d9c3f2a.js", "b()")]);
    assert_eq!(target.deploy(&first, "1.0.0").ended("deployed").number("/foreign"), 0);
    target.holds(&first, &[], &[]).await;
    target.deploy(&second, "2.0.0").ended("deployed");
    target.holds(&second, &[&first], &[]).await;
    let without_history = target.program.with("DEPLOY_KEEP_RELEASES", "0").with("DEPLOY_GRACE", "0s");
    without_history.run(&["prune"]).ended("pruned");
    target.holds(&second, &[], &[]).await;

    let mut after = target.listing().await;
    after.retain(|key, _| siblings.contains(&key.as_str()));
    assert_eq!(after, before);
}
