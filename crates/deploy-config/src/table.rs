//! The table that `deploy config` prints.

use std::fmt;

use serde::Serialize;

use crate::environment::{Environment, Origin};
use crate::image_settings::{self, ImageRequirements};
use crate::problem::{Report, hide_user_info};
use crate::settings::{Requirements, parse};
use crate::variable::{Group, Presence, Program, Variable};
use crate::variables::registry;

/// Every variable that a program reads, with the value in effect.
///
/// Displayed as text in columns under headings, for people; serialised as a list of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Table {
    /// The rows, in the order of the documentation.
    pub rows: Vec<Row>,
}

/// One variable of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The variable's name.
    pub variable: &'static str,
    /// The heading it stands under.
    pub group: Group,
    /// The value in effect; none where it is not set, and always none for a secret.
    pub value: Option<String>,
    /// Where the value is from; says of a secret whether it is set.
    pub source: Source,
    /// Whether its value is never shown.
    pub secret: bool,
    /// What the variable is, in one line.
    pub summary: &'static str,
}

/// Where a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A command-line flag.
    Flag,
    /// The environment.
    Environment,
    /// The program, for where the environment says nothing.
    Program,
    /// The registry's default.
    Default,
    /// Worked out from other variables.
    Derived,
    /// Nowhere: it is not set.
    NotSet,
}

impl Source {
    /// As it is shown.
    fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::Program => "program",
            Self::Default => "default",
            Self::Derived => "derived",
            Self::NotSet => "-",
        }
    }
}

impl Table {
    pub(crate) fn new(environment: &Environment, program: Program) -> Self {
        let mut report = Report::default();
        match program {
            // Made for the values it works out on the way; problems are told elsewhere.
            Program::Deploy => drop(parse(environment, Requirements::Target, &mut report)),
            Program::ImageTagger => {
                drop(image_settings::parse(environment, ImageRequirements::Nothing, &mut report));
            }
        }
        let rows = Group::ALL
            .iter()
            .flat_map(|group| registry().filter(move |variable| variable.group == *group))
            .filter(|variable| variable.is_read_by(program))
            .map(|variable| row(environment, variable, &report))
            .collect();
        Self { rows }
    }
}

fn row(environment: &Environment, variable: &'static Variable, report: &Report) -> Row {
    let worked_out = report.worked_out.get(variable.name).cloned();
    let (value, source) = match (environment.text(variable), variable.presence) {
        (Some((text, origin)), _) => {
            let source = match origin {
                Origin::Flag(_) => Source::Flag,
                Origin::Environment => Source::Environment,
                Origin::Fallback => Source::Program,
            };
            (Some(worked_out.unwrap_or_else(|| hide_user_info(text))), source)
        }
        // Given, and not UTF-8.
        (None, _) if environment.is_given(variable) => (Some("(not UTF-8)".to_owned()), Source::Environment),
        (None, Presence::Default(text)) => (Some(text.to_owned()), Source::Default),
        (None, Presence::Derived(_)) => {
            let source = if worked_out.is_some() { Source::Derived } else { Source::NotSet };
            (worked_out, source)
        }
        (None, Presence::Required(_) | Presence::Optional(_)) => (None, Source::NotSet),
    };
    Row {
        variable: variable.name,
        group: variable.group,
        value: value.filter(|_| !variable.secret),
        source,
        secret: variable.secret,
        summary: variable.summary,
    }
}

impl Row {
    /// The value as the text table shows it, in one line.
    fn shown(&self) -> String {
        match (&self.value, self.source) {
            (Some(value), _) => value.escape_debug().to_string(),
            (None, Source::NotSet) => "(not set)".to_owned(),
            (None, _) => "(set)".to_owned(),
        }
    }
}

/// Columns wider than this do not widen the whole table.
const WIDEST: usize = 40;

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |cell: fn(&Row) -> String| {
            let widths = self.rows.iter().map(|row| cell(row).chars().count());
            widths.max().unwrap_or(0)
        };
        let name_width = width(|row| row.variable.to_owned());
        let value_width = width(Row::shown).min(WIDEST);
        let source_width = width(|row| row.source.name().to_owned());
        let mut group = None;
        for row in &self.rows {
            if group != Some(row.group) {
                if group.is_some() {
                    writeln!(f)?;
                }
                writeln!(f, "{}", row.group.title())?;
                group = Some(row.group);
            }
            writeln!(
                f,
                "  {:name_width$}  {:value_width$}  {:source_width$}  {}",
                row.variable,
                row.shown(),
                row.source.name(),
                row.summary.replace('`', ""),
            )?;
        }
        Ok(())
    }
}
