//! Rules: what a site's owner says about files by glob.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ContentEncoding, FindingKind};

/// Longest redirect target in bytes (S3 limits `x-amz-website-redirect-location` to 2 KB).
const MAX_REDIRECT: usize = 2048;

const KEYS: [&str; 10] = [
    "glob",
    "cache-control",
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "redirect",
    "fingerprinted",
    "include",
    "allow",
];

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
    /// Encode the file on its way to the bucket.
    pub content_encoding: Option<ContentEncoding>,
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
    pub(super) content_encoding: Option<ContentEncoding>,
    pub(super) content_disposition: Option<&'a str>,
    pub(super) content_language: Option<&'a str>,
    pub(super) redirect: Option<&'a str>,
    pub(super) fingerprinted: Option<(bool, &'a Rule)>,
}

impl Rules {
    /// Reads rules from TOML: an array of tables `[[rule]]`, each with `glob` (a string or a list)
    /// and at least one of `cache-control`, `content-type`, `content-encoding` (`gzip`, `br`,
    /// `identity`), `content-disposition`, `content-language`, `redirect`, `fingerprinted`,
    /// `include`, `allow` (a list of `missing-reference`, `missing-root`, `secret`, `source-map`).
    /// Every problem of the text is in the error.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let mut reader = Reader { text, problems: Vec::new() };
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

    /// What the rules of these indices say together.
    pub(super) fn apply(&self, matching: &[usize]) -> Applied<'_> {
        let mut applied = Applied::default();
        for rule in matching.iter().map(|&index| &self.list[index]) {
            applied.cache_control = rule.cache_control.as_deref().map(|v| (v, rule)).or(applied.cache_control);
            applied.content_type = rule.content_type.as_deref().or(applied.content_type);
            applied.content_encoding = rule.content_encoding.or(applied.content_encoding);
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

/// Walks the parsed TOML by hand rather than by serde, which would stop at the first problem.
struct Reader<'a> {
    text: &'a str,
    problems: Vec<RulesProblem>,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes().iter().take(offset).filter(|&&b| b == b'\n').count()
    }

    fn fault(&mut self, line: usize, rule: Option<String>, fault: RulesFault) {
        self.problems.push(RulesProblem { line, rule, fault });
    }

    fn document(&mut self) -> Vec<Rule> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let line = self.line(error.span().map_or(0, |span| span.start));
            self.fault(line, None, RulesFault::Syntax(error.message().to_owned()));
        }
        if !self.problems.is_empty() {
            // What a damaged text seems to say is not worth a second complaint.
            return Vec::new();
        }
        let mut rules = Vec::new();
        for (key, value) in document.get_ref() {
            let line = self.line(key.span().start);
            let name: &str = key.get_ref();
            if name != "rule" {
                let fault = RulesFault::UnknownKey { key: name.into(), expected: "`[[rule]]`".into() };
                self.fault(line, None, fault);
                continue;
            }
            let Some(tables) = value.get_ref().as_array() else {
                self.fault(line, None, wrong_type(name, "written `[[rule]]`", value));
                continue;
            };
            for (index, table) in tables.iter().enumerate() {
                match table.get_ref().as_table() {
                    Some(content) => {
                        let line = self.line(table.span().start);
                        rules.push(self.rule(index + 1, line, content));
                    }
                    None => self.fault(line, None, wrong_type(name, "written `[[rule]]`", table)),
                }
            }
        }
        rules
    }

    fn rule(&mut self, number: usize, line: usize, table: &DeTable<'_>) -> Rule {
        let mut rule = Rule { number, line, ..Rule::default() };
        // Globs first: they are how messages call the rule.
        let glob = table.iter().find(|(key, _)| key.get_ref() == "glob");
        if let Some((_, value)) = glob {
            rule.globs = self.globs(&rule, value);
        } else {
            self.fault(line, Some(format!("rule {number}")), RulesFault::NoGlob);
        }
        let name = Some(rule.name());
        for (key, value) in table {
            let at = self.line(key.span().start);
            if let Err(fault) = set(&mut rule, key.get_ref(), value) {
                self.fault(at, name.clone(), fault);
            }
        }
        if table.iter().all(|(key, _)| key.get_ref() == "glob") {
            self.fault(line, name, RulesFault::NoEffect);
        }
        rule
    }

    fn globs(&mut self, rule: &Rule, value: &Spanned<DeValue<'_>>) -> Vec<String> {
        const EXPECTED: &str = "a string or a list of strings";
        let line = self.line(value.span().start);
        let name = Some(format!("rule {}", rule.number));
        let items = match value.get_ref() {
            DeValue::String(glob) => return vec![glob.to_string()],
            DeValue::Array(items) => items,
            _ => {
                self.fault(line, name, wrong_type("glob", EXPECTED, value));
                return Vec::new();
            }
        };
        if items.is_empty() {
            self.fault(line, name.clone(), RulesFault::NoGlob);
        }
        let mut globs = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(glob) => globs.push(glob.to_owned()),
                None => self.fault(line, name.clone(), wrong_type("glob", EXPECTED, item)),
            }
        }
        globs
    }
}

fn wrong_type(key: &str, expected: &'static str, value: &Spanned<DeValue<'_>>) -> RulesFault {
    RulesFault::WrongType { key: key.to_owned(), expected, found: value.get_ref().type_str() }
}

/// Sets what `key` names in `rule`.
fn set(rule: &mut Rule, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), RulesFault> {
    let text = || value.get_ref().as_str().ok_or_else(|| wrong_type(key, "a string", value));
    let flag = || value.get_ref().as_bool().ok_or_else(|| wrong_type(key, "`true` or `false`", value));
    match key {
        "glob" => {}
        "cache-control" => rule.cache_control = Some(header("cache-control", text()?)?),
        "content-type" => rule.content_type = Some(content_type(text()?)?),
        "content-encoding" => {
            let text = text()?;
            rule.content_encoding = Some(
                ContentEncoding::parse(text)
                    .ok_or_else(|| invalid("content-encoding", text, "must be `gzip`, `br` or `identity`"))?,
            );
        }
        "content-disposition" => {
            rule.content_disposition = Some(header("content-disposition", text()?)?);
        }
        "content-language" => rule.content_language = Some(header("content-language", text()?)?),
        "redirect" => rule.redirect = Some(redirect(text()?)?),
        "fingerprinted" => rule.fingerprinted = Some(flag()?),
        "include" => rule.include = Some(flag()?),
        "allow" => rule.allow = allow(value)?,
        _ => {
            let expected = KEYS.map(|known| format!("`{known}`")).join(", ");
            return Err(RulesFault::UnknownKey { key: key.to_owned(), expected });
        }
    }
    Ok(())
}

fn allow(value: &Spanned<DeValue<'_>>) -> Result<Vec<FindingKind>, RulesFault> {
    const EXPECTED: &str = "a string or a list of strings";
    let kind = |item: &Spanned<DeValue<'_>>| {
        let text = item.get_ref().as_str().ok_or_else(|| wrong_type("allow", EXPECTED, item))?;
        FindingKind::parse(text).ok_or_else(|| {
            invalid("allow", text, "must be `missing-reference`, `missing-root`, `secret` or `source-map`")
        })
    };
    match value.get_ref().as_array() {
        Some(items) => items.iter().map(kind).collect(),
        None => Ok(vec![kind(value)?]),
    }
}

fn invalid(key: &'static str, value: &str, reason: &'static str) -> RulesFault {
    RulesFault::Value { key, value: value.to_owned(), reason }
}

/// A header's value: printable ASCII, which every HTTP client and S3 agree on.
fn header(key: &'static str, value: &str) -> Result<String, RulesFault> {
    if value.is_empty() || value.trim() != value {
        return Err(invalid(key, value, "must not be empty, or start or end with a space"));
    }
    if !value.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err(invalid(
            key,
            value,
            "only printable ASCII characters can be sent in a header (no line breaks, no accents)",
        ));
    }
    Ok(value.to_owned())
}

fn content_type(value: &str) -> Result<String, RulesFault> {
    let value = header("content-type", value)?;
    let essence = value.split(';').next().unwrap_or_default().trim_end();
    let is_token = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    if essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub)) {
        Ok(value)
    } else {
        Err(invalid("content-type", &value, "must be `type/subtype`, as in `text/plain; charset=utf-8`"))
    }
}

fn redirect(value: &str) -> Result<String, RulesFault> {
    let value = header("redirect", value)?;
    if !["/", "http://", "https://"].iter().any(|start| value.starts_with(start)) {
        return Err(invalid("redirect", &value, "must start with `/`, `http://` or `https://`"));
    }
    if value.len() > MAX_REDIRECT {
        return Err(invalid("redirect", &value, "is longer than the 2 KB S3 allows"));
    }
    Ok(value)
}

/// Whether a `Cache-Control` value tells caches never to ask again.
pub(super) fn is_immutable(cache_control: &str) -> bool {
    cache_control.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("immutable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        Rules::parse(text).unwrap_err().problems.iter().map(ToString::to_string).collect()
    }

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
        assert_eq!(applied.content_encoding, Some(ContentEncoding::Identity));
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
    fn all_problems_at_once() {
        let found = faults(
            r#"
title = "x"

[[rule]]
glob = "a[.js"
cache-control = "no-cache\r\nSet-Cookie: a=b"
max-age = 3

[[rule]]
content-language = "français"
redirect = "elsewhere"

[[rule]]
glob = ["/a", 3]
content-encoding = "zstd"
content-type = "html"
include = "yes"
allow = ["secret", "all"]

[[rule]]
glob = "b"
"#,
        );
        insta::assert_snapshot!(found.join("\n"), @r#"
        line 2: unknown key "title": expected `[[rule]]`
        line 4, rule 1 ("a[.js"): glob "a[.js": unclosed character class; missing ']'
        line 6, rule 1 ("a[.js"): `cache-control` = "no-cache\r\nSet-Cookie: a=b": only printable ASCII characters can be sent in a header (no line breaks, no accents)
        line 7, rule 1 ("a[.js"): unknown key "max-age": expected `glob`, `cache-control`, `content-type`, `content-encoding`, `content-disposition`, `content-language`, `redirect`, `fingerprinted`, `include`, `allow`
        line 9, rule 2: has no glob: add `glob = "…"` to say which files it is for
        line 10, rule 2: `content-language` = "français": only printable ASCII characters can be sent in a header (no line breaks, no accents)
        line 11, rule 2: `redirect` = "elsewhere": must start with `/`, `http://` or `https://`
        line 13, rule 3 ("/a"): glob "/a": keys have no leading `/` or `./`: remove it
        line 14, rule 3: `glob` must be a string or a list of strings, not integer
        line 15, rule 3 ("/a"): `content-encoding` = "zstd": must be `gzip`, `br` or `identity`
        line 16, rule 3 ("/a"): `content-type` = "html": must be `type/subtype`, as in `text/plain; charset=utf-8`
        line 17, rule 3 ("/a"): `include` must be `true` or `false`, not string
        line 18, rule 3 ("/a"): `allow` = "all": must be `missing-reference`, `missing-root`, `secret` or `source-map`
        line 20, rule 4 ("b"): says nothing about the files it matches: add a setting or remove the rule
        "#);
    }

    #[test]
    fn broken_toml_names_its_line() {
        let found = faults("[[rule]]\nglob = \"a\"\ncache-control = no-cache\n");
        assert!(found[0].starts_with("line 3: not TOML: "), "{found:?}");
        assert!(!found[0].contains('\n'), "one line: {found:?}");
    }

    #[test]
    fn a_rule_must_be_an_array_of_tables() {
        assert_eq!(faults("[rule]\nglob = 'a'\n"), ["line 1: `rule` must be written `[[rule]]`, not table"]);
        assert_eq!(faults("rule = [1]\n"), ["line 1: `rule` must be written `[[rule]]`, not integer"]);
    }

    #[test]
    fn redirects_have_limits() {
        for good in ["/", "/a b", "http://x", "https://example.com/?a=b"] {
            assert!(redirect(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "//x\n", "ftp://x", "HTTP://x", "javascript:alert(1)"] {
            assert!(redirect(bad).is_err(), "{bad}");
        }
        let longest = format!("/{}", "a".repeat(MAX_REDIRECT - 1));
        assert!(redirect(&longest).is_ok());
        assert!(redirect(&format!("{longest}a")).is_err());
    }

    #[test]
    fn immutable_is_a_directive() {
        assert!(is_immutable("public, max-age=1, Immutable"));
        assert!(is_immutable("immutable"));
        assert!(!is_immutable("max-age=1"));
        assert!(!is_immutable("x-immutable=1, no-cache"));
    }
}
