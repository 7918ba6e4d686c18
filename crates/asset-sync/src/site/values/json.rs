//! Values in JSON: inside its strings, escaped.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use super::PlaceholderFault;
use super::fill::Template;

/// A JSON text, and where its strings are.
pub(super) struct Json {
    /// The insides of the strings, in order.
    strings: Vec<Range<usize>>,
    /// Why the text is not JSON.
    invalid: Option<String>,
}

impl Json {
    pub(super) fn new(source: &str) -> Self {
        // Programs that read it through `fetch(…).json()` skip a byte order mark.
        let text = source.strip_prefix('\u{feff}').unwrap_or(source);
        let invalid = serde_json::from_str::<IgnoredAny>(text).err().map(|error| error.to_string());
        let mut strings = Vec::new();
        let mut open = None;
        let mut bytes = source.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match (byte, open) {
                (b'\\', Some(_)) => {
                    bytes.next();
                }
                (b'"', None) => open = Some(at + 1),
                (b'"', Some(start)) => {
                    strings.push(start..at);
                    open = None;
                }
                _ => {}
            }
        }
        Self { strings, invalid }
    }
}

impl Template for Json {
    fn admits(&self, span: &Range<usize>) -> Result<(), PlaceholderFault> {
        let at = self.strings.partition_point(|string| string.end <= span.start);
        let inside = self.strings.get(at).is_some_and(|string| string.start <= span.start && span.end <= string.end);
        match &self.invalid {
            _ if !inside => Err(PlaceholderFault::NotInString),
            Some(error) => Err(PlaceholderFault::NotJson(error.clone())),
            None => Ok(()),
        }
    }

    fn escape<'v>(&self, value: &'v str) -> Cow<'v, str> {
        let quoted = serde_json::Value::from(value).to_string();
        match quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')) {
            Some(inner) if inner != value => Cow::Owned(inner.to_owned()),
            _ => Cow::Borrowed(value),
        }
    }
}
