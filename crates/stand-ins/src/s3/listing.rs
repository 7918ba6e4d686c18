//! `ListObjectsV2` and how its keys are encoded.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{
    S3Result,
    dto::{self, ListObjectsV2Input, ListObjectsV2Output},
    s3_error,
};

use super::{
    conversion::{checksum_algorithm, checksum_type, etag, timestamp},
    error::from_store,
};
use crate::store::{ListQuery, Object, Store};

/// S3 limits: at most so many keys in a page, whatever was asked for.
const MAX_KEYS: i32 = 1_000;

/// What `encoding-type=url` leaves alone; a space becomes `+`.
const LISTED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/').remove(b' ');

/// Encodes text of listings if the request asks for it.
pub(super) struct Encoding(Option<dto::EncodingType>);

impl Encoding {
    pub(super) fn new(asked: Option<dto::EncodingType>) -> S3Result<Self> {
        match &asked {
            Some(encoding) if encoding.as_str() != dto::EncodingType::URL => {
                Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request"))
            }
            _ => Ok(Self(asked)),
        }
    }

    pub(super) fn apply(&self, text: impl Into<String>) -> String {
        let text = text.into();
        if self.0.is_some() { utf8_percent_encode(&text, LISTED).to_string().replace(' ', "+") } else { text }
    }

    pub(super) fn named(&self) -> Option<dto::EncodingType> {
        self.0.clone()
    }
}

pub(super) fn list_objects_v2(store: &Store, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let encoding = Encoding::new(input.encoding_type)?;
    let max_keys = input.max_keys.unwrap_or(MAX_KEYS);
    let limit = usize::try_from(max_keys.min(MAX_KEYS))
        .map_err(|_| s3_error!(InvalidArgument, "Argument max-keys must be an integer between 0 and 2147483647"))?;
    let resumed = input.continuation_token.as_deref().map(parse_token).transpose()?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let query = ListQuery {
        prefix: &prefix,
        after: resumed.as_deref().or(input.start_after.as_deref()),
        delimiter: delimiter.as_deref(),
        limit,
    };
    let page = store.list(&input.bucket, &query).map_err(from_store)?;

    let key_count = page.objects.len() + page.prefixes.len();
    let contents: Vec<_> =
        page.objects.iter().map(|(key, object)| describe(encoding.apply(key.as_str()), object)).collect();
    let prefixes: Vec<_> = page
        .prefixes
        .iter()
        .map(|prefix| dto::CommonPrefix { prefix: Some(encoding.apply(prefix.as_str())) })
        .collect();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        key_count: i32::try_from(key_count).ok(),
        max_keys: Some(max_keys.min(MAX_KEYS)),
        is_truncated: Some(page.next.is_some()),
        continuation_token: input.continuation_token,
        next_continuation_token: page.next.map(|last| token(&last)),
        contents: Some(contents),
        common_prefixes: (!prefixes.is_empty()).then_some(prefixes),
        prefix: Some(encoding.apply(prefix)),
        delimiter: delimiter.map(|delimiter| encoding.apply(delimiter)),
        start_after: input.start_after.map(|after| encoding.apply(after)),
        encoding_type: encoding.named(),
        ..Default::default()
    })
}

fn describe(key: String, object: &Object) -> dto::Object {
    let checksum = object.checksum.as_ref();
    dto::Object {
        key: Some(key),
        e_tag: Some(etag(&object.etag)),
        last_modified: Some(timestamp(object.last_modified)),
        size: i64::try_from(object.content.len()).ok(),
        checksum_algorithm: checksum.map(|own| vec![checksum_algorithm(own.algorithm)]),
        checksum_type: checksum.map(|own| checksum_type(own.kind)),
        storage_class: Some(dto::ObjectStorageClass::from_static(dto::ObjectStorageClass::STANDARD)),
        ..Default::default()
    }
}

/// Opaque to the client; the mark tells a token from anything else.
fn token(last: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("after:{last}"))
}

fn parse_token(token: &str) -> S3Result<String> {
    BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("after:").map(str::to_owned))
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_a_form_would_but_keeps_slashes() {
        let url = dto::EncodingType::from_static(dto::EncodingType::URL);
        let encoding = Encoding::new(Some(url)).unwrap();
        assert_eq!(encoding.apply("a b/c+d%&'\"é~*.html"), "a+b/c%2Bd%25%26%27%22%C3%A9%7E*.html");
        assert_eq!(Encoding::new(None).unwrap().apply("a b"), "a b");
    }

    #[test]
    fn a_token_is_only_what_was_given_out() {
        assert_eq!(parse_token(&token("käy/ x")).unwrap(), "käy/ x");
        assert!(parse_token("nonsense").is_err());
    }
}
