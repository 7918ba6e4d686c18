//! The form of the history in [`Current`](super::Current): a table, one row for each release.
//!
//! Every run reads and writes `current` several times, and a target may keep a thousand releases. So the names of the
//! fields stand there once, and a release is named by its number where its id follows from that and its content. Columns
//! that this version does not know are kept. Format 1 had a list of objects.

use std::collections::HashMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{ReleaseId, ReleaseRecord};
use crate::digest::Sha256;

#[derive(Serialize, Deserialize)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyForm {
    Table(Table),
    List(Vec<ReleaseRecord>),
}

pub(super) fn serialize<S: Serializer>(records: &[ReleaseRecord], serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::Error as _;
    let mut ids: HashMap<u64, Vec<&ReleaseId>> = HashMap::new();
    for record in records {
        ids.entry(record.id.number()).or_default().push(&record.id);
    }
    // What people look for comes first.
    let mut columns: Vec<String> = vec!["id".to_owned(), "version".to_owned()];
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let Value::Object(mut fields) = serde_json::to_value(record).map_err(S::Error::custom)? else {
            return Err(S::Error::custom("a release is not written as an object"));
        };
        // Both have the content of this release.
        for (field, id) in [("id", Some(&record.id)), ("files_of", record.files_of.as_ref())] {
            if let Some(id) = id.filter(|id| **id == ReleaseId::new(id.number(), &record.tree)) {
                fields.insert(field.to_owned(), id.number().into());
            }
        }
        if let Some(id) = &record.replaced {
            match ids.get(&id.number()).map(Vec::as_slice) {
                Some([only]) if *only == id => fields.insert("replaced".to_owned(), id.number().into()),
                Some(several) if several.contains(&id) => None,
                // What refers to a release that is gone says nothing any more.
                Some(_) | None => fields.remove("replaced"),
            };
        }
        let mut row = vec![Value::Null; columns.len()];
        for (name, value) in fields {
            if let Some(index) = columns.iter().position(|column| *column == name) {
                row[index] = value;
            } else {
                columns.push(name);
                row.push(value);
            }
        }
        rows.push(row);
    }
    for row in &mut rows {
        let end = row.iter().rposition(|value| !value.is_null()).map_or(0, |last| last + 1);
        row.truncate(end);
    }
    Table { columns, rows }.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ReleaseRecord>, D::Error> {
    let Table { columns, rows } = match AnyForm::deserialize(deserializer)? {
        AnyForm::Table(table) => table,
        AnyForm::List(records) => return Ok(records),
    };
    let mut ids: HashMap<u64, String> = HashMap::new();
    let mut releases = Vec::with_capacity(rows.len());
    for row in rows {
        if row.len() > columns.len() {
            return Err(D::Error::custom("a release has more values than the table has columns"));
        }
        let named = columns.iter().cloned().zip(row).filter(|(_, value)| !value.is_null());
        let mut fields: Map<String, Value> = named.collect();
        for name in ["id", "files_of"] {
            if let Some(number) = fields.get(name).and_then(Value::as_u64) {
                let tree: Sha256 = field(&fields, "tree")?;
                fields.insert(name.to_owned(), ReleaseId::new(number, &tree).as_str().into());
            }
        }
        let id: ReleaseId = field(&fields, "id")?;
        ids.insert(id.number(), id.as_str().to_owned());
        releases.push(fields);
    }
    let whole = |mut fields: Map<String, Value>| {
        if let Some(number) = fields.get("replaced").and_then(Value::as_u64) {
            // Somebody may have taken a row out by hand: that is no reason to refuse the rest.
            match ids.get(&number) {
                Some(id) => fields.insert("replaced".to_owned(), id.as_str().into()),
                None => fields.remove("replaced"),
            };
        }
        serde_json::from_value(Value::Object(fields)).map_err(D::Error::custom)
    };
    releases.into_iter().map(whole).collect()
}

fn field<T: DeserializeOwned, E: serde::de::Error>(fields: &Map<String, Value>, name: &str) -> Result<T, E> {
    let value = fields.get(name).ok_or_else(|| E::custom(format!("a release has no {name}")))?;
    T::deserialize(value).map_err(|e| E::custom(format!("{name} of a release: {e}")))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::state::{Current, Manifest};

    fn release(number: u64) -> ReleaseRecord {
        ReleaseRecord::new(number, "1.0.0", &Manifest::default(), Timestamp::UNIX_EPOCH)
    }

    fn written(releases: Vec<ReleaseRecord>) -> Value {
        let state = serde_json::to_value(Current { releases, ..Current::default() }).unwrap();
        state["releases"].clone()
    }

    fn read(releases: &Value) -> Result<Vec<ReleaseRecord>, String> {
        let mut state = serde_json::to_value(Current::default()).unwrap();
        state["releases"] = releases.clone();
        serde_json::from_value::<Current>(state).map(|c| c.releases).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_written_is_read() {
        let id = |number| ReleaseId::new(number, &Manifest::default().tree());
        let adopted = ReleaseRecord { adopted: true, ..release(0) };
        let other = ReleaseRecord { id: ReleaseId::new(0, &Sha256::of(b"other")), ..adopted.clone() };
        let renamed = ReleaseRecord { files_of: Some(id(1)), replaced: Some(id(3)), ..release(4) };
        let unlike = ReleaseRecord { files_of: Some(other.id.clone()), replaced: Some(other.id.clone()), ..release(5) };
        let first = ReleaseRecord { build: Some(7), ..release(3) };
        let releases = vec![adopted, other, first, renamed, unlike];
        let table = written(releases.clone());
        assert_eq!(read(&table).unwrap(), releases);
        assert_eq!(table["rows"][2][0], 3, "{table}");
        assert_eq!(read(&written(Vec::new())).unwrap(), []);
    }

    #[test]
    fn what_an_expired_release_replaced_is_forgotten() {
        let gone = ReleaseId::new(1, &Manifest::default().tree());
        let read = read(&written(vec![ReleaseRecord {
            replaced: Some(gone.clone()),
            files_of: Some(gone.clone()),
            ..release(2)
        }]));
        let release = read.unwrap().remove(0);
        assert_eq!((release.replaced, release.files_of), (None, Some(gone)), "its manifest has that name still");
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        let table = written(vec![release(1), ReleaseRecord { replaced: Some(release(1).id), ..release(2) }]);
        let with = |change: fn(&mut Value)| {
            let mut table = table.clone();
            change(&mut table);
            read(&table).unwrap_err()
        };
        let more = with(|t| t["rows"][0] = json!(vec![1; 99]));
        assert!(more.contains("more values than the table has columns"), "{more}");
        let short = with(|t| t["rows"][1] = json!([2]));
        assert!(short.contains("a release has no tree"), "{short}");
    }

    #[test]
    fn a_row_that_was_taken_out_by_hand_is_not_missed() {
        let mut table = written(vec![release(1), ReleaseRecord { replaced: Some(release(1).id), ..release(2) }]);
        table["rows"].as_array_mut().unwrap().remove(0);
        assert_eq!(read(&table).unwrap(), [release(2)]);
    }
}
