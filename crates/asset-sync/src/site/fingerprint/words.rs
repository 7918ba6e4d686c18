//! What people write in names: words, abbreviations, numbers, dates.

/// Whether the token starts with a date of the last or this century, as `20241122`.
pub(super) fn starts_with_date(token: &str) -> bool {
    let number = |range: std::ops::Range<usize>| {
        token.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse::<u32>().ok()
    };
    token.starts_with(['1', '2'])
        && matches!((number(0..4), number(4..6), number(6..8)), (Some(1900..=2099), Some(1..=12), Some(1..=31)))
}

/// Whether the token is the size of an image, as `1200x800`.
pub(super) fn is_dimensions(token: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    token.split_once('x').is_some_and(|(width, height)| is_number(width) && is_number(height))
}

/// A token cut as one reads camel case: words, abbreviations, numbers, separators.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Number of pieces, each separator among them.
    pub(super) count: usize,
    /// Number of letters.
    pub(super) letters: usize,
    /// Number of letters in pieces that could be words.
    pub(super) in_words: usize,
    /// Letters of the shortest piece of letters.
    pub(super) shortest_letters: usize,
}

impl Pieces {
    pub(super) fn of(token: &str) -> Self {
        let bytes = token.as_bytes();
        let mixed = bytes.iter().any(u8::is_ascii_lowercase);
        let mut found = Self { shortest_letters: usize::MAX, ..Self::default() };
        let mut start = 0;
        while start < bytes.len() {
            let end = end_of_piece(bytes, start);
            let piece = &token[start..end];
            found.count += 1;
            if bytes[start].is_ascii_alphabetic() {
                found.letters += piece.len();
                found.shortest_letters = found.shortest_letters.min(piece.len());
                if is_wordlike(piece) && !(mixed && is_abbreviation(piece)) {
                    found.in_words += piece.len();
                }
            }
            start = end;
        }
        found
    }
}

/// Letters then a number, or a number then letters, and nothing more: `IMG_0123`, `404Page`.
pub(super) fn is_numbered(token: &str) -> bool {
    let separator = ['-', '_'];
    let letters = |t: &str| {
        let t = t.strip_prefix(separator).unwrap_or(t);
        let t = t.strip_suffix(separator).unwrap_or(t);
        !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphabetic())
    };
    let front = token.trim_end_matches(|c: char| c.is_ascii_digit());
    let back = token.trim_start_matches(|c: char| c.is_ascii_digit());
    (front != token && !front.starts_with(separator) && letters(front))
        || (back != token && !back.ends_with(separator) && letters(back))
}

/// Whether the token is parts that people write, joined by `-` or `_`.
pub(super) fn is_compound(token: &str) -> bool {
    let mut parts = token.split(['-', '_']).filter(|part| !part.is_empty());
    token.contains(['-', '_'])
        && parts.all(|part| {
            let pieces = Pieces::of(part);
            pieces.in_words == pieces.letters
                || part.bytes().all(|b| b.is_ascii_uppercase())
                || (is_numbered(part) && pieces.letters <= 3)
        })
}

/// Whether a person may well have written the token, whatever stands beside it: figures only, or at most two words and
/// a number.
pub(super) fn is_plain(token: &str) -> bool {
    let pieces = Pieces::of(token);
    let spelt =
        || token.split(|c: char| !c.is_ascii_alphabetic()).all(|word| rare_pairs(word.as_bytes()) * 6 <= word.len());
    let is_words = pieces.count <= 3 && pieces.in_words == pieces.letters && spelt();
    pieces.letters == 0 || starts_with_date(token) || is_dimensions(token) || is_words
}

/// `v1beta2`
pub(super) fn is_version(token: &str) -> bool {
    token.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether people write such tokens, in words, numbers or versions. One in ten hashes is like that too.
pub(super) fn is_written(token: &str) -> bool {
    is_plain(token) || is_version(token) || is_numbered(token) || is_compound(token)
}

/// Where the piece that starts at `start` ends: a capital starts a word, and the last capital of
/// several belongs to the word after them (`XMLHttp` is `XML`, `Http`).
fn end_of_piece(bytes: &[u8], start: usize) -> usize {
    let run = |from: usize, test: fn(&u8) -> bool| from + bytes[from..].iter().take_while(|b| test(b)).count();
    match bytes[start] {
        b if b.is_ascii_digit() => run(start, u8::is_ascii_digit),
        b if b.is_ascii_lowercase() => run(start, u8::is_ascii_lowercase),
        b if b.is_ascii_uppercase() => {
            let capitals = run(start, u8::is_ascii_uppercase);
            if capitals == start + 1 {
                run(capitals, u8::is_ascii_lowercase)
            } else if bytes.get(capitals).is_some_and(u8::is_ascii_lowercase) {
                capitals - 1
            } else {
                capitals
            }
        }
        _ => start + 1,
    }
}

/// Whether letters, within a token that has small letters too, rather abbreviate than spell.
fn is_abbreviation(piece: &str) -> bool {
    piece.len() == 3 && piece.bytes().all(|b| b.is_ascii_uppercase())
}

/// Whether letters could be a word of a European language: short ones from a list, others by
/// having a vowel and no more consonants in a row than words have.
fn is_wordlike(piece: &str) -> bool {
    const SHORT: [[u8; 2]; 22] = [
        *b"my", *b"to", *b"of", *b"in", *b"on", *b"at", *b"by", *b"no", *b"up", *b"go", *b"is", *b"it", *b"or", *b"if",
        *b"as", *b"we", *b"do", *b"ui", *b"id", *b"js", *b"ts", *b"io",
    ];
    // Abbreviations of this trade that no rule about vowels would find.
    const TRADE: [&str; 14] =
        ["html", "css", "xml", "svg", "http", "https", "sql", "mpg", "png", "jpg", "pdf", "rss", "xhr", "tsx"];
    let bytes = piece.as_bytes();
    if bytes.len() <= 2 {
        let pair = |pair: [u8; 2]| SHORT.contains(&pair.map(|b| b.to_ascii_lowercase()));
        return bytes.try_into().is_ok_and(pair);
    }
    let is_vowel = |b: &u8| matches!(b.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let mut consonants = bytes.split(is_vowel).map(<[u8]>::len);
    // Without a vowel the first run is all of it.
    let first = consonants.next().unwrap_or_default();
    let is_speakable =
        first <= 3 && first < bytes.len() && consonants.all(|run| run <= 4) && rare_pairs(bytes) * 4 <= bytes.len();
    is_speakable || TRADE.iter().any(|word| word.eq_ignore_ascii_case(piece))
}

/// Number of neighbouring letters that are rare in words. Of words with seven letters 1 in 100 has more than one such
/// pair, of random letters 3 in 4 have.
fn rare_pairs(letters: &[u8]) -> usize {
    let index = |letter: u8| letter.to_ascii_lowercase().wrapping_sub(b'a');
    let is_common = |first: u8, second: u8| {
        let row = FOLLOWERS.get(usize::from(index(first))).copied().unwrap_or_default();
        1_u32.checked_shl(index(second).into()).is_some_and(|bit| row & bit != 0)
    };
    letters.windows(2).filter(|pair| !is_common(pair[0], pair[1])).count()
}

/// [`COMMON_PAIRS`] as sets: a bit for each letter that follows.
static FOLLOWERS: [u32; 26] = {
    let mut sets = [0; 26];
    let mut row = 0;
    while row < sets.len() {
        let letters = COMMON_PAIRS[row].as_bytes();
        let mut at = 0;
        while at < letters.len() {
            sets[row] |= 1 << (letters[at] - b'a');
            at += 1;
        }
        row += 1;
    }
    sets
};

/// For each letter from `a` to `z`, those that follow it in words: pairs that make up at least 1 in 5,000 of the pairs
/// in the names of files and identifiers, and some that are frequent in other European languages.
const COMMON_PAIRS: [&str; 26] = [
    "bcdefgiklmnprstuvwxy",
    "acdeijlmoprstuy",
    "acdefhiklmnoprstuyz",
    "abcdefgilmnoprstuvyz",
    "abcdefghiklmnopqrstuvwxy",
    "acdefilorstuy",
    "aceghilmnoprstuy",
    "adeilmnorstuy",
    "abcdefgijklmnoprstvxz",
    "aeou",
    "adeilnostuwz",
    "abcdefilnoprstuvy",
    "abdeilmnopstuy",
    "abcdefghiklmnoprstuvy",
    "abcdefgijklmnoprstuvwx",
    "acdefhiklnoprstuy",
    "u",
    "abcdefgiklmnoprstuvwy",
    "abcdefghiklmnoprstuvwyz",
    "abcdefhilmnoprstuvwy",
    "abcdefgilmnoprst",
    "aeio",
    "adehinors",
    "aceilpty",
    "bcefilmnopst",
    "aeinos",
];
