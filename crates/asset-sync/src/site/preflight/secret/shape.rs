//! What a secret is written like: literal texts and runs of characters.

use std::ops::Range;

/// A set of characters that a part of a secret is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// `0-9`
    Digits,
    /// `0-9a-f`
    LowerHex,
    /// `0-9A-Fa-f`
    Hex,
    /// `A-Z2-7`
    Base32,
    /// `0-9A-Z`
    UpperBase36,
    /// `0-9a-z`
    Base36,
    /// `0-9A-Za-z`
    Base62,
    /// `0-9A-Za-z+/`
    Base64,
    /// `0-9A-Za-z-_`
    Base64Url,
}

impl Alphabet {
    pub(super) fn contains(self, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::LowerHex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Base32 => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
            Self::UpperBase36 => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            Self::Base36 => byte.is_ascii_digit() || byte.is_ascii_lowercase(),
            Self::Base62 => byte.is_ascii_alphanumeric(),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        }
    }

    /// Whether random text in this alphabet nearly always mixes capitals, small letters and digits.
    pub(super) fn is_mixed(self) -> bool {
        matches!(self, Self::Base62 | Self::Base64 | Self::Base64Url)
    }
}

/// One part of a secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// One of these texts, by which the secret is searched for. Each shape has one such part.
    Sign(&'static [&'static str]),
    /// One of these texts.
    Text(&'static [&'static str]),
    /// Characters of an alphabet; their least and greatest number.
    Run(Alphabet, usize, usize),
}

impl Part {
    /// Lengths in bytes that this part may have.
    fn lengths(self) -> Vec<usize> {
        match self {
            Self::Sign(texts) | Self::Text(texts) => texts.iter().map(|text| text.len()).collect(),
            Self::Run(_, least, most) => (least..=most).collect(),
        }
    }
}

/// Exactly `length` characters of an alphabet.
pub(super) const fn run(of: Alphabet, length: usize) -> Part {
    Part::Run(of, length, length)
}

/// A text that has the shape of a secret.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) source: &'a [u8],
    pub(super) span: Range<usize>,
    /// The runs, in their order.
    pub(super) runs: Vec<(Alphabet, &'a [u8])>,
}

impl<'a> Candidate<'a> {
    pub(super) fn text(&self) -> &'a [u8] {
        &self.source[self.span.clone()]
    }
}

/// The text in `source` that has the shape `parts` with its sign at `sign_at`, and stands alone:
/// a longer run of the same characters is something else.
pub(super) fn candidate<'a>(parts: &[Part], source: &'a [u8], sign_at: usize) -> Option<Candidate<'a>> {
    let before = parts.iter().take_while(|part| !matches!(part, Part::Sign(_)));
    let mut starts = vec![sign_at];
    for part in before.collect::<Vec<_>>().into_iter().rev() {
        let lengths = part.lengths();
        starts = starts.iter().flat_map(|at| lengths.iter().filter_map(|length| at.checked_sub(*length))).collect();
    }
    starts.into_iter().find_map(|start| {
        let mut ends = ends(parts, source, start)?;
        let end = *ends.first()?;
        ends.reverse();
        let mut at = start;
        let mut runs = Vec::new();
        for (part, end) in parts.iter().zip(ends) {
            if let Part::Run(of, ..) = part {
                runs.push((*of, &source[at..end]));
            }
            at = end;
        }
        let span = start..end;
        starts_alone(parts, source, start).then_some(Candidate { source, span, runs })
    })
}

/// Where each of `parts` ends if the first begins at `at`, the last part first. None if they do not
/// fit, or if the text goes on after them.
fn ends(parts: &[Part], source: &[u8], at: usize) -> Option<Vec<usize>> {
    let (part, rest) = parts.split_first()?;
    let rest_from = |end: usize| {
        let mut ends =
            if rest.is_empty() { ends_alone(*part, source, end).then(Vec::new) } else { ends(rest, source, end) }?;
        ends.push(end);
        Some(ends)
    };
    match *part {
        Part::Sign(texts) | Part::Text(texts) => texts
            .iter()
            .filter(|text| source[at..].starts_with(text.as_bytes()))
            .find_map(|text| rest_from(at + text.len())),
        Part::Run(of, least, most) => {
            let there = source[at..].iter().take(most).take_while(|byte| of.contains(**byte)).count();
            (least..=there).rev().find_map(|length| rest_from(at + length))
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn ends_alone(last: Part, source: &[u8], end: usize) -> bool {
    let Some(next) = source.get(end).copied() else { return true };
    match last {
        Part::Run(of, ..) => !is_word(next) && !of.contains(next),
        Part::Sign(_) | Part::Text(_) => !(is_word(next) && end.checked_sub(1).is_some_and(|at| is_word(source[at]))),
    }
}

fn starts_alone(parts: &[Part], source: &[u8], start: usize) -> bool {
    let Some(before) = start.checked_sub(1).map(|at| source[at]) else { return true };
    let of_a_run = || parts.iter().any(|part| matches!(part, Part::Run(of, ..) if of.contains(before)));
    !is_word(source[start]) || !(is_word(before) || of_a_run()) || ends_with_escape(&source[..start])
}

/// Whether the last characters are an escape of JSON, JavaScript or a URL: `\n`, `\x22`, `\u003d`,
/// `%3D`.
fn ends_with_escape(text: &[u8]) -> bool {
    let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    match text {
        [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., b'%', a, b] | [.., b'\\', b'x', a, b] => is_hex(&[*a, *b]),
        [.., b'\\', b'u', a, b, c, d] => is_hex(&[*a, *b, *c, *d]),
        _ => false,
    }
}
