//! The HTTP headers an object is served with.

use serde::{Deserialize, Serialize};

/// The headers stored with an object, and so sent to every browser.
///
/// A change of any of them alone makes an object out of date.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Headers {
    /// `Content-Type`, with a charset where the type is text.
    pub content_type: String,
    /// `Cache-Control`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Content-Encoding`: `gzip`, `br` or `zstd`. The stored bytes are encoded so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// Where an S3 website endpoint redirects requests for this key (`x-amz-website-redirect-location`).
    /// S3 limits: starts with `/`, `http://` or `https://`; at most 2 KB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}
