//! References of a script.
//!
//! Two steps: a fast search for what reads like a reference, and, only for a file where one of
//! those leads nowhere, a reading that tells code from strings, comments, templates and regular
//! expressions. A file that cannot be read with certainty gives no findings.

use std::cell::OnceCell;
use std::ops::Range;

use memchr::memmem;

use super::reference::{Reference, ReferenceKind};

/// Longest reference that is looked at, in bytes.
const MAX_LENGTH: usize = 1000;
/// How Vite starts the list of a chunk's preloads.
const PRELOADS: &[u8] = b"m.f=[";
/// It stands at the top of a chunk: within this many bytes.
const PRELOADS_BEFORE: usize = 64 * 1024;

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn skip_space(source: &[u8], at: usize) -> usize {
    at + source[at..].iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// A plain string at `at`, without escapes and substitutions, and the offset after it.
fn literal(source: &[u8], at: usize) -> Option<(&str, usize)> {
    let quote = *source.get(at).filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
    let rest = &source[at + 1..];
    let length = rest.iter().take(MAX_LENGTH).position(|b| *b == quote)?;
    let text = std::str::from_utf8(&rest[..length]).ok()?;
    let plain = !text.contains(['\\', '\n', '\r', '$']);
    plain.then_some((text, at + 1 + length + 1))
}

/// What reads like a reference: relative or absolute paths in `import`, `export … from`,
/// `import(…)`, `new URL(…, import.meta.url)`, and Vite's list of preloads.
pub(super) fn references(source: &[u8]) -> Vec<Reference> {
    let mut found = Vec::new();
    for at in memmem::find_iter(source, b"import") {
        let before = at.checked_sub(1).map_or(b' ', |b| source[b]);
        if is_identifier(before) || matches!(before, b'.' | b'#') {
            continue;
        }
        let after = at + b"import".len();
        if source[after..].starts_with(b".meta.url") {
            found.extend(new_url(source, at));
            continue;
        }
        let next = skip_space(source, after);
        if source.get(next) == Some(&b'(') {
            let specifier = literal(source, skip_space(source, next + 1));
            let specifier = specifier.filter(|(_, end)| ends_argument(source, *end));
            found.extend(specifier.and_then(|s| module(at, s, ReferenceKind::DynamicImport)));
        } else {
            found.extend(literal(source, next).and_then(|s| module(at, s, ReferenceKind::StaticImport)));
        }
    }
    for at in memmem::find_iter(source, b"from") {
        let before = at.checked_sub(1).map_or(b'.', |b| source[b]);
        if !is_identifier(before) && before != b'.' {
            let specifier = literal(source, skip_space(source, at + b"from".len()));
            found.extend(specifier.and_then(|s| module(at, s, ReferenceKind::StaticImport)));
        }
    }
    found.extend(preloads(source));
    found
}

fn ends_argument(source: &[u8], at: usize) -> bool {
    matches!(source.get(skip_space(source, at)), Some(b')' | b','))
}

/// A module's specifier that is an address: others are names, which import maps resolve.
fn module(at: usize, (text, end): (&str, usize), kind: ReferenceKind) -> Option<Reference> {
    let is_address = ["./", "../", "/"].iter().any(|start| text.starts_with(start));
    is_address.then(|| Reference { span: at..end, text: text.to_owned(), kind })
}

/// `new URL("x.png", import.meta.url)`, by the place of its `import`. It makes an address, and asks
/// for nothing unless a worker is started with it.
fn new_url(source: &[u8], import: usize) -> Option<Reference> {
    let end = import + b"import.meta.url".len();
    if source.get(skip_space(source, end)) != Some(&b')') {
        return None;
    }
    let before = source[..import].trim_ascii_end().strip_suffix(b",")?.trim_ascii_end();
    let quote = *before.last().filter(|b| matches!(b, b'"' | b'\'' | b'`'))?;
    let inner = &before[..before.len() - 1];
    let length = inner.iter().rev().take(MAX_LENGTH).position(|b| *b == quote)?;
    let open = inner.len() - length - 1;
    let (text, _) = literal(source, open)?;
    let call = source[..open].trim_ascii_end().strip_suffix(b"(")?.trim_ascii_end();
    let before_new = call.strip_suffix(b"URL")?.trim_ascii_end().strip_suffix(b"new")?;
    let start = before_new.len();
    let separate = start.checked_sub(1).is_none_or(|at| !is_identifier(source[at]));
    let is_worker = before_new.trim_ascii_end().ends_with(b"Worker(");
    let kind = if is_worker { ReferenceKind::Worker } else { ReferenceKind::Resource };
    separate.then(|| Reference { span: start..end, text: text.to_owned(), kind })
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
        found.push(Reference { span: at..end, text: text.to_owned(), kind: ReferenceKind::PreloadList });
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

/// The stretches of a script that are code.
#[derive(Debug)]
pub(super) struct Code {
    /// What is not: strings, comments, templates' text, regular expressions; in order.
    other: Vec<Range<usize>>,
}

impl Code {
    /// Tells code from the rest; none where that is not certain.
    pub(super) fn read(source: &[u8]) -> Option<Self> {
        let mut lexer = Lexer { source, at: 0, other: Vec::new(), open: Vec::new(), last: Last::Operator };
        lexer.run()?;
        Some(Self { other: lexer.other })
    }

    /// Whether the byte at this offset is code.
    pub(super) fn contains(&self, at: usize) -> bool {
        let index = self.other.partition_point(|range| range.end <= at);
        self.other.get(index).is_none_or(|range| at < range.start)
    }
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

/// What came before, as far as it tells a division from a regular expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Something that has a value: a name, a number, a string, `)`, `]`.
    Value,
    /// Something that wants one, or a new statement.
    Operator,
    /// `if`, `while`, `for`, `with`: a statement follows their parenthesis.
    Condition,
}

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Bracket,
    /// A parenthesis, and what comes after it.
    Parenthesis(Last),
    /// A brace, and what comes after it.
    Brace(Last),
    /// `${` in a template.
    Substitution,
}

struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    other: Vec<Range<usize>>,
    open: Vec<Open>,
    last: Last,
}

impl Lexer<'_> {
    fn run(&mut self) -> Option<()> {
        if self.source.starts_with(b"#!") {
            self.line_comment();
        }
        while let Some(&byte) = self.source.get(self.at) {
            match byte {
                b'/' if self.next_is(b'/') => self.line_comment(),
                b'/' if self.next_is(b'*') => {
                    let end = self.at + 2 + memmem::find(&self.source[self.at + 2..], b"*/")? + 2;
                    self.skip_to(end);
                }
                b'/' if self.last != Last::Value => self.regular_expression()?,
                b'"' | b'\'' => self.string(byte)?,
                b'`' => {
                    self.at += 1;
                    self.template(self.at - 1)?;
                }
                b'(' | b'[' | b'{' => self.opens(byte),
                b')' | b']' | b'}' => self.closes(byte)?,
                b'+' | b'-' if self.next_is(byte) => {
                    // After a value it is a suffix, and the whole a value still.
                    self.at += 2;
                }
                _ if is_identifier(byte) => self.word(),
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => {
                    self.last = Last::Operator;
                    self.at += 1;
                }
            }
        }
        self.open.is_empty().then_some(())
    }

    fn next_is(&self, byte: u8) -> bool {
        self.source.get(self.at + 1) == Some(&byte)
    }

    fn skip_to(&mut self, end: usize) {
        self.other.push(self.at..end);
        self.at = end;
    }

    fn line_comment(&mut self) {
        let rest = &self.source[self.at..];
        self.skip_to(self.at + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()));
    }

    fn string(&mut self, quote: u8) -> Option<()> {
        let mut at = self.at + 1;
        loop {
            match *self.source.get(at)? {
                b'\\' => at += 2,
                b'\n' | b'\r' => return None,
                byte if byte == quote => break,
                _ => at += 1,
            }
        }
        self.skip_to(at + 1);
        self.last = Last::Value;
        Some(())
    }

    /// The text of a template up to its end or to the next substitution.
    fn template(&mut self, start: usize) -> Option<()> {
        let mut at = self.at;
        loop {
            match *self.source.get(at)? {
                b'\\' => at += 2,
                b'`' => {
                    self.other.push(start..at + 1);
                    self.at = at + 1;
                    self.last = Last::Value;
                    return Some(());
                }
                b'$' if self.source.get(at + 1) == Some(&b'{') => {
                    self.other.push(start..at + 2);
                    self.at = at + 2;
                    self.open.push(Open::Substitution);
                    self.last = Last::Operator;
                    return Some(());
                }
                _ => at += 1,
            }
        }
    }

    fn regular_expression(&mut self) -> Option<()> {
        let mut at = self.at + 1;
        let mut in_class = false;
        loop {
            match *self.source.get(at)? {
                b'\\' => at += 1,
                b'\n' | b'\r' => return None,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => break,
                _ => {}
            }
            at += 1;
        }
        at += 1;
        at += self.source[at..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
        self.skip_to(at);
        self.last = Last::Value;
        Some(())
    }

    fn opens(&mut self, byte: u8) {
        self.open.push(match byte {
            b'(' if self.last == Last::Condition => Open::Parenthesis(Last::Operator),
            b'(' => Open::Parenthesis(Last::Value),
            b'[' => Open::Bracket,
            // After `)`, `;`, `{`, `}`, `=>` or a word it is a block; else an object.
            _ if self.last == Last::Value || self.begins_statement() => Open::Brace(Last::Operator),
            _ => Open::Brace(Last::Value),
        });
        self.last = Last::Operator;
        self.at += 1;
    }

    fn begins_statement(&self) -> bool {
        let before = self.source[..self.at].trim_ascii_end();
        before.is_empty()
            || before.ends_with(b"=>")
            || before.last().is_some_and(|b| matches!(b, b';' | b'{' | b'}' | b')'))
            || [b"else".as_slice(), b"do"].iter().any(|word| before.ends_with(word))
    }

    fn closes(&mut self, byte: u8) -> Option<()> {
        let last = match (byte, self.open.pop()?) {
            (b')', Open::Parenthesis(last)) | (b'}', Open::Brace(last)) => last,
            (b']', Open::Bracket) => Last::Value,
            (b'}', Open::Substitution) => {
                self.at += 1;
                return self.template(self.at);
            }
            _ => return None,
        };
        self.last = last;
        self.at += 1;
        Some(())
    }

    fn word(&mut self) {
        let start = self.at;
        let length = self.source[start..].iter().take_while(|b| is_identifier(**b)).count();
        let word = &self.source[start..start + length];
        let is_member = start.checked_sub(1).is_some_and(|at| self.source[at] == b'.');
        self.last = match word {
            _ if is_member => Last::Value,
            b"if" | b"while" | b"for" | b"with" => Last::Condition,
            b"return" | b"typeof" | b"case" | b"in" | b"of" | b"delete" | b"void" | b"throw" | b"new"
            | b"instanceof" | b"do" | b"else" | b"yield" | b"await" | b"extends" | b"default" => Last::Operator,
            _ => Last::Value,
        };
        self.at += length;
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
import react from "react"; import("lodash"); import("./" + name); import(`./${name}.js`); import(/* @vite-ignore */ "./no.js");
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
        let source = r#"import "./a.js"; export * from "./b.js"; import("./c.js");
new Worker(new URL("./d.js", import.meta.url)); new SharedWorker( new URL("./e.js", import.meta.url)); u(new URL("f", import.meta.url))"#;
        let mut found = references(source.as_bytes());
        found.sort_by_key(|r| r.span.start);
        use ReferenceKind::{DynamicImport, Resource, StaticImport, Worker};
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
    fn what_cannot_be_read_is_not_judged() {
        for source in ["a = 'x\n'", "f(a", "a)", "/* ", "`${", "x = /a\n/", "\"", "({]})"] {
            assert!(Code::read(source.as_bytes()).is_none(), "{source}");
        }
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
