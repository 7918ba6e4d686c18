//! The keys of a rule: one table for the parser, its messages and `docs/rules.md`.

/// A key of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleKey {
    pub(super) name: &'static str,
    /// What its value must be, as messages say it.
    pub(super) expected: &'static str,
    /// What it does, in Markdown.
    pub(super) meaning: &'static str,
    /// What holds where no rule has the key, in Markdown.
    pub(super) default: &'static str,
}

const STRING: &str = "a string";
const STRINGS: &str = "a string or a list of strings";
const FLAG: &str = "`true` or `false`";

/// All keys, in the order in which messages and documentation list them.
pub(super) const KEYS: [RuleKey; 11] = [
    RuleKey {
        name: "glob",
        expected: STRINGS,
        meaning: "Which files the rule is for, by their path in the site.",
        default: "required",
    },
    RuleKey {
        name: "cache-control",
        expected: STRING,
        meaning: "The `Cache-Control` header.",
        default: "`public, max-age=31536000, immutable` for fingerprinted files, \
            `public, max-age=0, must-revalidate` for all others",
    },
    RuleKey {
        name: "content-type",
        expected: STRING,
        meaning: "The `Content-Type` header, as `text/plain; charset=utf-8`.",
        default: "by the ending of the file's name",
    },
    RuleKey {
        name: "content-encoding",
        expected: STRING,
        meaning: "`gzip` or `br`: compress the file before it is uploaded and set `Content-Encoding`. \
            `identity` undoes an earlier rule. A file that is compressed already is never compressed again.",
        default: "files are uploaded as they are",
    },
    RuleKey {
        name: "precompressed",
        expected: FLAG,
        meaning: "`true`: the build compressed the file already; upload its bytes as they are and only set \
            `Content-Encoding`. `false`: the file is a download; do not set the header.",
        default: "recognised, see [compressed files](#compressed-files)",
    },
    RuleKey {
        name: "content-disposition",
        expected: STRING,
        meaning: "The `Content-Disposition` header, as `attachment`.",
        default: "no header",
    },
    RuleKey {
        name: "content-language",
        expected: STRING,
        meaning: "The `Content-Language` header, as `en`.",
        default: "no header",
    },
    RuleKey {
        name: "redirect",
        expected: STRING,
        meaning: "Where an S3 website endpoint redirects requests for the file: a path that starts with `/`, or a URL. \
            CloudFront with the bucket's REST endpoint serves the file instead.",
        default: "no redirect",
    },
    RuleKey {
        name: "fingerprinted",
        expected: FLAG,
        meaning: "Whether the file's name changes whenever its content does. Browsers then keep the file for a year.",
        default: "decided by the file's name and its neighbours",
    },
    RuleKey {
        name: "include",
        expected: FLAG,
        meaning: "`false` leaves the file out. `true` takes a file that is left out by default.",
        default: "`false` for hidden files and for configuration files of other hosts, `true` for all others",
    },
    RuleKey {
        name: "allow",
        expected: STRINGS,
        meaning: "Findings of the pre-flight that do not stop the deployment, see [`allow`](#allow).",
        default: "none",
    },
];

/// The key of this name.
pub(super) fn key(name: &str) -> Option<&'static RuleKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// What to write in place of a key that does not exist: the key that was meant, or else all of them.
pub(super) fn expected_for(unknown: &str) -> String {
    let plain = |text: &str| text.replace(['_', '-', ' '], "").to_ascii_lowercase();
    match KEYS.iter().find(|key| plain(key.name) == plain(unknown)) {
        Some(meant) => format!("`{}`", meant.name),
        None => KEYS.map(|key| format!("`{}`", key.name)).join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{FindingKind, Rules};

    const PAGE: &str = include_str!("../../../../../docs/rules.md");

    /// To renew the table: copy it from this test's message.
    #[test]
    fn the_page_for_users_has_this_table() {
        let row =
            |key: &RuleKey| format!("| `{}` | {} | {} | {} |\n", key.name, key.expected, key.meaning, key.default);
        let table = format!(
            "| Key | Value | Meaning | Default |\n|---|---|---|---|\n{}",
            KEYS.iter().map(row).collect::<String>()
        );
        assert!(PAGE.contains(&table), "docs/rules.md must have this table:\n{table}");
    }

    #[test]
    fn every_kind_that_can_be_allowed_is_on_the_page() {
        for kind in
            [FindingKind::MissingReference, FindingKind::MissingRoot, FindingKind::Secret, FindingKind::SourceMap]
        {
            assert!(PAGE.contains(&format!("\n| `{}` | ", kind.name())), "{}", kind.name());
        }
    }

    /// The examples of the page are rules that work.
    #[test]
    fn the_examples_of_the_page_can_be_read() {
        let examples: Vec<&str> = PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(examples.len() >= 3, "{examples:?}");
        for example in examples {
            Rules::parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
        }
    }

    #[test]
    fn the_parser_knows_every_key_of_the_table() {
        for key in KEYS.iter().filter(|key| key.name != "glob") {
            let error = Rules::parse(&format!("[[rule]]\nglob = 'a'\n{} = 1\n", key.name)).unwrap_err().to_string();
            let expected = format!("line 3, rule 1 (\"a\"): `{}` must be {}, not integer", key.name, key.expected);
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_key_that_is_nearly_right_is_named() {
        for wrong in ["cache_control", "cacheControl", "Cache-Control"] {
            assert_eq!(expected_for(wrong), "`cache-control`", "{wrong}");
        }
        assert!(expected_for("max-age").starts_with("`glob`, `cache-control`, "));
    }
}
