//! Deployments with the real SDK, over HTTP, against an S3, a CloudFront API and a caching edge in
//! this process, which fail to order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cuts;
mod duels;
mod faults;
mod odd_keys;
mod serving;
mod world;
