//! Results, on standard output and for later steps of the pipeline.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;

use deploy_config::{ImageSettings, Log};
use image_tagger::inspect::Inspection;
use image_tagger::reference::Digest;
use image_tagger::registry::Requests;
use image_tagger::version::ReleaseName;
use image_tagger::{Error, ErrorClass, cut, tag};
use serde_json::{Value, json};

use super::Done;

/// How results are written.
pub(crate) struct Output {
    json: bool,
    started: std::time::Instant,
}

impl Output {
    pub(crate) fn new(log: Log) -> Self {
        Self { json: log == Log::Json, started: std::time::Instant::now() }
    }

    /// Reports a success.
    pub(crate) fn done(&self, done: &Done, repository: Option<&str>) -> ExitCode {
        match done {
            Done::Cut(outcome, requests) => self.cut(outcome, *requests),
            Done::Name(name) => self.tags(name, repository),
            Done::Tagged(outcome) => self.tagged(outcome),
            Done::Inspected(inspection) => self.inspection(inspection),
        }
    }

    fn cut(&self, outcome: &cut::Outcome, requests: Requests) -> ExitCode {
        let seconds = self.started.elapsed().as_secs_f64();
        let mut json = serde_json::to_value(outcome).unwrap_or_default();
        json["requests"] = json!(requests.requests);
        json["seconds"] = json!((seconds * 1000.0).round() / 1000.0);
        let head = match outcome.result {
            cut::Status::Cut => format!("cut {}", outcome.image),
            cut::Status::Unchanged => format!("{} is this release already: nothing was changed", outcome.image),
        };
        let build = outcome.build.as_deref().unwrap_or("-");
        let blobs = outcome.blobs;
        self.result(&json, || {
            format!(
                "{head}\n  {}\n  version {}, commit {}, build {build}\n  site {} files, {} bytes; base {}\n  \
                 {} blobs sent ({} bytes), {} mounted, {} there; {seconds:.1} s\n",
                outcome.reference,
                outcome.version,
                outcome.commit.as_deref().unwrap_or("-"),
                outcome.files,
                outcome.bytes,
                outcome.base,
                blobs.sent,
                blobs.bytes_sent,
                blobs.mounted,
                blobs.present,
            )
        })
    }

    /// The text form is one image a line, to be used in a command.
    fn tags(&self, name: &ReleaseName, repository: Option<&str>) -> ExitCode {
        let image = repository.map_or_else(|| name.tag.to_string(), |repository| format!("{repository}:{}", name.tag));
        let json = json!({
            "result": "tags",
            "version": name.version.to_string(),
            "tag": name.tag,
            "channel": name.channel,
            "image": image,
        });
        self.result(&json, || format!("{image}\n"))
    }

    fn tagged(&self, outcome: &tag::Outcome) -> ExitCode {
        let json = serde_json::to_value(outcome).unwrap_or_default();
        let head = match outcome.result {
            tag::Status::Tagged => "tagged",
            tag::Status::Unchanged => "unchanged",
        };
        self.result(&json, || format!("{head} {}\n  {}\n", outcome.image, outcome.reference))
    }

    fn inspection(&self, inspection: &Inspection) -> ExitCode {
        let mut json = serde_json::to_value(inspection).unwrap_or_default();
        json["result"] = json!("inspected");
        self.result(&json, || inspection_text(inspection))
    }

    /// Reports a failure.
    pub(crate) fn failed(&self, error: &Error) -> ExitCode {
        self.error(error.class(), &error.to_string(), error.class().exit_code())
    }

    /// Reports that the process was told to stop.
    pub(crate) fn interrupted(&self, code: u8) -> ExitCode {
        self.error(
            ErrorClass::Interrupted,
            "interrupted before the tag was known to be set: run again, and it is found if it was",
            code,
        )
    }

    fn error(&self, class: ErrorClass, message: &str, code: u8) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        for line in message.lines() {
            let _ = writeln!(stderr, "image-tagger: {line}");
        }
        if self.json {
            print(
                &json!({"result": "failed", "error": {"class": class.name(), "message": message}, "exit_code": code})
                    .to_string(),
            );
        }
        ExitCode::from(code)
    }

    fn result(&self, json: &Value, text: impl FnOnce() -> String) -> ExitCode {
        let text = if self.json { json.to_string() } else { text() };
        print(&text);
        ExitCode::SUCCESS
    }
}

/// Prints, with a last newline. A reader that went away is not this program's failure.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

fn inspection_text(inspection: &Inspection) -> String {
    let mut text = format!("{}\n  digest    {}\n", inspection.image, inspection.digest);
    let mut line = |name: &str, value: Option<&str>| {
        let _ = writeln!(text, "  {name:9} {}", value.unwrap_or("-"));
    };
    let release = inspection.release.as_ref();
    line("version", release.map(|release| release.version.as_str()));
    line("commit", release.and_then(|release| release.commit.as_deref()));
    line("build", inspection.build.as_deref());
    line("base", inspection.base.as_deref());
    line("", release.map(|release| release.base.to_string()).as_deref());
    line("created", inspection.created.as_deref());
    line("platforms", Some(&inspection.platforms.join(", ")));
    line("layers", Some(&format!("{} bytes", inspection.size)));
    match &inspection.site {
        Some(site) => {
            let _ = writeln!(text, "  site      {} files, {} bytes", site.files.len(), site.total_bytes());
            for file in &site.files {
                let _ = writeln!(text, "    {:>10}  {}  {}", file.size, file.content_type, file.key);
            }
        }
        None => text.push_str("  site      not listed: the image was not cut by image-tagger\n"),
    }
    text
}

/// Leaves what later steps of the pipeline want to know.
pub(crate) fn variables(
    settings: &ImageSettings,
    version: &str,
    tag: &str,
    digest: &Digest,
    reference: &str,
) -> Result<(), Error> {
    let Some(path) = &settings.pipeline.variables_path else {
        return Ok(());
    };
    let text = format!(
        "RELEASE_VERSION={version}\nRELEASE_TAG={tag}\nRELEASE_DIGEST={digest}\nRELEASE_REFERENCE={reference}\n"
    );
    let written =
        OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| Error::Write { path: path.clone(), source })
}
