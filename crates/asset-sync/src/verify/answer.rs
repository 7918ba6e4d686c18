//! Judging one answer: pure.

use std::io::Read as _;

use reqwest::Url;

use crate::digest::Sha256;
use crate::state::ReleaseFile;

/// An answer as a browser gets it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What an answer says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is the file; with remarks.
    Right(Vec<String>),
    /// It is something else.
    Wrong(String),
    /// It does not tell.
    Unseen(String),
    /// It is something else, and a login or a firewall may be the reason. Counts as [`Wrong`](Self::Wrong)
    /// only where pages of the release can be had.
    Doubtful(String),
}

impl Answer {
    /// The body without its content encoding; nothing if it is not what that says.
    pub(super) fn plain(&self) -> Vec<u8> {
        match self.content_encoding.as_deref() {
            Some(encoding) => decode(encoding, &self.body).unwrap_or_default(),
            None => self.body.clone(),
        }
    }
}

impl Judgement {
    /// The judgement of `asked`, whose answer came from `found`: who is sent elsewhere within the site
    /// may be sent to a login.
    pub(super) fn found_at(self, asked: &Url, found: &Url) -> Self {
        match self {
            Self::Wrong(what) if asked != found => Self::Doubtful(format!("redirects to {}: {what}", found.path())),
            other => other,
        }
    }
}

/// Judges the answer to a request for `file`.
pub(super) fn judge(file: &ReleaseFile, answer: &Answer) -> Judgement {
    if let Some(redirect) = &file.headers.redirect {
        return judge_redirect(redirect, answer);
    }
    match answer.status {
        200 => {}
        404 | 410 => return Judgement::Wrong(format!("answered {}, and the release has this file", answer.status)),
        300..=399 => {
            let target = answer.location.as_deref().unwrap_or("nowhere");
            return Judgement::Unseen(format!("redirects to {target}"));
        }
        401 | 407 => return Judgement::Unseen(format!("asks for a login ({})", answer.status)),
        // A bucket behind a CDN answers so for an object that is not there, unless it may be listed.
        403 => return Judgement::Doubtful("is forbidden (403)".to_owned()),
        other => return Judgement::Unseen(format!("answered {other}")),
    }
    let expected = &file.headers.content_type;
    let got = answer.content_type.as_deref().unwrap_or("none");
    if essence(got) != essence(expected) {
        let hint =
            if essence(got) == "text/html" { "; a fallback page seems to take the place of missing files" } else { "" };
        return Judgement::Wrong(format!("content type is {got}, not {expected}{hint}"));
    }
    let stored_encoding = file.headers.content_encoding.as_deref();
    let body = match (answer.content_encoding.as_deref(), stored_encoding) {
        (None, None) => Some(answer.body.clone()),
        (Some(got), Some(stored)) if got.eq_ignore_ascii_case(stored) => Some(answer.body.clone()),
        // Compressed on the way by the CDN.
        (Some(got), None) => decode(got, &answer.body),
        (got, Some(stored)) => {
            let got = got.unwrap_or("none");
            return Judgement::Wrong(format!("content encoding is {got}, and the stored bytes are {stored}"));
        }
    };
    let Some(body) = body else {
        let got = answer.content_encoding.as_deref().unwrap_or_default();
        return Judgement::Wrong(format!("the body cannot be decoded as {got}"));
    };
    if Sha256::of(&body) != file.sha256 {
        let size = body.len();
        return Judgement::Wrong(format!("other content ({size} bytes) than the release's ({} bytes)", file.size));
    }
    let mut remarks = Vec::new();
    if answer.cache_control != file.headers.cache_control {
        let text = |v: &Option<String>| v.clone().unwrap_or_else(|| "none".to_owned());
        remarks.push(format!(
            "cache-control is {:?}, not {:?}: the CDN replaces it",
            text(&answer.cache_control),
            text(&file.headers.cache_control)
        ));
    }
    Judgement::Right(remarks)
}

fn judge_redirect(expected: &str, answer: &Answer) -> Judgement {
    match (answer.status, answer.location.as_deref()) {
        (300..=399, Some(location)) if location == expected || location.ends_with(expected) => {
            Judgement::Right(Vec::new())
        }
        (300..=399, location) => {
            Judgement::Wrong(format!("redirects to {}, not to {expected}", location.unwrap_or("nowhere")))
        }
        // Only an S3 website endpoint carries redirects out.
        (200, _) => Judgement::Right(vec![format!("is served, not redirected to {expected}")]),
        (status, _) => Judgement::Unseen(format!("answered {status}")),
    }
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The decoded body; `None` if it is not what the encoding says.
fn decode(encoding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match encoding.to_ascii_lowercase().as_str() {
        "identity" => out.extend_from_slice(body),
        "gzip" => drop(flate2::read::MultiGzDecoder::new(body).read_to_end(&mut out).ok()?),
        "br" => drop(brotli::Decompressor::new(body, 4096).read_to_end(&mut out).ok()?),
        _ => return None,
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;
    use crate::headers::Headers;
    use crate::site::{Key, Role};

    fn script(content: &[u8]) -> ReleaseFile {
        ReleaseFile {
            key: Key::new("app.js").unwrap(),
            sha256: Sha256::of(content),
            size: content.len() as u64,
            headers: Arc::new(Headers {
                content_type: "text/javascript; charset=utf-8".into(),
                cache_control: Some("no-cache".into()),
                ..Headers::default()
            }),
            role: Role::Entry,
            demoted: false,
        }
    }

    fn answer(body: &[u8]) -> Answer {
        Answer {
            status: 200,
            content_type: Some("text/javascript".into()),
            cache_control: Some("no-cache".into()),
            content_encoding: None,
            location: None,
            body: body.to_vec(),
        }
    }

    #[test]
    fn the_same_content_is_right_also_when_the_cdn_compressed_it() {
        assert_eq!(judge(&script(b"run()"), &answer(b"run()")), Judgement::Right(vec![]));
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(b"run()").unwrap();
        let zipped = Answer { content_encoding: Some("gzip".into()), ..answer(&zipped.finish().unwrap()) };
        assert_eq!(judge(&script(b"run()"), &zipped), Judgement::Right(vec![]));
    }

    #[test]
    fn a_fallback_page_with_status_200_is_wrong() {
        let page = Answer { content_type: Some("text/html".into()), ..answer(b"<html>") };
        let Judgement::Wrong(what) = judge(&script(b"run()"), &page) else { panic!() };
        assert!(what.contains("fallback"), "{what}");
    }

    #[test]
    fn other_content_and_not_found_are_wrong() {
        assert!(matches!(judge(&script(b"run()"), &answer(b"old()")), Judgement::Wrong(_)));
        assert!(matches!(judge(&script(b"run()"), &Answer { status: 404, ..answer(b"") }), Judgement::Wrong(_)));
        let broken = Answer { content_encoding: Some("br".into()), ..answer(b"not brotli") };
        assert!(matches!(judge(&script(b"run()"), &broken), Judgement::Wrong(_)));
    }

    #[test]
    fn what_cannot_be_seen_is_no_evidence() {
        for status in [302, 401, 429, 500, 503] {
            let seen = judge(&script(b"run()"), &Answer { status, ..answer(b"") });
            assert!(matches!(seen, Judgement::Unseen(_)), "{status}: {seen:?}");
        }
    }

    #[test]
    fn what_a_redirect_leads_to_is_doubtful_unless_it_is_right() {
        let url = |path: &str| Url::parse("https://site.test").unwrap().join(path).unwrap();
        let login = judge(&script(b"run()"), &answer(b"log in"));
        assert!(matches!(login, Judgement::Wrong(_)), "{login:?}");
        assert_eq!(login.clone().found_at(&url("/app.js"), &url("/app.js")), login);
        let Judgement::Doubtful(what) = login.found_at(&url("/app.js"), &url("/login?to=secret")) else { panic!() };
        assert!(what.starts_with("redirects to /login: ") && !what.contains("secret"), "{what}");
        let right = judge(&script(b"run()"), &answer(b"run()"));
        assert_eq!(right.clone().found_at(&url("/app.js"), &url("/moved.js")), right);
        let forbidden = judge(&script(b"run()"), &Answer { status: 403, ..answer(b"") });
        assert!(matches!(forbidden, Judgement::Doubtful(_)), "{forbidden:?}");
    }

    #[test]
    fn references_are_read_in_what_the_cdn_compressed() {
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(b"import('./late.js')").unwrap();
        let zipped = Answer { content_encoding: Some("gzip".into()), ..answer(&zipped.finish().unwrap()) };
        assert_eq!(zipped.plain(), b"import('./late.js')");
        assert_eq!(answer(b"as it is").plain(), b"as it is");
        assert_eq!(Answer { content_encoding: Some("br".into()), ..answer(b"no") }.plain(), b"");
    }

    #[test]
    fn a_replaced_cache_control_is_a_remark() {
        let other = Answer { cache_control: Some("max-age=60".into()), ..answer(b"run()") };
        let Judgement::Right(remarks) = judge(&script(b"run()"), &other) else { panic!() };
        assert_eq!(remarks.len(), 1);
    }
}
