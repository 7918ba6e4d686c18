//! Reading a whole object into memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;

use super::{Bucket, BucketError, BucketErrorKind, ObjectInfo};

/// How often an object is read from its beginning before a broken body is an error.
const READS: u32 = 5;
/// The wait before reading again; longer each time.
const PAUSE: Duration = Duration::from_millis(200);

/// Reads the whole content of `key`, which is at most `limit` bytes; `None` if nothing is there.
///
/// A body that breaks off, or ends early, is read again from its beginning, up to five times.
/// Content and information are always of one state of the object. An object of more than `limit`
/// bytes is [`BucketErrorKind::Invalid`], before any of it is kept.
pub async fn read_all(bucket: &dyn Bucket, key: &str, limit: u64) -> Result<Option<(ObjectInfo, Bytes)>, BucketError> {
    let mut reads = 1;
    loop {
        match read_once(bucket, key, limit).await {
            Err(Broken(error)) if reads == READS => {
                return Err(BucketError {
                    message: format!("{}; gave up after reading it {READS} times", error.message),
                    ..error
                });
            }
            Err(Broken(_)) => {
                tokio::time::sleep(PAUSE * reads).await;
                reads += 1;
            }
            Ok(outcome) => return outcome,
        }
    }
}

/// The body began to arrive and did not end well.
struct Broken(BucketError);

type Read = Result<Option<(ObjectInfo, Bytes)>, BucketError>;

async fn read_once(bucket: &dyn Bucket, key: &str, limit: u64) -> Result<Read, Broken> {
    let mut object = match bucket.get(key).await {
        Ok(Some(object)) => object,
        Ok(None) => return Ok(Ok(None)),
        Err(error) => return Ok(Err(error)),
    };
    let error = |kind, message| BucketError {
        kind,
        operation: "GetObject",
        bucket: bucket.name().to_owned(),
        key: Some(key.to_owned()),
        message,
        request_id: None,
        source: None,
    };
    let size = object.info.size;
    if size > limit {
        let message = format!("the object has {size} bytes, more than the {limit} that are expected here at most");
        return Ok(Err(error(BucketErrorKind::Invalid, message)));
    }
    let mut body = BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
    while let Some(piece) = object.stream.next().await {
        match piece {
            Ok(piece) => body.extend_from_slice(&piece),
            Err(error) if error.is_transient() => return Err(Broken(error)),
            Err(error) => return Ok(Err(error)),
        }
    }
    if body.len() as u64 != size {
        let message = format!("the body ended after {} of {size} bytes", body.len());
        return Err(Broken(error(BucketErrorKind::Transient, message)));
    }
    Ok(Ok(Some((object.info, body.freeze()))))
}
