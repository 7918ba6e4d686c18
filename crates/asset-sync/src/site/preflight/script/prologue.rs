//! The import and export statements at the top of a script.

use super::{BYTE_ORDER_MARK, is_identifier, literal, skip_space, skip_trivia};

/// Where the run of `import` and `export … from` statements ends with which `source` begins;
/// `None` if it begins with no such statement. Needs no knowledge of what follows.
pub(super) fn end(source: &[u8]) -> Option<usize> {
    let mut at = if source.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    if source.starts_with(b"#!") {
        at = memchr::memchr(b'\n', source)?;
    }
    let mut end = None;
    loop {
        at = skip_trivia(source, at);
        if source.get(at) == Some(&b';') {
            at += 1;
        } else if let Some(after) = statement(source, at) {
            (at, end) = (after, Some(after));
        } else if let Some((_, after)) = literal(source, at) {
            // "use strict"
            at = after;
        } else {
            return end;
        }
    }
}

/// The end of the statement at `at`, after its specifier and attributes.
fn statement(source: &[u8], at: usize) -> Option<usize> {
    let keyword = word(source, at);
    let mut at = skip_trivia(source, at + keyword.len());
    match (keyword, source.get(at)?) {
        (b"import", b'"' | b'\'') => {}
        (b"import", b'(' | b'.') => return None,
        (b"import", _) | (b"export", b'{' | b'*') => at = clause_end(source, at)?,
        _ => return None,
    }
    let (_, end) = literal(source, at)?;
    Some(attributes_end(source, end).unwrap_or(end))
}

/// The place of the specifier: after the `from` that a string follows.
fn clause_end(source: &[u8], mut at: usize) -> Option<usize> {
    let mut in_braces = false;
    loop {
        match *source.get(at)? {
            b'{' => in_braces = true,
            b'}' => in_braces = false,
            b'*' | b',' => {}
            b'"' | b'\'' if in_braces => at = literal(source, at)?.1 - 1,
            byte if is_identifier(byte) => {
                let name = word(source, at);
                at += name.len();
                let next = skip_trivia(source, at);
                if name == b"from" && matches!(source.get(next), Some(b'"' | b'\'')) {
                    return Some(next);
                }
                at = next;
                continue;
            }
            _ => return None,
        }
        at = skip_trivia(source, at + 1);
    }
}

/// The end of `with { type: "json" }`, where it follows.
fn attributes_end(source: &[u8], at: usize) -> Option<usize> {
    let start = skip_trivia(source, at);
    let keyword = word(source, start);
    let open = skip_space(source, start + keyword.len());
    let is_clause = matches!(keyword, b"with" | b"assert") && source.get(open) == Some(&b'{');
    let close = memchr::memchr(b'}', source.get(open..).filter(|_| is_clause)?)?;
    Some(open + close + 1)
}

fn word(source: &[u8], at: usize) -> &[u8] {
    let rest = &source[at..];
    &rest[..rest.iter().take_while(|b| is_identifier(**b)).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_after_the_last_statement() {
        for (source, expected) in [
            ("import'a'", "import'a'"),
            ("import\"a\";import b from\"b\";f()", "import\"a\";import b from\"b\""),
            ("\u{feff}import 'a'\nx", "\u{feff}import 'a'"),
            ("#!/usr/bin/node\nimport 'a'\nx", "#!/usr/bin/node\nimport 'a'"),
            (
                "'use strict';// c\nimport a, {b as c, 'd e' as from} from /* d */ 'a'; import('b')",
                "'use strict';// c\nimport a, {b as c, 'd e' as from} from /* d */ 'a'",
            ),
            ("import * as a from 'a' with { type: 'json' }; x", "import * as a from 'a' with { type: 'json' }"),
            ("import from from 'a'; x", "import from from 'a'"),
            ("export * from 'a'; export {b} from 'b'; export const c = 1", "export * from 'a'; export {b} from 'b'"),
            ("import defer * as a from 'a'; x", "import defer * as a from 'a'"),
        ] {
            assert_eq!(&source[..end(source.as_bytes()).unwrap()], expected);
        }
    }

    #[test]
    fn other_scripts_have_none() {
        for source in [
            "",
            "#!",
            "f()",
            "import('a')",
            "import.meta.url",
            "export {a}; import 'b'",
            "import a from b",
            "import {",
            "imported 'a'",
            "'a'",
            "import{'",
        ] {
            assert_eq!(end(source.as_bytes()), None, "{source}");
        }
    }
}
