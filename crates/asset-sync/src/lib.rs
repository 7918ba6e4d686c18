//! Publish a built web site to S3 and CloudFront so that no visitor ever meets a broken page.
//!
//! [`site::scan`] reads a built site; a [`Deployer`] makes it live: it compares content with what
//! the bucket holds, uploads what is new where nothing refers to it, switches entry files in order
//! under a lease and a journal, invalidates, and keeps earlier releases to roll back to.
//!
//! ```
//! use std::sync::Arc;
//! use asset_sync::Deployer;
//! use asset_sync::bucket::MemoryStore;
//! use asset_sync::cdn::MemoryCdn;
//! use asset_sync::deploy::{Options, ReleaseInfo};
//! use asset_sync::site::{ScanOptions, scan};
//! use asset_sync::state::{StateArea, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! std::fs::write(dir.path().join("index.html"), "<h1>Hello</h1>")?;
//! let site = scan(dir.path(), &ScanOptions::default())?;
//!
//! // A bucket in memory, for tests; `bucket::S3Bucket` and `cdn::CloudFront` are the real ones.
//! let store = MemoryStore::new();
//! store.create_bucket("site");
//! let target = Target { bucket: "site".into(), prefix: String::new() };
//! let area = StateArea::in_target(&target, ".deploy/");
//! let deployer =
//!     Deployer::new("", Arc::new(store.bucket("site")), area, None, Arc::new(MemoryCdn::new()), Options::default());
//!
//! let release = ReleaseInfo { version: "1.0.0".into(), build: None };
//! let report = deployer.deploy(&site, &release, &Default::default()).await?;
//! assert_eq!(report.uploaded.files, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Decisions ([`plan`]) are pure; the outside is behind two traits, [`bucket::Bucket`] and
//! [`cdn::Cdn`]. Nothing here reads the process's environment or prints: options go in,
//! [`progress::Progress`] and [`deploy::Report`] come out.
//!
//! With the cargo feature `aws` (on by default) the real bucket and CDN are there; without it no
//! AWS crate is compiled.

pub mod bucket;
pub mod cdn;
pub mod deploy;
mod digest;
pub mod error;
mod headers;
pub mod plan;
pub mod progress;
pub mod site;
pub mod state;
mod text;
pub mod verify;

pub use deploy::Deployer;
pub use digest::{Hasher, ParseSha256Error, Sha256};
pub use error::{Conflict, Error, ErrorClass, NotVerified, Refusal, Standing};
pub use headers::Headers;

/// The README's example compiles.
#[cfg(all(doctest, feature = "aws"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
