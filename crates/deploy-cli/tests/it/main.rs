//! The real binary, against stand-ins in this process: its exit codes, what it prints, and what it
//! leaves behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy sees tests in functions marked so only, not in what they share"
)]

mod building;
mod by_hand;
mod credentials;
mod deploying;
// Processes are stopped by a signal, and /proc tells whether they stand.
#[cfg(target_os = "linux")]
mod duels;
mod failing;
mod history;
mod image;
mod interrupted;
#[cfg(feature = "local")]
mod local;
#[cfg(not(feature = "local"))]
mod not_local;
mod printing;
mod result;
mod secrets;
mod support;
mod termination;
mod values;
mod verifying;
