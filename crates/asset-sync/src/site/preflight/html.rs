//! References of a page.

#[cfg(feature = "verify")]
use std::collections::BTreeSet;
use std::ops::Range;

use super::reference::{Reference, ReferenceKind};
use super::{css, script};
use crate::site::html::{Attribute, Content, Context, Piece, parse};

/// What a page refers to.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The address of its first `<base>`.
    pub(super) base: Option<Reference>,
    /// References of its tags, style sheets and scripts.
    pub(super) references: Vec<Reference>,
    /// Where its inline scripts stand. A reference in one of them may be no code.
    pub(super) scripts: Vec<Range<usize>>,
}

/// The kinds of `<link>`, besides style sheets and preloads, for which browsers fetch something.
const FETCHED: [&str; 5] = ["icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon", "manifest"];
/// The kinds by which browsers fetch early what is used later.
const EARLY: [&str; 3] = ["preload", "modulepreload", "prefetch"];

/// What the content of a `<script>` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScriptType {
    Code,
    ImportMap,
    /// Data, or a language that no browser knows.
    Other,
}

/// The references of `source`, but those in templates, where nothing is fetched.
pub(super) fn references(source: &[u8]) -> Page {
    let mut page = Page::default();
    let mut inline = ScriptType::Other;
    for piece in parse(source) {
        match &piece {
            Piece::Tag { name, context, .. } => {
                let is_fetched = *context != Context::Template;
                let kind = script_type(piece.attribute("type"));
                inline = if is_fetched && name == "script" { kind } else { ScriptType::Other };
                if is_fetched {
                    tag(&mut page, name, *context, &piece);
                }
            }
            Piece::Text { content: Content::Style, span } => {
                page.references.extend(css::references(&source[span.clone()], span.start));
            }
            Piece::Text { content: Content::Script, span } => match inline {
                ScriptType::Code => {
                    page.references.extend(script::references(&source[span.clone()]).into_iter().map(|reference| {
                        let Range { start, end } = reference.span;
                        Reference { span: span.start + start..span.start + end, ..reference }
                    }));
                    page.scripts.push(span.clone());
                }
                ScriptType::ImportMap => page.references.extend(import_map(&source[span.clone()], span)),
                ScriptType::Other => {}
            },
            _ => {}
        }
    }
    page
}

/// What a page refers to, each as the page has it, its `<base>` with it.
#[cfg(feature = "verify")]
pub(crate) fn page_references(source: &[u8]) -> BTreeSet<String> {
    let page = references(source);
    page.base.into_iter().chain(page.references).map(|reference| reference.text).collect()
}

fn one(attribute: &Attribute, kind: ReferenceKind) -> Reference {
    Reference { span: attribute.span.clone(), text: attribute.value.clone(), kind }
}

fn tag(page: &mut Page, name: &str, context: Context, piece: &Piece) {
    let get = |attribute: &str| piece.attribute(attribute);
    if name == "base" {
        if page.base.is_none() {
            page.base = get("href").map(|a| one(a, ReferenceKind::Page));
        }
        return;
    }
    let main = match name {
        "script" if script_type(get("type")) == ScriptType::Code => Some(script_kind(piece)),
        "link" => link_kind(piece),
        _ => None,
    };
    // Without scripts a page is another one, which few people see.
    let main = main.map(|kind| if context == Context::Noscript { ReferenceKind::Resource } else { kind });
    let (files, sets, pages): (&[&str], &[&str], &[&str]) = match name {
        "script" => (&["src", "href", "xlink:href"], &[], &[]),
        "link" => (&["href"], &["imagesrcset"], &[]),
        "img" | "source" => (&["src"], &["srcset"], &[]),
        "video" => (&["src", "poster"], &[], &[]),
        "audio" | "track" | "embed" | "iframe" | "input" => (&["src"], &[], &[]),
        "object" => (&["data"], &[], &[]),
        "image" | "use" | "feimage" => (&["href", "xlink:href"], &[], &[]),
        "a" | "area" => (&[], &[], &["href"]),
        _ => (&[], &[], &[]),
    };
    if main.is_some() || !matches!(name, "script" | "link") {
        let kind = main.unwrap_or(ReferenceKind::Resource);
        page.references.extend(files.iter().filter_map(|a| get(a)).map(|a| one(a, kind)));
        for set in sets.iter().filter_map(|a| get(a)) {
            let candidates = srcset(&set.value).into_iter();
            page.references.extend(candidates.map(|text| Reference { text, ..one(set, ReferenceKind::Resource) }));
        }
    }
    page.references.extend(pages.iter().filter_map(|a| get(a)).map(|a| one(a, ReferenceKind::Page)));
    if let Some(style) = get("style") {
        let found = css::references(style.value.as_bytes(), 0).into_iter();
        page.references.extend(found.map(|r| Reference { span: style.span.clone(), ..r }));
    }
}

fn script_kind(piece: &Piece) -> ReferenceKind {
    if piece.has("async") { ReferenceKind::AsyncScript } else { ReferenceKind::Script }
}

/// How a `<link>` asks for its `href`; `None` where browsers fetch nothing.
fn link_kind(piece: &Piece) -> Option<ReferenceKind> {
    let lower = |name: &str| piece.attribute(name).map(|a| a.value.trim().to_ascii_lowercase()).unwrap_or_default();
    let rel = lower("rel");
    let is = |wanted: &str| rel.split_ascii_whitespace().any(|rel| rel == wanted);
    // The usual way to load a style sheet late: `onload` makes it an ordinary one.
    let is_applied_later = piece.has("onload");
    if is("stylesheet") {
        let for_print = lower("media") == "print" && !is_applied_later;
        let optional = is("alternate") || for_print || piece.has("disabled");
        return Some(if optional { ReferenceKind::Resource } else { ReferenceKind::StyleSheet });
    }
    if EARLY.iter().any(|early| is(early)) {
        let path = lower("href");
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
        return Some(match lower("as").as_str() {
            "style" if is_applied_later => ReferenceKind::StyleSheet,
            "script" | "style" | "worker" | "sharedworker" | "serviceworker" => ReferenceKind::Preload,
            "" if is("modulepreload") || ends(&[".js", ".mjs", ".css"]) => ReferenceKind::Preload,
            _ => ReferenceKind::Resource,
        });
    }
    FETCHED.iter().any(|fetched| is(fetched)).then_some(ReferenceKind::Resource)
}

/// What a `<script>` of this type holds (HTML standard, "prepare the script element").
fn script_type(kind: Option<&Attribute>) -> ScriptType {
    let kind = kind.map(|a| a.value.trim().to_ascii_lowercase()).unwrap_or_default();
    match kind.as_str() {
        "importmap" => ScriptType::ImportMap,
        "" | "module" => ScriptType::Code,
        _ if kind.contains("javascript") || kind.contains("ecmascript") => ScriptType::Code,
        _ => ScriptType::Other,
    }
}

/// The addresses of an import map. Which of them scripts use is not looked up: a map may list more.
fn import_map(source: &[u8], span: &Range<usize>) -> Vec<Reference> {
    let Ok(map) = serde_json::from_slice::<serde_json::Value>(source) else { return Vec::new() };
    let Some(imports) = map.get("imports").and_then(serde_json::Value::as_object) else { return Vec::new() };
    let addresses = imports.values().filter_map(serde_json::Value::as_str);
    let reference = |text: &str| Reference { span: span.clone(), text: text.to_owned(), kind: ReferenceKind::Preload };
    addresses.filter(|address| !address.ends_with('/')).map(reference).collect()
}
/// The addresses of a `srcset` (HTML standard, "parse a srcset attribute").
fn srcset(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return found;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (address, after) = rest.split_at(end);
        rest = after;
        let bare = address.trim_end_matches(',');
        if bare.len() == address.len() {
            // Its descriptors, up to a comma outside of parentheses.
            let mut depth = 0_usize;
            let end = rest.find(|c: char| {
                match c {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                c == ',' && depth == 0
            });
            rest = &rest[end.unwrap_or(rest.len())..];
        }
        found.push(bare.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(String, ReferenceKind)> {
        references(source.as_bytes()).references.into_iter().map(|r| (r.text, r.kind)).collect()
    }

    #[test]
    fn what_browsers_fetch_counts() {
        let source = r#"<base href="/x/"><base href="/y/">
<script src=a.js></script><script type="text/x-template" src="no.js"></script>
<script>'<img src="no.png">'</script><!-- <img src="no.png"> -->
<link rel="shortcut icon" href="b.ico"><link rel=canonical href="no.html">
<link rel="alternate Stylesheet" href="c.css"><link rel="preload" as="image" imagesrcset="d1.png 1x, d2.png 2x">
<img src="e.png?v=1&amp;w=2" srcset="f1.png, f2.png 2x,f3.png 3x" data-src="no.png"><video src="g.mp4" poster="h.png">
<source srcset="i.webp"><track src="j.vtt"></video><iframe src="k.html"></iframe>
<a href="l.html">x</a><template><img src="no.png"></template><noscript><img src="m.png"></noscript>
<style>body { background: url(n.png) }</style><p style="background: url('o.png')"></p>
<svg><use href="p.svg#x"/><image xlink:href="q.png"/></svg>"#;
        let expected = "a.js b.ico c.css d1.png d2.png e.png?v=1&w=2 f1.png f2.png f3.png g.mp4 h.png i.webp j.vtt \
             k.html l.html m.png n.png o.png p.svg#x q.png";
        let texts: Vec<_> = found(source).into_iter().map(|(text, _)| text).collect();
        assert_eq!(texts.join(" "), expected);
        assert!(found(source).contains(&("l.html".to_owned(), ReferenceKind::Page)));
        assert_eq!(references(source.as_bytes()).base.unwrap().text, "/x/");
    }

    #[test]
    fn places_are_in_the_page() {
        let source = "<p>é</p>\n<style>\na { b: url( x.png ) }</style><i style='c: url(\"y.png\")'>";
        let places: Vec<_> = references(source.as_bytes()).references.into_iter().map(|r| &source[r.span]).collect();
        assert!(places[0].starts_with("url("), "{places:?}");
        assert_eq!(places[1], "c: url(\"y.png\")");
    }

    #[test]
    fn sets_of_images() {
        for (text, expected) in [
            ("a.png", vec!["a.png"]),
            (" a.png 1x , b,c.png 2x,", vec!["a.png", "b,c.png"]),
            ("a.png, b.png", vec!["a.png", "b.png"]),
            ("data:image/png;base64,AA== 1x, b.png 2x", vec!["data:image/png;base64,AA==", "b.png"]),
            ("a.png (1,2) 2x, b.png", vec!["a.png", "b.png"]),
            (",,", vec![]),
        ] {
            assert_eq!(srcset(text), expected, "{text}");
        }
    }
}
