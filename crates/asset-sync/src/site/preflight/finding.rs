//! What the pre-flight finds, and how it is reported.

use std::collections::HashSet;
use std::fmt;

use crate::site::Key;

/// What kind of thing was found. The order is that of reports: what decides stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// `missing-root`: no `index.html` at the top.
    MissingRoot,
    /// `base-path`: the build was made for another URL path. A rule cannot allow it; it explains the
    /// missing references that follow.
    BasePath,
    /// `secret`: a file that looks secret by its name or content.
    Secret,
    /// `missing-reference`: a reference to a file of the site that the build does not have.
    MissingReference,
    /// `source-map`: a source map, or a script with one inside.
    SourceMap,
}

impl FindingKind {
    /// As a rule's `allow` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingRoot => "missing-root",
            Self::BasePath => "base-path",
            Self::Secret => "secret",
            Self::MissingReference => "missing-reference",
            Self::SourceMap => "source-map",
        }
    }

    pub(in crate::site) fn parse(text: &str) -> Option<Self> {
        [Self::MissingRoot, Self::MissingReference, Self::Secret, Self::SourceMap]
            .into_iter()
            .find(|kind| kind.name() == text)
    }

    /// What several of the kind are called.
    fn several(self) -> &'static str {
        match self {
            Self::MissingRoot => "missing root pages",
            Self::BasePath => "wrong base paths",
            Self::Secret => "secrets",
            Self::MissingReference => "references to files that are not in the build",
            Self::SourceMap => "source maps",
        }
    }
}

/// What there is in place of a missing file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instead {
    /// The file itself, which the scan left out: hidden, or by a rule.
    LeftOut,
    /// A file whose name differs in upper and lower case; its key.
    OtherCase(String),
}

/// One thing that was found. Its `Display` is one line, and shows no secret and no value of the
/// environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file it is in; `index.html` for a missing root document.
    pub file: Key,
    /// The line of the served file, from 1, where there is one.
    pub line: Option<usize>,
    /// What it is.
    pub kind: FindingKind,
    /// For a reference, as it is written (without query, up to 200 characters) in double quotes, or
    /// what it is made of; for a base path, that of the build; for the others, what was found.
    pub reference: String,
    /// For a reference, the key that is missing, unless a value of the environment is part of it;
    /// for a base path, the URL path under which the site is served; for a missing root document,
    /// another page of the site, if there is any.
    pub target: Option<String>,
    /// What there is in place of a missing file.
    pub instead: Option<Instead>,
}

impl Finding {
    /// By kind, the root page before others, pages at the top before those in folders.
    fn order(&self) -> impl Ord + '_ {
        let key = self.file.as_str();
        (self.kind, key != "index.html", key.matches('/').count(), key, self.line, &self.reference, &self.target)
    }
}

impl Ord for Finding {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order()).then_with(|| self.instead.cmp(&other.instead))
    }
}

impl PartialOrd for Finding {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, kind, reference, target, instead } = self;
        write!(f, "{:?}", file.as_str())?;
        if let Some(line) = line {
            write!(f, " line {line}")?;
        }
        match kind {
            FindingKind::MissingRoot => match target {
                Some(page) => write!(
                    f,
                    ": is missing, so the site has no page at its root; there are pages such as {page:?}: if that is not meant, check which folder the build writes"
                ),
                None => {
                    f.write_str(": is missing, and the site has no other page: check which folder the build writes")
                }
            },
            FindingKind::BasePath => {
                let served = target.as_deref().unwrap_or("/");
                write!(f, ": the build is for {reference}, and the site is served at {served}: ")?;
                match reference.as_str() {
                    "/" => {
                        write!(f, "build it for {served}, or set DEPLOY_URL_PREFIX=/ if the CDN adds the prefix itself")
                    }
                    _ => write!(
                        f,
                        "set DEPLOY_PREFIX={} to store and serve it there, or DEPLOY_URL_PREFIX={reference} if the CDN serves this target at that path",
                        reference.trim_start_matches('/')
                    ),
                }
            }
            FindingKind::MissingReference => {
                write!(f, ": refers to {reference}")?;
                let is_plain = |target: &&String| {
                    let name = reference.trim_matches('"');
                    name.strip_prefix('/').unwrap_or(name) == *target
                };
                if let Some(target) = target.as_ref().filter(|target| !is_plain(target)) {
                    write!(f, ", that is {target:?}")?;
                }
                match instead {
                    None => f.write_str(", which is not in the build"),
                    Some(Instead::LeftOut) => f.write_str(
                        ", which was left out as hidden or by a rule: a rule with `include = true` takes it",
                    ),
                    Some(Instead::OtherCase(key)) => {
                        write!(f, ", which is not in the build; there is {key:?}, in other upper and lower case")
                    }
                }
            }
            FindingKind::Secret => write!(
                f,
                ": {reference}: take it out of the build (if it is real and was published before, replace it too)"
            ),
            FindingKind::SourceMap => write!(f, ": {reference}, which shows the source code to everyone"),
        }
    }
}

/// What the pre-flight found, each list in the order in which people should read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must stop a deployment.
    pub refusals: Vec<Finding>,
    /// What a person should know.
    pub warnings: Vec<Finding>,
}

impl Findings {
    /// An error if something must stop a deployment. Its message shows at most `shown` lines of each
    /// kind.
    ///
    /// # Errors
    /// [`Refusal::Preflight`](crate::Refusal::Preflight) with every such finding.
    pub fn check(&self, shown: usize) -> Result<(), crate::Error> {
        if self.refusals.is_empty() {
            return Ok(());
        }
        Err(crate::Refusal::Preflight { findings: self.refusals.clone(), shown }.into())
    }
}

/// Findings as people read them: one line each, but at most `shown` of each kind, and then how many
/// more there are. Where not all are shown, several references to one missing file share a line.
pub fn report(findings: &[Finding], shown: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for group in findings.chunk_by(|a, b| a.kind == b.kind) {
        if group.len() <= shown {
            lines.extend(group.iter().map(ToString::to_string));
            continue;
        }
        let mut left = group.len();
        let mut targets: HashSet<&str> = HashSet::new();
        let firsts = group.iter().filter(|f| f.target.as_deref().is_none_or(|target| targets.insert(target)));
        for finding in firsts.take(shown) {
            let same =
                finding.target.as_ref().map_or(1, |t| group.iter().filter(|f| f.target.as_ref() == Some(t)).count());
            left = left.saturating_sub(same);
            let others = match same - 1 {
                0 => String::new(),
                1 => " (and 1 more reference to it)".to_owned(),
                n => format!(" (and {n} more references to it)"),
            };
            lines.push(format!("{finding}{others}"));
        }
        if left > 0 {
            lines.push(format!("and {left} more {} (`deploy plan --all` lists all)", group[0].kind.several()));
        }
    }
    lines
}
