//! `bench-measure FILE COMMAND [ARG ...]`: runs a command and writes what it took to a file, as the
//! operating system accounts for it.
//!
//! A program of its own, since a process's peak memory begins at that of the process that started
//! it: this one is small.

use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(file), Some(program)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bench-measure FILE COMMAND [ARG ...]".into());
    };
    let started = Instant::now();
    let status = Command::new(program).args(arguments).status()?;
    let wall = started.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let measured = serde_json::json!({
        "wall_s": wall.as_secs_f64(),
        "user_s": seconds(usage.user_time()),
        "system_s": seconds(usage.system_time()),
        // Linux counts it in KiB.
        "peak_resident_bytes": usage.max_rss() * 1024,
        "exit_code": status.code(),
    });
    fs::write(file, measured.to_string())?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
