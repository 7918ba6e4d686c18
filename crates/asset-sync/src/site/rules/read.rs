//! Reading rules from TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, RuleKey};
use super::{Rule, RulesFault, RulesProblem};
use crate::site::{ContentEncoding, FindingKind};

/// Longest redirect target in bytes (S3 limits `x-amz-website-redirect-location` to 2 KB).
const MAX_REDIRECT: usize = 2048;

/// Walks the parsed TOML by hand rather than by serde, which would stop at the first problem.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) problems: Vec<RulesProblem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, problems: Vec::new() }
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes().iter().take(offset).filter(|&&b| b == b'\n').count()
    }

    pub(super) fn fault(&mut self, line: usize, rule: Option<String>, fault: RulesFault) {
        self.problems.push(RulesProblem { line, rule, fault });
    }

    pub(super) fn document(&mut self) -> Vec<Rule> {
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

/// Sets what `name` names in `rule`.
fn set(rule: &mut Rule, name: &str, value: &Spanned<DeValue<'_>>) -> Result<(), RulesFault> {
    let Some(key) = keys::key(name) else {
        return Err(RulesFault::UnknownKey { key: name.to_owned(), expected: keys::expected_for(name) });
    };
    let wrong = || wrong_type(name, key.expected, value);
    let text = || value.get_ref().as_str().ok_or_else(wrong);
    let flag = || value.get_ref().as_bool().ok_or_else(wrong);
    match key.name {
        "cache-control" => rule.cache_control = Some(header(key.name, text()?)?),
        "content-type" => rule.content_type = Some(content_type(text()?)?),
        "content-encoding" => rule.content_encoding = Some(content_encoding(text()?)?),
        "precompressed" => rule.precompressed = Some(flag()?),
        "content-disposition" => rule.content_disposition = Some(header(key.name, text()?)?),
        "content-language" => rule.content_language = Some(header(key.name, text()?)?),
        "redirect" => rule.redirect = Some(redirect(text()?)?),
        "fingerprinted" => rule.fingerprinted = Some(flag()?),
        "include" => rule.include = Some(flag()?),
        "allow" => rule.allow = allow(key, value)?,
        // `glob`, which was read before.
        _ => {}
    }
    Ok(())
}

fn content_encoding(value: &str) -> Result<ContentEncoding, RulesFault> {
    let reason = match value {
        "zstd" => {
            "files are compressed with `gzip` or `br` only; a file that the build compressed with zstd needs `precompressed = true` alone"
        }
        _ => "must be `gzip`, `br` or `identity`",
    };
    ContentEncoding::parse(value).ok_or_else(|| invalid("content-encoding", value, reason))
}

fn allow(key: &RuleKey, value: &Spanned<DeValue<'_>>) -> Result<Vec<FindingKind>, RulesFault> {
    let kind = |item: &Spanned<DeValue<'_>>| {
        let text = item.get_ref().as_str().ok_or_else(|| wrong_type(key.name, key.expected, item))?;
        FindingKind::parse(text).ok_or_else(|| {
            invalid(key.name, text, "must be `missing-reference`, `missing-root`, `secret` or `source-map`")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Rules;

    fn faults(text: &str) -> Vec<String> {
        Rules::parse(text).unwrap_err().problems.iter().map(ToString::to_string).collect()
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
        line 7, rule 1 ("a[.js"): unknown key "max-age": expected `glob`, `cache-control`, `content-type`, `content-encoding`, `precompressed`, `content-disposition`, `content-language`, `redirect`, `fingerprinted`, `include`, `allow`
        line 9, rule 2: has no glob: add `glob = "…"` to say which files it is for
        line 10, rule 2: `content-language` = "français": only printable ASCII characters can be sent in a header (no line breaks, no accents)
        line 11, rule 2: `redirect` = "elsewhere": must start with `/`, `http://` or `https://`
        line 13, rule 3 ("/a"): glob "/a": keys have no leading `/` or `./`: remove it
        line 14, rule 3: `glob` must be a string or a list of strings, not integer
        line 15, rule 3 ("/a"): `content-encoding` = "zstd": files are compressed with `gzip` or `br` only; a file that the build compressed with zstd needs `precompressed = true` alone
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
}
