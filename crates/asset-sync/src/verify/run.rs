//! One run of the verification: which requests it sends, and when it stops.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::{self, StreamExt as _};
use reqwest::Url;
use tokio::time::Instant;

use super::answer::{Answer, Judgement, judge};
use super::evidence::{Door, Look, weigh};
use super::http::HttpVerifier;
use super::selection::{Form, by_name, differs, fetched, forms, is_text, mentioned, pages, pages_differ, sample};
use super::{Expected, Verdict};
use crate::plan::Routing;
use crate::site::Role;
use crate::state::ReleaseFile;

/// Requests at once: less than a visitor's browser.
const AT_ONCE: usize = 4;
/// A URL is fetched at least so often before what it answers is believed against the release.
const LEAST_ATTEMPTS: usize = 2;
/// After so many URLs that did not answer at all, the others are not waited for.
const MOST_SILENT: usize = 8;
/// Wrong files that are looked at once more at the end.
const LOOKED_AT_AGAIN: usize = 5;
/// One in so many of a run's requests is kept for addresses besides files' own.
const SHARE_OF_FORMS: usize = 4;
/// After so many addresses that are not answered by their files, the others are not asked for: the set-up lacks what
/// `DEPLOY_ROUTING` says of it.
const MOST_UNANSWERED: usize = 3;
/// Requests that are kept for the end: for wrong files, for a page, and for the state area.
const RESERVED: usize = LOOKED_AT_AGAIN + LEAST_ATTEMPTS + 1;

/// Why there is no answer.
pub(super) enum Missed {
    /// The run has sent as many requests as it may.
    NoneLeft,
    /// The request failed. Says how.
    Silent(String),
}

/// The requests that a run may still send.
pub(super) struct Budget(AtomicUsize);

impl Budget {
    /// Takes one request; false if none is left.
    pub(super) fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was seen at a URL in the end.
struct Seen {
    judgement: Judgement,
    /// `None` if there was no answer.
    status: Option<u16>,
    /// The body without its encoding; `None` if there was no answer.
    body: Option<Vec<u8>>,
}

pub(super) struct Run<'a> {
    verifier: &'a HttpVerifier,
    expected: Expected<'a>,
    /// Addresses besides files' own. A request is kept for each, and two for a page where one is not answered.
    forms: Vec<Form<'a>>,
    budget: Budget,
    /// Whether each page shows the release, since none differs from the one before.
    any_page_shows: bool,
    /// When the site must have shown the release.
    until: Instant,
}

impl<'a> Run<'a> {
    pub(super) fn new(verifier: &'a HttpVerifier, expected: Expected<'a>) -> Self {
        let forms = forms_to_look_at(verifier, expected);
        let kept = RESERVED + if forms.is_empty() { 0 } else { forms.len() + LEAST_ATTEMPTS };
        let most = verifier.requests.saturating_sub(kept).max(1);
        let any_page_shows = expected.previous.is_none_or(|previous| !pages_differ(expected.manifest, previous));
        let until = Instant::now() + verifier.patience;
        Self { verifier, expected, forms, budget: Budget(AtomicUsize::new(most)), any_page_shows, until }
    }

    pub(super) async fn verdict(self) -> Verdict {
        let mut looks = Vec::new();
        let mut files = Vec::new();
        let mut door = self.look_around(&mut looks, &mut files).await;
        if door == Door::Open {
            self.budget.0.fetch_add(self.forms.len(), Ordering::Relaxed);
            door = self.look_at_forms(&mut looks, &mut files).await;
        }
        self.budget.0.fetch_add(RESERVED, Ordering::Relaxed);
        if door == Door::Open {
            door = self.confirm(&mut looks, &files).await;
        }
        let looked_at: HashSet<&str> = files.iter().map(|(_, file)| file.key.as_str()).collect();
        let mut verdict = weigh(looks, &door);
        verdict.looked_at = looked_at.len() as u64;
        verdict.files = self.expected.manifest.files.len() as u64;
        if let Some(path) = self.expected.state_path {
            verdict.state_area_readable = self.verifier.is_readable(path, &self.budget).await;
        }
        verdict
    }

    /// Looks at pages, what they load, and a sample of the rest. `files` gets the address and the file
    /// of each look.
    async fn look_around(&self, looks: &mut Vec<Look>, files: &mut Vec<(Url, &'a ReleaseFile)>) -> Door {
        let all = looked_at_files(self.verifier, self.expected);
        let names = by_name(&all);
        let mut seen: HashSet<&str> = HashSet::new();
        let mut wave = pages(&all);
        let mut was_sampled = false;
        let mut was_refused = false;
        let mut silent = 0;
        loop {
            wave.retain(|f| seen.insert(f.key.as_str()));
            if wave.is_empty() {
                if was_sampled {
                    return Door::Open;
                }
                was_sampled = true;
                let rest: Vec<&ReleaseFile> = all.iter().copied().filter(|f| !seen.contains(f.key.as_str())).collect();
                wave = sample(&rest, self.budget.left());
                continue;
            }
            let mut urls = Vec::new();
            for (index, file) in wave.iter().enumerate() {
                urls.extend(self.urls(file).into_iter().map(|url| (index, url)));
            }
            let this_wave = &wave;
            let mut results = stream::iter(urls)
                .map(|(index, url)| async move {
                    let seen = self.look(&url, this_wave[index]).await;
                    (index, url, seen)
                })
                .buffered(AT_ONCE);
            let mut next = BTreeSet::new();
            while let Some((index, url, seen)) = results.next().await {
                let file = this_wave[index];
                // No request was left for it.
                let Some(Seen { judgement, body, .. }) = seen else { continue };
                silent += usize::from(body.is_none());
                let is_refusal = matches!(judgement, Judgement::Wrong(_) | Judgement::Unseen(_));
                if matches!(judgement, Judgement::Right(_) | Judgement::Rewritten) && is_text(file) {
                    let body = body.unwrap_or_default();
                    next.extend(mentioned(&body, &names).into_iter().map(|f| &f.key));
                }
                looks.push(Look { url: url.to_string(), shows_release: self.shows_release(file), judgement });
                files.push((url, file));
                if is_refusal
                    && !was_refused
                    && let Some(page) = right_page(looks, files)
                {
                    was_refused = true;
                    if let Door::Closed(seen) = self.knock(page).await {
                        return Door::Closed(seen);
                    }
                }
                if silent >= MOST_SILENT {
                    return Door::Open;
                }
            }
            drop(results);
            wave = next.into_iter().filter_map(|key| self.expected.manifest.get(key)).collect();
        }
    }

    /// Looks at addresses that pages have besides their own. What is not answered there is no evidence: nobody knows whether
    /// the release before was, and another release would be answered no better.
    async fn look_at_forms(&self, looks: &mut Vec<Look>, files: &mut Vec<(Url, &'a ReleaseFile)>) -> Door {
        // Where no page was right there is no more to be seen at other addresses.
        let Some((page, page_file)) = right_page(looks, files).map(|(url, file)| (url.clone(), file)) else {
            return Door::Open;
        };
        let urls: Vec<(usize, Url)> =
            self.forms.iter().map(|form| self.verifier.url(&form.address)).enumerate().collect();
        let mut results = stream::iter(urls)
            .map(|(index, url)| async move {
                let seen = self.look(&url, self.forms[index].file).await;
                (index, url, seen)
            })
            .buffered(AT_ONCE);
        let mut unanswered = 0;
        let mut was_refused = false;
        while let Some((index, url, seen)) = results.next().await {
            let file = self.forms[index].file;
            let Some(Seen { judgement, status, .. }) = seen else { continue };
            let judgement = match judgement {
                Judgement::Wrong(what) | Judgement::Unseen(what) => {
                    if !was_refused {
                        was_refused = true;
                        self.budget.0.fetch_add(LEAST_ATTEMPTS, Ordering::Relaxed);
                        if let Door::Closed(seen) = self.knock((&page, page_file)).await {
                            let judgement = Judgement::Unseen(format!("{what}; {seen}"));
                            looks.push(Look { url: url.to_string(), shows_release: false, judgement });
                            files.push((url, file));
                            return Door::Closed(seen);
                        }
                    }
                    unanswered += 1;
                    Judgement::Unseen(self.unanswered(file, status, what))
                }
                other => other,
            };
            looks.push(Look { url: url.to_string(), shows_release: false, judgement });
            files.push((url, file));
            if unanswered >= MOST_UNANSWERED {
                break;
            }
        }
        Door::Open
    }

    /// What is said of an address that `file` should answer.
    fn unanswered(&self, file: &ReleaseFile, status: Option<u16>, what: String) -> String {
        if !matches!(status, Some(200 | 403 | 404 | 410)) {
            return what;
        }
        let (routing, key) = (self.verifier.routing, &file.key);
        let mend = match routing {
            Routing::Spa => "a custom error response with status 200, or a function",
            _ => "a function for viewer requests",
        };
        format!(
            "{what}. DEPLOY_ROUTING={} says that {key} answers here: give the distribution {mend}, or correct DEPLOY_ROUTING",
            routing.name()
        )
    }

    /// Looks once more at wrong files, and then at a page that was right: if that is no longer served,
    /// the wrong answers tell nothing.
    async fn confirm(&self, looks: &mut [Look], files: &[(Url, &'a ReleaseFile)]) -> Door {
        let Some(page) = right_page(looks, files) else { return Door::Open };
        let wrong = looks.iter_mut().zip(files).filter(|(look, _)| matches!(look.judgement, Judgement::Wrong(_)));
        let mut is_wrong = false;
        for (look, (url, file)) in wrong.take(LOOKED_AT_AGAIN) {
            if let Ok(seen) = self.look_once(url, file).await {
                look.judgement = seen.judgement;
            }
            is_wrong |= matches!(look.judgement, Judgement::Wrong(_));
        }
        if is_wrong { self.knock(page).await } else { Door::Open }
    }

    /// Whether a page that was right still is. It must not read from the store: looks that are under way
    /// are not polled meanwhile, and may hold what limits the requests to it.
    async fn knock(&self, (url, file): (&Url, &ReleaseFile)) -> Door {
        let mut seen = "could not be asked for again".to_owned();
        for attempt in 0..LEAST_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(self.verifier.pause).await;
            }
            seen = match self.ask(url, file).await {
                Ok((_, Judgement::Wrong(what) | Judgement::Unseen(what))) | Err(Missed::Silent(what)) => what,
                Ok(_) => return Door::Open,
                Err(Missed::NoneLeft) => break,
            };
        }
        Door::Closed(format!("{url} was served before, and now: {seen}"))
    }

    /// Fetches `url` until it is right, or the time is over, or no request is left; `None` if not even
    /// one was.
    async fn look(&self, url: &Url, file: &ReleaseFile) -> Option<Seen> {
        let mut last = None;
        for attempt in 1.. {
            let seen = match self.look_once(url, file).await {
                Ok(seen) => seen,
                Err(Missed::Silent(reason)) => Seen { judgement: Judgement::Unseen(reason), status: None, body: None },
                Err(Missed::NoneLeft) => break,
            };
            let is_over = attempt >= LEAST_ATTEMPTS && Instant::now() >= self.until;
            if is_over || matches!(seen.judgement, Judgement::Right(_) | Judgement::Rewritten) {
                return Some(seen);
            }
            last = Some((attempt, seen));
            tokio::time::sleep(self.verifier.pause).await;
        }
        last.map(|(attempts, seen)| match seen.judgement {
            Judgement::Wrong(what) if attempts < LEAST_ATTEMPTS => {
                Seen { judgement: Judgement::Unseen(format!("{what}; no request was left to look again")), ..seen }
            }
            _ => seen,
        })
    }

    async fn look_once(&self, url: &Url, file: &ReleaseFile) -> Result<Seen, Missed> {
        let (answer, judgement) = self.ask(url, file).await?;
        let judgement = match judgement {
            Judgement::Wrong(_) if self.is_rewritten(file, &answer).await => Judgement::Rewritten,
            other => other,
        };
        Ok(Seen { judgement, status: Some(answer.status), body: Some(answer.plain()) })
    }

    /// The answer, judged by itself. Reads nothing from the store.
    async fn ask(&self, url: &Url, file: &ReleaseFile) -> Result<(Answer, Judgement), Missed> {
        let (answer, from) = self.verifier.fetch(url, file, &self.budget).await?;
        let previous = self.expected.previous.and_then(|previous| previous.get(&file.key));
        let judgement = judge(file, previous, &answer).found_at(url, &from);
        Ok((answer, judgement))
    }

    async fn is_rewritten(&self, file: &ReleaseFile, answer: &Answer) -> bool {
        let Some(contents) = self.expected.contents.filter(|_| file.role >= Role::Html) else { return false };
        contents.read(file).await.is_some_and(|stored| answer.is_rewritten(file, &stored))
    }

    fn shows_release(&self, file: &ReleaseFile) -> bool {
        let is_page = file.role >= Role::Html && file.headers.redirect.is_none();
        is_page && (self.any_page_shows || self.expected.previous.is_none_or(|previous| differs(file, previous)))
    }

    /// Every URL under which a file answers.
    fn urls(&self, file: &ReleaseFile) -> Vec<Url> {
        let mut urls = vec![self.verifier.url(file.key.as_str())];
        if file.role == Role::Root {
            urls.push(self.verifier.base.clone());
        }
        urls
    }
}

/// The files that may be looked at.
fn looked_at_files<'a>(verifier: &HttpVerifier, expected: Expected<'a>) -> Vec<&'a ReleaseFile> {
    fetched(expected.manifest).filter(|f| !verifier.ignore.is_match(f.key.as_str())).collect()
}

/// The addresses besides files' own that are looked at.
fn forms_to_look_at<'a>(verifier: &HttpVerifier, expected: Expected<'a>) -> Vec<Form<'a>> {
    let pages = pages(&looked_at_files(verifier, expected));
    let most = verifier.requests / SHARE_OF_FORMS;
    let mut forms = forms(&pages, verifier.routing, expected.manifest, expected.previous, most);
    let root = pages.iter().find(|page| page.role == Role::Root);
    if verifier.routing == Routing::Directory && verifier.base.path() != "/" {
        forms.extend(root.map(|&file| Form { address: String::new(), file }));
    }
    forms
}

/// The first page that was right: the root document where that was.
fn right_page<'s, 'f>(looks: &[Look], files: &'s [(Url, &'f ReleaseFile)]) -> Option<(&'s Url, &'f ReleaseFile)> {
    let mut right = looks.iter().zip(files).filter(|(look, _)| matches!(look.judgement, Judgement::Right(_)));
    right.find(|(look, _)| look.shows_release).map(|(_, (url, file))| (url, *file))
}
