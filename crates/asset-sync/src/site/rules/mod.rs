//! Rules: what a site's owner says about files by glob.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{ContentEncoding, FindingKind};
use read::Reader;

mod keys;
mod read;

/// An ordered list of rules. All that match a file apply, in order; what a later one says
/// overrides what an earlier one said.
///
/// ```
/// let rules: asset_sync::site::Rules = r#"
///     [[rule]]
///     glob = "**/*.{js,css,html}"
///     content-encoding = "br"
///
///     [[rule]]
///     glob = ["old.html", "older/*.html"]
///     redirect = "/new.html"
/// "#.parse()?;
/// # Ok::<(), asset_sync::site::RulesError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rules {
    list: Vec<Rule>,
    globs: GlobSet,
    /// The index of the rule each glob of the set belongs to.
    owners: Vec<usize>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the file, from 1.
    pub number: usize,
    /// The line of the file it starts on, from 1.
    pub line: usize,
    /// Globs of keys it applies to: `*` and `?` stay within a path segment, `**` crosses them.
    pub globs: Vec<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// Encode the file before it is uploaded, unless its bytes are encoded already.
    pub content_encoding: Option<ContentEncoding>,
    /// `true`: the bytes on disk are encoded already, and `content_encoding` only sets the header.
    /// `false`: the file is a download, whose encoding no header tells.
    pub precompressed: Option<bool>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// Where an S3 website endpoint redirects requests for the key.
    pub redirect: Option<String>,
    /// Whether the name carries a hash of the content, whatever it looks like.
    pub fingerprinted: Option<bool>,
    /// Take the file although it is hidden, or leave it out although it is not.
    pub include: Option<bool>,
    /// What the pre-flight may find in these files, or missing at these keys, without stopping.
    pub allow: Vec<FindingKind>,
}

impl Rule {
    /// How messages that give a line of their own call the rule.
    fn name(&self) -> String {
        if self.globs.is_empty() {
            format!("rule {}", self.number)
        } else {
            format!("rule {} ({:?})", self.number, self.globs.join(", "))
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} (line {}, {:?})", self.number, self.line, self.globs.join(", "))
    }
}

/// All that is wrong with a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RulesError {
    /// The problems, in the order of the file.
    pub problems: Vec<RulesProblem>,
}

/// One thing that is wrong with a file of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {fault}", .rule.as_ref().map(|rule| format!(", {rule}")).unwrap_or_default())]
pub struct RulesProblem {
    /// The line of the file, from 1.
    pub line: usize,
    /// The rule it is in, as `rule 2 ("*.js")`.
    pub rule: Option<String>,
    /// What is wrong.
    pub fault: RulesFault,
}

/// What can be wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesFault {
    /// The text is not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A key that means nothing here.
    #[error("unknown key {key:?}: expected {expected}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that are known there.
        expected: String,
    },
    /// A value of another type.
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A rule that applies to nothing.
    #[error("has no glob: add `glob = \"…\"` to say which files it is for")]
    NoGlob,
    /// A rule that says nothing.
    #[error("says nothing about the files it matches: add a setting or remove the rule")]
    NoEffect,
    /// A glob that cannot match or cannot be read.
    #[error("glob {glob:?}: {reason}")]
    Glob {
        /// The glob.
        glob: String,
        /// Why.
        reason: String,
    },
    /// A value that cannot be sent.
    #[error("`{key}` = {value:?}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// Why it cannot be sent, and what can.
        reason: &'static str,
    },
}

/// What the rules say about one key, and which rule said it where that is needed for messages.
#[derive(Debug, Default)]
pub(super) struct Applied<'a> {
    pub(super) cache_control: Option<(&'a str, &'a Rule)>,
    pub(super) content_type: Option<&'a str>,
    pub(super) content_encoding: Option<(ContentEncoding, &'a Rule)>,
    pub(super) precompressed: Option<(bool, &'a Rule)>,
    pub(super) content_disposition: Option<&'a str>,
    pub(super) content_language: Option<&'a str>,
    pub(super) redirect: Option<&'a str>,
    pub(super) fingerprinted: Option<(bool, &'a Rule)>,
}

impl Rules {
    /// Reads rules from TOML: an array of tables `[[rule]]`, each with `glob` (a string or a list)
    /// and at least one other key. `docs/rules.md` has the table of keys. Every problem of the text
    /// is in the error.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let mut reader = Reader::new(text);
        let rules = reader.document();
        let mut globs = GlobSetBuilder::new();
        let mut owners = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            for glob in &rule.globs {
                match compile(glob) {
                    Ok(compiled) => {
                        globs.add(compiled);
                        owners.push(index);
                    }
                    Err(reason) => {
                        let fault = RulesFault::Glob { glob: glob.clone(), reason };
                        reader.fault(rule.line, Some(rule.name()), fault);
                    }
                }
            }
        }
        let globs = globs.build().unwrap_or_else(|error| {
            // Each compiled alone, together they are too large for one automaton.
            reader.fault(1, None, RulesFault::Glob { glob: "all".into(), reason: error.to_string() });
            GlobSet::empty()
        });
        if reader.problems.is_empty() {
            return Ok(Self { list: rules, globs, owners });
        }
        reader.problems.sort_by_key(|problem| problem.line);
        Err(RulesError { problems: reader.problems })
    }

    /// The rules, in order.
    pub fn as_slice(&self) -> &[Rule] {
        &self.list
    }

    /// The indices of the rules that match `path`, ascending.
    pub(super) fn matching(&self, path: &str) -> Vec<usize> {
        let mut found = self.globs.matches(path);
        for glob in &mut found {
            *glob = self.owners[*glob];
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether this rule matches `path`.
    pub(super) fn is_matched_by(&self, path: &str, rule: &Rule) -> bool {
        self.matching(path).iter().any(|&index| self.list[index].number == rule.number)
    }

    /// What the rules of these indices say together.
    pub(super) fn apply(&self, matching: &[usize]) -> Applied<'_> {
        let mut applied = Applied::default();
        for rule in matching.iter().map(|&index| &self.list[index]) {
            applied.cache_control = rule.cache_control.as_deref().map(|v| (v, rule)).or(applied.cache_control);
            applied.content_type = rule.content_type.as_deref().or(applied.content_type);
            applied.content_encoding = rule.content_encoding.map(|v| (v, rule)).or(applied.content_encoding);
            applied.precompressed = rule.precompressed.map(|v| (v, rule)).or(applied.precompressed);
            applied.content_disposition = rule.content_disposition.as_deref().or(applied.content_disposition);
            applied.content_language = rule.content_language.as_deref().or(applied.content_language);
            applied.redirect = rule.redirect.as_deref().or(applied.redirect);
            applied.fingerprinted = rule.fingerprinted.map(|v| (v, rule)).or(applied.fingerprinted);
        }
        applied
    }

    /// Whether a rule that matches `path` allows findings of this kind.
    pub(super) fn allow(&self, path: &str, kind: FindingKind) -> bool {
        self.list.iter().any(|rule| rule.allow.contains(&kind))
            && self.matching(path).iter().any(|&index| self.list[index].allow.contains(&kind))
    }

    /// The last word of the rules of these indices on whether to take the file.
    pub(super) fn include(&self, matching: &[usize]) -> Option<bool> {
        matching.iter().rev().find_map(|&index| self.list[index].include)
    }
}

impl FromStr for Rules {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

pub(super) fn compile(glob: &str) -> Result<globset::Glob, String> {
    if glob.is_empty() {
        return Err("is empty".to_owned());
    }
    if glob.starts_with('/') || glob.starts_with("./") {
        return Err("keys have no leading `/` or `./`: remove it".to_owned());
    }
    GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| error.kind().to_string())
}

/// Whether a `Cache-Control` value tells caches never to ask again.
pub(super) fn is_immutable(cache_control: &str) -> bool {
    cache_control.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("immutable"))
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_rules_override_earlier_ones() {
        let rules = Rules::parse(
            r#"
[[rule]]
glob = "**"
cache-control = "no-cache"
content-encoding = "gzip"

[[rule]]
glob = ["*.txt", "docs/**"]
content-encoding = "identity"
content-language = "en"
include = false

[[rule]]
glob = "docs/keep.txt"
include = true
"#,
        )
        .unwrap();
        assert_eq!(rules.as_slice().iter().map(|r| r.line).collect::<Vec<_>>(), [2, 7, 13]);
        let matching = rules.matching("a/b.txt");
        assert_eq!(matching, [0], "`*` does not cross a segment");
        let matching = rules.matching("docs/keep.txt");
        assert_eq!(matching, [0, 1, 2]);
        assert_eq!(rules.include(&matching), Some(true));
        assert_eq!(rules.include(&rules.matching("a.txt")), Some(false));
        let applied = rules.apply(&matching);
        assert_eq!(applied.cache_control.map(|(v, r)| (v, r.number)), Some(("no-cache", 1)));
        assert_eq!(applied.content_encoding.map(|(v, r)| (v, r.number)), Some((ContentEncoding::Identity, 2)));
        assert_eq!(applied.content_language, Some("en"));
    }

    #[test]
    fn any_matching_rule_can_allow() {
        let rules = Rules::parse(
            "[[rule]]\nglob = '**'\nallow = 'source-map'\n[[rule]]\nglob = 'a/*'\nallow = ['secret', 'missing-reference']\n",
        )
        .unwrap();
        assert!(rules.allow("b", FindingKind::SourceMap) && rules.allow("a/b", FindingKind::SourceMap));
        assert!(rules.allow("a/b", FindingKind::Secret) && !rules.allow("b", FindingKind::Secret));
        assert!(!rules.allow("a/b", FindingKind::MissingRoot));
    }

    #[test]
    fn no_rules_match_nothing() {
        assert!(Rules::default().matching("a").is_empty());
        assert!(Rules::parse("# nothing\n").unwrap().matching("a").is_empty());
    }

    #[test]
    fn immutable_is_a_directive() {
        assert!(is_immutable("public, max-age=1, Immutable"));
        assert!(is_immutable("immutable"));
        assert!(!is_immutable("max-age=1"));
        assert!(!is_immutable("x-immutable=1, no-cache"));
    }
}
