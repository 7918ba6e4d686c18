//! `bench-store [LATENCY_MS]`: S3 and CloudFront in memory, as a process of their own.
//!
//! Prints one line of JSON with the variables that lead a client here, then answers commands, one a
//! line, each with one line of JSON, until its input ends:
//!
//! - `counts`: the requests since the last `counts`, by operation;
//! - `check DIR`: compares the bucket with a directory, byte by byte: what of it is missing, what
//!   differs, how many objects there are besides (those under `.deploy/` left out);
//! - `latency MS`: lets each request wait for so long.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::{BUCKET, Completion, DISTRIBUTION, StandIns};
use walkdir::WalkDir;

/// How long a CDN takes is not what is measured: invalidations are complete as soon as they are made.
const AT_ONCE: Completion = Completion { polls: 0, after: Duration::ZERO };

/// What a deployment remembers is not part of the site.
const STATE: &str = ".deploy/";

fn main() -> Result<(), Box<dyn Error>> {
    let latency = Duration::from_millis(std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stand_ins = runtime.block_on(StandIns::builder().latency(latency).completion(AT_ONCE).start())?;
    let environment: BTreeMap<_, _> = stand_ins.environment().into_iter().collect();
    say(&json!({ "environment": environment, "bucket": BUCKET, "distribution": DISTRIBUTION }))?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match command {
            "counts" => {
                let counts = stand_ins.faults().counts();
                let peak = stand_ins.faults().peak_in_flight();
                stand_ins.faults().reset_log();
                json!({ "counts": counts, "peak_in_flight": peak })
            }
            "check" => check(&stand_ins, Path::new(argument))?,
            "latency" => {
                stand_ins.faults().set_latency(Duration::from_millis(argument.parse()?));
                json!({})
            }
            _ => return Err(format!("no such command: {line}").into()),
        };
        say(&answer)?;
    }
    runtime.block_on(stand_ins.shutdown());
    Ok(())
}

fn say(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

fn check(stand_ins: &StandIns, directory: &Path) -> Result<Value, Box<dyn Error>> {
    let mut stored = stand_ins.store().snapshot(BUCKET);
    stored.retain(|key, _| !key.starts_with(STATE));
    let (mut files, mut bytes) = (0_u64, 0_u64);
    let (mut missing, mut different) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(directory) {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let key = entry.path().strip_prefix(directory)?.to_string_lossy().into_owned();
        files += 1;
        let content = fs::read(entry.path())?;
        bytes += content.len() as u64;
        match stored.remove(&key) {
            None => missing.push(key),
            Some(object) if object.content.to_bytes() != content => different.push(key),
            Some(_) => {}
        }
    }
    let extra: Vec<_> = stored.into_keys().collect();
    Ok(json!({ "files": files, "bytes": bytes, "missing": missing, "different": different, "extra": extra }))
}
