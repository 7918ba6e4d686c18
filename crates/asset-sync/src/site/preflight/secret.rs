//! Files that look secret.
//!
//! Only shapes that nothing else has: a site refused for a harmless word teaches people to switch
//! the check off. Keys that are public by design (`AIza…` of Google, `pk_live_…` of Stripe) pass.

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;

/// How far from an AWS access key's id its secret is looked for, in bytes.
const NEAR: usize = 200;
/// Characters of a private key after its header that make it more than a header.
const KEY_BODY: usize = 64;

/// A shape of a token: how it starts, and how many characters of which kind follow.
#[derive(Debug)]
struct Shape {
    start: &'static str,
    length: usize,
    /// Characters besides letters and digits.
    besides: &'static [u8],
    what: &'static str,
}

const AWS: [&str; 2] = ["AKIA", "ASIA"];
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
const GITHUB: &str = "holds what looks like a GitHub token";
const SLACK: &str = "holds what looks like a Slack token";
const STRIPE: &str = "holds what looks like a Stripe secret key";

const SHAPES: [Shape; 11] = [
    Shape { start: "ghp_", length: 36, besides: b"", what: GITHUB },
    Shape { start: "gho_", length: 36, besides: b"", what: GITHUB },
    Shape { start: "ghs_", length: 36, besides: b"", what: GITHUB },
    Shape { start: "github_pat_", length: 82, besides: b"_", what: GITHUB },
    Shape { start: "glpat-", length: 20, besides: b"-_", what: "holds what looks like a GitLab token" },
    Shape { start: "npm_", length: 36, besides: b"", what: "holds what looks like an npm token" },
    Shape { start: "xoxb-", length: 40, besides: b"-", what: SLACK },
    Shape { start: "xoxp-", length: 40, besides: b"-", what: SLACK },
    Shape { start: "sk_live_", length: 24, besides: b"", what: STRIPE },
    Shape { start: "rk_live_", length: 24, besides: b"", what: STRIPE },
    Shape { start: "SG.", length: 66, besides: b"._-", what: "holds what looks like a SendGrid key" },
];

/// What a file of this key is, if its name says that it is secret. The names of hidden files are
/// the scan's to judge.
pub(super) fn by_name(key: &str) -> Option<&'static str> {
    let name = key.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "env" => Some("is a file of environment settings"),
        "p12" | "pfx" | "jks" | "keystore" | "ppk" => Some("is a store of private keys"),
        "kdbx" => Some("is a store of passwords"),
        "tfstate" | "tfvars" => Some("is a file of Terraform, which may hold secrets"),
        _ => None,
    }
}

/// Whether a file whose content type does not say so is text worth a look.
pub(super) fn is_text_name(key: &str) -> bool {
    let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["env", "ini", "conf", "cfg", "properties", "pem", "key", "map"].contains(&extension)
}

/// What secrets are known by.
#[derive(Debug)]
pub(super) struct Patterns {
    /// None where it could not be built, which fixed patterns do not lead to.
    starts: Option<AhoCorasick>,
}

impl Patterns {
    pub(super) fn new() -> Self {
        let starts = AWS.into_iter().chain([PRIVATE_KEY]).chain(SHAPES.iter().map(|shape| shape.start));
        // Leftmost, since only then is the search vectorized; no start is the start of another.
        Self { starts: AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(starts).ok() }
    }

    /// What looks secret in `source`: the offset and kind of each, the first of its kind only.
    pub(super) fn find(&self, source: &[u8]) -> Vec<(usize, &'static str)> {
        let mut found: Vec<(usize, &'static str)> = Vec::new();
        let Some(starts) = &self.starts else { return found };
        for hit in starts.find_iter(source) {
            let (index, at) = (hit.pattern().as_usize(), hit.start());
            let what = match index.checked_sub(AWS.len()) {
                None => is_aws_key(source, at).then_some("holds what looks like an AWS access key with its secret"),
                Some(0) => is_private_key(source, at).then_some("holds a private key"),
                Some(n) => SHAPES.get(n - 1).filter(|shape| shape.fits(source, at)).map(|shape| shape.what),
            };
            if let Some(what) = what
                && !found.iter().any(|(_, known)| *known == what)
            {
                found.push((at, what));
            }
        }
        found
    }
}

impl Shape {
    fn fits(&self, source: &[u8], at: usize) -> bool {
        let body = &source[at + self.start.len()..];
        let length = body.iter().take_while(|b| b.is_ascii_alphanumeric() || self.besides.contains(b)).count();
        let stands_alone = at.checked_sub(1).is_none_or(|b| !source[b].is_ascii_alphanumeric() && source[b] != b'_');
        // A run of one character, as `ghp_xxxx…`, is an example.
        length >= self.length && stands_alone && body[..length].iter().any(|b| *b != body[0])
    }
}

/// An access key's id (`AKIA` and 16 of base 32) with a secret (40 of base 64) close to it. The id
/// alone opens nothing.
fn is_aws_key(source: &[u8], at: usize) -> bool {
    let Some(id) = source.get(at..at + 20) else { return false };
    let is_base32 = |b: &u8| b.is_ascii_uppercase() || matches!(b, b'2'..=b'7');
    let whole = |b: Option<&u8>| b.is_none_or(|b| !b.is_ascii_alphanumeric());
    let stands_alone = whole(at.checked_sub(1).and_then(|b| source.get(b))) && whole(source.get(at + 20));
    // Amazon's documents use ids that end so.
    if !id[4..].iter().all(is_base32) || !stands_alone || id.ends_with(b"EXAMPLE") {
        return false;
    }
    let around = &source[at.saturating_sub(NEAR)..(at + 20 + NEAR).min(source.len())];
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    around.split(|b| !is_base64(*b)).any(|word| {
        let has = |test: fn(&u8) -> bool| word.iter().any(test);
        word.len() == 40 && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
    })
}

/// A PEM header with a key behind it; programs that write such files hold the header alone.
fn is_private_key(source: &[u8], at: usize) -> bool {
    let start = at.saturating_sub(40);
    let Some(begin) = memmem::rfind(&source[start..at], b"-----BEGIN ") else { return false };
    let label = &source[start + begin + b"-----BEGIN ".len()..at];
    if !label.iter().all(|b| b.is_ascii_uppercase() || *b == b' ') {
        return false;
    }
    let mut rest = source[at + PRIVATE_KEY.len()..].iter().copied().peekable();
    let mut body = 0;
    while body < KEY_BODY {
        match rest.next() {
            // Line breaks, plain or as a string of JSON or JavaScript has them.
            Some(b'\n' | b'\r' | b' ') => {}
            Some(b'\\') if matches!(rest.peek(), Some(b'n' | b'r')) => {
                rest.next();
            }
            Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=') => body += 1,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&'static str> {
        Patterns::new().find(text.as_bytes()).into_iter().map(|(_, what)| what).collect()
    }

    /// Not written in one piece, so that no scanner takes this file for a leak.
    fn aws(id: &str) -> String {
        format!("{id}{}", "QWERTYUIOPASDFG2")
    }

    fn secret() -> String {
        format!("aB3/{}", "x1Y+".repeat(9))
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        for (text, expected) in [
            (
                format!("id={}\nsecret={}", aws("AKIA"), secret()),
                Some("holds what looks like an AWS access key with its secret"),
            ),
            (
                format!("{{\"s\":\"{}\",\"i\":\"{}\"}}", secret(), aws("ASIA")),
                Some("holds what looks like an AWS access key with its secret"),
            ),
            (format!("id={}", aws("AKIA")), None),
            (format!("id=AKIAIOSFODNN7EXAMPLE\nsecret={}", secret()), None),
            (format!("x{} {}", aws("AKIA"), secret()), None),
            (format!("\"ghp_{}\"", "a1".repeat(18)), Some(GITHUB)),
            (format!("\"ghp_{}\"", "x".repeat(36)), None),
            ("ghp_short".to_owned(), None),
            (format!("sk_live_{}", "a1B2".repeat(6)), Some(STRIPE)),
            (format!("pk_live_{}", "a1B2".repeat(6)), None),
            (format!("task_live_{}", "a1B2".repeat(6)), None),
            (format!("AIza{}", "a1B2".repeat(9)), None),
        ] {
            assert_eq!(found(&text).first().copied(), expected, "{text}");
        }
    }

    #[test]
    fn private_keys_have_a_body() {
        let body = "MIIEvQ+/".repeat(8);
        let (head, tail) = ("-----BEGIN RSA ", "PRIVATE KEY-----");
        assert_eq!(found(&format!("x\n{head}{tail}\n{body}\n")), ["holds a private key"]);
        assert_eq!(found(&format!("{{\"private_key\": \"-----BEGIN {tail}\\n{body}\"}}")), ["holds a private key"]);
        assert!(found(&format!("const head = \"{head}{tail}\\n\", tail = \"{body}\"")).is_empty());
        assert!(found(&format!("-----BEGIN PUBLIC KEY-----\n{body}")).is_empty());
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
}
