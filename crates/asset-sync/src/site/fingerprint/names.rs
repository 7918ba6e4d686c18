//! Which files carry a hash of their content in their name.
//!
//! A name wrongly taken for a fingerprint is cached by browsers for a year; one that is missed only
//! costs a revalidation. So every rule here leans towards "no". The last token of the name's stem
//! is judged by its shape alone; where that leaves a doubt, its neighbours decide: bundlers write
//! a directory's names in one style.

use std::collections::HashMap;

use crate::site::Key;

/// Length of the hash that Vite, Rollup, esbuild and Angular put in a name, in characters.
const SHORT_HASH: usize = 8;
/// Longest hash in a name: SHA-256 in hexadecimal.
const LONGEST_HASH: usize = 64;
/// Parts between a hash and the extension (`main.3f2a9c0d.chunk.js`, `….js.map`, `….d.ts`).
const INNER_EXTENSIONS: [&str; 11] =
    ["min", "chunk", "bundle", "js", "mjs", "cjs", "css", "d", "module", "async", "esm"];

/// What a name says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// A hash: words, dates, versions and numbered names do not look like this.
    Certain,
    /// It could be a hash, or something a person wrote.
    Possible,
    /// Not a hash.
    No,
}

/// Where in its directory a token belongs: files of one directory, separator and token length are
/// taken to be named by one tool.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Style<'a> {
    directory: &'a str,
    separator: Option<u8>,
    length: usize,
}

/// How many names of one style are what.
#[derive(Debug, Default)]
struct Votes {
    certain: usize,
    possible: usize,
    no: usize,
}

impl Votes {
    /// Whether the style is one tool's, beyond doubt: many names that are hashes, and no more of the
    /// others than that tool would give by chance (of real Base64url hashes one in eight to those that
    /// are certain). A name is then a hash too unless it is plainly a word.
    fn are_of_one_tool(&self) -> bool {
        self.certain >= 24 && self.no * 6 <= self.certain && self.are_hashes()
    }

    /// Whether the doubtful names of the style are hashes as well. Of real Base64url hashes about
    /// half are certain (a quarter has no digit) and one in thirty looks like a word.
    fn are_hashes(&self) -> bool {
        self.certain * 3 >= self.certain + self.possible + self.no && self.no * 3 <= self.certain
    }
}

/// For each of the keys of a site, in order, whether its name carries a hash of its content.
///
/// A doubtful token (letters only, letters then digits) counts as a hash only where at least a
/// third of the names of its style in its directory are hashes without doubt, and few are words; one
/// that reads like a name only where these are so many that chance alone explains it.
pub(super) fn classify(keys: &[&Key]) -> Vec<bool> {
    let judged: Vec<_> = keys
        .iter()
        .map(|key| {
            let (directory, name) = key.as_str().rsplit_once('/').unwrap_or(("", key.as_str()));
            candidate(name)
                .map(|(separator, token)| (Style { directory, separator, length: token.len() }, token, judge(token)))
        })
        .collect();

    let mut votes: HashMap<&Style<'_>, Votes> = HashMap::new();
    for (style, _, verdict) in judged.iter().flatten() {
        let votes = votes.entry(style).or_default();
        match verdict {
            Verdict::Certain => votes.certain += 1,
            Verdict::Possible => votes.possible += 1,
            Verdict::No => votes.no += 1,
        }
    }

    judged
        .iter()
        .map(|judged| match judged {
            None => false,
            Some((_, _, Verdict::Certain)) => true,
            Some((style, _, Verdict::Possible)) => votes.get(style).is_some_and(Votes::are_hashes),
            Some((style, token, Verdict::No)) => {
                !is_plain(token) && votes.get(style).is_some_and(Votes::are_of_one_tool)
            }
        })
        .collect()
}

/// The token of a file name that may be a hash, and the separator before it (none where the token
/// is the whole stem).
pub(super) fn candidate(name: &str) -> Option<(Option<u8>, &str)> {
    let (mut stem, extension) = name.rsplit_once('.')?;
    if !extension.bytes().all(|b| b.is_ascii_alphanumeric()) || !extension.bytes().any(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    while let Some((rest, inner)) = stem.rsplit_once('.')
        && INNER_EXTENSIONS.contains(&inner)
    {
        stem = rest;
    }
    if ends_with_uuid(stem) {
        // A random identifier: it says which file, not which content.
        return None;
    }
    // A Base64url hash may itself contain `-` and `_`, so its length tells where it starts.
    if let Some(start) = stem.len().checked_sub(SHORT_HASH)
        && stem.is_char_boundary(start)
    {
        let token = &stem[start..];
        let before = stem[..start].bytes().next_back();
        if matches!(before, None | Some(b'.' | b'-' | b'_')) && token.bytes().all(is_base64url) {
            return Some((before, token));
        }
    }
    let start = stem.rfind(['.', '-', '_']).map_or(0, |at| at + 1);
    let token = &stem[start..];
    let plausible =
        (SHORT_HASH..=LONGEST_HASH).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_alphanumeric());
    plausible.then(|| (stem[..start].bytes().next_back(), token))
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn ends_with_uuid(stem: &str) -> bool {
    let mut groups = stem.rsplit('-');
    [12, 4, 4, 4]
        .iter()
        .all(|&length| groups.next().is_some_and(|g| g.len() == length && g.bytes().all(|b| b.is_ascii_hexdigit())))
        && groups.next().is_some_and(|g| g.len() >= 8 && g.bytes().rev().take(8).all(|b| b.is_ascii_hexdigit()))
}

fn judge(token: &str) -> Verdict {
    let has = |test: fn(&u8) -> bool| token.as_bytes().iter().any(test);
    let (digit, lower, upper) = (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    if !(lower || upper) || starts_with_date(token) {
        // Digits only: a date, a time stamp, a build number as likely as a hash.
        return Verdict::No;
    }
    let pieces = Pieces::of(token);
    if !upper {
        if !digit || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Verdict::No;
        }
        return judge_hex(&pieces);
    }
    let letters_share =
        |numerator: usize, denominator: usize| pieces.in_words * denominator >= pieces.letters * numerator;
    // Base32 as esbuild writes it has neither lower case nor `0`, `1`, `8`, `9`.
    let base32 = !lower
        && token.len() == SHORT_HASH
        && token.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b'2'..=b'7'));
    // A figure among capitals is rare in words, so even readable ones stay in doubt.
    let doubtful_capitals = base32 && digit && !is_numbered(token);
    let readable = (pieces.count < 2 && lower) || letters_share(3, 4) || is_compound(token);
    if readable && !doubtful_capitals {
        // `Settings`, `MyPage01`, `Web3Page`, `rc10-Bed`.
        return Verdict::No;
    }
    if !lower && !base32 && token.len() != SHORT_HASH {
        return Verdict::No;
    }
    let irregular = if base32 { pieces.count >= 3 } else { lower && pieces.count * 2 >= token.len() };
    let wordy = if base32 { pieces.in_words * 3 > pieces.letters * 2 } else { letters_share(2, 3) };
    if digit && irregular && !is_numbered(token) && !wordy { Verdict::Certain } else { Verdict::Possible }
}

/// Hexadecimal digits, with letters and figures among them. `decade2020`, `2024facade` and
/// `face2face` are hexadecimal too: letters in runs as long as words leave a doubt.
fn judge_hex(pieces: &Pieces) -> Verdict {
    if pieces.count > 2 && pieces.shortest_letters <= 2 { Verdict::Certain } else { Verdict::Possible }
}

/// Whether the token starts with a date of the last or this century, as `20241122`.
fn starts_with_date(token: &str) -> bool {
    let number = |range: std::ops::Range<usize>| {
        token.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse::<u32>().ok()
    };
    matches!((number(0..4), number(4..6), number(6..8)), (Some(1900..=2099), Some(1..=12), Some(1..=31)))
}

/// A token cut as one reads camel case: words, abbreviations, numbers, separators.
#[derive(Debug, Default)]
struct Pieces {
    /// Number of pieces, each separator among them.
    count: usize,
    /// Number of letters.
    letters: usize,
    /// Number of letters in pieces that could be words.
    in_words: usize,
    /// Letters of the shortest piece of letters.
    shortest_letters: usize,
}

impl Pieces {
    fn of(token: &str) -> Self {
        let bytes = token.as_bytes();
        let mixed = bytes.iter().any(u8::is_ascii_lowercase);
        let mut found = Self { shortest_letters: usize::MAX, ..Self::default() };
        let mut start = 0;
        while start < bytes.len() {
            let end = end_of_piece(bytes, start);
            let piece = &token[start..end];
            found.count += 1;
            if bytes[start].is_ascii_alphabetic() {
                found.letters += piece.len();
                found.shortest_letters = found.shortest_letters.min(piece.len());
                if is_wordlike(piece) && !(mixed && is_abbreviation(piece)) {
                    found.in_words += piece.len();
                }
            }
            start = end;
        }
        found
    }
}

/// Letters then a number, or a number then letters, and nothing more: `IMG_0123`, `404Page`.
fn is_numbered(token: &str) -> bool {
    let separator = ['-', '_'];
    let letters = |t: &str| {
        let t = t.strip_prefix(separator).unwrap_or(t);
        let t = t.strip_suffix(separator).unwrap_or(t);
        !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphabetic())
    };
    let front = token.trim_end_matches(|c: char| c.is_ascii_digit());
    let back = token.trim_start_matches(|c: char| c.is_ascii_digit());
    (front != token && !front.starts_with(separator) && letters(front))
        || (back != token && !back.ends_with(separator) && letters(back))
}

/// Whether the token is parts that people write, joined by `-` or `_`.
fn is_compound(token: &str) -> bool {
    let mut parts = token.split(['-', '_']).filter(|part| !part.is_empty());
    token.contains(['-', '_'])
        && parts.all(|part| {
            let pieces = Pieces::of(part);
            pieces.in_words == pieces.letters
                || part.bytes().all(|b| b.is_ascii_uppercase())
                || (is_numbered(part) && pieces.letters <= 3)
        })
}

/// Whether a person may well have written the token, whatever stands beside it: figures only, or at
/// most two words and a number.
fn is_plain(token: &str) -> bool {
    let pieces = Pieces::of(token);
    pieces.letters == 0 || starts_with_date(token) || (pieces.count <= 3 && pieces.in_words == pieces.letters)
}

/// Where the piece that starts at `start` ends: a capital starts a word, and the last capital of
/// several belongs to the word after them (`XMLHttp` is `XML`, `Http`).
fn end_of_piece(bytes: &[u8], start: usize) -> usize {
    let run = |from: usize, test: fn(&u8) -> bool| from + bytes[from..].iter().take_while(|b| test(b)).count();
    match bytes[start] {
        b if b.is_ascii_digit() => run(start, u8::is_ascii_digit),
        b if b.is_ascii_lowercase() => run(start, u8::is_ascii_lowercase),
        b if b.is_ascii_uppercase() => {
            let capitals = run(start, u8::is_ascii_uppercase);
            if capitals == start + 1 {
                run(capitals, u8::is_ascii_lowercase)
            } else if bytes.get(capitals).is_some_and(u8::is_ascii_lowercase) {
                capitals - 1
            } else {
                capitals
            }
        }
        _ => start + 1,
    }
}

/// Whether letters, within a token that has small letters too, rather abbreviate than spell.
fn is_abbreviation(piece: &str) -> bool {
    piece.len() == 3 && piece.bytes().all(|b| b.is_ascii_uppercase())
}

/// Whether letters could be a word of a European language: short ones from a list, others by
/// having a vowel and no more consonants in a row than words have.
fn is_wordlike(piece: &str) -> bool {
    const SHORT: [&str; 22] = [
        "my", "to", "of", "in", "on", "at", "by", "no", "up", "go", "is", "it", "or", "if", "as", "we", "do", "ui",
        "id", "js", "ts", "io",
    ];
    // Abbreviations of this trade that no rule about vowels would find.
    const TRADE: [&str; 14] =
        ["html", "css", "xml", "svg", "http", "https", "sql", "mpg", "png", "jpg", "pdf", "rss", "xhr", "tsx"];
    let piece = piece.to_ascii_lowercase();
    if piece.len() <= 2 {
        return SHORT.contains(&piece.as_str());
    }
    let bytes = piece.as_bytes();
    let vowel = |b: &u8| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let consonants = || bytes.split(vowel).map(<[u8]>::len);
    let speakable = bytes.iter().any(vowel)
        && consonants().next().is_some_and(|first| first <= 3)
        && consonants().all(|run| run <= 4)
        && !bytes.windows(2).any(|pair| pair[0] == b'q' && pair[1] != b'u');
    TRADE.contains(&piece.as_str()) || speakable
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn classified(names: &[&str]) -> Vec<bool> {
        let keys: Vec<_> = names.iter().map(|n| Key::new(n).unwrap()).collect();
        classify(&keys.iter().collect::<Vec<_>>())
    }

    /// Each in a directory of its own, so that no name helps another.
    fn alone(name: &str) -> bool {
        classified(&[name])[0]
    }

    #[test]
    fn names_that_bundlers_write() {
        for name in [
            // webpack, Create React App
            "main.3f2a9c0d.chunk.js",
            "static/js/main.8d3f2a9c.js",
            "static/js/main.8d3f2a9c.js.map",
            "static/css/main.0a1b2c3d.css.map",
            "3f2a9c0d1122.js",
            "app-3f2a9c0de1.min.css",
            "a/types.3f2a9c0d.d.ts",
            "static/media/logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg",
            // Next.js
            "_next/static/chunks/pages/_app-0a1b2c3d4e5f6789.js",
            "_next/static/css/0a1b2c3d4e5f6789.css",
            // Angular
            "polyfills.0a1b2c3d4e5f6789.js",
            // Parcel
            "index.d8c8d5c1.js",
            // Vite, Rollup, SvelteKit, Astro
            "assets/index-BHKSl2Cm.js",
            "index.DKv_lXO7.js",
            "_app/immutable/entry/start.BvXs_1aB.js",
            "_astro/hoisted.C7x9kLmQ.js",
            "static/media/SourceSansPro-Bold.-6c9oR8J.woff2",
            "static/js/index.BI9-p_-s.js",
            // esbuild
            "chunk-7XQ2ABCD.js",
            // Hugo, Sprockets
            "style.min.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.css",
            "assets/application-d41d8cd98f00b204e9800998ecf8427e.css",
            "assets/application-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.js",
        ] {
            assert!(alone(name), "{name} carries a hash");
        }
    }

    #[test]
    fn names_that_people_write() {
        for name in [
            "index.html",
            "my-settings.js",
            "index-Settings.js",
            "release-20241122.js",
            "release-20241122a.js",
            "jquery-3.6.0.min.js",
            "bootstrap-5.3.0-alpha1.min.css",
            "MyButton-Container.js",
            "font-awesome.css",
            "sw.js",
            "manifest.json",
            "README",
            "3f2a9c0d1122",
            "app.3f2a9c0d",
            "x-deadbeef.js",
            "face2face.js",
            "the-decade2020.js",
            "x-facade24.css",
            "_next/static/k3Jd9sPq2/_buildManifest.js",
            "_next/static/k3Jd9sPq2/_ssgManifest.js",
            "main.3f2a9c0d.js.LICENSE.txt",
            "photo-IMG_0123.jpg",
            "photo-Dsc_0123.jpg",
            "photo-P1010234.jpg",
            "guide-Chapter2.html",
            "page-MyPage01.js",
            "x-Html5Css.js",
            "x-Web3Page.js",
            "x-iPhone15.png",
            "x-ISO27001.pdf",
            "1732233600123.js",
            "backup-20241122T120000Z.json",
            "avatar-3f2a9c0d-1122-4a5b-8c9d-aabbccddeeff.png",
            "lib-2.0.0-SNAPSHOT.js",
            "übergröße-Ä1234567.js",
        ] {
            assert!(!alone(name), "{name} carries no hash");
        }
    }

    #[test]
    fn neighbours_decide_about_letters_only() {
        let names = ["a/x-BsqLnRXa.js", "a/x-BHKSl2Cm.js", "a/x-C7x9kLmQ.js", "b/x-BsqLnRXa.js"];
        assert_eq!(classified(&names), [true, true, true, false]);
        // A word stays a word among hashes, and where there are many words doubts are words too.
        let mut names = vec!["x-Settings.js", "x-BsqLnRXa.js", "x-BHKSl2Cm.js", "x-C7x9kLmQ.js"];
        assert_eq!(classified(&names), [false, false, true, true]);
        names.extend(["x-DKv_lXO7.js", "x-BvXs_1aB.js"]);
        assert_eq!(classified(&names), [false, true, true, true, true, true]);
        // Another separator is another style.
        assert_eq!(classified(&["x.BsqLnRXa.js", "x-BHKSl2Cm.js", "x-C7x9kLmQ.js"]), [false, true, true]);
        // Angular: a number at an end alone is a doubt, and so are capitals alone.
        assert_eq!(
            classified(&["main-XKQJRTPA.js", "polyfills-FFHMD2TL.js", "styles-5DKTRTSO.css"]),
            [true, true, true]
        );
        assert_eq!(classified(&["main-XKQJRTPA.js", "styles-5DKTRTSO.css"]), [false, false]);
        // These letters could be read as a word, so they are never taken for a hash.
        assert!(!alone("main-ABCDEFGH.js"));
    }

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
        "dashboard",
        "checkout",
        "release",
        "chapter",
        "version",
        "report",
        "summary",
        "image",
        "photo",
        "page",
        "level",
        "about",
        "admin",
        "user",
        "profile",
        "background",
        "navigation",
        "typography",
        "javascript",
        "service",
        "worker",
    ];

    fn word() -> impl Strategy<Value = String> {
        let capital = |w: &str| w[..1].to_uppercase() + &w[1..];
        prop_oneof![
            4 => prop::sample::select(WORDS).prop_map(str::to_owned),
            2 => prop::sample::select(WORDS).prop_map(capital),
            1 => prop::sample::select(WORDS).prop_map(str::to_uppercase),
            // Camel case, and a number at its end.
            2 => (prop::sample::select(WORDS), prop::sample::select(WORDS))
                .prop_map(move |(a, b)| format!("{a}{}", capital(b))),
            2 => (prop::sample::select(WORDS), 0u32..3000).prop_map(|(w, n)| format!("{w}{n}")),
            1 => (prop::sample::select(WORDS), prop::sample::select(WORDS))
                .prop_map(|(a, b)| format!("{a}2{b}")),
            // Dates, times, versions.
            1 => (1970u32..2080, 1u32..13, 1u32..32).prop_map(|(y, m, d)| format!("{y}{m:02}{d:02}")),
            1 => (1970u32..2080, 1u32..13, 1u32..32).prop_map(|(y, m, d)| format!("{y}-{m:02}-{d:02}")),
            1 => (0u32..40, 0u32..40, 0u32..400).prop_map(|(a, b, c)| format!("v{a}.{b}.{c}")),
            1 => (0u32..40, 0u32..40).prop_map(|(a, b)| format!("{a}.{b}.0-rc{a}")),
            1 => any::<u64>().prop_map(|n| n.to_string()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn words_dates_and_versions_are_never_hashes(
            parts in prop::collection::vec(word(), 1..4),
            separator in prop::sample::select(&["-", "_", "."][..]),
            extension in prop::sample::select(&["js", "css", "min.js", "png", "js.map", "json"][..]),
        ) {
            let name = format!("{}.{extension}", parts.join(separator));
            prop_assert!(!alone(&name), "{}", name);
        }

        #[test]
        fn any_text_can_be_judged(names in prop::collection::vec("[a-zA-Z0-9._é-]{1,30}", 1..5)) {
            let keys: Vec<_> = names.iter().filter_map(|n| Key::new(n).ok()).collect();
            prop_assert_eq!(classify(&keys.iter().collect::<Vec<_>>()).len(), keys.len());
        }
    }

    /// In a large directory of one bundler only what a person may have written is left out.
    #[test]
    fn many_certain_hashes_leave_little_doubt() {
        use base64::Engine as _;
        let hash = |n: u32| {
            let digest = crate::digest::Sha256::of(&n.to_be_bytes()).to_string();
            base64::engine::general_purpose::URL_SAFE.encode(hex::decode(digest).unwrap())[..8].to_owned()
        };
        let written = ["Settings", "calendar", "MyWidget", "20241122", "12345678", "IMG_0123", "readme01", "MyPage01"];
        let mut names: Vec<_> = (0..1000).map(|n| format!("assets/chunk{n}-{}.js", hash(n))).collect();
        names.extend(written.map(|name| format!("assets/view-{name}.js")));
        let found = classified(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let missed = found[..1000].iter().filter(|found| !**found).count();
        assert!(missed <= 10, "{missed} of 1000");
        assert_eq!(found[1000..], [false; 8]);
        // Few of them prove nothing, and neither do many among as many words.
        assert!(!classified(&["a-iberGO27.js", "b-x7Gq2_aZ.js", "c-Zq1-9sXk.js"])[0]);
        names.extend((0..250).map(|n| format!("assets/{n}-{}.js", ["Settings", "calendar"][n % 2])));
        let among_words = classified(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(among_words.iter().filter(|found| **found).count() < found.iter().filter(|found| **found).count());
    }

    /// Hashes of made-up contents in the styles of real bundlers: how many are found in a directory
    /// of 40, and that a miss stays an exception.
    #[test]
    fn most_real_hashes_are_found() {
        use base64::Engine as _;
        /// What to call it, how to write a digest, and the least percentage found.
        type Style = (&'static str, Box<dyn Fn(&[u8]) -> String>, usize);
        const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let digest = |n: u32| {
            let text = crate::digest::Sha256::of(&n.to_be_bytes()).to_string();
            hex::decode(text).unwrap()
        };
        let base64url = |d: &[u8]| base64::engine::general_purpose::URL_SAFE.encode(d)[..8].to_owned();
        let base32 = |d: &[u8]| d[..8].iter().map(|b| char::from(BASE32[usize::from(b % 32)])).collect::<String>();
        let styles: [Style; 4] = [
            ("Base64url", Box::new(base64url), 88),
            ("Base32", Box::new(base32), 70),
            ("8 hexadecimal digits", Box::new(|d| hex::encode(&d[..4])), 90),
            ("20 hexadecimal digits", Box::new(|d| hex::encode(&d[..10])), 99),
        ];
        for (style, hash, at_least) in styles {
            let names: Vec<_> = (0..4000).map(|n| format!("d{}/x-{}.js", n / 40, hash(&digest(n)))).collect();
            let found = classified(&names.iter().map(String::as_str).collect::<Vec<_>>());
            let percent = found.iter().filter(|&&f| f).count() * 100 / names.len();
            println!("{style}: {percent} %");
            assert!(percent >= at_least, "{style}: {percent} %");
        }
    }
}
