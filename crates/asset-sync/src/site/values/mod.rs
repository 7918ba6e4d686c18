//! Values that differ between environments: how they reach the site.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use globset::{GlobSet, GlobSetBuilder};

use super::rules::compile;
use super::{Key, KeyError, media_type};

mod fill;
mod generated;
mod html;
pub(super) mod integrity;
mod json;
mod placeholder;

pub use fill::{Fault, PlaceholderFault};
pub(super) use fill::{Kind, MAX_TEMPLATE};
pub(super) use generated::{env_js, env_json};
pub(super) use placeholder::{StraySearch, WordSearch};

/// What to make of the values of one environment; checked by [`SiteValues::new`].
///
/// One name everywhere: the variable `WEBAPP_API_URL` fills the placeholder `__WEBAPP_API_URL__`
/// and is the member `"WEBAPP_API_URL"` of `env.json`.
#[derive(Clone)]
pub struct ValuesInput {
    /// How the names of the variables start, as `WEBAPP_`. Nothing else may be in `values`.
    pub prefix: String,
    /// The values by the full name of their variable. They are public by design, since they become
    /// part of the site; all the same they appear in no message, manifest or `Debug` output.
    pub values: BTreeMap<String, String>,
    /// Globs of the keys of files in which placeholders are filled in (HTML and JSON only). None
    /// means every HTML file, and the JSON files at the top.
    pub templates: Option<Vec<String>>,
    /// The key of a JSON file to make of the values, as `env.json`.
    pub env_json: Option<String>,
    /// The key of a script to make of the values, as `env.js`: it sets `globalThis.__ENV__`.
    pub env_js: Option<String>,
}

impl ValuesInput {
    /// The defaults: these values, under this prefix, as placeholders only.
    pub fn new(prefix: &str, values: BTreeMap<String, String>) -> Self {
        Self { prefix: prefix.to_owned(), values, templates: None, env_json: None, env_js: None }
    }
}

impl fmt::Debug for ValuesInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValuesInput")
            .field("prefix", &self.prefix)
            .field("names", &self.values.keys())
            .field("templates", &self.templates)
            .field("env_json", &self.env_json)
            .field("env_js", &self.env_js)
            .finish_non_exhaustive()
    }
}

/// The values of one environment, and the files that take them. Its `Debug` shows names only.
#[derive(Clone)]
pub struct SiteValues {
    pub(super) filling: Arc<Filling>,
    templates: Option<GlobSet>,
    pub(super) env_json: Option<Key>,
    pub(super) env_js: Option<Key>,
}

/// All that is wrong with the values of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ValuesError {
    /// The problems; by name where they have one.
    pub problems: Vec<ValuesProblem>,
}

/// One thing that is wrong with the values of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValuesProblem {
    /// The prefix would not make a placeholder.
    #[error("prefix {prefix:?}: must be capital letters, digits and single `_`, and end with `_`, as in `WEBAPP_`")]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// A variable whose placeholder could not be told from the text around it.
    #[error("{name:?}: must be {prefix:?} and then capital letters and digits, with single `_` between: rename it")]
    Name {
        /// The variable.
        name: String,
        /// How it must start.
        prefix: String,
    },
    /// A value that Harness left as it was: `null`, or an expression `<+…>`.
    #[error("{name}: is an unresolved Harness expression (`null` or `<+…>`): define the variable it refers to")]
    Unresolved {
        /// The variable.
        name: String,
    },
    /// A glob of templates that cannot be read.
    #[error("glob {glob:?} of templates: {reason}")]
    Glob {
        /// The glob.
        glob: String,
        /// Why.
        reason: String,
    },
    /// The key of a file to generate is none.
    #[error("{what}: {error}")]
    Key {
        /// `env.json` or `env.js`.
        what: &'static str,
        /// Why.
        error: KeyError,
    },
    /// Both files to generate have one key.
    #[error("{key:?}: is to be both the generated JSON file and the generated script: choose two names")]
    SameKey {
        /// The key.
        key: String,
    },
}

impl SiteValues {
    /// Checks `input`; every problem is in the error.
    pub fn new(input: ValuesInput) -> Result<Self, ValuesError> {
        let mut problems = Vec::new();
        let ValuesInput { prefix, values, templates, env_json, env_js } = input;
        if prefix.strip_suffix('_').is_some_and(placeholder::is_name) {
            for name in values.keys() {
                if !name.strip_prefix(&prefix).is_some_and(placeholder::is_name) {
                    problems.push(ValuesProblem::Name { name: name.clone(), prefix: prefix.clone() });
                }
            }
        } else {
            problems.push(ValuesProblem::Prefix { prefix: prefix.clone() });
        }
        let unresolved = values.iter().filter(|(_, value)| is_unresolved(value));
        problems.extend(unresolved.map(|(name, _)| ValuesProblem::Unresolved { name: name.clone() }));
        let templates = templates.map(|globs| glob_set(&globs, &mut problems));
        let mut key = |what, text: Option<String>| {
            Key::new(&text?).map_err(|error| problems.push(ValuesProblem::Key { what, error })).ok()
        };
        let (env_json, env_js) = (key("env.json", env_json), key("env.js", env_js));
        if let (Some(json), Some(js)) = (&env_json, &env_js)
            && json == js
        {
            problems.push(ValuesProblem::SameKey { key: json.to_string() });
        }
        if problems.is_empty() {
            Ok(Self { filling: Arc::new(Filling { prefix, values }), templates, env_json, env_js })
        } else {
            Err(ValuesError { problems })
        }
    }

    /// The names of the variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.filling.values.keys().map(String::as_str)
    }

    /// Whether placeholders are filled in in the file of this key.
    pub(super) fn selects(&self, key: &Key, content_type: &str) -> bool {
        match &self.templates {
            Some(globs) => globs.is_match(key.as_str()),
            None => media_type::is_html(content_type) || (Kind::of(content_type) == Kind::Json && is_root_json(key)),
        }
    }
}

impl fmt::Debug for SiteValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteValues")
            .field("filling", &self.filling)
            .field("env_json", &self.env_json)
            .field("env_js", &self.env_js)
            .finish_non_exhaustive()
    }
}

/// The values by the name of their variable, with the prefix they all have.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Filling {
    pub(super) prefix: String,
    pub(super) values: BTreeMap<String, String>,
}

impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filling")
            .field("prefix", &self.prefix)
            .field("names", &self.values.keys())
            .finish_non_exhaustive()
    }
}

fn is_root_json(key: &Key) -> bool {
    let extension = key.as_str().rsplit_once('.').map(|(_, extension)| extension);
    !key.as_str().contains('/') && extension.is_some_and(|e| e.eq_ignore_ascii_case("json"))
}

/// What Harness gives for an expression it could not resolve.
fn is_unresolved(value: &str) -> bool {
    value.trim() == "null" || value.contains("<+")
}

fn glob_set(globs: &[String], problems: &mut Vec<ValuesProblem>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        match compile(glob) {
            Ok(compiled) => {
                set.add(compiled);
            }
            Err(reason) => problems.push(ValuesProblem::Glob { glob: glob.clone(), reason }),
        }
    }
    set.build().unwrap_or_else(|error| {
        problems.push(ValuesProblem::Glob { glob: "all".into(), reason: error.to_string() });
        GlobSet::empty()
    })
}

#[cfg(test)]
mod site_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn input(values: &[(&str, &str)]) -> ValuesInput {
        ValuesInput::new("WEBAPP_", values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn all_problems_at_once_and_no_value() {
        let mut bad = input(&[
            ("WEBAPP_A__B", "s3cret-1"),
            ("WEBAPP_", "s3cret-2"),
            ("WEBAPP_lower", "s3cret-3"),
            ("OTHER", "s3cret-4"),
            ("WEBAPP_NULL", " null "),
            ("WEBAPP_EXPR", "https://<+env.variables.s3cret-5>/x"),
            ("WEBAPP_FINE", "<not an expression>"),
        ]);
        bad.templates = Some(vec!["/x.html".into(), "ok/**".into()]);
        bad.env_json = Some("a/../env.json".into());
        bad.env_js = Some("/env.js".into());
        let debug = format!("{bad:?}");
        let error = SiteValues::new(bad).unwrap_err();
        insta::assert_snapshot!(error, @r#"
        "OTHER": must be "WEBAPP_" and then capital letters and digits, with single `_` between: rename it
        "WEBAPP_": must be "WEBAPP_" and then capital letters and digits, with single `_` between: rename it
        "WEBAPP_A__B": must be "WEBAPP_" and then capital letters and digits, with single `_` between: rename it
        "WEBAPP_lower": must be "WEBAPP_" and then capital letters and digits, with single `_` between: rename it
        WEBAPP_EXPR: is an unresolved Harness expression (`null` or `<+…>`): define the variable it refers to
        WEBAPP_NULL: is an unresolved Harness expression (`null` or `<+…>`): define the variable it refers to
        glob "/x.html" of templates: keys have no leading `/` or `./`: remove it
        env.json: "a/../env.json": has a `..` segment, which no browser would request: rename it
        env.js: "/env.js": has an empty segment: remove the extra `/`
        "#);
        assert!(!format!("{error} {error:?} {debug}").contains("s3cret"));
    }

    #[test]
    fn a_prefix_must_make_placeholders() {
        for prefix in ["", "_", "webapp_", "WEBAPP", "WEB__", "A-B_", "_A_"] {
            let error = SiteValues::new(ValuesInput::new(prefix, BTreeMap::new())).unwrap_err();
            assert!(matches!(&error.problems[..], [ValuesProblem::Prefix { .. }]), "{prefix}");
        }
        assert!(SiteValues::new(ValuesInput::new("MY_APP_", BTreeMap::new())).is_ok());
        let mut same = input(&[]);
        (same.env_json, same.env_js) = (Some("env".into()), Some("env".into()));
        let error = SiteValues::new(same).unwrap_err();
        assert!(matches!(&error.problems[..], [ValuesProblem::SameKey { .. }]));
    }

    #[test]
    fn pages_and_json_at_the_top_take_values_unless_told_otherwise() {
        let values = SiteValues::new(input(&[])).unwrap();
        let takes = |values: &SiteValues, key: &str| {
            let key = Key::new(key).unwrap();
            values.selects(&key, media_type::of_key(key.as_str()))
        };
        for (key, expected) in [
            ("index.html", true),
            ("a/b/page.htm", true),
            ("config.json", true),
            ("a/config.json", false),
            ("site.webmanifest", false),
            ("app.js", false),
        ] {
            assert_eq!(takes(&values, key), expected, "{key}");
        }
        let mut narrow = input(&[]);
        narrow.templates = Some(vec!["a/*.json".into()]);
        let values = SiteValues::new(narrow).unwrap();
        assert!(takes(&values, "a/config.json") && !takes(&values, "index.html"));
    }
}
