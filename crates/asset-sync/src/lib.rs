//! Publish a built web site to S3 and CloudFront.

pub mod bucket;
pub mod cdn;
pub mod deploy;
mod digest;
mod error;
mod headers;
pub mod plan;
pub mod progress;
pub mod site;
pub mod state;

pub use deploy::Deployer;
pub use digest::{Hasher, ParseSha256Error, Sha256};
pub use error::{Conflict, Error, ErrorClass, Refusal};
pub use headers::Headers;
