//! What a token looks like by itself: a hash of some alphabet, or something a person wrote.

use super::Alphabet;
use super::words::{Pieces, is_compound, is_dimensions, is_numbered, is_version, starts_with_date};

/// Length of the hash that Vite, Rollup, esbuild and Angular put in a name, in characters.
pub(super) const SHORT_HASH: usize = 8;
/// Length of a hash of Turbopack, whose 38 characters include `-` and `_` (vercel/next.js#91832).
pub(super) const TURBOPACK_HASH: usize = 13;
/// Shortest hash that is looked for: webpack's `[contenthash:7]`.
pub(super) const SHORTEST_HASH: usize = 7;
/// Longest hash in a name: SHA-256 in hexadecimal.
pub(super) const LONGEST_HASH: usize = 64;

/// How much a token looks like a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Words, dates, versions, figures.
    No,
    /// It could be a hash, or something a person wrote.
    Possible,
    /// Few people would write it. Several such names side by side are hashes; one alone is in doubt.
    Probable,
    /// A hash: words, dates, versions and numbered names do not look like this.
    Certain,
}

/// The smallest alphabet that has all characters of the token.
pub(super) fn alphabet(token: &str) -> Alphabet {
    const FIGURE: u8 = 1;
    const FIGURE_OF_BASE32: u8 = 2;
    const SMALL_OF_HEX: u8 = 4;
    const SMALL: u8 = 8;
    const CAPITAL: u8 = 16;
    const OTHER: u8 = 32;
    let used = token.bytes().fold(0, |used, byte| {
        used | match byte {
            b'2'..=b'7' => FIGURE_OF_BASE32,
            b'0' | b'1' | b'8' | b'9' => FIGURE,
            b'a'..=b'f' => SMALL_OF_HEX,
            b'g'..=b'z' => SMALL,
            b'A'..=b'Z' => CAPITAL,
            _ => OTHER,
        }
    });
    let only = |allowed: u8| used & !allowed == 0;
    let hex = FIGURE | FIGURE_OF_BASE32 | SMALL_OF_HEX;
    if only(hex) {
        Alphabet::Hex
    } else if only(FIGURE_OF_BASE32 | CAPITAL) {
        Alphabet::Base32
    } else if only(hex | SMALL) {
        Alphabet::Base36
    } else if only(hex | SMALL | OTHER) && token.len() == TURBOPACK_HASH {
        Alphabet::Base38
    } else {
        Alphabet::Base64url
    }
}

/// Whether the token is as long as a hash of Turbopack and written like one: it starts with a figure, since 64 bits
/// fill 13 characters no further.
pub(super) fn is_turbopack(token: &str) -> bool {
    token.len() == TURBOPACK_HASH
        && token.starts_with(|c: char| c.is_ascii_digit())
        && token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'_'))
}

/// How much the token looks like a hash, by itself.
pub(super) fn judge(token: &str) -> Verdict {
    // Figures only: a date, a time stamp, a build number as likely as a hash.
    let is_figures = token.bytes().all(|b| b.is_ascii_digit());
    if is_figures || starts_with_date(token) || is_dimensions(token) {
        return Verdict::No;
    }
    let pieces = Pieces::of(token);
    match alphabet(token) {
        Alphabet::Hex => judge_hex(token, &pieces),
        Alphabet::Base36 | Alphabet::Base38 => judge_base36(token, &pieces),
        Alphabet::Base32 if token.len() == SHORT_HASH => judge_base32(token, &pieces),
        Alphabet::Base32 | Alphabet::Base64url => judge_base64url(token, &pieces),
    }
}

/// `decade2020`, `2024facade` and `face2face` are hexadecimal too: letters in runs as long as words leave a doubt.
/// Seven digits may be a commit's short name, and three letters before a number an abbreviation.
fn judge_hex(token: &str, pieces: &Pieces) -> Verdict {
    if pieces.letters == token.len() {
        return Verdict::No;
    }
    let mixed = pieces.count > 2 && (pieces.shortest_letters <= 2 || token.len() >= 12);
    if mixed && token.len() > SHORTEST_HASH {
        Verdict::Certain
    } else if mixed || pieces.in_words == 0 {
        Verdict::Probable
    } else {
        Verdict::Possible
    }
}

/// Small letters and figures. Many names of people are made of these, so that only long ones are certain.
fn judge_base36(token: &str, pieces: &Pieces) -> Verdict {
    let figures = token.bytes().filter(u8::is_ascii_digit).count();
    let wordy = |numerator: usize, denominator: usize| pieces.in_words * denominator >= pieces.letters * numerator;
    if figures == 0 || is_version(token) || wordy(1, 1) || (pieces.count < 4 && wordy(1, 2)) {
        Verdict::No
    } else if token.len() >= 12 && figures >= 3 && pieces.count >= 6 && !wordy(1, 2) {
        Verdict::Certain
    } else if pieces.count >= 4 && !wordy(3, 4) {
        Verdict::Probable
    } else {
        Verdict::Possible
    }
}

/// Base32 as esbuild writes it has neither small letters nor `0`, `1`, `8`, `9`. A figure among capitals is rare in
/// words, unless it numbers them.
fn judge_base32(token: &str, pieces: &Pieces) -> Verdict {
    let has_digit = pieces.letters < token.len();
    let readable = pieces.in_words * 4 >= pieces.letters * 3;
    match (has_digit, readable) {
        (true, true) if is_numbered(token) => Verdict::No,
        (true, false) if is_numbered(token) => Verdict::Possible,
        (true, false) => Verdict::Certain,
        // Words of capitals with figures at two places: nobody writes `C4YZOFS6`.
        (true, true) if pieces.count >= 4 => Verdict::Certain,
        (true, true) | (false, false) => Verdict::Probable,
        (false, true) => Verdict::No,
    }
}

fn judge_base64url(token: &str, pieces: &Pieces) -> Verdict {
    let has = |test: fn(&u8) -> bool| token.as_bytes().iter().any(test);
    let (digit, lower, upper) = (has(u8::is_ascii_digit), has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    let words_share =
        |numerator: usize, denominator: usize| pieces.in_words * denominator >= pieces.letters * numerator;
    let readable = (pieces.count < 2 && lower) || words_share(3, 4) || is_compound(token);
    if readable || !(digit || upper) || (!lower && token.len() != SHORT_HASH) {
        // `Settings`, `MyPage01`, `Web3Page`, `rc10-Bed`, `mode-csv`.
        return Verdict::No;
    }
    let irregular = lower && pieces.count * 2 >= token.len();
    if !irregular || words_share(2, 3) {
        Verdict::Possible
    } else if digit || !words_share(1, 3) {
        Verdict::Certain
    } else {
        Verdict::Probable
    }
}
