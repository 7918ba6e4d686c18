//! The form of the large state objects: a header line, then one JSON object per line.
//!
//! Headers repeat from file to file, so the header line holds a table of them and each line an
//! index into it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{FORMAT, StateError};
use crate::headers::Headers;

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    kind: String,
    /// Number of lines that follow: a truncated object is noticed.
    count: usize,
    #[serde(default)]
    headers: Vec<Arc<Headers>>,
}

#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

/// Refuses a state object of a format newer than [`FORMAT`], before anything else of it is read.
pub(super) fn check_format(key: &str, json: &[u8]) -> Result<(), StateError> {
    let any: AnyFormat = serde_json::from_slice(json).map_err(|e| malformed(key, 1, &e))?;
    if any.format > FORMAT {
        return Err(StateError::Newer { key: key.to_owned(), found: any.format });
    }
    Ok(())
}

fn malformed(key: &str, line: usize, reason: &dyn std::fmt::Display) -> StateError {
    StateError::Malformed { key: key.to_owned(), reason: format!("line {line}: {reason}") }
}

/// Writes lines of type `L`; `header_of` gives each item's headers, `line` its line from the item
/// and the index of its headers.
pub(super) fn encode<'a, T: 'a, L: Serialize>(
    kind: &str,
    items: impl Iterator<Item = &'a T> + Clone,
    headers_of: impl Fn(&'a T) -> &'a Arc<Headers>,
    line: impl Fn(&'a T, usize) -> L,
) -> Bytes {
    let mut table: Vec<Arc<Headers>> = Vec::new();
    let mut index: HashMap<&Arc<Headers>, usize> = HashMap::new();
    let mut count = 0;
    for item in items.clone() {
        count += 1;
        index.entry(headers_of(item)).or_insert_with(|| {
            table.push(Arc::clone(headers_of(item)));
            table.len() - 1
        });
    }
    let header = Header { format: FORMAT, kind: kind.to_owned(), count, headers: table };
    let mut out = Vec::with_capacity(256 + count * 200);
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

/// Reads what [`encode`] wrote; `item` makes each item from its line and its headers.
pub(super) fn decode<L: DeserializeOwned, T>(
    key: &str,
    kind: &str,
    bytes: &[u8],
    headers_index: impl Fn(&L) -> usize,
    item: impl Fn(L, Arc<Headers>) -> Option<T>,
) -> Result<Vec<T>, StateError> {
    let mut lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    check_format(key, first)?;
    let header: Header = serde_json::from_slice(first).map_err(|e| malformed(key, 1, &e))?;
    if header.kind != kind {
        return Err(malformed(key, 1, &format!("is of kind {:?}, not {kind:?}", header.kind)));
    }
    let mut items = Vec::with_capacity(header.count.min(bytes.len() / 32));
    for (n, text) in lines.enumerate() {
        let number = n + 2;
        let line: L = serde_json::from_slice(text).map_err(|e| malformed(key, number, &e))?;
        let headers = header
            .headers
            .get(headers_index(&line))
            .ok_or_else(|| malformed(key, number, &"names headers that are not in the table"))?;
        let made = item(line, Arc::clone(headers))
            .ok_or_else(|| malformed(key, number, &"is not a file of this kind of list"))?;
        items.push(made);
    }
    if items.len() != header.count {
        return Err(malformed(key, items.len() + 1, &format!("{} entries of {}", items.len(), header.count)));
    }
    Ok(items)
}
