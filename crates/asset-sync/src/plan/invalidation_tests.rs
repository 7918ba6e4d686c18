use proptest::prelude::*;

use super::*;

fn keys(texts: &[&str]) -> Vec<Key> {
    texts.iter().map(|t| Key::new(t).unwrap()).collect()
}

fn paths(texts: &[&str], prefix: &str, mode: InvalidationMode) -> Vec<String> {
    covering_paths(&keys(texts), &at(prefix, Routing::Exact, mode))
}

fn at(prefix: &str, routing: Routing, invalidation: InvalidationMode) -> Addressing {
    Addressing { prefix: UrlPrefix::new(prefix), routing, invalidation }
}

/// As CloudFront matches: exactly, or by everything before a final `*`.
fn covers(paths: &[String], url: &str) -> bool {
    paths.iter().any(|p| p.strip_suffix('*').map_or(p == url, |start| url.starts_with(start)))
}

#[test]
fn nothing_changed_needs_no_path() {
    assert!(paths(&[], "/", InvalidationMode::All).is_empty());
}

#[test]
fn an_index_is_also_its_directory() {
    let got = paths(&["index.html", "docs/index.html", "sw.js", "my-index.html"], "/", InvalidationMode::Exact);
    assert_eq!(got, ["/", "/docs/", "/docs/index.html", "/index.html", "/my-index.html", "/sw.js"]);
}

#[test]
fn an_origin_path_is_not_part_of_the_url() {
    assert_eq!(paths(&["index.html"], "/", InvalidationMode::Exact), ["/", "/index.html"]);
    assert_eq!(paths(&["index.html"], "app", InvalidationMode::Exact), ["/app/", "/app/index.html"]);
}

#[test]
fn unsafe_characters_are_encoded_and_safe_ones_are_not() {
    let got = paths(&["a b/ü?%+($.js"], "/", InvalidationMode::Exact);
    assert_eq!(got, ["/a%20b/%C3%BC%3F%25+($.js"]);
}

/// `s3_website#63` and `aws-sdk#525`: CloudFront refuses the one, and takes the other encoded without effect.
#[test]
fn a_name_that_no_path_can_name_for_certain_is_covered_by_a_wildcard() {
    let got = paths(&["l'osteo.html", "runtime~main.js", "docs/@me/index.html", "x.js"], "/", InvalidationMode::Exact);
    assert_eq!(got, ["/docs/*", "/l*", "/runtime*", "/x.js"]);
    assert_eq!(paths(&["a/ü b/[id].js"], "/", InvalidationMode::Exact), ["/a/%C3%BC%20b/*"]);
    assert_eq!(paths(&["index.html"], "/~me/", InvalidationMode::Exact), ["/*"]);
    assert_eq!(paths(&["index.html"], "/~me/", InvalidationMode::All), ["/*"]);
}

#[test]
fn what_a_wildcard_covers_is_not_named_again() {
    let got = paths(&["a~1.html", "abc.html", "ab~2.html", "b.html"], "/", InvalidationMode::Exact);
    assert_eq!(got, ["/a*", "/b.html"]);
}

#[test]
fn too_many_wildcards_become_what_they_have_in_common() {
    let many: Vec<String> = (0..20).map(|n| format!("d%é/{n:02}'s.html")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    many.push("index.html");
    assert_eq!(paths(&many, "/", InvalidationMode::Exact), ["/", "/d%25%C3%A9/*", "/index.html"]);
    let apart: Vec<String> = ('a'..='z').map(|c| format!("{c}'s.html")).collect();
    let apart: Vec<&str> = apart.iter().map(String::as_str).collect();
    assert_eq!(paths(&apart, "/", InvalidationMode::Exact), ["/*"]);
    // é and è begin with the same byte.
    assert_eq!(in_common(&["/x%C3%A9a".to_owned(), "/x%C3%A8b".to_owned()]), "/x%C3");
}

#[test]
fn what_is_refused_becomes_coarser_until_it_is_everything() {
    let prefix = at("/app", Routing::Exact, InvalidationMode::Exact);
    let mut refused = vec!["/app/a(1).html".to_owned(), "/app/b.html".to_owned(), "/app/a(2).html".to_owned()];
    let mut seen = Vec::new();
    while let Some(paths) = coarser(&refused, &prefix) {
        seen.push(paths.clone());
        refused = paths;
    }
    assert_eq!(seen, [vec!["/app/a*", "/app/b.html"], vec!["/app/*"], vec!["/*"]]);
    assert_eq!(coarser(&["/*".to_owned()], &Addressing::default()), None);
    assert_eq!(coarser(&["/b.html".to_owned()], &Addressing::default()), Some(vec!["/*".to_owned()]));
}

#[test]
fn paths_that_are_asked_for_are_named_as_the_distribution_takes_them() {
    let requested = |paths: &[&str]| {
        requested_paths(&paths.iter().map(|&p| p.to_owned()).collect::<Vec<_>>(), &Addressing::default())
            .map_err(|e| e.to_string())
    };
    let given = ["/about/", "/a%20b", "/ü/*", "/?page=2", "/l'osteo.html", "/*x".trim_end_matches('x')];
    assert_eq!(requested(&given[..5]).unwrap(), ["/%C3%BC/*", "/?page=2", "/a%20b", "/about/", "/l*"]);
    assert_eq!(requested(&given).unwrap(), ["/*"]);
    for (path, part) in [
        ("about/", "begins with a slash"),
        ("https://www.example.com/about/", "begins with a slash"),
        ("/*.html", "at its end only"),
        ("/about/#team", "never sent"),
        ("", "begins with a slash"),
    ] {
        let error = requested(&["/", path]).unwrap_err();
        assert!(error.contains(part) && error.contains(&format!("{path:?}")), "{error}");
    }
}

#[test]
fn an_asterisk_in_a_name_can_only_be_named_by_a_wildcard() {
    assert_eq!(paths(&["a*b.js", "c.js"], "/", InvalidationMode::Exact), ["/a*", "/c.js"]);
    let many: Vec<String> = (0..20).map(|n| format!("docs/{n:02}*.html")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(paths(&many, "/", InvalidationMode::Exact), ["/docs/*"]);
}

#[test]
fn query_strings_are_covered_without_the_whole_site() {
    let got = paths(&["index.html"], "/", InvalidationMode::Variants);
    assert_eq!(got, ["/", "/?*", "/index.html*"]);
}

#[test]
fn many_files_become_wildcards_by_directory() {
    let many: Vec<String> = (0..2000).map(|n| format!("docs/{n}.html")).collect();
    let mut all: Vec<&str> = many.iter().map(String::as_str).collect();
    all.push("index.html");
    let got = paths(&all, "/", InvalidationMode::Exact);
    assert_eq!(got, ["/", "/index.html", "/docs/*"]);
}

#[test]
fn each_address_of_a_changed_file_is_covered() {
    let paths = |prefix: &str, routing: Routing, texts: &[&str]| {
        covering_paths(&keys(texts), &at(prefix, routing, InvalidationMode::Exact)).join(" ")
    };
    let page = ["about/index.html", "app.js"];
    assert_eq!(paths("/", Routing::Exact, &page), "/about/ /about/index.html /app.js");
    assert_eq!(paths("/", Routing::Directory, &page), "/about /about/ /about/index.html /app.js");
    assert_eq!(paths("/x/", Routing::Html, &["a b.html", "d/c.html"]), "/x/a%20b /x/a%20b.html /x/d/c /x/d/c.html");
    assert_eq!(paths("/", Routing::Html, &["index.html"]), "/ /index /index.html");
    // The prefix itself is an address of the root document.
    assert_eq!(paths("/x/", Routing::Directory, &["index.html"]), "/x /x/ /x/index.html");
    assert_eq!(paths("/x/", Routing::Exact, &["index.html"]), "/x/ /x/index.html");
    // What cannot be named is covered by a wildcard, its other addresses with it.
    assert_eq!(paths("/", Routing::Directory, &["it's/index.html"]), "/it*");
}

#[test]
fn a_changed_root_document_that_answers_everything_is_everything() {
    let paths = |prefix: &str, texts: &[&str]| {
        covering_paths(&keys(texts), &at(prefix, Routing::Spa, InvalidationMode::Exact)).join(" ")
    };
    assert_eq!(paths("/", &["index.html", "app.js"]), "/*");
    assert_eq!(paths("/app/", &["index.html"]), "/app*");
    assert_eq!(paths("/", &["app.js", "docs/index.html"]), "/app.js /docs/ /docs/index.html");
    assert_eq!(paths("/", &[]), "");
}

#[test]
fn query_strings_of_each_address_are_covered() {
    let got = covering_paths(&keys(&["a/index.html"]), &at("/", Routing::Directory, InvalidationMode::Variants));
    assert_eq!(got, ["/a*"]);
}

#[test]
fn many_pages_under_a_prefix_become_wildcards_and_the_prefix_itself() {
    let many: Vec<String> = (0..600).map(|n| format!("docs/{n}/index.html")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    many.push("index.html");
    let got = covering_paths(&keys(&many), &at("/app/", Routing::Directory, InvalidationMode::Exact));
    assert_eq!(got, ["/app", "/app/", "/app/index.html", "/app/docs/*"]);
}

#[test]
fn a_path_that_is_asked_for_brings_its_other_forms() {
    let requested = |prefix: &str, routing: Routing, path: &str| {
        requested_paths(&[path.to_owned()], &at(prefix, routing, InvalidationMode::Exact)).unwrap().join(" ")
    };
    for path in ["/about", "/about/", "/about/index.html"] {
        assert_eq!(requested("/", Routing::Directory, path), "/about /about/ /about/index.html");
        assert_eq!(requested("/", Routing::Exact, path), path);
        assert_eq!(requested("/", Routing::Spa, path), path);
    }
    for path in ["/x/about", "/x/about.html"] {
        assert_eq!(requested("/x/", Routing::Html, path), "/x/about /x/about.html");
    }
    for path in ["/x", "/x/", "/x/index.html"] {
        assert_eq!(requested("/x/", Routing::Directory, path), "/x /x/ /x/index.html");
    }
    assert_eq!(
        requested("/m y/", Routing::Directory, "/m%20y/%C3%BC"),
        "/m%20y/%C3%BC /m%20y/%C3%BC/ /m%20y/%C3%BC/index.html"
    );
    assert_eq!(requested("/m y/", Routing::Html, "/m y/a"), "/m%20y/a /m%20y/a.html");
    assert_eq!(requested("/", Routing::Html, "/a?page=2"), "/a.html?page=2 /a?page=2");
    // What it asks for is not of this site, is a file for certain, or is not one file.
    assert_eq!(requested("/x/", Routing::Directory, "/y/about"), "/y/about");
    assert_eq!(requested("/", Routing::Directory, "/app.js"), "/app.js");
    assert_eq!(requested("/", Routing::Directory, "/about/*"), "/about/*");
}

proptest! {
    #[test]
    fn every_changed_key_is_covered_within_the_limits(
        names in proptest::collection::btree_set("([a-d]{1,3}/){0,2}([a-z~ü*]{1,4}|index)\\.html", 0..40),
        prefix in "(/?[a-z]{0,3}/?)",
        routing in prop_oneof![Just(Routing::Exact), Just(Routing::Directory), Just(Routing::Html), Just(Routing::Spa)],
        mode in prop_oneof![Just(InvalidationMode::Exact), Just(InvalidationMode::Variants), Just(InvalidationMode::All)],
    ) {
        let keys: Vec<Key> = names.iter().map(|n| Key::new(n).unwrap()).collect();
        let addressing = at(&prefix, routing, mode);
        let prefix = addressing.prefix.encoded();
        let got = covering_paths(&keys, &addressing);
        prop_assert!(got.iter().filter(|p| p.ends_with('*')).count() <= MAX_WILDCARDS);
        prop_assert!(got.len() <= MAX_PATHS);
        for path in &got {
            prop_assert!(path.starts_with('/') && !path.trim_end_matches('*').contains('*'));
        }
        for key in &keys {
            for address in routing.addresses_of(key.as_str()) {
                let url = format!("{prefix}{}", encoded(&address));
                prop_assert!(covers(&got, &url), "{url}");
                if mode != InvalidationMode::Exact {
                    let query = format!("{url}?a=1");
                    prop_assert!(covers(&got, &query), "{query}");
                }
            }
            let is_everything = routing == Routing::Spa && key.as_str() == "index.html";
            let other = format!("{prefix}any/where");
            prop_assert!(!is_everything || covers(&got, &other));
        }
    }
}
