//! What holds for any names.

use proptest::prelude::*;

use super::*;

const WORDS: &[&str] = &[
    "settings",
    "index",
    "main",
    "facade",
    "decade",
    "button",
    "container",
    "face",
    "cafe",
    "beef",
    "dead",
    "add",
    "feed",
    "bed",
    "accede",
    "effaced",
    "home",
    "overview",
    "polyfill",
    "vendor",
    "runtime",
    "component",
    "utils",
    "shared",
    "header",
    "footer",
    "bootstrap",
    "jquery",
    "kafka",
    "schwarz",
    "wojciech",
    "kubernetes",
    "postgres",
    "calendar",
    "grzegorz",
    "kotlin",
    "netzwerk",
    "straße",
    "écran",
];

fn word() -> impl Strategy<Value = String> {
    let cased = |word: &'static str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
        [word.to_owned(), first + letters.as_str()]
    };
    (prop::sample::select(WORDS), 0..2usize).prop_map(move |(word, case)| cased(word)[case].clone())
}

proptest! {
    /// Words, words with numbers, dates and versions, in any case and joined by any separator.
    #[test]
    fn what_people_write_is_never_a_hash(
        parts in prop::collection::vec(prop_oneof![
            word(),
            (word(), 0..10_000u32).prop_map(|(word, n)| format!("{word}{n}")),
            (word(), word()).prop_map(|(a, b)| a + &b),
            (1900..2100u32, 1..13u32, 1..32u32).prop_map(|(y, m, d)| format!("{y}{m:02}{d:02}")),
            (0..20u32, 0..20u32, 0..200u32).prop_map(|(a, b, c)| format!("{a}.{b}.{c}")),
            (0..u64::MAX).prop_map(|n| n.to_string()),
        ], 1..4),
        separator in prop::sample::select(&["-", "_", "."][..]),
        extension in prop::sample::select(&["js", "css", "min.js", "png", "js.map", "json", "woff2", "js.gz"][..]),
    ) {
        let name = format!("{}.{extension}", parts.join(separator));
        prop_assert!(!alone(&name), "{}", name);
    }

    #[test]
    fn any_text_can_be_judged(names in prop::collection::vec("[a-zA-Z0-9._é/-]{1,30}", 1..6)) {
        let keys: Vec<_> = names.iter().filter(|name| Key::new(name).is_ok()).collect();
        prop_assert_eq!(judged(&keys).len(), keys.len());
        for name in &names {
            let _ = (name_looks_hashed(name), parts(name));
        }
    }

    /// Other files of the site may help a name or not; their order never matters.
    #[test]
    fn order_is_no_matter(mut names in prop::collection::hash_set("(a|b)/[a-f0-9]{0,2}[-._][A-Za-z0-9_-]{8}\\.(js|css|png)", 2..12)) {
        let forward: Vec<_> = names.drain().collect();
        let backward: Vec<_> = forward.iter().rev().cloned().collect();
        let mut reversed = judged(&backward);
        reversed.reverse();
        prop_assert_eq!(judged(&forward), reversed);
    }
}
