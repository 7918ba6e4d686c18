//! HTML as a browser's tokenizer sees it, with the place of every piece in the source.

use std::ops::Range;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, State, Tokenizer};

/// What a stretch of text is to a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Text in which character references count: between tags, in a title or a text area.
    Text,
    /// A script.
    Script,
    /// A style sheet.
    Style,
    /// An element whose content is taken as it is written, as `<iframe>` and `<xmp>`.
    Raw,
}

/// Where a tag stands, as far as that decides whether browsers fetch what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// In the document.
    Document,
    /// In a `<template>`, where nothing is fetched.
    Template,
    /// In a `<noscript>`, which browsers read that run no scripts.
    Noscript,
}

/// An attribute with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    /// In lower case.
    pub(super) name: String,
    /// With its character references resolved.
    pub(super) value: String,
    /// The bytes between the quotes.
    pub(super) span: Range<usize>,
    /// Whether there are quotes.
    pub(super) quoted: bool,
}

/// A piece of a document; where none is given for some bytes, they are markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A start tag.
    Tag {
        /// In lower case.
        name: String,
        /// Those with a value.
        attributes: Vec<Attribute>,
        /// The names of those without a value, as `async`, in lower case.
        flags: Vec<String>,
        /// The offset of its `<`.
        start: usize,
        context: Context,
    },
    /// Text.
    Text { content: Content, span: Range<usize> },
    /// A comment, or what a browser takes for one.
    Comment { span: Range<usize> },
}

impl Piece {
    /// The first attribute of this name.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        match self {
            Self::Tag { attributes, .. } => attributes.iter().find(|a| a.name == name),
            _ => None,
        }
    }

    /// Whether it has an attribute of this name, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Tag { flags, .. } => self.attribute(name).is_some() || flags.iter().any(|flag| flag == name),
            _ => false,
        }
    }
}

/// What the tokenizer's callback passes on.
enum Token {
    Open { name: String, start: usize },
    Name(String),
    Value { value: String, span: Range<usize> },
    Close { self_closing: bool },
    End(String),
    Text(Range<usize>),
    Comment(Range<usize>),
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn token(event: &CallbackEvent<'_>, span: Span<usize>) -> Option<Token> {
    let range = span.start..span.end;
    Some(match event {
        CallbackEvent::OpenStartTag { name } => Token::Open { name: text(name), start: span.start },
        CallbackEvent::AttributeName { name } => Token::Name(text(name)),
        CallbackEvent::AttributeValue { value } => Token::Value { value: text(value), span: range },
        CallbackEvent::CloseStartTag { self_closing } => Token::Close { self_closing: *self_closing },
        CallbackEvent::EndTag { name } => Token::End(text(name)),
        CallbackEvent::String { .. } => Token::Text(range),
        CallbackEvent::Comment { .. } => Token::Comment(range),
        CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => return None,
    })
}

/// The pieces of `source`, in order.
///
/// `<noscript>` is read as by a browser that runs no scripts; within `<svg>` and `<math>` elements
/// as `<style>` are read as the standard says for foreign content.
pub(super) fn parse(source: &[u8]) -> Vec<Piece> {
    // Browsers make one line feed of CR LF. Two of them mean the same to us, and keep offsets true.
    let unix: Vec<u8> = source.iter().map(|&b| if b == b'\r' { b'\n' } else { b }).collect();
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span| token(&event, span));
    emitter.naively_switch_states(true);
    let mut tokenizer = Tokenizer::new_with_emitter(unix.as_slice(), emitter);
    let mut reader = Reader { source, ..Reader::default() };
    while let Some(Ok(token)) = tokenizer.next() {
        if reader.take(token) {
            tokenizer.set_state(State::Data);
        }
    }
    reader.pieces
}

#[derive(Default)]
struct Reader<'a> {
    source: &'a [u8],
    pieces: Vec<Piece>,
    /// The tag being read.
    name: String,
    start: usize,
    attribute: String,
    attributes: Vec<Attribute>,
    flags: Vec<String>,
    /// The content of the element being read, where it is not plain text.
    content: Option<(String, Content)>,
    /// Open elements that change whether content is foreign, innermost last.
    foreign: Vec<String>,
    /// How many templates are open.
    templates: usize,
    /// Whether a `<noscript>` is open: they do not nest.
    in_noscript: bool,
}

impl Reader<'_> {
    fn is_foreign(&self) -> bool {
        self.foreign.last().is_some_and(|name| matches!(name.as_str(), "svg" | "math"))
    }

    /// Takes a token; true where the tokenizer must not treat what follows as raw text.
    fn take(&mut self, token: Token) -> bool {
        match token {
            Token::Open { name, start } => (self.name, self.start) = (name, start),
            Token::Name(name) => {
                self.end_attribute();
                self.attribute = name;
            }
            Token::Value { value, span } => {
                let before = span.start.checked_sub(1).and_then(|at| self.source.get(at));
                let quoted = before.is_some_and(|b| matches!(b, b'"' | b'\'')) && self.source.get(span.end) == before;
                let name = std::mem::take(&mut self.attribute);
                // Of two attributes of one name the first counts.
                if !name.is_empty() && !self.attributes.iter().any(|a| a.name == name) {
                    self.attributes.push(Attribute { name, value, span, quoted });
                }
            }
            Token::Close { self_closing } => return self.start_tag(self_closing),
            Token::End(name) => self.end_tag(&name),
            Token::Text(span) => {
                let content = self.content.as_ref().map_or(Content::Text, |(_, content)| *content);
                self.pieces.push(Piece::Text { content, span });
            }
            Token::Comment(span) => self.pieces.push(Piece::Comment { span }),
        }
        false
    }

    fn start_tag(&mut self, self_closing: bool) -> bool {
        let name = std::mem::take(&mut self.name);
        let foreign = self.is_foreign();
        let empty = self_closing && (foreign || matches!(name.as_str(), "svg" | "math"));
        if !empty {
            match name.as_str() {
                "svg" | "math" => self.foreign.push(name.clone()),
                "foreignobject" | "desc" | "title" | "annotation-xml" if foreign => self.foreign.push(name.clone()),
                "template" => self.templates += 1,
                _ => {}
            }
            let content = match name.as_str() {
                "script" => Some(Content::Script),
                "style" => Some(Content::Style),
                "iframe" | "xmp" | "noembed" | "noframes" | "plaintext" => Some(Content::Raw),
                _ => None,
            };
            if let Some(content) = content {
                self.content = Some((name.clone(), content));
            }
        }
        let keep_markup = foreign || name == "noscript";
        self.end_attribute();
        let context = match self.templates {
            0 if self.in_noscript => Context::Noscript,
            0 => Context::Document,
            _ => Context::Template,
        };
        self.in_noscript |= name == "noscript";
        let (attributes, flags) = (std::mem::take(&mut self.attributes), std::mem::take(&mut self.flags));
        self.pieces.push(Piece::Tag { name, attributes, flags, start: self.start, context });
        keep_markup
    }

    /// An attribute whose value did not come has none.
    fn end_attribute(&mut self) {
        let name = std::mem::take(&mut self.attribute);
        if !name.is_empty() {
            self.flags.push(name);
        }
    }

    fn end_tag(&mut self, name: &str) {
        self.attributes.clear();
        self.flags.clear();
        self.attribute.clear();
        if self.content.as_ref().is_some_and(|(open, _)| open == name) {
            self.content = None;
        }
        match name {
            "template" => self.templates = self.templates.saturating_sub(1),
            "noscript" => self.in_noscript = false,
            _ => {}
        }
        if let Some(at) = self.foreign.iter().rposition(|open| open == name) {
            self.foreign.truncate(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each piece's source, with what it is.
    fn shown(source: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in parse(source.as_bytes()) {
            match piece {
                Piece::Tag { name, attributes, flags, start, context } => {
                    assert_eq!(&source[start..=start], "<");
                    let context = match context {
                        Context::Document => String::new(),
                        other => format!(" in {other:?}"),
                    };
                    lines.push(format!(
                        "<{name}>{}{context}",
                        flags.iter().map(|f| format!(" {f}")).collect::<Vec<_>>().concat()
                    ));
                    for a in attributes {
                        let quotes = if a.quoted { "quoted" } else { "bare" };
                        lines.push(format!("  {} {quotes} {:?} = {:?}", a.name, &source[a.span], a.value));
                    }
                }
                Piece::Text { content, span } => lines.push(format!("{content:?} {:?}", &source[span])),
                Piece::Comment { span } => lines.push(format!("comment {:?}", &source[span])),
            }
        }
        lines
    }

    #[test]
    fn pieces_know_their_place() {
        let source = "<!doctype html>\r\n<!-- é\r\n --><A HREF='x&amp;y' b=\"q\" c=z d e=''>é &lt; x</A\r\n>\
             <title>t &amp;</title><script>if (a<b) '</p>'</script><style>a{}</style><noscript><img src=\"i\" Hidden></noscript>\
             <template><img src=\"t\"></template><p id class='' async>end";
        insta::assert_snapshot!(shown(source).join("\n"), @r#"
        Text "\r\n"
        comment "<!-- é\r\n -->"
        <a> d e
          href quoted "x&amp;y" = "x&y"
          b quoted "q" = "q"
          c bare "z" = "z"
        Text "é &lt; x"
        <title>
        Text "t &amp;"
        <script>
        Script "if (a<b) '</p>'"
        <style>
        Style "a{}"
        <noscript>
        <img> hidden in Noscript
          src quoted "i" = "i"
        <template> in Template
        <img> in Template
          src quoted "t" = "t"
        <p> id class async
        Text "end"
        "#);
    }

    #[test]
    fn foreign_content_ends_where_browsers_end_it() {
        let source = "<svg><script href=\"a\"/><style>b{}</style><title>c</title><foreignObject><style>d</p></style>\
             </foreignObject><path/></svg><iframe><p></iframe><p>e";
        insta::assert_snapshot!(shown(source).join("\n"), @r##"
        <svg>
        <script>
          href quoted "a" = "a"
        <style>
        Style "b{}"
        <title>
        Text "c"
        <foreignobject>
        <style>
        Style "d</p>"
        <path>
        <iframe>
        Raw "<p>"
        <p>
        Text "e"
        "##);
    }
}
