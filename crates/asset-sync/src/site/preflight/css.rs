//! References of a style sheet.

use cssparser::{ParseError, Parser, Token};

use super::reference::{Reference, ReferenceKind};

/// What is nested deeper, in no real style sheet, is not looked into. The parser's own limit is 75.
const MAX_DEPTH: usize = 64;

/// The `url(…)` of declarations and the `@import`s of `source`, which starts at `offset` of its
/// file. Not those of custom properties, which are resolved where they are used.
pub(super) fn references(source: &[u8], offset: usize) -> Vec<Reference> {
    if may_refer(source) { parse(source, offset) } else { Vec::new() }
}

/// False only where there can be no reference, which is seen much sooner than read: each has an
/// `@import`, a `url(` or a `src(`, or a backslash with which to write them otherwise.
fn may_refer(source: &[u8]) -> bool {
    memchr::memchr3_iter(b'(', b'@', b'\\', source).any(|at| match source[at] {
        b'(' => {
            let name = &source[at.saturating_sub(3)..at];
            name.eq_ignore_ascii_case(b"url") || name.eq_ignore_ascii_case(b"src")
        }
        b'@' => source[at + 1..].get(..6).is_some_and(|name| name.eq_ignore_ascii_case(b"import")),
        _ => true,
    })
}

fn parse(source: &[u8], offset: usize) -> Vec<Reference> {
    let text = String::from_utf8_lossy(source);
    let mut found = Vec::new();
    block(&mut Parser::new(&text), 0, &mut found);
    let end = offset + source.len();
    for reference in &mut found {
        // Lossy text is longer than what it stands for.
        reference.span = (offset + reference.span.start).min(end)..(offset + reference.span.end).min(end);
    }
    found
}

/// What the tokens that were just read belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// A rule or a declaration.
    Ordinary,
    /// `@import`, before its address.
    Import,
    /// What names an address that is not fetched here.
    Ignored,
}

fn block(parser: &mut Parser<'_>, depth: usize, found: &mut Vec<Reference>) {
    let mut within = Within::Ordinary;
    let mut custom_property = false;
    loop {
        parser.skip_whitespace();
        let start = parser.position().byte_index();
        let Ok(token) = parser.next().cloned() else { return };
        let mut add = |text: &str, end: usize| {
            let kind = if within == Within::Import { ReferenceKind::StyleImport } else { ReferenceKind::Resource };
            found.push(Reference { span: start..end, text: text.to_owned(), kind });
        };
        let was_custom = std::mem::take(&mut custom_property);
        match token {
            Token::AtKeyword(name) => {
                within = if name.eq_ignore_ascii_case("import") {
                    Within::Import
                } else if ["namespace", "document", "-moz-document"].iter().any(|n| name.eq_ignore_ascii_case(n)) {
                    Within::Ignored
                } else {
                    Within::Ordinary
                };
            }
            Token::Ident(name) => custom_property = name.starts_with("--"),
            Token::Colon if was_custom => within = Within::Ignored,
            Token::Semicolon => within = Within::Ordinary,
            Token::QuotedString(text) if within == Within::Import => {
                add(&text, parser.position().byte_index());
                within = Within::Ordinary;
            }
            Token::UnquotedUrl(text) if within != Within::Ignored => {
                add(&text, parser.position().byte_index());
                within = Within::Ordinary;
            }
            Token::Function(name) if name.eq_ignore_ascii_case("url") || name.eq_ignore_ascii_case("src") => {
                let text = parser.parse_nested_block(|inner| {
                    Ok::<_, ParseError<()>>(inner.expect_string().map(ToString::to_string).ok())
                });
                if let Ok(Some(text)) = text
                    && within != Within::Ignored
                {
                    add(&text, parser.position().byte_index());
                    within = Within::Ordinary;
                }
            }
            Token::CurlyBracketBlock => {
                if depth < MAX_DEPTH && within != Within::Ignored {
                    nested(parser, depth, found);
                }
                within = Within::Ordinary;
            }
            Token::Function(_) | Token::ParenthesisBlock | Token::SquareBracketBlock
                if depth < MAX_DEPTH && within != Within::Ignored =>
            {
                nested(parser, depth, found);
            }
            _ => {}
        }
    }
}

fn nested(parser: &mut Parser<'_>, depth: usize, found: &mut Vec<Reference>) {
    // It ends where the block does; there is nothing that could fail.
    let _: Result<(), ParseError<()>> = parser.parse_nested_block(|inner| {
        block(inner, depth + 1, found);
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_fetch_counts() {
        let source = r#"@charset "utf-8"; @import "a.css"; @import url(b.css) screen; @import url("c.css");
@namespace svg url(http://no/no.svg); /* url(no.png) */
.x { background: url(d.png), url( 'e f.png' ) no-repeat; content: "url(no.png)"; --var: url(no.png); }
@media (min-width: 1px) { .y { filter: url(#no); cursor: image-set(url(g.cur) 1x); mask: URL(h\.png) } }
@font-face { src: url(i.woff2?#iefix) format("woff2"), local("no") }
.z { & .w { background: url(j.png) } --custom: { x: url(no.png) }; color: url(k.png) }
.bad { background: url(no no.png) ; } .after { background: url("l.png") }"#;
        let texts: Vec<_> = references(source.as_bytes(), 0).into_iter().map(|r| r.text).collect();
        assert_eq!(
            texts.join(" | "),
            "a.css | b.css | c.css | d.png | e f.png | #no | g.cur | h.png | i.woff2?#iefix | j.png | k.png | l.png"
        );
        let imports = references(source.as_bytes(), 0).into_iter().filter(|r| r.kind == ReferenceKind::StyleImport);
        assert_eq!(imports.map(|r| r.text).collect::<Vec<_>>(), ["a.css", "b.css", "c.css"]);
        for reference in references(source.as_bytes(), 0) {
            let place = &source[reference.span];
            assert!(place.starts_with(['u', 'U', '"']), "{place}");
        }
    }

    #[test]
    fn nesting_without_end_is_survived() {
        let deep = format!("{}url(a.png)", "a{(".repeat(200_000));
        assert!(references(deep.as_bytes(), 0).is_empty());
        assert!(references(b"\xff\xfe{ x: url(a\xff.png", 0).len() <= 1);
    }
}
