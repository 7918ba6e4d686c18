//! In-process stand-ins of what the deployment tools talk to: S3, the CloudFront API, and a caching
//! edge in front of a bucket, with faults and latency to order.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use stand_ins::{BUCKET, Conditions, Effect, NewObject, ObjectHeaders, StandIns, When};
//!
//! let stand_ins = StandIns::builder().start().await?;
//!
//! // Point the AWS SDK at `stand_ins.s3_endpoint()`, path style, with `ACCESS_KEY`, `SECRET_KEY`
//! // and `REGION`. Throttle its third upload:
//! stand_ins.faults().add(
//!     stand_ins::Rule::new(When::operation("PutObject"), Effect::slow_down()).skip(2).times(1),
//! );
//!
//! // Change the bucket "from outside", and look at the site as a visitor does:
//! let page = NewObject::new("<h1>hi</h1>", ObjectHeaders::with_content_type("text/html"));
//! stand_ins.store().put(BUCKET, "index.html", page, &Conditions::none())?;
//! assert_eq!(stand_ins.edge().fetch("/").body, "<h1>hi</h1>");
//! # stand_ins.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The servers speak HTTP/1.1 on loopback, on free ports unless told otherwise, and stop when
//! [`StandIns`] is dropped. They answer as the services are documented to, with their limits and
//! error codes; what they cannot do they refuse with `NotImplemented`. No AWS SDK is involved: the
//! tests of this crate drive it with the real one.

mod clock;
mod cloudfront;
mod edge;
mod faults;
mod s3;
mod server;
mod stand_ins;
mod store;
mod sync;

pub use self::{
    clock::Clock,
    cloudfront::{CloudFront, Completion, Invalidation},
    edge::{CacheStatus, Distribution, Edge, EdgeResponse, Rewrite},
    faults::{Effect, Faults, Gate, Hook, LoggedRequest, RequestInfo, Rule, Service, When},
    s3::S3Settings,
    stand_ins::{ACCESS_KEY, BUCKET, DISTRIBUTION, REGION, SECRET_KEY, StandIns, StandInsBuilder, StartError},
    store::{
        Checksum, ChecksumAlgorithm, ChecksumKind, CompletedPart, Conditions, Content, EtagMatch, ListQuery, NewObject,
        NewUpload, Object, ObjectHeaders, Page, Part, Store, StoreError, UnfinishedUpload,
    },
};
