//! How a file's bytes are encoded on their way to the bucket.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::{Compression, GzBuilder};

/// Brotli quality. Encoding is paid on every run, also to find that nothing changed; 11 takes
/// about ten times as long as 9 for a few percent.
const BROTLI_QUALITY: u32 = 9;
/// Base-two logarithm of Brotli's window in bytes: 4 MiB.
const BROTLI_WINDOW: u32 = 22;
/// Buffer of the Brotli encoder, in bytes.
const BROTLI_BUFFER: usize = 64 * 1024;

/// A content coding that is applied to a file before it is stored.
///
/// Encoding is deterministic: the same bytes give the same encoded bytes on every run of the same
/// version of this crate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ContentEncoding {
    /// The bytes as they are on disk; no `Content-Encoding` header.
    #[default]
    Identity,
    /// gzip, at its best level, without a time stamp or file name.
    Gzip,
    /// Brotli.
    Brotli,
}

impl ContentEncoding {
    /// The value of the `Content-Encoding` header: `gzip`, `br`, or none.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The bytes that are served for the file at `path`: opened now, encoded as they are read.
    ///
    /// Memory is bounded by the encoder's window, whatever the file's size.
    pub fn open(self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(self.encode(File::open(path)?))
    }

    /// What `source` gives, encoded as it is read.
    pub fn encode<'a>(self, source: impl Read + Send + 'a) -> Box<dyn Read + Send + 'a> {
        match self {
            Self::Identity => Box::new(source),
            Self::Gzip => {
                let buffered = io::BufReader::with_capacity(64 * 1024, source);
                Box::new(GzBuilder::new().mtime(0).buf_read(buffered, Compression::best()))
            }
            Self::Brotli => {
                Box::new(brotli::CompressorReader::new(source, BROTLI_BUFFER, BROTLI_QUALITY, BROTLI_WINDOW))
            }
        }
    }

    /// Reads a rule's value: `gzip`, `br`, or `identity` to undo an earlier rule.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "identity" => Some(Self::Identity),
            "gzip" => Some(Self::Gzip),
            "br" => Some(Self::Brotli),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(encoding: ContentEncoding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encoding.encode(bytes).read_to_end(&mut out).unwrap();
        out
    }

    fn decoded(encoding: ContentEncoding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            ContentEncoding::Identity => out.extend(bytes),
            ContentEncoding::Gzip => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).map(drop).unwrap();
            }
            ContentEncoding::Brotli => {
                brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out).map(drop).unwrap();
            }
        }
        out
    }

    /// Fixed text, fixed bytes: a change here means that a new version of an encoder will replace
    /// every encoded object once, which belongs in the changelog.
    #[test]
    fn encoded_bytes_are_pinned() {
        let text = "to be or not to be, that is the question; ".repeat(50);
        let digest = |e| crate::digest::Sha256::of(&encoded(e, text.as_bytes())).short();
        insta::assert_snapshot!(digest(ContentEncoding::Gzip), @"6b13fddd60d5");
        insta::assert_snapshot!(digest(ContentEncoding::Brotli), @"b24c37c40809");
    }

    #[test]
    fn gzip_has_no_time_and_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("named.txt");
        std::fs::write(&path, "text").unwrap();
        let mut bytes = Vec::new();
        ContentEncoding::Gzip.open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes[..2], [0x1f, 0x8b]);
        assert_eq!(bytes[3], 0, "no optional header fields");
        assert_eq!(bytes[4..8], [0; 4], "no time stamp");
    }

    /// Gives its bytes in pieces of one size, as a pipe or a slow disk would.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buffer.len()).min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn encodings_round_trip_and_repeat(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..60),
            repeat in 1usize..20,
            piece in 1usize..5000,
        ) {
            let bytes = words.concat().repeat(repeat);
            for encoding in
                [ContentEncoding::Identity, ContentEncoding::Gzip, ContentEncoding::Brotli]
            {
                let once = encoded(encoding, &bytes);
                prop_assert_eq!(&decoded(encoding, &once), &bytes);
                let mut again = Vec::new();
                encoding.encode(Pieces(&bytes, piece)).read_to_end(&mut again).unwrap();
                prop_assert_eq!(once, again, "{:?} depends on how the source is read", encoding);
            }
        }
    }
}
