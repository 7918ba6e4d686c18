//! The stand-ins driven by the real AWS SDK over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy sees tests in functions marked so only, not in what they share"
)]

mod access;
mod conditions;
mod edge;
mod faults;
mod folder;
mod invalidations;
mod listing;
mod multipart;
mod objects;
mod support;
