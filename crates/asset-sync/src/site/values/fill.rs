//! Filling in: a template becomes the file that is served.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use super::placeholder::find;
use super::{Filling, html, json};
use crate::site::media_type;

/// Largest template, in bytes: it is held in memory while it is filled in.
pub(in crate::site) const MAX_TEMPLATE: u64 = 16 * 1024 * 1024;

/// How a file takes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::site) enum Kind {
    /// HTML.
    Html,
    /// JSON.
    Json,
    /// Not at all.
    Other,
}

impl Kind {
    /// By the content type it is served with.
    pub(in crate::site) fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == "application/json" || essence.ends_with("+json") {
            Self::Json
        } else if media_type::is_html(content_type) && essence != "application/xhtml+xml" {
            Self::Html
        } else {
            Self::Other
        }
    }
}

/// Why a placeholder cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceholderFault {
    /// There is no such variable.
    #[error("has no value: set the variable {0}, or remove the placeholder")]
    NoValue(String),
    /// It is not written as a placeholder.
    #[error(
        "is not a whole placeholder: write its name in capital letters and digits, with single `_` between, and `__` at the end"
    )]
    Malformed,
    /// In a script.
    #[error(
        "is in {0}, where no escaping is safe: put it in an attribute (`data-…`) or let the script read the generated env.json or env.js"
    )]
    Script(&'static str),
    /// In CSS.
    #[error("is in {0}, where no escaping is safe: put it in the text or another attribute of a page")]
    Style(&'static str),
    /// In a comment.
    #[error("is in a comment, where it has no effect: remove it")]
    Comment,
    /// In an attribute's value without quotes.
    #[error("is in an attribute without quotes: write the attribute's value in quotes")]
    Unquoted,
    /// In a tag, but in no attribute's value.
    #[error("is part of a tag: only text and attributes' values in quotes take values")]
    Tag,
    /// In an element or attribute where HTML's escaping does not count, or not once only.
    #[error("is in {0}, whose content is not plain text: put it elsewhere")]
    Nested(&'static str),
    /// After `&`, with which the value could make a character reference.
    #[error("follows an `&` that could be the start of a character reference: write `&amp;` instead of `&`")]
    Ampersand,
    /// In JSON, but not in a string.
    #[error("is not in a string: write it in quotes")]
    NotInString,
    /// The file is not JSON.
    #[error("cannot be filled in, since the file is not JSON: {0}")]
    NotJson(String),
    /// The file is not UTF-8.
    #[error("cannot be filled in, since the file is not UTF-8")]
    NotUtf8,
    /// A file of a kind that takes no values.
    #[error(
        "is in a file that is neither HTML nor JSON: take the file out of the templates, and let it read the generated env.json or env.js"
    )]
    Kind,
    /// A file whose name carries its hash.
    #[error(
        "is in a file with a content hash in its name, which must be the same in every environment: give the file a name without a hash, or let it read the generated env.json or env.js"
    )]
    Fingerprinted,
    /// A file too large to be a template.
    #[error("is in a file of more than 16 MiB: take it out of the templates, and let it read the generated env.json")]
    TooLarge,
    /// A file that the build compressed.
    #[error("is in a file that the build compressed, which takes no values: let the build leave it uncompressed")]
    Precompressed,
}

/// A placeholder that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{placeholder} {fault}")]
pub struct Fault {
    /// The placeholder as it stands in the file.
    pub placeholder: String,
    /// Why.
    pub fault: PlaceholderFault,
}

/// Where in a file placeholders may stand, and how values are written there.
pub(super) trait Template {
    /// Whether the value of a placeholder at `span` may be written there.
    fn admits(&self, span: &Range<usize>) -> Result<(), PlaceholderFault>;
    /// A value as it is written there.
    fn escape<'v>(&self, value: &'v str) -> Cow<'v, str>;
}

/// A file with its values.
#[derive(Debug)]
pub(in crate::site) struct Filled<'a> {
    /// What is served; the source where there is no placeholder.
    pub(in crate::site) bytes: Cow<'a, [u8]>,
    /// The variables that were used.
    pub(in crate::site) used: BTreeSet<String>,
    /// Where values stand in `bytes`, in order.
    pub(in crate::site) inserted: Vec<Range<usize>>,
}

impl Filling {
    /// `source` with its placeholders filled in; every placeholder that cannot be, with its line.
    pub(in crate::site) fn fill<'a>(&self, kind: Kind, source: &'a [u8]) -> Result<Filled<'a>, Vec<(usize, Fault)>> {
        let found = find(&self.prefix, source);
        if found.is_empty() {
            return Ok(Filled { bytes: Cow::Borrowed(source), used: BTreeSet::new(), inserted: Vec::new() });
        }
        let line = |at: usize| 1 + memchr::memchr_iter(b'\n', &source[..at]).count();
        let template: Result<Box<dyn Template>, PlaceholderFault> = match (kind, std::str::from_utf8(source)) {
            (Kind::Other, _) => Err(PlaceholderFault::Kind),
            (_, Err(_)) => Err(PlaceholderFault::NotUtf8),
            (Kind::Html, Ok(_)) => Ok(Box::new(html::Html::new(source))),
            (Kind::Json, Ok(text)) => Ok(Box::new(json::Json::new(text))),
        };
        let template = match template {
            Ok(template) => template,
            // One complaint about the file is enough.
            Err(fault) => {
                return Err(vec![(line(found[0].span.start), Fault { placeholder: found[0].text.to_owned(), fault })]);
            }
        };
        let mut faults = Vec::new();
        let mut bytes = Vec::with_capacity(source.len());
        let mut used = BTreeSet::new();
        let mut inserted = Vec::new();
        let mut from = 0;
        for occurrence in found {
            let value = match occurrence.variable {
                None => Err(PlaceholderFault::Malformed),
                Some(name) => template.admits(&occurrence.span).and_then(|()| {
                    let value = self.values.get(name);
                    value.map(|value| (name, value)).ok_or_else(|| PlaceholderFault::NoValue(name.to_owned()))
                }),
            };
            match value {
                Ok((name, value)) => {
                    bytes.extend(&source[from..occurrence.span.start]);
                    let start = bytes.len();
                    bytes.extend(template.escape(value).as_bytes());
                    inserted.push(start..bytes.len());
                    from = occurrence.span.end;
                    used.insert(name.to_owned());
                }
                Err(fault) => {
                    let fault = Fault { placeholder: occurrence.text.to_owned(), fault };
                    faults.push((line(occurrence.span.start), fault));
                }
            }
        }
        bytes.extend(&source[from..]);
        if faults.is_empty() { Ok(Filled { bytes: Cow::Owned(bytes), used, inserted }) } else { Err(faults) }
    }
}

#[cfg(test)]
#[path = "fill_tests.rs"]
mod tests;
