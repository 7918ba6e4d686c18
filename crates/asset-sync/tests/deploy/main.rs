//! Deployments against a bucket and a CDN in memory: every promise that can be seen there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod addresses;
mod bounded;
mod by_hand;
mod comparing;
mod cuts;
mod distributions;
mod first_day;
mod history;
mod lease;
mod lease_under_throttling;
mod memory;
mod model;
mod nested;
mod order;
mod pages;
mod publish;
mod releases;
mod repair;
mod retention;
mod retries;
mod rollback;
mod send;
mod slow_bucket;
mod slow_line;
mod standing;
mod state;
mod structure;
mod suspended;
mod throttling;
mod verification;
mod verification_evidence;
mod waiting;
mod world;
