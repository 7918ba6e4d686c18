//! The checksums that S3 verifies, keeps and returns.

use base64::{Engine, prelude::BASE64_STANDARD};
use s3s::crypto::{Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

use super::Content;

/// A checksum algorithm of the S3 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumAlgorithm {
    /// CRC-32, what SDKs send unless told otherwise.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// CRC-64/NVME; always of the full object.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// What a checksum of a multipart object covers (S3: `x-amz-checksum-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumKind {
    /// All bytes of the object.
    FullObject,
    /// The checksums of the parts, one after the other; the value ends in `-` and their number.
    Composite,
}

/// A verified checksum as it is kept with the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// What it covers.
    pub kind: ChecksumKind,
    /// Base64 of the digest; for a composite one followed by `-` and the number of parts.
    pub value: String,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name the S3 API gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == name)
    }

    /// The request and response header that carries a value of this algorithm.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The kind a multipart upload gets that names only the algorithm.
    pub(crate) fn default_kind(self) -> ChecksumKind {
        if self == Self::Crc64Nvme { ChecksumKind::FullObject } else { ChecksumKind::Composite }
    }

    /// Whether S3 offers this kind for the algorithm on multipart uploads: SHA digests cannot be
    /// combined to one of the full object, and CRC-64/NVME is never composite.
    pub(crate) fn offers(self, kind: ChecksumKind) -> bool {
        match self {
            Self::Sha1 | Self::Sha256 => kind == ChecksumKind::Composite,
            Self::Crc64Nvme => kind == ChecksumKind::FullObject,
            Self::Crc32 | Self::Crc32c => true,
        }
    }

    fn digest(self, content: &Content) -> Vec<u8> {
        match self {
            Self::Crc32 => digest::<Crc32>(content).to_vec(),
            Self::Crc32c => digest::<Crc32c>(content).to_vec(),
            Self::Crc64Nvme => digest::<Crc64Nvme>(content).to_vec(),
            Self::Sha1 => digest::<Sha1>(content).to_vec(),
            Self::Sha256 => digest::<Sha256>(content).to_vec(),
        }
    }

    /// Base64 of the digest of all bytes.
    pub(crate) fn value_of(self, content: &Content) -> String {
        BASE64_STANDARD.encode(self.digest(content))
    }

    /// The full-object checksum of all bytes.
    pub(crate) fn of(self, content: &Content) -> Checksum {
        Checksum { algorithm: self, kind: ChecksumKind::FullObject, value: self.value_of(content) }
    }

    /// The composite checksum of parts with these base64 values, or `None` where one is no base64.
    pub(crate) fn composite<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> Option<Checksum> {
        let mut digests = Vec::new();
        let mut count = 0_usize;
        for part in parts {
            digests.extend(BASE64_STANDARD.decode(part).ok()?);
            count += 1;
        }
        Some(Checksum {
            algorithm: self,
            kind: ChecksumKind::Composite,
            value: format!("{}-{count}", self.value_of(&digests.into())),
        })
    }
}

fn digest<C: s3s::crypto::Checksum>(content: &Content) -> C::Output {
    let mut hasher = C::new();
    for segment in content.segments() {
        hasher.update(segment);
    }
    hasher.finalize()
}

/// MD5 of all bytes, as 16 raw bytes.
pub(crate) fn md5(content: &Content) -> [u8; 16] {
    digest::<Md5>(content)
}
