//! `deploy plan`: what a deployment would do. For people a summary, then what happens, in the order in which it does.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use asset_sync::deploy::{PlanReport, PlannedDelete, PlannedWrite};
use asset_sync::plan::Reason;
use clap::Args;
use indicatif::HumanBytes;

use super::{Done, Looks, Task, Work};
use crate::args::{JsonArgs, LocalArgs, SourceArgs};
use crate::output::{count, some};
use crate::session::Session;

/// Show what `deploy run` would do now; writes nothing
#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is 0 whether there is something to do or not.

Examples:
  deploy plan
  deploy plan --json | jq .writes")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    json: JsonArgs,
    /// List every file and every finding, however many there are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for PlanArgs {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn doing(&self) -> &'static str {
        "Planning"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn source(&self) -> Option<&SourceArgs> {
        Some(&self.source)
    }

    fn looks(&self) -> Looks {
        Looks::AsConfigured
    }

    fn wants_json(&self) -> Option<bool> {
        Some(self.json.json)
    }

    fn shows_all(&self) -> bool {
        self.all
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let run = session.deployer.begin();
            let (site, info, _) = session.site().await?;
            let mut plan = session.read(run.plan(&site, &info)).await?;
            plan.warnings.splice(0..0, session.output.warnings());
            Ok(Done { is_noted: true, ..Done::document(text(&plan, self.all), &plan) })
        })
    }
}

/// Most lines of one list.
const SHOWN: usize = 20;
/// Most files with values that the summary names.
const VALUES_SHOWN: usize = 8;

fn text(plan: &PlanReport, all: bool) -> String {
    let shown = if all { usize::MAX } else { SHOWN };
    let (staged, switched): (Vec<_>, Vec<_>) = plan.writes.iter().partition(|write| write.staged);
    let (now, later): (Vec<_>, Vec<_>) = plan.obsolete.iter().partition(|delete| delete.now);
    let mut text = summary(plan, &staged, &switched, &now, &later);
    let writes = |writes: &[&PlannedWrite]| -> Vec<String> {
        writes.iter().map(|w| line(&w.key, w.bytes, reason(w.reason))).collect()
    };
    let deletes =
        |deletes: &[&PlannedDelete]| -> Vec<String> { deletes.iter().map(|d| line(&d.key, d.bytes, "")).collect() };
    let mut list = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        text.push_str(&format!("\n{title}\n"));
        for line in lines.iter().take(shown) {
            text.push_str(&format!("  {line}\n"));
        }
        if lines.len() > shown {
            text.push_str(&format!("  and {} more (--all shows them)\n", lines.len() - shown));
        }
    };
    list(
        "Served as immutable, since their names carry a hash of their content:",
        plan.fingerprinted
            .iter()
            .map(|g| line(&g.evidence, g.bytes, &format!("({})", count(g.files, "file"))))
            .collect(),
    );
    list("Ours from now on, since the content is the same:", plan.adopted.clone());
    list("Archived, then replaced (foreign):", plan.taken.clone());
    list("First, upload where no page refers to it:", writes(&staged));
    list("Then switch, in this order:", writes(&switched));
    list("Then invalidate:", plan.invalidation_paths.clone());
    list("Then delete, pages that are gone:", deletes(&now));
    list("Kept until no retained release needs it:", deletes(&later));
    if plan.foreign > 0 {
        let rest = usize::try_from(plan.foreign).unwrap_or(usize::MAX).saturating_sub(plan.foreign_sample.len());
        let mut lines = plan.foreign_sample.clone();
        if rest > 0 {
            lines.push(format!("and {rest} others"));
        }
        list("Left alone, since no release knows it:", lines);
    }
    text
}

fn line(key: &str, bytes: u64, remark: &str) -> String {
    // As it stands in the table of the terminal: keys cannot hold control characters.
    format!("{:>10}  {key}{}{remark}", HumanBytes(bytes).to_string(), if remark.is_empty() { "" } else { "  " })
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::New => "(new)",
        Reason::Content => "(changed)",
        Reason::Headers => "(headers only)",
        Reason::Missing => "(was deleted by somebody)",
        Reason::EditedOutside => "(was changed by somebody)",
        Reason::Taken => "(foreign, archived)",
    }
}

fn summary(
    plan: &PlanReport,
    staged: &[&PlannedWrite],
    switched: &[&PlannedWrite],
    now: &[&PlannedDelete],
    later: &[&PlannedDelete],
) -> String {
    let bytes = |writes: &[&PlannedWrite]| HumanBytes(writes.iter().map(|w| w.bytes).sum()).to_string();
    let live = match &plan.live {
        Some(live) => format!("live now: {live}"),
        None => "nothing is live".to_owned(),
    };
    let mut text = if plan.unchanged {
        format!("Nothing to do: version {} is live already, as release {}\n", plan.version, plan.release)
    } else {
        format!("Version {} would become release {} ({live})\n", plan.version, plan.release)
    };
    let mut row = |name: &str, value: String| text.push_str(&format!("  {name:12} {value}\n"));
    if plan.unfinished {
        row("unfinished", "an earlier run did not end; this one would finish its work".to_owned());
    }
    let content = &plan.content;
    row(
        "build",
        format!(
            "{}, {}, the same in every environment ({:.16})",
            count(content.shared.files, "file"),
            HumanBytes(content.shared.bytes),
            content.shared_sha256.to_string()
        ),
    );
    if !content.with_values.is_empty() {
        row("with values", some(&content.with_values, VALUES_SHOWN));
    }
    row("upload", format!("{}, {}", count(staged.len() as u64, "file"), bytes(staged)));
    row("switch", format!("{}, {}", count(switched.len() as u64, "entry file"), bytes(switched)));
    row(
        "unchanged",
        format!("{}, {}", count(plan.unchanged_files.files, "file"), HumanBytes(plan.unchanged_files.bytes)),
    );
    if !plan.adopted.is_empty() {
        row("adopt", count(plan.adopted.len() as u64, "object"));
    }
    match plan.distributions.as_slice() {
        [] => row("invalidate", "nothing: no distribution is configured".to_owned()),
        ids => {
            let paths = count(plan.invalidation_paths.len() as u64, "path");
            row("invalidate", format!("{paths} on {}", ids.join(" ")));
        }
    }
    row("delete", count(now.len() as u64, "page"));
    if !later.is_empty() {
        row("keep", format!("{} of earlier releases", count(later.len() as u64, "file")));
    }
    if plan.foreign > 0 {
        row("foreign", format!("{}, left alone", count(plan.foreign, "object")));
    }
    text
}
