//! The XML of the CloudFront API, version 2020-05-31.

use std::time::SystemTime;

use quick_xml::escape::escape;
use serde::Deserialize;

use super::Invalidation;
use crate::clock::seconds_since_epoch;

const NAMESPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The batch of a `CreateInvalidation` request.
#[derive(Debug, Deserialize)]
pub(super) struct Batch {
    #[serde(rename = "Paths")]
    pub(super) paths: Paths,
    #[serde(rename = "CallerReference")]
    pub(super) caller_reference: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Paths {
    #[serde(rename = "Quantity")]
    pub(super) quantity: usize,
    #[serde(rename = "Items", default)]
    pub(super) items: Items,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Items {
    #[serde(rename = "Path", default)]
    pub(super) path: Vec<String>,
}

pub(super) fn parse_batch(body: &[u8]) -> Result<Batch, quick_xml::DeError> {
    quick_xml::de::from_reader(body)
}

fn status(invalidation: &Invalidation) -> &'static str {
    if invalidation.completed { "Completed" } else { "InProgress" }
}

fn time(time: SystemTime) -> String {
    i64::try_from(seconds_since_epoch(time))
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .unwrap_or_default()
        .to_string()
}

pub(super) fn invalidation(invalidation: &Invalidation) -> String {
    let paths = invalidation.paths.iter();
    let paths: Vec<_> = paths.map(|path| format!("<Path>{}</Path>", escape(path.as_str()))).collect();
    let paths = paths.concat();
    format!(
        "{DECLARATION}<Invalidation xmlns=\"{NAMESPACE}\"><Id>{}</Id><Status>{}</Status>\
         <CreateTime>{}</CreateTime><InvalidationBatch><Paths><Quantity>{}</Quantity>\
         <Items>{paths}</Items></Paths><CallerReference>{}</CallerReference></InvalidationBatch>\
         </Invalidation>",
        invalidation.id,
        status(invalidation),
        time(invalidation.created),
        invalidation.paths.len(),
        escape(invalidation.caller_reference.as_str()),
    )
}

/// One page of a listing; `next` is the marker of the following page.
pub(super) fn list(page: &[Invalidation], marker: &str, max_items: usize, next: Option<&str>) -> String {
    let items: Vec<_> = page
        .iter()
        .map(|invalidation| {
            format!(
                "<InvalidationSummary><Id>{}</Id><CreateTime>{}</CreateTime><Status>{}</Status>\
                 </InvalidationSummary>",
                invalidation.id,
                time(invalidation.created),
                status(invalidation),
            )
        })
        .collect();
    let items = items.concat();
    let next_marker = next.map_or_else(String::new, |next| format!("<NextMarker>{}</NextMarker>", escape(next)));
    format!(
        "{DECLARATION}<InvalidationList xmlns=\"{NAMESPACE}\"><Marker>{}</Marker>{next_marker}\
         <MaxItems>{max_items}</MaxItems><IsTruncated>{}</IsTruncated><Quantity>{}</Quantity>\
         <Items>{items}</Items></InvalidationList>",
        escape(marker),
        next.is_some(),
        page.len(),
    )
}

pub(super) fn error(kind: &str, code: &str, message: &str) -> String {
    format!(
        "{DECLARATION}<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type>\
         <Code>{}</Code><Message>{}</Message></Error></ErrorResponse>",
        escape(code),
        escape(message),
    )
}
