//! Placeholders: `__WEBAPP_API_URL__` stands for the value of the variable `WEBAPP_API_URL`.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem::Finder;

/// Bytes of the end of one block that are looked at again with the next: more than any placeholder.
const OVERLAP: usize = 512;

/// Something that starts as a placeholder does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Occurrence<'a> {
    /// The placeholder; where it has no end, its start.
    pub(super) span: Range<usize>,
    /// As it stands in the file.
    pub(super) text: &'a str,
    /// The variable it stands for; none if it is not written as one.
    pub(super) variable: Option<&'a str>,
}

/// Capital letters and digits, with single `_` between: so that `__` is the end of a placeholder.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text.as_bytes()) == text.len()
}

/// Bytes of the longest name that `bytes` start with.
fn name_length(bytes: &[u8]) -> usize {
    let is_part = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let mut length = 0;
    loop {
        let part = bytes[length..].iter().take_while(|b| is_part(b)).count();
        length += part;
        match bytes.get(length + 1) {
            Some(next) if part > 0 && bytes[length] == b'_' && is_part(next) => length += 1,
            _ => return length,
        }
    }
}

/// The text with which every placeholder of variables with this prefix starts.
pub(super) fn marker(prefix: &str) -> String {
    format!("__{prefix}")
}

/// All that starts as a placeholder does, in order.
pub(super) fn find<'a>(prefix: &str, source: &'a [u8]) -> Vec<Occurrence<'a>> {
    let marker = marker(prefix);
    let finder = Finder::new(marker.as_bytes());
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = finder.find(&source[from..]) {
        let start = from + at;
        let name = start + marker.len();
        let end = name + name_length(&source[name..]);
        let complete = end > name && source[end..].starts_with(b"__");
        let span = start..if complete { end + 2 } else { end };
        // Only ASCII was matched.
        let text = std::str::from_utf8(&source[span.clone()]).unwrap_or_default();
        found.push(Occurrence { text, variable: complete.then(|| &text[2..text.len() - 2]), span: span.clone() });
        from = span.end;
    }
    found
}

/// Looks for a placeholder in a file that is read block by block, and not to be changed.
#[derive(Debug)]
pub(in crate::site) struct StraySearch {
    prefix: String,
    finder: Finder<'static>,
    tail: Vec<u8>,
    found: Option<String>,
}

impl StraySearch {
    /// For placeholders of variables with this prefix.
    pub(in crate::site) fn new(prefix: &str) -> Self {
        let finder = Finder::new(marker(prefix).as_bytes()).into_owned();
        Self { prefix: prefix.to_owned(), finder, tail: Vec::new(), found: None }
    }

    /// Takes the next block.
    pub(in crate::site) fn block(&mut self, block: &[u8]) {
        if self.found.is_some() {
            return;
        }
        // What straddles the border: the end of what was, and the start of this.
        let kept = self.tail.len();
        self.tail.extend(&block[..block.len().min(OVERLAP)]);
        let straddling = std::mem::take(&mut self.tail);
        if kept > 0 {
            self.look(&straddling);
        }
        self.look(block);
        if block.len() >= OVERLAP {
            self.tail.extend(&block[block.len() - OVERLAP..]);
        } else {
            self.tail = straddling;
            self.tail.drain(..self.tail.len().saturating_sub(OVERLAP));
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        if self.found.is_none() && self.finder.find(bytes).is_some() {
            let all = find(&self.prefix, bytes);
            self.found = all.iter().find(|o| o.variable.is_some()).map(|o| o.text.to_owned());
        }
    }

    /// The first placeholder that was seen.
    pub(in crate::site) fn found(self) -> Option<String> {
        self.found
    }
}

/// Looks for how names begin that could be placeholders of variables with any prefix.
#[derive(Debug, Default)]
pub(in crate::site) struct WordSearch {
    tail: Vec<u8>,
    found: BTreeSet<String>,
}

impl WordSearch {
    /// Takes the next block.
    pub(in crate::site) fn block(&mut self, block: &[u8]) {
        let mut bytes = std::mem::take(&mut self.tail);
        bytes.extend(block);
        for at in memchr::memchr_iter(b'_', &bytes) {
            let rest = &bytes[at + 1..];
            if rest.first() != Some(&b'_') {
                continue;
            }
            // A prefix is a word, `_`, and maybe more.
            let word = rest[1..].iter().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count();
            if word > 0
                && rest.get(word + 1) == Some(&b'_')
                && let Ok(word) = std::str::from_utf8(&rest[1..=word])
                && !self.found.contains(word)
            {
                self.found.insert(word.to_owned());
            }
        }
        // What may go on in the next block.
        bytes.drain(..bytes.len().saturating_sub(OVERLAP));
        self.tail = bytes;
    }

    /// The words, such as `WEBAPP` for `__WEBAPP_API_URL__`.
    pub(in crate::site) fn found(self) -> BTreeSet<String> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<(&str, Option<&str>)> {
        find("WEBAPP_", text.as_bytes()).into_iter().map(|o| (o.text, o.variable)).collect()
    }

    #[test]
    fn placeholders_are_told_from_what_looks_like_them() {
        for (text, expected) in [
            ("a __WEBAPP_A__ b", vec![("__WEBAPP_A__", Some("WEBAPP_A"))]),
            ("__WEBAPP_API_URL_2__", vec![("__WEBAPP_API_URL_2__", Some("WEBAPP_API_URL_2"))]),
            ("___WEBAPP_A___", vec![("__WEBAPP_A__", Some("WEBAPP_A"))]),
            ("__WEBAPP_A____WEBAPP_B__", vec![("__WEBAPP_A__", Some("WEBAPP_A")), ("__WEBAPP_B__", Some("WEBAPP_B"))]),
            ("__WEBAPP_A_ __WEBAPP_b__", vec![("__WEBAPP_A", None), ("__WEBAPP_", None)]),
            ("__WEBAPP___ __WEBAPP_", vec![("__WEBAPP_", None), ("__WEBAPP_", None)]),
            ("__webapp_a__ WEBAPP_A __OTHER_A__", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    fn words(blocks: &[&[u8]]) -> Vec<String> {
        let mut search = WordSearch::default();
        for block in blocks {
            search.block(block);
        }
        search.found().into_iter().collect()
    }

    #[test]
    fn words_of_what_could_be_placeholders() {
        for (text, expected) in [
            ("__WEBAPP_A__ ___MY_APP_B__ __WEBAPP_C__", vec!["MY", "WEBAPP"]),
            ("__DEV__", vec!["DEV"]),
            ("__ZN10foo __a_ ____ _A_ __", vec![]),
        ] {
            assert_eq!(words(&[text.as_bytes()]), expected, "{text}");
        }
    }

    proptest! {
        /// No file in which a template's or a stray's placeholder would be found is passed over.
        #[test]
        fn every_placeholder_begins_with_a_word(text in "[_AB1a]{0,40}", at in 0usize..40, prefix in "([AB1]{1,2}_){1,2}") {
            let text = text.as_bytes();
            let at = at.min(text.len());
            let words = words(&[&text[..at], &text[at..]]);
            if !find(&prefix, text).is_empty() {
                prop_assert!(words.iter().any(|word| prefix.split('_').next() == Some(word)), "{:?}", words);
            }
        }

        #[test]
        fn blocks_hide_nothing(before in "[a_]{0,700}", sizes in prop::collection::vec(1usize..300, 1..5)) {
            let text = format!("{before} __WEBAPP_SOME_NAME__ after");
            let mut search = StraySearch::new("WEBAPP_");
            let (mut rest, mut sizes) = (text.as_bytes(), sizes.iter().cycle());
            while !rest.is_empty() {
                let (block, left) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                search.block(block);
                rest = left;
            }
            let found = search.found();
            prop_assert_eq!(found.as_deref(), Some("__WEBAPP_SOME_NAME__"));
        }
    }
}
