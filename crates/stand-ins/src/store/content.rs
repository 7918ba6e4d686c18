//! The bytes of an object, in one piece or, after a multipart upload, in as many as it had parts.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};

/// Immutable bytes in one or more segments. Cloning and slicing copy nothing.
#[derive(Clone, Debug, Default)]
pub struct Content {
    segments: Arc<[Bytes]>,
    len: u64,
}

impl Content {
    /// Joins segments end to end without copying them.
    pub fn from_segments(segments: impl IntoIterator<Item = Bytes>) -> Self {
        let segments: Arc<[Bytes]> = segments.into_iter().filter(|s| !s.is_empty()).collect();
        let len = segments.iter().map(|segment| segment.len() as u64).sum();
        Self { segments, len }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments in order; none of them is empty.
    pub fn segments(&self) -> &[Bytes] {
        &self.segments
    }

    /// All bytes in one piece; copies only where there are several segments.
    pub fn to_bytes(&self) -> Bytes {
        match &*self.segments {
            [] => Bytes::new(),
            [only] => only.clone(),
            several => {
                let mut joined = BytesMut::with_capacity(usize::try_from(self.len).unwrap_or_default());
                for segment in several {
                    joined.extend_from_slice(segment);
                }
                joined.freeze()
            }
        }
    }

    /// The bytes of `range`, in bytes from the start; what lies beyond the end is left out.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        let mut offset = 0_u64;
        let mut taken = Vec::new();
        for segment in &*self.segments {
            let end = offset + segment.len() as u64;
            let from = range.start.clamp(offset, end) - offset;
            let to = range.end.clamp(offset, end) - offset;
            // Both are at most the segment's length, a usize.
            if let (Ok(from), Ok(to)) = (usize::try_from(from), usize::try_from(to))
                && from < to
            {
                taken.push(segment.slice(from..to));
            }
            offset = end;
        }
        Self::from_segments(taken)
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::from_segments([bytes])
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Content {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Content {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_across_segments_and_stops_at_the_end() {
        let content = Content::from_segments(["ab", "", "cde", "f"].map(Bytes::from_static_str));
        assert_eq!(content.len(), 6);
        assert_eq!(content.slice(1..4).to_bytes(), "bcd");
        assert_eq!(content.slice(5..99).to_bytes(), "f");
        assert!(content.slice(6..9).is_empty());
        assert_eq!(content, Content::from("abcdef"));
        assert_ne!(content, Content::from("abcdeg"));
    }

    trait FromStaticStr {
        fn from_static_str(text: &'static str) -> Self;
    }

    impl FromStaticStr for Bytes {
        fn from_static_str(text: &'static str) -> Self {
            Self::from_static(text.as_bytes())
        }
    }
}
