//! The variables as they were given, before anything is made of their texts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;

use crate::format::{Format, NamePrefix};
use crate::image_settings::{ImageRequirements, ImageSettings};
use crate::problem::{Fault, Problems, Report, Warning, shown};
use crate::settings::{Requirements, Settings};
use crate::spelling::nearest;
use crate::table::Table;
use crate::variable::{Owner, Presence, Program, Variable};
use crate::variables::{DEPLOY_VALUES_PREFIX, find, registry};

/// The environment variables that concern these tools, and values given in their place.
///
/// A value is taken, in this order, from a command-line flag ([`flag`](Self::flag)), the
/// environment, a stand-in the program gives ([`fallback`](Self::fallback)), and the default in
/// the registry. Whitespace around a value, such as the last newline of a file, is dropped; a value
/// that is empty then counts as not set.
///
/// Its `Debug` shows names, no values.
#[derive(Clone, Default)]
pub struct Environment {
    given: BTreeMap<&'static str, Given>,
    /// Names with one of our prefixes that no variable has.
    unknown: BTreeSet<String>,
    /// Variables whose name begins with `DEPLOY_VALUES_PREFIX`.
    for_the_site: BTreeMap<String, OsString>,
}

/// What was given for one variable.
#[derive(Clone, Default)]
struct Given {
    flag: Option<(String, OsString)>,
    environment: Option<OsString>,
    fallback: Option<OsString>,
}

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    Flag(&'a str),
    Environment,
    Fallback,
}

impl Environment {
    /// Takes what concerns these tools from `vars`. Of a name that occurs twice the first counts,
    /// as in the C library.
    pub fn new(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut this = Self::default();
        let vars: Vec<(OsString, OsString)> = vars.into_iter().collect();
        let prefix = vars.iter().find(|(name, _)| name == DEPLOY_VALUES_PREFIX.name);
        let prefix = prefix.and_then(|(_, value)| NamePrefix.parse(value.to_str()?.trim()).ok());
        let prefix = prefix.as_deref().or(DEPLOY_VALUES_PREFIX.default_text()).unwrap_or_default();
        for (name, value) in vars {
            let name = name.to_string_lossy();
            if !prefix.is_empty() && name.len() > prefix.len() && name.starts_with(prefix) {
                this.for_the_site.entry(name.into_owned()).or_insert(value);
            } else if let Some(variable) = find(&name) {
                this.given.entry(variable.name).or_default().environment.get_or_insert(value);
            } else if Program::ALL.iter().any(|program| has_prefix(&name, *program)) {
                this.unknown.insert(name.into_owned());
            }
        }
        this
    }

    /// Takes what concerns these tools from the process's environment.
    pub fn from_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// Gives `variable` a value by a command-line flag, which wins over the environment. `flag` is
    /// its name in reports, such as `--source`.
    #[must_use]
    pub fn flag(mut self, variable: &'static Variable, flag: &str, value: impl Into<OsString>) -> Self {
        self.given.entry(variable.name).or_default().flag = Some((flag.to_owned(), value.into()));
        self
    }

    /// Gives `variable` a value for where it is not set: so `--local` needs no bucket.
    #[must_use]
    pub fn fallback(mut self, variable: &'static Variable, value: impl Into<OsString>) -> Self {
        self.given.entry(variable.name).or_default().fallback = Some(value.into());
        self
    }

    /// The settings of `deploy`, and what is odd but stops nothing.
    ///
    /// # Errors
    /// Every problem of the configuration, not only the first.
    pub fn settings(&self, requirements: Requirements) -> Result<(Settings, Vec<Warning>), Problems> {
        crate::settings::read(self, requirements)
    }

    /// The settings of `image-tagger`, and what is odd but stops nothing.
    ///
    /// # Errors
    /// Every problem of the configuration, not only the first.
    pub fn image_settings(&self, requirements: ImageRequirements) -> Result<(ImageSettings, Vec<Warning>), Problems> {
        crate::image_settings::read(self, requirements)
    }

    /// The table that `deploy config` prints. It can be made whatever problems there are.
    pub fn table(&self, program: Program) -> Table {
        Table::new(self, program)
    }

    /// The values for the site, as they are; whitespace is part of them. One that is not UTF-8 is
    /// reported.
    pub(crate) fn site_values(&self, report: &mut Report) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (name, value) in &self.for_the_site {
            match value.to_str() {
                Some(text) => drop(values.insert(name.clone(), text.to_owned())),
                None => report.problem(name, None, Fault::NotUnicode),
            }
        }
        values
    }

    /// What was given for `variable`, untouched.
    fn raw(&self, variable: &Variable) -> Option<(&OsStr, Origin<'_>)> {
        let given = self.given.get(variable.name)?;
        if let Some((flag, value)) = &given.flag {
            return Some((value, Origin::Flag(flag)));
        }
        if let Some(value) = &given.environment
            && !is_blank(value)
        {
            return Some((value, Origin::Environment));
        }
        let fallback = given.fallback.as_deref().filter(|value| !is_blank(value))?;
        Some((fallback, Origin::Fallback))
    }

    /// The text given for `variable`, trimmed; nothing where it is empty or not UTF-8.
    pub(crate) fn text(&self, variable: &Variable) -> Option<(&str, Origin<'_>)> {
        let (value, origin) = self.raw(variable)?;
        let text = value.to_str()?.trim();
        (!text.is_empty()).then_some((text, origin))
    }

    /// Whether something other than an empty text was given for `variable`, good or bad.
    pub(crate) fn is_given(&self, variable: &Variable) -> bool {
        self.raw(variable).is_some_and(|(value, _)| !is_blank(value))
    }

    /// The texts given for `variables`, for envy.
    pub(crate) fn texts(&self, variables: &[&'static Variable]) -> impl Iterator<Item = (String, String)> {
        variables.iter().filter_map(|variable| {
            let (text, _) = self.text(variable)?;
            Some((variable.name.to_owned(), text.to_owned()))
        })
    }

    /// One variable's text with what is needed to parse it.
    pub(crate) fn input<F: Format>(&self, variable: &'static Variable, format: F, text: Option<String>) -> Input<F> {
        let flag = match self.raw(variable) {
            Some((_, Origin::Flag(flag))) => Some(flag.to_owned()),
            _ => None,
        };
        // Reported once, by `check_texts`.
        let refused = self.refusal(variable).is_some();
        Input { variable, format, text, flag, refused }
    }

    /// What is wrong with what was given for `variable`, before its format is looked at.
    fn refusal(&self, variable: &Variable) -> Option<Fault> {
        let (value, _) = self.raw(variable)?;
        let Some(text) = value.to_str() else {
            return Some(Fault::NotUnicode);
        };
        is_unresolved(text.trim()).then(|| Fault::Unresolved { shown: shown(variable, text.trim()) })
    }

    /// Reports what can be said of texts and names without parsing them, and checks the format of
    /// the SDK's variables, which nothing else here parses.
    pub(crate) fn check_texts(&self, program: Program, report: &mut Report) {
        for variable in registry().filter(|variable| variable.is_read_by(program)) {
            let flag = match self.raw(variable) {
                Some((_, Origin::Flag(flag))) => Some(flag),
                _ => None,
            };
            if let Some(fault) = self.refusal(variable) {
                report.problem(variable.name, flag, fault);
            } else if variable.owner == Owner::AwsSdk {
                self.check_sdk_text(variable, report);
            }
        }
        let known = || registry().filter(|variable| variable.owner == Owner::Ours && variable.is_read_by(program));
        for name in self.unknown.iter().filter(|name| has_prefix(name, program)) {
            if let Some(near) = nearest(name, known()) {
                let suggestion = near.name;
                report.problem(name, None, Fault::Misspelt { suggestion });
            } else if name.starts_with(program.prefix()) {
                report.warn(name, "is not known to this version, and is ignored");
            }
        }
    }

    fn check_sdk_text(&self, variable: &'static Variable, report: &mut Report) {
        let Some((text, origin)) = self.text(variable) else {
            return;
        };
        if let Err(reason) = variable.format.check(text) {
            report.problem(variable.name, None, invalid(variable, text, reason));
        }
        let untouched = self.raw(variable).map(|(value, _)| value);
        if origin == Origin::Environment && untouched != Some(OsStr::new(text)) {
            report.warn(variable.name, "has whitespace around its value, which the AWS SDK may take as a part of it");
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("given", &self.given.keys().collect::<Vec<_>>())
            .field("unknown", &self.unknown)
            .field("for_the_site", &self.for_the_site.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Whether a name is one that only `program` would read, in whatever case it is written.
fn has_prefix(name: &str, program: Program) -> bool {
    let prefix = program.prefix();
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|text| text.trim().is_empty())
}

/// Harness passes an expression it cannot resolve as it stands, or as `null`.
fn is_unresolved(text: &str) -> bool {
    text == "null" || text.contains("<+")
}

/// The fault of a text that breaks its format.
fn invalid(variable: &Variable, text: &str, reason: String) -> Fault {
    let reason = if variable.secret { format!("write a {}", variable.format.describe()) } else { reason };
    Fault::Invalid { shown: shown(variable, text), reason }
}

/// One variable's text, not yet parsed.
#[derive(Debug)]
pub(crate) struct Input<F> {
    variable: &'static Variable,
    format: F,
    text: Option<String>,
    flag: Option<String>,
    /// Its text was refused already, and that reported.
    refused: bool,
}

impl<F: Format> Input<F> {
    /// The value, where it is set. A bad one is reported and counts as not set.
    pub(crate) fn optional(&self, report: &mut Report) -> Option<F::Value> {
        self.parse(self.text.as_deref()?, report)
    }

    /// The value; where it is not set, that of the registry's default. Nothing only where a problem
    /// is reported, which includes that no value was given and there is no default.
    pub(crate) fn required(&self, report: &mut Report) -> Option<F::Value> {
        if self.refused {
            return None;
        }
        match (self.text.as_deref(), self.variable.presence) {
            (Some(text), _) | (None, Presence::Default(text)) => self.parse(text, report),
            (None, Presence::Required(remedy)) => {
                report.problem(self.variable.name, None, Fault::NotSet { remedy });
                None
            }
            (None, Presence::Derived(_) | Presence::Optional(_)) => {
                let remedy = "Set it to a value";
                report.problem(self.variable.name, None, Fault::NotSet { remedy });
                None
            }
        }
    }

    /// Whether a value was given, good or bad.
    pub(crate) fn is_given(&self) -> bool {
        self.refused || self.text.is_some()
    }

    fn parse(&self, text: &str, report: &mut Report) -> Option<F::Value> {
        if self.refused {
            return None;
        }
        match self.format.parse(text) {
            Ok(value) => Some(value),
            Err(reason) => {
                let fault = invalid(self.variable, text, reason);
                report.problem(self.variable.name, self.flag.as_deref(), fault);
                None
            }
        }
    }
}
