//! `ListObjectsV2`, whose answer is read here and not by the SDK.
//!
//! The SDK's own reading makes a dozen fields of each object, reads the document a second time to see
//! whether it is an error, and takes more than half of the time that listing a bucket takes.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_types::byte_stream::error::Error as ByteStreamError;
use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use super::conversion::{decode_key, etag};
use crate::bucket::{ETag, ListPage, ListedObject};

/// What the SDK reads in place of the answer.
const NOTHING: &str = "<ListBucketResult/>";

/// Keeps the body of a successful answer, for it to be read elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptBody(Arc<Mutex<Option<SdkBody>>>);

impl KeptBody {
    pub(super) fn take(&self) -> Option<SdkBody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for KeptBody {
    fn name(&self) -> &'static str {
        "KeptBody"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let body = std::mem::replace(response.body_mut(), SdkBody::from(NOTHING));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
        Ok(())
    }
}

/// All of a body, in one piece from the start: a page is a third of a megabyte, and many come in at once.
pub(super) async fn collect(body: Option<SdkBody>) -> Result<Vec<u8>, ByteStreamError> {
    let Some(body) = body else { return Ok(Vec::new()) };
    let mut body = ByteStream::new(body);
    let mut whole = Vec::with_capacity(usize::try_from(body.size_hint().0).unwrap_or_default());
    while let Some(piece) = body.try_next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// The elements that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    ListBucketResult,
    IsTruncated,
    EncodingType,
    Contents,
    Key,
    ETag,
    Size,
    LastModified,
    Error,
    Code,
    Message,
    Other,
}

impl From<&[u8]> for Element {
    fn from(name: &[u8]) -> Self {
        match name {
            b"ListBucketResult" => Self::ListBucketResult,
            b"IsTruncated" => Self::IsTruncated,
            b"EncodingType" => Self::EncodingType,
            b"Contents" => Self::Contents,
            b"Key" => Self::Key,
            b"ETag" => Self::ETag,
            b"Size" => Self::Size,
            b"LastModified" => Self::LastModified,
            b"Error" => Self::Error,
            b"Code" => Self::Code,
            b"Message" => Self::Message,
            _ => Self::Other,
        }
    }
}

/// What an answer with status 200 turned out to be.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Page(ListPage),
    /// An error all the same: its code and its message.
    Error(Option<String>, Option<String>),
}

/// Reads an answer.
///
/// # Errors
/// What is wrong with it, as words that go on after "the answer ".
pub(super) fn read(xml: &[u8]) -> Result<Answer, String> {
    let broken = |error: &dyn std::fmt::Display| format!("cannot be read: {error}");
    let mut reader = Reader::from_reader(xml);
    let mut page = ListPage::default();
    let mut is_encoded = false;
    let (mut code, mut message) = (None, None);
    let mut object = Listed::default();
    // The elements that are open, and the text of the innermost.
    let mut open: Vec<Element> = Vec::with_capacity(4);
    let mut text = String::new();
    let mut is_whole = false;
    loop {
        let event = reader.read_event().map_err(|error| broken(&error))?;
        match event {
            Event::Start(start) => {
                text.clear();
                let element = Element::from(start.name().into_inner());
                if open.is_empty() && !matches!(element, Element::ListBucketResult | Element::Error) {
                    return Err("is not a listing".to_owned());
                }
                open.push(element);
            }
            Event::Text(piece) => text.push_str(&piece.decode().map_err(|error| broken(&error))?),
            Event::CData(piece) => text.push_str(&piece.decode().map_err(|error| broken(&error))?),
            Event::GeneralRef(reference) => text.push_str(&resolve(&reference).map_err(|error| broken(&error))?),
            Event::End(_) => {
                match *open.as_slice() {
                    [_, Element::Contents, Element::Key] => object.key = Some(text.as_str().into()),
                    [_, Element::Contents, Element::ETag] => object.etag = Some(etag(&text)),
                    [_, Element::Contents, Element::Size] => object.size = text.trim().parse().ok(),
                    [_, Element::Contents, Element::LastModified] => object.last_modified = text.trim().parse().ok(),
                    [_, Element::Contents] => page.objects.push(std::mem::take(&mut object).complete()?),
                    [_, Element::IsTruncated] => page.truncated = text.trim() == "true",
                    [_, Element::EncodingType] => is_encoded = text.trim() == "url",
                    [Element::Error, Element::Code] => code = Some(text.trim().to_owned()),
                    [Element::Error, Element::Message] => message = Some(text.trim().to_owned()),
                    [Element::Error] => return Ok(Answer::Error(code, message)),
                    [_] => is_whole = true,
                    _ => {}
                }
                text.clear();
                open.pop();
            }
            Event::Empty(empty) if open.is_empty() => {
                if Element::from(empty.name().into_inner()) != Element::ListBucketResult {
                    return Err("is not a listing".to_owned());
                }
                is_whole = true;
            }
            Event::Eof if is_whole => break,
            Event::Eof => return Err("ends too early".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if is_encoded {
        for object in &mut page.objects {
            if let Some(plain) = decode_key(&object.key)? {
                object.key = plain.into();
            }
        }
    }
    Ok(Answer::Page(page))
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character.to_string());
    }
    let name = reference.decode().map_err(|error| error.to_string())?;
    resolve_predefined_entity(&name).map(str::to_owned).ok_or_else(|| format!("there is no entity {name:?}"))
}

/// An object as far as it was read.
#[derive(Default)]
struct Listed {
    key: Option<Arc<str>>,
    etag: Option<ETag>,
    size: Option<u64>,
    last_modified: Option<Timestamp>,
}

impl Listed {
    fn complete(self) -> Result<ListedObject, String> {
        let missing = |what: &str| format!("has an object without {what}");
        let last_modified = self.last_modified.ok_or_else(|| missing("a date"))?;
        Ok(ListedObject {
            key: self.key.ok_or_else(|| missing("a key"))?,
            size: self.size.ok_or_else(|| missing("a size"))?,
            etag: self.etag.ok_or_else(|| missing("an ETag"))?,
            // Some stores give fractions here and none in other answers.
            last_modified: Timestamp::from_second(last_modified.as_second()).map_err(|_| missing("a date"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, size: u64, tag: &str, date: &str) -> ListedObject {
        ListedObject { key: key.into(), size, etag: tag.into(), last_modified: date.parse().unwrap() }
    }

    #[test]
    fn reads_what_s3_answers() {
        let xml = br#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>site</Name><Prefix/><KeyCount>2</KeyCount>
  <MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
  <Contents><Key>a%26b+c/%C3%A9.js</Key><LastModified>2026-11-25T03:00:01.250Z</LastModified>
    <ETag>&quot;00000000000000000000000000000abc&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>
    <Size>12</Size><Owner><ID>1</ID><Key>not this one</Key></Owner><StorageClass>STANDARD</StorageClass></Contents>
  <Contents><ETag>tag-without-quotes</ETag><Size>0</Size><Key>b</Key><LastModified>2026-11-25T03:00:00Z</LastModified></Contents>
</ListBucketResult>"#;
        let page = ListPage {
            objects: vec![
                object("a&b c/\u{e9}.js", 12, "\"00000000000000000000000000000abc\"", "2026-11-25T03:00:01Z"),
                object("b", 0, "\"tag-without-quotes\"", "2026-11-25T03:00:00Z"),
            ],
            truncated: true,
        };
        assert_eq!(read(xml).unwrap(), Answer::Page(page));
    }

    #[test]
    fn keys_that_are_not_encoded_are_taken_as_they_are() {
        let xml =
            b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a&amp;%41&#233;+</Key><Size>1</Size>\
            <ETag>\"e\"</ETag><LastModified>2026-11-25T03:00:00Z</LastModified></Contents></ListBucketResult>";
        let page =
            ListPage { objects: vec![object("a&%41\u{e9}+", 1, "\"e\"", "2026-11-25T03:00:00Z")], truncated: false };
        assert_eq!(read(xml).unwrap(), Answer::Page(page));
    }

    #[test]
    fn an_empty_listing() {
        for xml in [&b"<ListBucketResult/>"[..], b"<ListBucketResult></ListBucketResult>\n"] {
            assert_eq!(read(xml).unwrap(), Answer::Page(ListPage::default()));
        }
    }

    #[test]
    fn an_error_with_status_200() {
        let xml = b"<Error><Code>SlowDown</Code><Message>Please &amp; reduce</Message></Error>";
        assert_eq!(read(xml).unwrap(), Answer::Error(Some("SlowDown".into()), Some("Please & reduce".into())));
    }

    #[test]
    fn anything_else_is_said_to_be() {
        let whole = "<ListBucketResult><Contents><Key>a</Key><Size>1</Size><ETag>e</ETag>\
            <LastModified>2026-11-25T03:00:00Z</LastModified></Contents></ListBucketResult>";
        assert!(read(whole.as_bytes()).is_ok());
        for end in 0..whole.len() {
            assert!(read(&whole.as_bytes()[..end]).is_err(), "cut after {end} bytes");
        }
        for (part, what) in [("<Key>a</Key>", "key"), ("<Size>1</Size>", "size"), ("<ETag>e</ETag>", "ETag")] {
            let told = read(whole.replace(part, "").as_bytes()).unwrap_err();
            assert!(told.ends_with(what), "{told}");
        }
        for (xml, told) in [
            ("<html><body>Sign in</body></html>", "is not a listing"),
            ("", "ends too early"),
            ("<ListBucketResult>&nothing;</ListBucketResult>", "cannot be read: there is no entity \"nothing\""),
        ] {
            assert_eq!(read(xml.as_bytes()).unwrap_err(), told);
        }
        let wrong = whole.replace(">a<", ">%ff<").replace("<Contents>", "<EncodingType>url</EncodingType><Contents>");
        assert_eq!(read(wrong.as_bytes()).unwrap_err(), "has a key that is not UTF-8");
    }
}
