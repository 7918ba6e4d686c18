//! Entity tags.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

/// An entity tag as the store gave it, quotes included. Opaque: compared, never computed.
///
/// Cheap to clone and to compare. The form that most objects have, 32 hexadecimal digits, takes no
/// memory of its own: a listing holds one for each object of a bucket.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ETag(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// 32 lower-case hexadecimal digits in quotes.
    Hex([u8; 16]),
    Other(Arc<str>),
}

impl From<&str> for ETag {
    fn from(text: &str) -> Self {
        let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let digits = digits.filter(|d| d.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        let mut hex = [0; 16];
        match digits.map(|digits| hex::decode_to_slice(digits, &mut hex)) {
            Some(Ok(())) => Self(Form::Hex(hex)),
            _ => Self(Form::Other(text.into())),
        }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Hex(hex) => {
                let mut digits = [0; 32];
                // As long as it must be, and ASCII.
                hex::encode_to_slice(hex, &mut digits).map_err(|_| fmt::Error)?;
                write!(f, "\"{}\"", std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
            Form::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ETag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ETag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "an entity tag", |text| Ok::<_, Infallible>(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back_as_it_was(
            text in prop_oneof!["\"[0-9a-f]{32}\"", "\"[0-9a-fA-F]{30,34}\"", "\"[0-9a-f]{32}-[0-9]{1,4}\"", "[0-9a-f]{32}", ".{0,40}"],
        ) {
            let etag = ETag::from(text.as_str());
            prop_assert_eq!(etag.to_string(), text.clone());
            let json = serde_json::to_string(&etag).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(serde_json::from_str::<ETag>(&json).unwrap(), etag);
        }
    }

    #[test]
    fn upper_case_is_another_tag() {
        let (lower, upper) = (format!("\"{}\"", "ab".repeat(16)), format!("\"{}\"", "AB".repeat(16)));
        assert_ne!(ETag::from(lower.as_str()), ETag::from(upper.as_str()));
    }
}
