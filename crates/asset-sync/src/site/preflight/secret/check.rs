//! What tells a real secret from a text that only has its shape.

use std::collections::HashSet;

use flate2::Crc;
use memchr::memmem;

use super::shape::{Alphabet, Candidate};

/// How far from an AWS access key's id its secret is looked for, in bytes.
const NEAR: usize = 200;
/// Characters of base64 in the smallest private key in PEM: Ed25519, 48 bytes.
const KEY_BODY: usize = 64;
/// Runs shorter than this say too little to be judged.
const JUDGED: usize = 16;
/// Random text has more different characters than this.
const FEW: usize = 3;
/// One character, so many times on end, is a placeholder: `xxxxxx`.
const REPEATED: usize = 6;
/// Characters that follow one another in ASCII, so many, are a placeholder: `abcdefghij`.
const ASCENDING: usize = 10;

/// Text that only examples hold, in small letters. The last two are published keys of test servers:
/// Azurite's account (its README) and the local Supabase's (its command line prints it).
const EXAMPLES: [&str; 8] =
    ["example", "placeholder", "redacted", "changeme", "your", "xxxx", "eby8vdm02xnocqfl", "n7und0ugjktvk"];

/// What a candidate must pass besides its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Its runs look random. For formats without a checksum, or with one that is not public.
    Random,
    /// The last run ends with the CRC-32 of what is before it in that run: 6 digits of base 62.
    Base62Crc,
    /// The text ends with the CRC-32 of all before it: 7 digits of base 36.
    Base36Crc,
    /// The text ends with the CRC-32 of all before it: 8 digits of base 16.
    HexCrc,
    /// The text ends with `_` and the CRC-32 of all before that: 4 bytes in hexadecimal, lowest first.
    ReversedHexCrc,
    /// 40 characters of base64 close by, the secret to this id. The id alone opens nothing.
    AwsSecret,
    /// A key follows. Programs that write such files hold the header alone.
    KeyBody,
}

impl Check {
    pub(super) fn passes(self, candidate: &Candidate<'_>) -> bool {
        let text = candidate.text();
        match self {
            Self::Random => !is_example(text) && candidate.runs.iter().all(|(of, run)| looks_random(*of, run)),
            Self::AwsSecret => !is_example(text) && has_aws_secret(candidate),
            Self::KeyBody => has_key_body(&candidate.source[candidate.span.end..]),
            Self::Base62Crc => candidate.runs.last().is_some_and(|(_, run)| self.sum_of(run) == self.sum_in(run)),
            Self::Base36Crc | Self::HexCrc | Self::ReversedHexCrc => self.sum_of(text) == self.sum_in(text),
        }
    }

    /// Length of the checksum at the end; 0 where there is none.
    fn sum_length(self) -> usize {
        match self {
            Self::Base62Crc => 6,
            Self::Base36Crc => 7,
            Self::HexCrc | Self::ReversedHexCrc => 8,
            Self::Random | Self::AwsSecret | Self::KeyBody => 0,
        }
    }

    fn sum_in(self, text: &[u8]) -> Option<Vec<u8>> {
        text.len().checked_sub(self.sum_length()).map(|at| text[at..].to_vec())
    }

    /// The checksum that belongs at the end of this text, whatever is there.
    pub(super) fn sum_of(self, text: &[u8]) -> Option<Vec<u8>> {
        let mut crc = Crc::new();
        let before = &text[..text.len().checked_sub(self.sum_length())?];
        crc.update(if self == Self::ReversedHexCrc { before.strip_suffix(b"_").unwrap_or(before) } else { before });
        let sum = crc.sum();
        Some(match self {
            Self::Base62Crc => digits(sum, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 6),
            Self::Base36Crc => digits(sum, b"0123456789abcdefghijklmnopqrstuvwxyz", 7),
            Self::HexCrc => format!("{sum:08X}").into_bytes(),
            Self::ReversedHexCrc => format!("{:08x}", sum.swap_bytes()).into_bytes(),
            Self::Random | Self::AwsSecret | Self::KeyBody => Vec::new(),
        })
    }
}

/// A number in the positional system of these digits, filled up with zeros to `width`.
fn digits(number: u32, digits: &[u8], width: usize) -> Vec<u8> {
    let base = digits.len();
    let mut rest = number as usize;
    let mut text: Vec<u8> = std::iter::repeat_with(|| {
        let digit = digits[rest % base];
        rest /= base;
        digit
    })
    .take(width)
    .collect();
    text.reverse();
    text
}

fn is_example(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    EXAMPLES.iter().any(|example| memmem::find(&text, example.as_bytes()).is_some())
}

/// Whether a run is not one that a person made up. Of random tokens, fewer than one in ten thousand
/// is taken for made up.
fn looks_random(of: Alphabet, run: &[u8]) -> bool {
    if run.len() < JUDGED || of == Alphabet::Digits {
        return true;
    }
    let different = run.iter().collect::<HashSet<_>>().len();
    let longest =
        |follows: fn(u8, u8) -> bool| run.chunk_by(|a, b| follows(*a, *b)).map(<[u8]>::len).max().unwrap_or_default();
    let has = |test: fn(&u8) -> bool| usize::from(run.iter().any(test));
    let kinds = has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) + has(u8::is_ascii_digit);
    different > FEW
        && longest(|a, b| a == b) < REPEATED
        && longest(|a, b| a.checked_add(1) == Some(b)) < ASCENDING
        && (kinds > 1 || !of.is_mixed())
}

fn has_aws_secret(id: &Candidate<'_>) -> bool {
    let around = id.span.start.saturating_sub(NEAR)..id.source.len().min(id.span.end + NEAR);
    id.source[around].split(|byte| !Alphabet::Base64.contains(*byte)).any(|word| {
        let has = |test: fn(&u8) -> bool| word.iter().any(test);
        word.len() == 40
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_digit)
            && !is_example(word)
    })
}

fn has_key_body(mut rest: &[u8]) -> bool {
    let mut body = Vec::with_capacity(KEY_BODY);
    while body.len() < KEY_BODY {
        rest = match rest {
            [b'\n' | b'\r' | b'\t' | b' ', after @ ..] => after,
            // A line break in a string, or in a string within a string.
            [b'\\', b'\\' | b'n' | b'r', ..] => {
                let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
                let Some(b'n' | b'r') = rest.get(slashes) else { return false };
                &rest[slashes + 1..]
            }
            [byte, after @ ..] if Alphabet::Base64.contains(*byte) || *byte == b'=' => {
                body.push(*byte);
                after
            }
            _ => return false,
        };
    }
    looks_random(Alphabet::Base64, &body)
}
