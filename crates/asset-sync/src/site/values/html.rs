//! Values in HTML: in text and in quoted attributes, escaped.

use std::borrow::Cow;
use std::ops::Range;

use super::PlaceholderFault;
use super::fill::Template;
use crate::site::html::{Attribute, Content, Piece, parse};

/// A page, and what its bytes are.
pub(super) struct Html<'a> {
    source: &'a [u8],
    /// In order, without overlap; what is in none of them is markup.
    areas: Vec<(Range<usize>, Result<(), PlaceholderFault>)>,
}

impl<'a> Html<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        let mut areas = Vec::new();
        for piece in parse(source) {
            match piece {
                Piece::Tag { attributes, .. } => {
                    let mut values: Vec<_> = attributes.into_iter().map(|a| (a.span.clone(), attribute(&a))).collect();
                    values.sort_by_key(|(span, _)| span.start);
                    areas.extend(values);
                }
                Piece::Text { content, span } => areas.push((span, text(content))),
                Piece::Comment { span } => areas.push((span, Err(PlaceholderFault::Comment))),
            }
        }
        Self { source, areas }
    }
}

fn text(content: Content) -> Result<(), PlaceholderFault> {
    match content {
        Content::Text => Ok(()),
        Content::Script => Err(PlaceholderFault::Script("a script")),
        Content::Style => Err(PlaceholderFault::Style("a style sheet")),
        Content::Raw => Err(PlaceholderFault::Nested("an element as `<iframe>` or `<xmp>`")),
    }
}

fn attribute(attribute: &Attribute) -> Result<(), PlaceholderFault> {
    let start: String = attribute.value.chars().filter(|c| !c.is_control() && *c != ' ').take(11).collect();
    if !attribute.quoted {
        Err(PlaceholderFault::Unquoted)
    } else if attribute.name.starts_with("on") {
        Err(PlaceholderFault::Script("an event handler"))
    } else if start.eq_ignore_ascii_case("javascript:") {
        Err(PlaceholderFault::Script("a `javascript:` address"))
    } else if attribute.name == "style" {
        Err(PlaceholderFault::Style("a `style` attribute"))
    } else if attribute.name == "srcdoc" {
        Err(PlaceholderFault::Nested("a `srcdoc` attribute"))
    } else {
        Ok(())
    }
}

impl Template for Html<'_> {
    fn admits(&self, span: &Range<usize>) -> Result<(), PlaceholderFault> {
        let area = self.areas.partition_point(|(area, _)| area.end <= span.start);
        let Some((area, admitted)) = self.areas.get(area).filter(|(area, _)| area.start <= span.start) else {
            return Err(PlaceholderFault::Tag);
        };
        admitted.clone()?;
        if span.end > area.end {
            return Err(PlaceholderFault::Tag);
        }
        let before = &self.source[area.start..span.start];
        let word = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'#').count();
        let before = &before[..before.len() - word];
        if before.ends_with(b"&") {
            Err(PlaceholderFault::Ampersand)
        } else if before.ends_with(b"<") || before.ends_with(b"</") {
            // Plain text here, and a tag with the right value.
            Err(PlaceholderFault::Tag)
        } else {
            Ok(())
        }
    }

    fn escape<'v>(&self, value: &'v str) -> Cow<'v, str> {
        if !value.contains(['&', '<', '>', '"', '\'', '\r', '\n']) {
            return Cow::Borrowed(value);
        }
        let mut escaped = String::with_capacity(value.len() + 16);
        for c in value.chars() {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                // Written plainly, it would be read as a line feed.
                '\r' => escaped.push_str("&#13;"),
                // After a carriage return of the file's, a bare one would be a part of one line end.
                '\n' => escaped.push_str("&#10;"),
                c => escaped.push(c),
            }
        }
        Cow::Owned(escaped)
    }
}
