//! Judging one answer: pure.

use std::io::Read as _;

use reqwest::Url;

use crate::digest::Sha256;
use crate::site::page_references;
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
    /// It is a page that refers to all that the release's page refers to, with other bytes.
    Rewritten,
    /// It is what the release before has here.
    Stale,
    /// It is something else.
    Wrong(String),
    /// It does not tell.
    Unseen(String),
}

impl Answer {
    /// The body without its content encoding; nothing if it is not what that says.
    pub(super) fn plain(&self) -> Vec<u8> {
        match self.content_encoding.as_deref() {
            Some(encoding) => decode(encoding, &self.body).unwrap_or_default(),
            None => self.body.clone(),
        }
    }

    /// Whether it is `file` of another release.
    fn is(&self, file: &ReleaseFile) -> bool {
        self.status == 200 && (Sha256::of(&self.body) == file.sha256 || Sha256::of(&self.plain()) == file.sha256)
    }

    /// Whether it is a page with all the references that the page with these stored bytes has. A page
    /// without references is like every other one, so that nothing can be said of it.
    pub(super) fn is_rewritten(&self, file: &ReleaseFile, stored: &[u8]) -> bool {
        let is_page = self.status == 200 && essence(self.content_type.as_deref().unwrap_or_default()) == "text/html";
        let plain = match file.headers.content_encoding.as_deref() {
            Some(encoding) => decode(encoding, stored).unwrap_or_default(),
            None => stored.to_vec(),
        };
        let references = page_references(&plain);
        is_page && !references.is_empty() && references.is_subset(&page_references(&self.plain()))
    }
}

impl Judgement {
    /// The judgement of `asked`, whose answer came from `found`: who is sent elsewhere within the site
    /// may be sent to a login, which is no evidence.
    pub(super) fn found_at(self, asked: &Url, found: &Url) -> Self {
        match self {
            Self::Wrong(what) if asked != found => Self::Unseen(format!("redirects to {}: {what}", found.path())),
            other => other,
        }
    }
}

/// Judges the answer to a request for `file`, which was `previous` in the release before.
pub(super) fn judge(file: &ReleaseFile, previous: Option<&ReleaseFile>, answer: &Answer) -> Judgement {
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
        // A bucket that may not be listed answers so for an object that is not there, and so does every
        // firewall for whatever it likes (AWS WAF's rate-based rules among them).
        403 => return Judgement::Unseen("is forbidden (403)".to_owned()),
        other => return Judgement::Unseen(format!("answered {other}")),
    }
    if previous.is_some_and(|previous| previous.sha256 != file.sha256 && answer.is(previous)) {
        return Judgement::Stale;
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
        assert_eq!(judge(&script(b"run()"), None, &answer(b"run()")), Judgement::Right(vec![]));
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(b"run()").unwrap();
        let zipped = Answer { content_encoding: Some("gzip".into()), ..answer(&zipped.finish().unwrap()) };
        assert_eq!(judge(&script(b"run()"), None, &zipped), Judgement::Right(vec![]));
    }

    #[test]
    fn a_fallback_page_with_status_200_is_wrong() {
        let page = Answer { content_type: Some("text/html".into()), ..answer(b"<html>") };
        let Judgement::Wrong(what) = judge(&script(b"run()"), None, &page) else { panic!() };
        assert!(what.contains("fallback"), "{what}");
    }

    #[test]
    fn other_content_and_not_found_are_wrong() {
        assert!(matches!(judge(&script(b"run()"), None, &answer(b"old()")), Judgement::Wrong(_)));
        assert!(matches!(judge(&script(b"run()"), None, &Answer { status: 404, ..answer(b"") }), Judgement::Wrong(_)));
        let broken = Answer { content_encoding: Some("br".into()), ..answer(b"not brotli") };
        assert!(matches!(judge(&script(b"run()"), None, &broken), Judgement::Wrong(_)));
    }

    #[test]
    fn what_cannot_be_seen_is_no_evidence() {
        for status in [202, 302, 401, 403, 405, 429, 500, 503] {
            let seen = judge(&script(b"run()"), None, &Answer { status, ..answer(b"") });
            assert!(matches!(seen, Judgement::Unseen(_)), "{status}: {seen:?}");
        }
    }

    #[test]
    fn what_a_redirect_leads_to_tells_nothing_unless_it_is_right() {
        let url = |path: &str| Url::parse("https://site.test").unwrap().join(path).unwrap();
        let login = judge(&script(b"run()"), None, &answer(b"log in"));
        assert!(matches!(login, Judgement::Wrong(_)), "{login:?}");
        assert_eq!(login.clone().found_at(&url("/app.js"), &url("/app.js")), login);
        let Judgement::Unseen(what) = login.found_at(&url("/app.js"), &url("/login?to=secret")) else { panic!() };
        assert!(what.starts_with("redirects to /login: ") && !what.contains("secret"), "{what}");
        let right = judge(&script(b"run()"), None, &answer(b"run()"));
        assert_eq!(right.clone().found_at(&url("/app.js"), &url("/moved.js")), right);
    }

    #[test]
    fn what_the_release_before_has_is_stale() {
        let (new, old) = (script(b"run()"), script(b"old()"));
        assert_eq!(judge(&new, Some(&old), &answer(b"old()")), Judgement::Stale);
        assert_eq!(judge(&new, Some(&old), &answer(b"run()")), Judgement::Right(vec![]));
        assert!(matches!(judge(&new, Some(&old), &answer(b"else()")), Judgement::Wrong(_)));
        assert!(matches!(judge(&new, Some(&old), &Answer { status: 404, ..answer(b"old()") }), Judgement::Wrong(_)));
        // What did not change cannot be stale.
        assert_eq!(judge(&new, Some(&new), &answer(b"run()")), Judgement::Right(vec![]));
    }

    #[test]
    fn a_page_with_all_references_and_more_is_rewritten() {
        let stored = br#"<script src="/app.js"></script><a href="/about/">"#;
        let page = |body: &[u8]| Answer { content_type: Some("text/html; charset=utf-8".into()), ..answer(body) };
        let file = script(stored);
        let more =
            br#"<script src="https://cdn.example/x.js"></script><a href="/about/"><script src="/app.js"></script>"#;
        assert!(page(more).is_rewritten(&file, stored));
        assert!(!page(br#"<script src="/app.js"></script>"#).is_rewritten(&file, stored), "a reference is gone");
        assert!(!answer(more).is_rewritten(&file, stored), "no page");
        assert!(!Answer { status: 503, ..page(more) }.is_rewritten(&file, stored), "an error page");
        assert!(!page(b"<p>log in").is_rewritten(&file, b"<p>no references"), "every page has no references");
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
        let Judgement::Right(remarks) = judge(&script(b"run()"), None, &other) else { panic!() };
        assert_eq!(remarks.len(), 1);
    }
}
