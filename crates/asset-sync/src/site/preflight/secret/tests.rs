//! Each line of the table finds what it describes, and nothing next to it.
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "plainer than the alternatives, and only in tests"
)]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::check::Check;
use super::shape::{Alphabet, Part};
use super::*;

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

fn characters(of: Alphabet) -> Vec<u8> {
    (0..128).filter(|byte| of.contains(*byte)).collect()
}

/// A text with the shape of these parts, in the pieces of its parts; each run is as long as `length`
/// says of its limits.
fn pieces(parts: &[Part], seed: u64, length: fn(usize, usize) -> usize) -> Vec<Vec<u8>> {
    let mut numbers = Numbers(seed);
    let piece = |part: &Part| match part {
        Part::Sign(texts) | Part::Text(texts) => texts[numbers.next(texts.len())].as_bytes().to_vec(),
        Part::Run(of, least, most) => {
            let characters = characters(*of);
            (0..length(*least, *most)).map(|_| characters[numbers.next(characters.len())]).collect()
        }
    };
    parts.iter().map(piece).collect()
}

/// Pieces joined, with what the check asks for: a checksum, a second half.
fn whole(check: Check, pieces: &[Vec<u8>]) -> String {
    let mut text = pieces.concat();
    let last = pieces.last().unwrap().len();
    let summed = if check == Check::Base62Crc { text.len() - last } else { 0 };
    if let Some(sum) = check.sum_of(&text[summed..]) {
        let at = text.len() - sum.len();
        text.splice(at.., sum);
    }
    let mut text = String::from_utf8(text).unwrap();
    match check {
        Check::AwsSecret => text.extend(["\nsecret=", &aws_secret()]),
        Check::KeyBody => text.extend(["\n", &"MC4CAQAwBQYDK2Vw".repeat(4)]),
        _ => {}
    }
    text
}

fn aws_secret() -> String {
    format!("aB3/{}", "x1Y+".repeat(9))
}

fn found(text: &str) -> Vec<&'static str> {
    static PATTERNS: LazyLock<Patterns> = LazyLock::new(Patterns::new);
    PATTERNS.find(text.as_bytes()).into_iter().map(|(_, name)| name).collect()
}

fn least(least: usize, _: usize) -> usize {
    least
}

fn most(_: usize, most: usize) -> usize {
    most
}

#[test]
fn each_secret_is_found_in_every_kind_of_text() {
    for (seed, secret) in (1..).zip(SECRETS) {
        for length in [least, most] {
            let sample = whole(secret.check, &pieces(secret.parts, seed, length));
            let escaped = serde_json::to_string(&sample).unwrap();
            for text in [
                sample.clone(),
                format!("export const a=\"{sample}\";"),
                format!("<p>{sample}</p>"),
                format!("KEY={sample}\nOTHER=1"),
                format!("{{\"key\":{escaped}}}"),
                format!("{{\"sourcesContent\":[{}]}}", serde_json::to_string(&format!("x\n{escaped}")).unwrap()),
                format!("a\\n{sample}\\nb"),
                format!("?key%3D{sample}%26b"),
            ] {
                assert_eq!(found(&text), [secret.name], "{secret:?} in {text}");
            }
        }
    }
}

#[test]
fn near_misses_are_not_found() {
    for (seed, secret) in (1..).zip(SECRETS) {
        let parts = secret.parts;
        let good = pieces(parts, seed, least);
        let mut misses: Vec<(&str, Vec<Vec<u8>>)> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let with = |change: &dyn Fn(&mut Vec<u8>)| {
                let mut changed = good.clone();
                change(&mut changed[index]);
                changed
            };
            match part {
                Part::Run(of, _, limit) => {
                    misses.push(("shorter", with(&|piece| piece.truncate(piece.len() - 1))));
                    let more = *limit;
                    let filler = characters(*of)[1];
                    misses.push(("longer", with(&|piece| piece.resize(more + 1, filler))));
                    // `whole` writes the checksum over the last run.
                    let has_sum = secret.check.sum_of(&[b'0'; 20]).is_some_and(|sum| !sum.is_empty());
                    if !has_sum || index + 1 < parts.len() {
                        misses.push(("of another alphabet", with(&|piece| piece[0] = b'~')));
                    }
                }
                Part::Sign(_) | Part::Text(_) if !good[index].is_empty() => {
                    misses.push(("with another text", with(&|piece| piece[0] = b'~')));
                }
                _ => {}
            }
        }
        for (what, miss) in misses {
            let text = whole(secret.check, &miss);
            assert_eq!(found(&text), [""; 0], "{secret:?}, {what}: {text}");
        }
        let text = whole(secret.check, &good);
        if good.concat()[0].is_ascii_alphanumeric() {
            assert_eq!(found(&format!("x{text}")), [""; 0], "{secret:?} in a longer run");
        }
        if matches!(parts.last(), Some(Part::Run(..))) {
            let text = whole(secret.check, &pieces(parts, seed, most));
            let longer = match text.split_once('\n') {
                Some((id, rest)) => format!("{id}A\n{rest}"),
                None => format!("{text}A"),
            };
            assert_eq!(found(&longer), [""; 0], "{secret:?} with more behind");
        }
    }
}

#[test]
fn a_wrong_checksum_is_no_secret() {
    let mut tried = BTreeSet::new();
    for (seed, secret) in (1..).zip(SECRETS) {
        let text = whole(secret.check, &pieces(secret.parts, seed, least));
        if secret.check.sum_of(b"123456789012345").unwrap().is_empty() {
            continue;
        }
        let last = text.chars().last().unwrap();
        let other = if last == '0' { '1' } else { '0' };
        assert_eq!(found(&format!("{}{other}", &text[..text.len() - 1])), [""; 0], "{secret:?}");
        tried.insert(secret.name);
    }
    assert_eq!(
        tried.into_iter().collect::<Vec<_>>(),
        ["a GitHub token", "a GitLab token", "a Grafana token", "an Atlassian token", "an npm token"]
    );
}

/// The published examples of the formats; written in pieces, so that no scanner takes this file for
/// a leak.
#[test]
fn checksums_are_those_of_published_examples() {
    for (start, rest, name) in [
        ("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17", "a GitHub token"),
        ("npm_", "qkJaB6MffYVzZXWqmcoF49yrUxP3wf0LsakP", "an npm token"),
    ] {
        assert_eq!(found(&format!("{start}{rest}")), [name]);
    }
    // The CRC-32 of 123456789 is 0xCBF43926.
    for (check, filler, sum) in [
        (Check::HexCrc, "--------", "CBF43926"),
        (Check::ReversedHexCrc, "_--------", "2639f4cb"),
        (Check::Base36Crc, "-------", "1kl8mjq"),
    ] {
        assert_eq!(check.sum_of(format!("123456789{filler}").as_bytes()).as_deref(), Some(sum.as_bytes()));
    }
}

#[test]
fn examples_of_documents_are_no_secrets() {
    for secret in SECRETS.iter().filter(|secret| secret.check == Check::Random) {
        let mut one = pieces(secret.parts, 1, least);
        for (part, piece) in secret.parts.iter().zip(&mut one) {
            if matches!(part, Part::Run(of, ..) if *of != Alphabet::Digits) {
                let character = piece[0];
                piece.fill(character);
            }
        }
        assert_eq!(found(&whole(secret.check, &one)), [""; 0], "{secret:?}");
    }
    let aws = |id: &str, secret: &str| format!("id={id}\nsecret={secret}");
    let id = format!("AKIA{}", "QWERTYUIOPASDFG2");
    assert_eq!(found(&aws(&id, &aws_secret())), ["an AWS access key with its secret"]);
    for text in [
        aws("AKIAIOSFODNN7EXAMPLE", &aws_secret()),
        aws(&id, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        aws(&id, &format!("{}x", aws_secret())),
        id.clone(),
        format!("sk_live_{}", "abcdefghijklmnopqrstuvwx"),
        format!("sk_live_{}", "a1B".repeat(8)),
        format!("sk_live_{}", "abcdefghijkmlnoqprsutvxw"),
        format!("lin_api_{}", "aaaaaaB1c2".repeat(4)),
        format!("glpat-{}", "personal-access-toke"),
        format!("dop_v1_{}", "0123456789abcdef".repeat(4)),
        format!(
            "AccountKey={}{}==",
            "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/", "K1SZFPTOtr/KBHBeksoGMGw"
        ),
        format!("pk_live_{}", "a1B2".repeat(6)),
        format!("AIza{}", "a1B2".repeat(9)),
    ] {
        assert_eq!(found(&text), [""; 0], "{text}");
    }
}

#[test]
fn lists_of_codes_are_no_secrets() {
    let countries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
        CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE \
        GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP \
        KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF \
        NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN \
        SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";
    let domains = "SENER SERVICES SES SEVEN SEW SEX SEXY SFR SG SH SHANGRILA SHARP SHELL SHIA SHIKSHA SHOES SHOP SHOPPING SHOUJI SHOW \
        SI SILK SINA SINGLES SITE SJ SK SKI SKIN SKY XN--VERMGENSBERATER-CTB XN--VERMGENSBERATUNG-PWB XN--VHQUV";
    for list in [countries, domains] {
        let joined = list.split_whitespace().collect::<Vec<_>>().join(".");
        assert_eq!(found(&format!("let a=\"{joined}\".split(\".\")")), [""; 0]);
    }
}

#[test]
fn private_keys_have_a_body() {
    let (head, tail) = ("-----BEGIN RSA ", "PRIVATE KEY-----");
    let body = "MIIEvQIBADANBgkq".repeat(4);
    for text in [
        format!("x\n{head}{tail}\n{body}\n"),
        format!("{{\"private_key\": \"{head}{tail}\\n{body}\"}}"),
        format!("[\"{{\\\"private_key\\\": \\\"{head}{tail}\\\\n{body}\\\"}}\"]"),
        format!("`  {head}{tail}\r\n\t{body}`"),
    ] {
        assert_eq!(found(&text), ["a private key"], "{text}");
    }
    for text in [
        format!("const head = \"{head}{tail}\\n\", tail = \"{body}\""),
        format!("{head}{tail}\n{}", "x".repeat(80)),
        format!("{head}{tail}\n{}", &body[1..]),
        format!("{head}{tail}\\\\{body}"),
        format!("-----BEGIN PUBLIC KEY-----\n{body}"),
    ] {
        assert_eq!(found(&text), [""; 0], "{text}");
    }
}

fn all_signs() -> BTreeSet<&'static str> {
    SECRETS.iter().flat_map(Secret::signs).collect()
}

#[test]
fn no_sign_hides_another() {
    for secret in SECRETS {
        let count = secret.parts.iter().filter(|part| matches!(part, Part::Sign(_))).count();
        assert_eq!(count, 1, "{secret:?}");
    }
    let signs = all_signs();
    for sign in &signs {
        assert!(!signs.iter().any(|other| other != sign && other.contains(sign)), "{sign}");
    }
    // aho-corasick compares three characters, if no text is shorter.
    assert!(signs.iter().all(|sign| sign.len() >= 3), "{signs:?}");
}

#[test]
fn the_search_has_each_sign_of_the_table_once() {
    let mut searched = SIGNS.concat();
    searched.sort_unstable();
    assert_eq!(searched, all_signs().into_iter().collect::<Vec<_>>());
}

/// Text as it is between the signs: of base64, of minified code.
const BETWEEN: &str = "[A-Za-z0-9+/]{0,60}|[a-zA-Z0-9_$.,;(){}=:\"-]{0,60}|[A-Za-z0-9_-]{0,60}";
/// Such text without a long word.
const SHORT_WORDS: &str = "([A-Za-z0-9_-]{0,15}[+/$.,;(){}=:\"]){0,6}";

proptest! {
    #[test]
    fn random_text_has_no_checksum_and_no_second_part(
        pieces in proptest::collection::vec((any::<prop::sample::Index>(), BETWEEN), 1..40)
    ) {
        let signs: Vec<_> = all_signs().into_iter().collect();
        let text: String = pieces.iter().flat_map(|(index, text)| [*index.get(&signs), text]).collect();
        // Without a checksum and a second part of several characters a shape has only its length to be known by.
        let is_simple = |secret: &&Secret| {
            let is_second = |part: &Part| matches!(part, Part::Text(texts) if texts.iter().all(|text| text.len() > 1));
            !secret.parts.iter().any(is_second) && matches!(secret.check, Check::Random)
        };
        let simple: BTreeSet<_> = SECRETS.iter().filter(is_simple).map(|secret| secret.name).collect();
        let strict: Vec<_> = found(&text).into_iter().filter(|name| !simple.contains(name)).collect();
        prop_assert_eq!(strict, [""; 0], "{}", text);
    }

    #[test]
    fn short_words_are_no_secrets(
        pieces in proptest::collection::vec((any::<prop::sample::Index>(), SHORT_WORDS), 1..40)
    ) {
        let signs: Vec<_> = all_signs().into_iter().collect();
        let text: String = pieces.iter().flat_map(|(index, text)| [*index.get(&signs), text, ";"]).collect();
        prop_assert_eq!(found(&text), [""; 0], "{}", text);
    }
}

#[test]
fn names_tell() {
    for name in ["prod.env", "a/Backup.KDBX", "x.p12", "terraform.tfstate"] {
        assert!(by_name(name).is_some(), "{name}");
    }
    for name in ["env.js", "env", "cert.pem", "environment.html", "a.env/x.js"] {
        assert!(by_name(name).is_none(), "{name}");
    }
}
