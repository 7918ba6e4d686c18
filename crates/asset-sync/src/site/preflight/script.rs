//! References of a script.
//!
//! Two steps: a fast search for what reads like a reference, and, only for a file where one of
//! those leads nowhere, a reading that tells code from strings, comments, templates and regular
//! expressions. Where a file cannot be read with certainty, only the import and export statements
//! at its top give findings.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use memchr::memmem;

use super::reference::{Reference, ReferenceKind};

mod code;
mod prologue;

use code::Code;

/// Longest reference that is looked at, in bytes; also the longest gap with comments between its tokens,
/// so that a hostile file is searched in linear time.
const MAX_LENGTH: usize = 1000;
/// How Vite starts the list of a chunk's preloads.
const PRELOADS: &[u8] = b"m.f=[";
/// It stands at the top of a chunk: within this many bytes.
const PRELOADS_BEFORE: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn skip_space(source: &[u8], at: usize) -> usize {
    at + source[at..].iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// Skips spaces and comments, as `/* webpackChunkName: "x" */`.
fn skip_trivia(source: &[u8], start: usize) -> usize {
    let limit = source.len().min(start + MAX_LENGTH);
    let mut at = start;
    loop {
        at = skip_space(source, at);
        let rest = source.get(at..limit).unwrap_or_default();
        let length = if rest.starts_with(b"//") {
            memchr::memchr2(b'\n', b'\r', rest)
        } else if rest.starts_with(b"/*") {
            memmem::find(&rest[2..], b"*/").map(|length| length + 4)
        } else {
            None
        };
        let Some(length) = length else { return at };
        at += length;
    }
}

/// `source` without the spaces and `/* */` comments at its end.
fn trim_trivia_end(source: &[u8]) -> &[u8] {
    let limit = source.len().saturating_sub(MAX_LENGTH);
    let mut rest = source.trim_ascii_end();
    while rest.ends_with(b"*/") && rest.len() > limit {
        let Some(open) = memmem::rfind(&rest[limit..rest.len() - 2], b"/*") else { break };
        rest = rest[..limit + open].trim_ascii_end();
    }
    rest
}

/// Whether a word that starts at `at` is one, and no end of a longer one or name of a member.
fn is_keyword(source: &[u8], at: usize) -> bool {
    let before = &source[..at];
    let is_member = before.ends_with(b".") && !before.ends_with(b"...");
    let is_after_name = before.last().is_some_and(|b| is_identifier(*b) || *b == b'#');
    !is_member && (!is_after_name || before.ends_with(BYTE_ORDER_MARK))
}

/// The text of a plain string at `at`, as it is written, and the offset after it.
fn literal(source: &[u8], at: usize) -> Option<(&str, usize)> {
    let quote = *source.get(at).filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
    let rest = &source[at + 1..];
    let mut escaped = false;
    let length = rest.iter().take(MAX_LENGTH).position(|b| {
        let ends = *b == quote && !escaped;
        escaped = *b == b'\\' && !escaped;
        ends
    })?;
    let text = std::str::from_utf8(&rest[..length]).ok()?;
    let is_composed = text.contains(['\n', '\r']) || (quote == b'`' && text.contains("${"));
    (!is_composed).then_some((text, at + 1 + length + 1))
}

/// Resolves the escapes of a string, as minifiers write them for what is not ASCII.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut rest = text;
    // Of a character outside of the basic plane each half may have an escape.
    let mut units: Vec<u16> = Vec::new();
    while let Some((plain, escape)) = rest.split_once('\\') {
        units.extend(plain.encode_utf16());
        let kind = escape.chars().next()?;
        let after = &escape[kind.len_utf8()..];
        let (digits, end) = match kind {
            'x' => (after.get(..2)?, 2),
            'u' if after.starts_with('{') => after.find('}').map(|end| (&after[1..end], end + 1))?,
            'u' => (after.get(..4)?, 4),
            // Control characters and line ends stand in no address.
            _ if kind.is_ascii_alphanumeric() || kind.is_control() => return None,
            _ => {
                units.extend(kind.encode_utf16(&mut [0; 2]).iter());
                rest = after;
                continue;
            }
        };
        let number = u32::from_str_radix(digits, 16).ok()?;
        match u16::try_from(number) {
            Ok(unit) => units.push(unit),
            Err(_) => units.extend(char::from_u32(number)?.encode_utf16(&mut [0; 2]).iter()),
        }
        rest = &after[end..];
    }
    units.extend(rest.encode_utf16());
    String::from_utf16(&units).ok().map(Cow::Owned)
}

/// What reads like a reference: relative or absolute paths in `import`, `export … from`,
/// `import(…)`, `new URL(…, import.meta.url)`, and Vite's list of preloads.
pub(super) fn references(source: &[u8]) -> Vec<Reference> {
    let mut found = Vec::new();
    for at in memmem::find_iter(source, b"import").filter(|at| is_keyword(source, *at)) {
        let mut after = at + b"import".len();
        if source[after..].starts_with(b".meta.url") {
            found.extend(new_url(source, at));
            continue;
        }
        // `import.defer(…)` and `import.source(…)`, two proposals.
        after +=
            [b".defer".as_slice(), b".source"].iter().find(|p| source[after..].starts_with(p)).map_or(0, |p| p.len());
        let next = skip_trivia(source, after);
        if source.get(next) == Some(&b'(') {
            let specifier = literal(source, skip_trivia(source, next + 1));
            let specifier = specifier.filter(|(_, end)| ends_argument(source, *end));
            found.extend(specifier.and_then(|s| module(at, s, ReferenceKind::DynamicImport)));
        } else {
            found.extend(literal(source, next).and_then(|s| module(at, s, ReferenceKind::StaticImport)));
        }
    }
    for at in memmem::find_iter(source, b"from").filter(|at| *at > 0 && is_keyword(source, *at)) {
        let specifier = literal(source, skip_trivia(source, at + b"from".len()));
        found.extend(specifier.and_then(|s| module(at, s, ReferenceKind::StaticImport)));
    }
    found.extend(preloads(source));
    found
}

fn ends_argument(source: &[u8], at: usize) -> bool {
    matches!(source.get(skip_trivia(source, at)), Some(b')' | b','))
}

/// A module's specifier that is an address: others are names, which import maps resolve.
fn module(at: usize, (text, end): (&str, usize), kind: ReferenceKind) -> Option<Reference> {
    let text = unescaped(text)?;
    let is_address = ["./", "../", "/"].iter().any(|start| text.starts_with(start));
    is_address.then(|| Reference { span: at..end, text: text.into_owned(), kind })
}

/// `new URL("x.png", import.meta.url)`, by the place of its `import`. It makes an address, and asks
/// for nothing unless a worker is started with it.
fn new_url(source: &[u8], import: usize) -> Option<Reference> {
    let end = import + b"import.meta.url".len();
    let mut next = skip_trivia(source, end);
    if source.get(next) == Some(&b',') {
        next = skip_trivia(source, next + 1);
    }
    if source.get(next) != Some(&b')') {
        return None;
    }
    let before = trim_trivia_end(trim_trivia_end(&source[..import]).strip_suffix(b",")?);
    let quote = *before.last().filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
    let inner = &before[..before.len() - 1];
    let length = inner.iter().rev().take(MAX_LENGTH).position(|b| *b == quote)?;
    let open = inner.len() - length - 1;
    let (text, _) = literal(source, open)?;
    let call = trim_trivia_end(trim_trivia_end(&source[..open]).strip_suffix(b"(")?);
    let before_new = trim_trivia_end(call.strip_suffix(b"URL")?).strip_suffix(b"new")?;
    let start = before_new.len();
    let text = unescaped(text)?.into_owned();
    let is_worker = trim_trivia_end(before_new).ends_with(b"Worker(");
    let kind = if is_worker { ReferenceKind::Worker } else { ReferenceKind::Resource };
    is_keyword(source, start).then_some(Reference { span: start..end, text, kind })
}

/// The files a chunk of Vite's preloads before it imports another.
fn preloads(source: &[u8]) -> Vec<Reference> {
    let top = &source[..source.len().min(PRELOADS_BEFORE)];
    if memmem::find(top, b"__vite__mapDeps").is_none() {
        return Vec::new();
    }
    let Some(at) = memmem::find(top, PRELOADS) else { return Vec::new() };
    let mut next = at + PRELOADS.len();
    let mut found = Vec::new();
    while let Some((text, end)) = literal(source, skip_space(source, next)) {
        let Some(text) = unescaped(text) else { break };
        found.push(Reference { span: at..end, text: text.into_owned(), kind: ReferenceKind::PreloadList });
        next = skip_space(source, end);
        match source.get(next) {
            Some(b',') => next += 1,
            Some(b']') => return found,
            _ => break,
        }
    }
    // Not the list it looked like.
    Vec::new()
}

/// Where a source map is inside the file itself: in its last line, as a comment.
pub(super) fn embedded_source_map(source: &[u8]) -> Option<usize> {
    const SIGN: &[u8] = b"# sourceMappingURL=data:application/json";
    let source = source.trim_ascii_end();
    let start = memchr::memrchr(b'\n', source).map_or(0, |at| at + 1);
    let line = &source[start..];
    let comment = line.starts_with(b"//") || line.starts_with(b"/*");
    (comment && line[2..].starts_with(SIGN)).then_some(start)
}

/// The scripts of a file, told from its strings and comments only when somebody asks.
#[derive(Debug)]
pub(super) struct CodeIn<'a> {
    source: &'a [u8],
    scripts: &'a [Range<usize>],
    code: Vec<OnceCell<Option<Code>>>,
}

impl<'a> CodeIn<'a> {
    /// Of a file whose scripts stand at `scripts`, in order.
    pub(super) fn new(source: &'a [u8], scripts: &'a [Range<usize>]) -> Self {
        Self { source, scripts, code: scripts.iter().map(|_| OnceCell::new()).collect() }
    }

    /// Whether what stands at this offset of the file counts: it is in no script, or certainly code of one.
    pub(super) fn counts(&self, at: usize) -> bool {
        let index = self.scripts.partition_point(|script| script.end <= at);
        let Some(script) = self.scripts.get(index).filter(|script| script.start <= at) else { return true };
        let code = self.code[index].get_or_init(|| Code::read(&self.source[script.clone()]));
        code.as_ref().is_some_and(|code| code.contains(at - script.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(source: &str) -> Vec<String> {
        let code = Code::read(source.as_bytes()).unwrap();
        let mut found = references(source.as_bytes());
        found.sort_by_key(|r| r.span.start);
        found.into_iter().filter(|r| code.contains(r.span.start)).map(|r| r.text).collect()
    }

    #[test]
    fn certain_references_count() {
        let source = r#"import "./a.js"; import b from'./b.js';import{c as d}from"../c.js";export*from "/d.js"
const e = () => import("./e.js"), f = import( './f.js' , { with: { type: "json" } }), g = import(`./g.js`);
new Worker(new URL("h.js", import.meta.url)); x=new URL('./i.png',import.meta.url).href
import react from "react"; import("lodash"); import("./" + name); import(`./${name}.js`);
obj.import("./no.js"); reimport("./no.js"); Array.from("./no.js"); new URL("./no.js", location.href); new URL(no, import.meta.url);
// import "./no.js"
/* import("./no.js") */ const s = "import './no.js'", t = 'import("./no.js")', u = `import "./no.js" ${ import("./j.js") } from "./no.js"`;
const r = /import "\.\/no.js"[/"]/g, q = a / b; if (x) /from "./.test(y); f(a)/2; v = {}/1; z = a++ / 2 / "3";
"#;
        assert_eq!(
            found(source),
            ["./a.js", "./b.js", "../c.js", "/d.js", "./e.js", "./f.js", "./g.js", "h.js", "./i.png", "./j.js"]
        );
    }

    #[test]
    fn kinds_of_references_are_told_apart() {
        use ReferenceKind::{DynamicImport, Resource, StaticImport, Worker};
        let source = r#"import "./a.js"; export * from "./b.js"; import("./c.js");
new Worker(new URL("./d.js", import.meta.url)); new SharedWorker( new URL("./e.js", import.meta.url)); u(new URL("f", import.meta.url))"#;
        let mut found = references(source.as_bytes());
        found.sort_by_key(|r| r.span.start);
        let kinds: Vec<_> = found.into_iter().map(|r| r.kind).collect();
        assert_eq!(kinds, [StaticImport, StaticImport, DynamicImport, Worker, Worker, Resource]);
    }

    #[test]
    fn preloads_of_vite_count() {
        let source =
            r#"const __vite__mapDeps=(i,m=__vite__mapDeps,d=(m.f||(m.f=["./a.js","assets/b.css"])))=>i.map(i=>d[i]);"#;
        let list = references(source.as_bytes());
        let list: Vec<_> = list.iter().map(|r| (r.text.as_str(), r.kind)).collect();
        assert_eq!(list, ["./a.js", "assets/b.css"].map(|text| (text, ReferenceKind::PreloadList)));
        assert!(references(b"__vite__mapDeps; m.f=[\"a.js\", b]").is_empty());
        assert!(references(b"m.f=[\"a.js\"]").is_empty());
    }

    #[test]
    fn comments_between_tokens_are_skipped() {
        for source in [
            r#"import(/* webpackIgnore: true */ "./x.js")"#,
            "import(// webpackChunkName: \"x\"\n /* b */ './x.js' /* c */)",
            r#"import/**/"./x.js""#,
            r#"import a from/* "./no.js" */"./x.js""#,
            r#"new/**/URL(/* @vite-ignore */ "./x.js" /* a */, /* b */ import.meta.url /* c */ , )"#,
        ] {
            assert_eq!(found(source), ["./x.js"], "{source}");
        }
        assert!(references(b"import(/* \"./x.js\")").is_empty());
        assert!(references(b"import(\"./x.js\" /* c */ + y)").is_empty());
        assert!(references(format!("import(/*{}*/'./x.js')", " ".repeat(MAX_LENGTH)).as_bytes()).is_empty());
    }

    #[test]
    fn escapes_and_dollars_are_part_of_a_name() {
        for (source, expected) in [
            (r#"import("./caf\xe9.js")"#, "./café.js"),
            (r#"import "./\u{1F600}\ud83d\ude00\u00e9\-\'.js""#, "./😀😀é-'.js"),
            (r#"import("./users.$id-a1.js")"#, "./users.$id-a1.js"),
            ("import(`./$x.js`)", "./$x.js"),
            (r#"new URL("\x2e/a.js", import.meta.url)"#, "./a.js"),
        ] {
            assert_eq!(found(source), [expected], "{source}");
        }
        for source in ["'./\\ud83d.js'", "'./\\x4'", "'./\\u{110000}.js'", "'./\\n.js'", "'./\\\n.js'", "`./${x}.js`"] {
            assert!(references(format!("import({source})").as_bytes()).is_empty(), "{source}");
        }
    }

    #[test]
    fn keywords_are_told_from_members_and_longer_names() {
        let source = "\u{feff}import'./a.js';[...import('./b.js')];import.defer('./c.js');import.source('./d.wasm');\
             import defer * as e from './e.js';import.other('./no.js');this.#import('./no.js');éimport('./no.js')";
        assert_eq!(found(source), ["./a.js", "./b.js", "./c.js", "./d.wasm", "./e.js"]);
    }

    #[test]
    fn the_top_counts_where_the_rest_cannot_be_read() {
        let source = "import'./a.js';\nimport b from './b.js'; f(import('./no.js'), 'x\n'";
        assert_eq!(found(source), ["./a.js", "./b.js"]);
        let source = "/* import './no.js' */ import {c} from './c.js'; f('";
        assert_eq!(found(source), ["./c.js"]);
    }

    #[test]
    fn embedded_source_maps_are_seen() {
        assert_eq!(embedded_source_map(b"a()\n//# sourceMappingURL=data:application/json;base64,e30=\n"), Some(4));
        assert_eq!(embedded_source_map(b"a{}/*# sourceMappingURL=data:application/json;base64,e30= */"), None);
        assert_eq!(embedded_source_map(b"/*# sourceMappingURL=data:application/json;base64,e30= */"), Some(0));
        assert_eq!(embedded_source_map(b"a()\n//# sourceMappingURL=a.js.map"), None);
        assert_eq!(embedded_source_map(b"s='//# sourceMappingURL=data:application/json'"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(source in prop::collection::vec(prop::sample::select(
            b"/*'\"`${}()[]\\\n import from new URL(./a.js,import.meta.url) m.f=[__vite__mapDeps \xc3\xa9".to_vec()), 0..200)) {
            let code = Code::read(&source);
            for reference in references(&source) {
                prop_assert!(reference.span.end <= source.len());
                code.as_ref().map(|c| c.contains(reference.span.start));
            }
            embedded_source_map(&source);
        }
    }
}
