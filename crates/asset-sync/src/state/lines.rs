//! The form of the large state objects: a header line, then one JSON object per line.
//!
//! Headers repeat from file to file, so the header line holds a table of them and each line an
//! index into it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{FORMAT, READABLE_SINCE, ReleaseRecord, StateError, table};
use crate::bucket::Sink;
use crate::digest::Sha256;
use crate::headers::Headers;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readable_since: Option<String>,
    kind: String,
    /// Number of lines that follow: a truncated object is noticed.
    count: usize,
    #[serde(default)]
    headers: Vec<Arc<Headers>>,
    /// Of an inventory only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archived: Option<Archived>,
    /// Of an inventory only.
    #[serde(default, with = "table", skip_serializing_if = "Vec::is_empty")]
    pruned: Vec<ReleaseRecord>,
}

/// What an inventory says in its header line besides the lines.
#[derive(Debug, Default)]
pub(super) struct Extra {
    pub(super) archived: Option<Archived>,
    /// Releases that are gone.
    pub(super) pruned: Vec<ReleaseRecord>,
}

/// Content in the archive, and the first and last release that had it.
pub(super) type Archived = Vec<(Sha256, u64, Option<u64>)>;

#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
    readable_since: Option<String>,
}

/// Refuses a state object of a format newer than [`FORMAT`], before anything else of it is read.
pub(super) fn check_format(key: &str, json: &[u8]) -> Result<(), StateError> {
    let any: AnyFormat = serde_json::from_slice(json).map_err(|e| malformed(key, 1, &e))?;
    if any.format > FORMAT {
        // Text of a stranger, for a message.
        let readable_since = any.readable_since.filter(|v| v.len() <= 32 && v.bytes().all(|b| b.is_ascii_graphic()));
        return Err(StateError::Newer { key: key.to_owned(), found: any.format, readable_since });
    }
    Ok(())
}

fn malformed(key: &str, line: usize, reason: &dyn std::fmt::Display) -> StateError {
    StateError::Malformed { key: key.to_owned(), reason: format!("line {line}: {reason}") }
}

/// Characters of a line besides its key: as much as the longest have.
const LINE: usize = 192;

/// Writes lines of type `L`; `key_of` and `headers_of` give each item's key and headers, `line` its
/// line from the item and the index of its headers.
pub(super) fn encode<'a, T: 'a, L: Serialize>(
    (kind, extra): (&str, Extra),
    items: impl Iterator<Item = &'a T> + Clone,
    key_of: impl Fn(&'a T) -> &'a str,
    headers_of: impl Fn(&'a T) -> &'a Arc<Headers>,
    line: impl Fn(&'a T, usize) -> L,
) -> Bytes {
    let mut headers: Vec<Arc<Headers>> = Vec::new();
    let mut index: HashMap<&Arc<Headers>, usize> = HashMap::new();
    let (mut count, mut length) = (0, 1024);
    for item in items.clone() {
        count += 1;
        length += key_of(item).len() + LINE;
        index.entry(headers_of(item)).or_insert_with(|| {
            headers.push(Arc::clone(headers_of(item)));
            headers.len() - 1
        });
    }
    let readable_since = Some(READABLE_SINCE.to_owned());
    let (kind, Extra { archived, pruned }) = (kind.to_owned(), extra);
    let header = Header { format: FORMAT, readable_since, kind, count, headers, archived, pruned };
    // Enough at once: to move it to a larger place takes as much memory once more.
    let mut out = Vec::with_capacity(length);
    write_line(&mut out, &header);
    for item in items {
        write_line(&mut out, &line(item, index[headers_of(item)]));
    }
    out.into()
}

fn write_line(out: &mut Vec<u8>, value: &impl Serialize) {
    // Writing plain structs to a Vec cannot fail: no I/O, no maps with odd keys.
    if serde_json::to_writer(&mut *out, value).is_ok() {
        out.push(b'\n');
    }
}

/// A line of a list of this kind.
pub(crate) trait Line: DeserializeOwned + Send {
    /// What the line describes.
    type Item: Send;

    /// The index of its headers.
    fn headers(&self) -> usize;

    /// What it describes; `None` if that is nothing for a list of this kind.
    fn item(self, kind: &str, headers: Arc<Headers>) -> Option<Self::Item>;
}

/// Reads what [`encode`] wrote, piece by piece as it comes in: only the items are held.
#[derive(Debug)]
pub(crate) struct Decoder<L: Line> {
    key: String,
    kind: &'static str,
    /// Length of the object in bytes.
    size: u64,
    header: Option<Header>,
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    lines: usize,
    items: Vec<L::Item>,
    /// What is wrong; the rest is not read then.
    failed: Option<StateError>,
}

impl<L: Line> Decoder<L> {
    pub(super) fn new(key: &str, kind: &'static str, size: u64) -> Self {
        let key = key.to_owned();
        Self { key, kind, size, header: None, begun: Vec::new(), lines: 0, items: Vec::new(), failed: None }
    }

    /// All of it at once.
    pub(super) fn decode(key: &str, kind: &'static str, bytes: &[u8]) -> Result<Vec<L::Item>, StateError> {
        let mut decoder = Self::new(key, kind, bytes.len() as u64);
        decoder.take(bytes);
        decoder.items()
    }

    /// What was read.
    pub(super) fn items(self) -> Result<Vec<L::Item>, StateError> {
        Ok(self.finish()?.0)
    }

    /// The same, with what the header says besides.
    pub(super) fn finish(mut self) -> Result<(Vec<L::Item>, Extra), StateError> {
        let rest = std::mem::take(&mut self.begun);
        self.line(&rest);
        if self.lines == 0 {
            self.failed = self.begin(&[]).err();
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (wanted, extra) = self.header.map_or((0, Extra::default()), |header| {
            (header.count, Extra { archived: header.archived, pruned: header.pruned })
        });
        let count = self.items.len();
        if count == wanted {
            Ok((self.items, extra))
        } else {
            Err(malformed(&self.key, count + 1, &format!("{count} entries of {wanted}")))
        }
    }

    fn line(&mut self, text: &[u8]) {
        if text.is_empty() || self.failed.is_some() {
            return;
        }
        self.lines += 1;
        let read = if self.header.is_none() { self.begin(text) } else { self.read(text) };
        self.failed = read.err();
    }

    fn begin(&mut self, text: &[u8]) -> Result<(), StateError> {
        check_format(&self.key, text)?;
        let header: Header = serde_json::from_slice(text).map_err(|e| malformed(&self.key, 1, &e))?;
        if header.kind != self.kind {
            return Err(malformed(&self.key, 1, &format!("is of kind {:?}, not {:?}", header.kind, self.kind)));
        }
        // No line is shorter, so a wrong count cannot ask for more memory than the object has bytes.
        self.items.reserve_exact(header.count.min(usize::try_from(self.size / 32).unwrap_or_default()));
        self.header = Some(header);
        Ok(())
    }

    fn read(&mut self, text: &[u8]) -> Result<(), StateError> {
        let wrong = |reason: &dyn std::fmt::Display| malformed(&self.key, self.lines, reason);
        let line: L = serde_json::from_slice(text).map_err(|e| wrong(&e))?;
        let headers = self.header.as_ref().and_then(|header| header.headers.get(line.headers()));
        let headers = headers.ok_or_else(|| wrong(&"names headers that are not in the table"))?;
        let item = line.item(self.kind, Arc::clone(headers));
        self.items.push(item.ok_or_else(|| wrong(&"is not a file of this kind of list"))?);
        Ok(())
    }
}

impl<L: Line> Sink for Decoder<L> {
    fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            if self.begun.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(line);
                self.line(&whole);
            }
            piece = rest;
        }
        self.begun.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Number {
        n: u64,
        h: usize,
    }

    impl Line for Number {
        type Item = u64;

        fn headers(&self) -> usize {
            self.h
        }

        fn item(self, _: &str, _: Arc<Headers>) -> Option<u64> {
            (self.n != 13).then_some(self.n)
        }
    }

    fn written(numbers: &[(u64, Arc<Headers>)]) -> Bytes {
        encode(
            ("numbers", Extra::default()),
            numbers.iter(),
            |_| "",
            |(_, headers)| headers,
            |(n, _), h| Number { n: *n, h },
        )
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u64>, StateError> {
        Decoder::<Number>::decode("k", "numbers", bytes)
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_give_the_same(numbers in prop::collection::vec(14..99_u64, 0..20), length in 1..50_usize) {
            let numbers: Vec<_> = numbers.into_iter().map(|n| (n, Arc::new(Headers::default()))).collect();
            let bytes = written(&numbers);
            let mut decoder = Decoder::<Number>::new("k", "numbers", bytes.len() as u64);
            bytes.chunks(length).for_each(|piece| decoder.take(piece));
            prop_assert_eq!(decoder.items().unwrap(), numbers.iter().map(|(n, _)| *n).collect::<Vec<_>>());
        }

        #[test]
        fn what_is_cut_off_is_noticed(numbers in prop::collection::vec(14..99_u64, 1..9), cut in 0.0..1.0_f64) {
            let numbers: Vec<_> = numbers.into_iter().map(|n| (n, Arc::new(Headers::default()))).collect();
            let bytes = written(&numbers);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a short length")]
            let end = (cut * (bytes.len() - 1) as f64) as usize;
            prop_assert!(decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line() {
        let good = written(&[(20, Arc::default()), (21, Arc::default())]);
        let text = std::str::from_utf8(&good).unwrap();
        for (from, to, told) in [
            ("numbers", "letters", "line 1: is of kind \"letters\", not \"numbers\""),
            ("\"n\":21", "\"n\":13", "line 3: is not a file of this kind of list"),
            ("\"n\":20,\"h\":0", "\"n\":20,\"h\":7", "line 2: names headers that are not in the table"),
        ] {
            let error = decode(text.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        assert!(matches!(
            decode(&text.replace("\"format\":2", "\"format\":9").into_bytes()),
            Err(StateError::Newer { .. })
        ));
        assert!(decode(b"").unwrap_err().to_string().contains("line 1: "));
    }
}
