//! References of a page.

use super::{Asks, Reference, css};
use crate::site::html::{Attribute, Content, Piece, parse};

/// What a page refers to.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The address of its first `<base>`.
    pub(super) base: Option<Reference>,
    pub(super) references: Vec<Reference>,
}

/// The kinds of `<link>` for which browsers fetch something that the page needs.
const FETCHED: [&str; 9] = [
    "stylesheet",
    "icon",
    "apple-touch-icon",
    "apple-touch-icon-precomposed",
    "mask-icon",
    "preload",
    "modulepreload",
    "prefetch",
    "manifest",
];

/// The references of `source`, but those in templates, where nothing is fetched.
pub(super) fn references(source: &[u8]) -> Page {
    let mut page = Page::default();
    for piece in parse(source) {
        match &piece {
            Piece::Tag { name, inert: false, .. } => tag(&mut page, name, &piece),
            Piece::Text { content: Content::Style, span } => {
                page.references.extend(css::references(&source[span.clone()], span.start));
            }
            _ => {}
        }
    }
    page
}

fn one(attribute: &Attribute, asks: Asks) -> Reference {
    Reference { span: attribute.span.clone(), text: attribute.value.clone(), asks }
}

fn tag(page: &mut Page, name: &str, piece: &Piece) {
    let get = |attribute: &str| piece.attribute(attribute);
    let fetched_link = || {
        let rel = get("rel").map(|a| a.value.to_ascii_lowercase()).unwrap_or_default();
        rel.split_ascii_whitespace().any(|rel| FETCHED.contains(&rel))
    };
    let (files, sets, pages): (&[&str], &[&str], &[&str]) = match name {
        "base" => {
            if page.base.is_none() {
                page.base = get("href").map(|a| one(a, Asks::Page));
            }
            return;
        }
        "script" if is_script(get("type")) => (&["src", "href", "xlink:href"], &[], &[]),
        "link" if fetched_link() => (&["href"], &["imagesrcset"], &[]),
        "img" | "source" => (&["src"], &["srcset"], &[]),
        "video" => (&["src", "poster"], &[], &[]),
        "audio" | "track" | "embed" | "iframe" | "input" => (&["src"], &[], &[]),
        "object" => (&["data"], &[], &[]),
        "image" | "use" | "feimage" => (&["href", "xlink:href"], &[], &[]),
        "a" | "area" => (&[], &[], &["href"]),
        _ => (&[], &[], &[]),
    };
    page.references.extend(files.iter().filter_map(|a| get(a)).map(|a| one(a, Asks::File)));
    page.references.extend(pages.iter().filter_map(|a| get(a)).map(|a| one(a, Asks::Page)));
    for set in sets.iter().filter_map(|a| get(a)) {
        let candidates = srcset(&set.value).into_iter();
        page.references.extend(candidates.map(|text| Reference { text, ..one(set, Asks::File) }));
    }
    if let Some(style) = get("style") {
        let found = css::references(style.value.as_bytes(), 0).into_iter();
        page.references.extend(found.map(|r| Reference { span: style.span.clone(), ..r }));
    }
}

/// Whether a browser runs a `<script>` of this type; others hold data and fetch nothing.
fn is_script(kind: Option<&Attribute>) -> bool {
    let kind = kind.map(|a| a.value.trim().to_ascii_lowercase()).unwrap_or_default();
    kind.is_empty() || kind == "module" || kind.contains("javascript") || kind.contains("ecmascript")
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

    fn found(source: &str) -> Vec<(String, Asks)> {
        references(source.as_bytes()).references.into_iter().map(|r| (r.text, r.asks)).collect()
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
        assert!(found(source).contains(&("l.html".to_owned(), Asks::Page)));
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
