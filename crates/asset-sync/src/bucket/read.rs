//! Reading a whole object into memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;

use super::{Bucket, BucketError, BucketErrorKind, ETag, ObjectInfo};
use crate::digest::{Hasher, Sha256};

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
    let new = |size| BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
    let read = read_into(bucket, key, limit, new).await?;
    Ok(read.map(|(info, bytes)| (info, bytes.freeze())))
}

/// What takes the content of an object, piece by piece.
pub(crate) trait Sink: Send {
    fn take(&mut self, piece: &[u8]);
}

impl Sink for BytesMut {
    fn take(&mut self, piece: &[u8]) {
        self.extend_from_slice(piece);
    }
}

impl Sink for Hasher {
    fn take(&mut self, piece: &[u8]) {
        self.update(piece);
    }
}

/// The hash of the content of `key`, and the entity tag of the object that has it; `None` if nothing is there.
pub(crate) async fn hash_object(bucket: &dyn Bucket, key: &str) -> Result<Option<(ETag, Sha256)>, BucketError> {
    let read = read_into(bucket, key, u64::MAX, |_| Hasher::default()).await?;
    Ok(read.map(|(info, hasher)| (info.etag, hasher.finish())))
}

/// As [`read_all`], into what `new` makes of the object's length; made anew where the object is read
/// again.
pub(crate) async fn read_into<S: Sink>(
    bucket: &dyn Bucket,
    key: &str,
    limit: u64,
    new: impl Fn(u64) -> S + Send + Sync,
) -> Result<Option<(ObjectInfo, S)>, BucketError> {
    let mut reads = 1;
    loop {
        match read_once(bucket, key, limit, &new).await {
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

type Read<S> = Result<Option<(ObjectInfo, S)>, BucketError>;

async fn read_once<S: Sink>(
    bucket: &dyn Bucket,
    key: &str,
    limit: u64,
    new: &(impl Fn(u64) -> S + Send + Sync),
) -> Result<Read<S>, Broken> {
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
    let mut sink = new(size);
    let mut length = 0;
    while let Some(piece) = object.stream.next().await {
        match piece {
            Ok(piece) => {
                length += piece.len() as u64;
                sink.take(&piece);
            }
            Err(error) if error.is_transient() => return Err(Broken(error)),
            Err(error) => return Ok(Err(error)),
        }
    }
    if length != size {
        let message = format!("the body ended after {length} of {size} bytes");
        return Err(Broken(error(BucketErrorKind::Transient, message)));
    }
    Ok(Ok(Some((object.info, sink))))
}
