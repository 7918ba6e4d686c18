//! What the pre-flight finds.

use std::fmt;

use crate::site::Key;

/// How many findings a message shows.
const SHOWN: usize = 50;

/// What kind of thing was found; a rule's `allow` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// `missing-root`: no `index.html` at the top.
    MissingRoot,
    /// `missing-reference`: a reference to a file of the site that the build does not have.
    MissingReference,
    /// `secret`: a file that looks secret by its name or content.
    Secret,
    /// `source-map`: a source map, or a script with one inside.
    SourceMap,
}

impl FindingKind {
    /// As a rule's `allow` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingRoot => "missing-root",
            Self::MissingReference => "missing-reference",
            Self::Secret => "secret",
            Self::SourceMap => "source-map",
        }
    }

    pub(in crate::site) fn parse(text: &str) -> Option<Self> {
        [Self::MissingRoot, Self::MissingReference, Self::Secret, Self::SourceMap]
            .into_iter()
            .find(|kind| kind.name() == text)
    }
}

/// One thing that was found. Its `Display` is one line with what to do, and shows no secret and no
/// value of the environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file it is in; `index.html` for a missing root document.
    pub file: Key,
    /// The line of the served file, from 1, where there is one.
    pub line: Option<usize>,
    /// What it is.
    pub kind: FindingKind,
    /// For a reference, as it is written (without query, up to 200 characters), or what it is made
    /// of; for the others, what was found.
    pub reference: String,
    /// For a reference, the key that is missing, unless a value of the environment is part of it.
    pub target: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, kind, reference, target } = self;
        write!(f, "{:?}", file.as_str())?;
        if let Some(line) = line {
            write!(f, " line {line}")?;
        }
        match kind {
            FindingKind::MissingRoot => {
                f.write_str(": is missing, so the site has no page at its root: check which folder the build writes")?;
            }
            FindingKind::MissingReference => {
                write!(f, ": refers to {reference}, ")?;
                match target {
                    Some(target) if format!("{target:?}") != *reference => {
                        write!(f, "that is {target:?}, which is not in the build")?;
                    }
                    _ => f.write_str("which is not in the build")?,
                }
                f.write_str(": build again, or mend the reference")?;
            }
            FindingKind::Secret => {
                write!(f, ": {reference}: take it out of the build, and revoke it if it was ever published")?;
            }
            FindingKind::SourceMap => {
                write!(f, ": {reference}, which shows the source code to everyone: build without source maps")?;
            }
        }
        write!(f, ", or allow it by a rule with `allow = {:?}`", kind.name())
    }
}

/// What the pre-flight found, by file and line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must stop a deployment.
    pub refusals: Vec<Finding>,
    /// What a person should know.
    pub warnings: Vec<Finding>,
}

impl Findings {
    /// An error if something must stop a deployment.
    ///
    /// # Errors
    /// [`Refusal::Preflight`](crate::Refusal::Preflight) with every such finding.
    pub fn check(&self) -> Result<(), crate::Error> {
        if self.refusals.is_empty() {
            return Ok(());
        }
        Err(crate::Refusal::Preflight { findings: self.refusals.clone() }.into())
    }
}

/// One line for each finding, up to 50.
pub(crate) fn listing(findings: &[Finding]) -> String {
    let text = findings.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("\n");
    match findings.len().checked_sub(SHOWN) {
        None | Some(0) => text,
        Some(more) => format!("{text}\nand {more} more"),
    }
}
