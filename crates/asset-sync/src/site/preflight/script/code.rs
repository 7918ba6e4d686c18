//! Tells the code of a script from its strings, comments, templates and regular expressions.
//!
//! The difficulty is `/`, which begins a regular expression or divides. The lexer keeps what came
//! before it and what is open, as acorn's tokenizer and es-module-lexer do.

use std::ops::Range;

use memchr::memmem;

use super::prologue;
use super::{BYTE_ORDER_MARK, is_identifier, skip_space};

/// Brackets that are open at once in a script that is read. Bounds the memory that a hostile file takes.
const MAX_OPEN: usize = 100_000;
/// The shortest stretch that can hold a keyword of a reference: `/new/`.
const MIN_LENGTH: usize = 5;

/// The stretches of a script that are code.
#[derive(Debug)]
pub(in crate::site::preflight) struct Code {
    /// Strings, comments, text of templates and regular expressions, in order. Those too short
    /// to hold a reference are left out.
    other: Vec<Range<usize>>,
    /// Where the part ends that was read with certainty.
    end: usize,
}

impl Code {
    /// Reads `source`. If it cannot be read with certainty to its end, only the import and export
    /// statements at its top count as code. Returns `None` if there are none of these either.
    pub(in crate::site::preflight) fn read(source: &[u8]) -> Option<Self> {
        let mut lexer = Lexer::new(source);
        let end = match lexer.run() {
            Some(()) => source.len(),
            None => prologue::end(source)?,
        };
        Some(Self { other: lexer.other, end })
    }

    /// Whether the byte at this offset is certainly code.
    pub(in crate::site::preflight) fn contains(&self, at: usize) -> bool {
        let index = self.other.partition_point(|range| range.end <= at);
        at < self.end && self.other.get(index).is_none_or(|range| at < range.start)
    }
}

/// What came before, as far as it decides what `/`, `{` and `function` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The end of an expression: `/` divides, `{` begins a block.
    Value,
    /// An expression must follow: `{` begins an object.
    Operator,
    /// A statement may begin: `{` begins a block.
    Statement,
    /// `if`, `while`, `for` or `with`: a statement follows their parenthesis.
    Condition,
    /// `function`, before its parameters. `is_value`: the function is part of an expression.
    Function { is_value: bool },
    /// The parameters of a function, before its body.
    Parameters { is_value: bool },
}

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// A bracket or a parenthesis, and what its end is.
    Group {
        close: u8,
        end: Last,
    },
    Object,
    /// A block, the body of a function or of a class, and what its end is.
    Block {
        end: Last,
    },
    /// `${` in a template.
    Substitution,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    open: Open,
    /// How many `?` of conditional expressions wait for their `:`.
    questions: u32,
}

struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    other: Vec<Range<usize>>,
    open: Vec<Frame>,
    /// `?` outside of all brackets.
    questions: u32,
    /// Classes whose body did not begin: how many brackets are open there, and what its end is.
    classes: Vec<(usize, Last)>,
    last: Last,
    /// The last byte of code that is not a space.
    before: u8,
    /// Whether only spaces and comments came since the line began.
    line_is_empty: bool,
}

impl<'a> Lexer<'a> {
    fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            at: 0,
            other: Vec::new(),
            open: Vec::new(),
            questions: 0,
            classes: Vec::new(),
            last: Last::Statement,
            before: b';',
            line_is_empty: true,
        }
    }

    /// Reads to the end; `None` where it is not certain what a byte belongs to.
    fn run(&mut self) -> Option<()> {
        if self.source.starts_with(BYTE_ORDER_MARK) {
            self.at = BYTE_ORDER_MARK.len();
        } else if self.source.starts_with(b"#!") {
            self.line_comment();
        }
        while let Some(&byte) = self.source.get(self.at) {
            if byte.is_ascii_whitespace() || byte == b'\x0b' {
                self.line_is_empty |= matches!(byte, b'\n' | b'\r');
                self.at += 1;
                continue;
            }
            let rest = &self.source[self.at..];
            match byte {
                // ECMAScript, annex B.1.1: in classic scripts these begin comments. In a module they
                // are operators, which nobody writes at the start of a line.
                b'<' if rest.starts_with(b"<!--") && !self.line_is_empty => return None,
                b'<' if rest.starts_with(b"<!--") => self.line_comment(),
                b'-' if self.line_is_empty && rest.starts_with(b"-->") => self.line_comment(),
                b'/' if rest.starts_with(b"//") => self.line_comment(),
                b'/' if rest.starts_with(b"/*") => {
                    let end = self.at + 2 + memmem::find(&rest[2..], b"*/")? + 2;
                    self.line_is_empty |= memchr::memchr2(b'\n', b'\r', &self.source[self.at..end]).is_some();
                    self.skip_to(end);
                }
                _ => {
                    self.token(byte)?;
                    self.line_is_empty = false;
                    self.before = self.source[self.at - 1];
                }
            }
        }
        self.open.is_empty().then_some(())
    }

    fn token(&mut self, byte: u8) -> Option<()> {
        let rest = &self.source[self.at..];
        match byte {
            b'/' if self.last != Last::Value => self.regular_expression()?,
            b'"' | b'\'' => self.string(byte)?,
            b'`' => {
                self.at += 1;
                self.template(self.at - 1)?;
            }
            b'(' | b'[' | b'{' => self.opens(byte)?,
            b')' | b']' | b'}' => self.closes(byte)?,
            // After a value it is a suffix, and the whole is still a value.
            b'+' | b'-' if rest.get(1) == Some(&byte) => self.at += 2,
            b'=' if rest.starts_with(b"=>") => self.advance(2, Last::Statement),
            b'.' if rest.starts_with(b"...") => self.advance(3, Last::Operator),
            b'?' if rest.starts_with(b"??") => self.advance(2, Last::Operator),
            b'?' => {
                // `a?.b`, but `a?.5:b`.
                let is_chain = rest.get(1) == Some(&b'.') && !rest.get(2).is_some_and(u8::is_ascii_digit);
                *self.questions() += u32::from(!is_chain);
                self.advance(1, Last::Operator);
            }
            b':' => {
                let questions = self.questions();
                let is_conditional = *questions > 0;
                *questions = questions.saturating_sub(1);
                let is_object = self.open.last().is_some_and(|frame| frame.open == Open::Object);
                // Else it ends a label, a `case` or `default`.
                self.advance(1, if is_conditional || is_object { Last::Operator } else { Last::Statement });
            }
            b';' => self.advance(1, Last::Statement),
            b'*' if matches!(self.last, Last::Function { .. }) => self.at += 1,
            _ if is_identifier(byte) => self.word(),
            _ => self.advance(1, Last::Operator),
        }
        Some(())
    }

    fn advance(&mut self, length: usize, last: Last) {
        self.at += length;
        self.last = last;
    }

    fn questions(&mut self) -> &mut u32 {
        self.open.last_mut().map_or(&mut self.questions, |frame| &mut frame.questions)
    }

    fn skip_to(&mut self, end: usize) {
        self.note(self.at, end);
        self.at = end;
    }

    /// Notes a stretch that is not code.
    fn note(&mut self, start: usize, end: usize) {
        if end - start >= MIN_LENGTH {
            self.other.push(start..end);
        }
    }

    fn line_comment(&mut self) {
        let rest = &self.source[self.at..];
        let line = &rest[..memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())];
        // The two line ends of Unicode end it too.
        let ends = ["\u{2028}", "\u{2029}"].iter().filter_map(|end| memmem::find(line, end.as_bytes()));
        self.skip_to(self.at + ends.min().unwrap_or(line.len()));
    }

    fn string(&mut self, quote: u8) -> Option<()> {
        let mut at = self.at + 1;
        loop {
            match *self.source.get(at)? {
                b'\\' if self.source[at..].starts_with(b"\\\r\n") => at += 3,
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
                    self.note(start, at + 1);
                    self.at = at + 1;
                    self.last = Last::Value;
                    return Some(());
                }
                b'$' if self.source.get(at + 1) == Some(&b'{') => {
                    self.note(start, at + 2);
                    self.at = at + 2;
                    self.last = Last::Operator;
                    return self.push(Open::Substitution);
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
                b'\n' | b'\r' => return None,
                b'\\' if !matches!(self.source.get(at + 1), Some(b'\n' | b'\r')) => at += 1,
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

    fn push(&mut self, open: Open) -> Option<()> {
        self.open.push(Frame { open, questions: 0 });
        (self.open.len() <= MAX_OPEN).then_some(())
    }

    fn opens(&mut self, byte: u8) -> Option<()> {
        let depth = self.open.len();
        let class = self.classes.last().copied().filter(|(at, _)| *at == depth && self.last == Last::Value);
        let open = match (byte, self.last) {
            (b'(', Last::Condition) => Open::Group { close: b')', end: Last::Statement },
            (b'(', Last::Function { is_value }) => Open::Group { close: b')', end: Last::Parameters { is_value } },
            (b'(', _) => Open::Group { close: b')', end: Last::Value },
            (b'[', _) => Open::Group { close: b']', end: Last::Value },
            (_, Last::Parameters { is_value: true }) => Open::Block { end: Last::Value },
            (_, Last::Operator) => Open::Object,
            _ => Open::Block { end: class.map_or(Last::Statement, |(_, end)| end) },
        };
        if byte == b'{' && class.is_some() {
            self.classes.pop();
        }
        self.advance(1, if matches!(open, Open::Block { .. }) { Last::Statement } else { Last::Operator });
        self.push(open)
    }

    fn closes(&mut self, byte: u8) -> Option<()> {
        let last = match (byte, self.open.pop()?.open) {
            (_, Open::Group { close, end }) if byte == close => end,
            (b'}', Open::Object) => Last::Value,
            (b'}', Open::Block { end }) => end,
            (b'}', Open::Substitution) => {
                self.at += 1;
                return self.template(self.at);
            }
            _ => return None,
        };
        let depth = self.open.len();
        while self.classes.last().is_some_and(|(at, _)| *at > depth) {
            self.classes.pop();
        }
        self.advance(1, last);
        Some(())
    }

    fn word(&mut self) {
        let rest = &self.source[self.at..];
        let is_number = rest.first().is_some_and(u8::is_ascii_digit);
        // The point of a number is part of it: `1./x` divides.
        let length = rest.iter().take_while(|b| is_identifier(**b) || (is_number && **b == b'.')).count();
        let word = &rest[..length];
        let is_member = matches!(self.before, b'.' | b'#')
            && self.last == Last::Operator
            && !self.source[..self.at].ends_with(b"...");
        // Both are known by what comes before: a statement, or a value that a line end separates.
        let is_value = matches!(self.last, Last::Operator | Last::Condition);
        self.last = match word {
            _ if is_member => Last::Value,
            b"function" => Last::Function { is_value },
            b"class" => {
                let end = if is_value { Last::Value } else { Last::Statement };
                self.classes.push((self.open.len(), end));
                Last::Value
            }
            b"if" | b"while" | b"for" | b"with" => Last::Condition,
            b"await" if self.last == Last::Condition => Last::Condition,
            b"else" | b"do" => Last::Statement,
            b"async" if rest[skip_space(rest, length)..].starts_with(b"function") => self.last,
            // A name, where no value stands before it.
            b"of" if self.last == Last::Value => Last::Operator,
            b"return" | b"typeof" | b"case" | b"in" | b"delete" | b"void" | b"throw" | b"new" | b"instanceof"
            | b"yield" | b"await" | b"extends" | b"default" => Last::Operator,
            _ if matches!(self.last, Last::Function { .. }) => self.last,
            _ => Last::Value,
        };
        self.at += length;
    }
}

#[cfg(test)]
#[path = "code_tests.rs"]
mod tests;
