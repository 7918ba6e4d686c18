//! How many of generated hashes are found.

use super::*;

/// A hash of made-up content in one alphabet.
struct Writing {
    what: &'static str,
    write: fn(&[u8]) -> String,
    /// Least percentage found in folders of 40 names, and of 4.
    at_least: [usize; 2],
}

fn in_alphabet(alphabet: &[u8], digest: &[u8], length: usize) -> String {
    digest.iter().take(length).map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()])).collect()
}

fn base64url(digest: &[u8], length: usize) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE.encode(digest)[..length].to_owned()
}

const WRITINGS: [Writing; 12] = [
    Writing { what: "Base64url, 8", write: |d| base64url(d, 8), at_least: [98, 93] },
    Writing { what: "Base64url, 10", write: |d| base64url(d, 10), at_least: [97, 76] },
    Writing {
        what: "Base62, 8",
        write: |d| in_alphabet(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", d, 8),
        at_least: [98, 93],
    },
    Writing {
        what: "Base62, 12",
        write: |d| in_alphabet(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", d, 12),
        at_least: [98, 93],
    },
    Writing {
        what: "Base32, 8",
        write: |d| in_alphabet(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", d, 8),
        at_least: [95, 90],
    },
    Writing {
        what: "Base36, 8",
        write: |d| in_alphabet(b"0123456789abcdefghijklmnopqrstuvwxyz", d, 8),
        at_least: [93, 0],
    },
    Writing {
        what: "Base36, 13",
        write: |d| in_alphabet(b"0123456789abcdefghijklmnopqrstuvwxyz", d, 13),
        at_least: [95, 0],
    },
    Writing { what: "Hex, 7", write: |d| hex::encode(d)[..7].to_owned(), at_least: [98, 90] },
    Writing { what: "Hex, 8", write: |d| hex::encode(d)[..8].to_owned(), at_least: [99, 95] },
    Writing { what: "Hex, 16", write: |d| hex::encode(d)[..16].to_owned(), at_least: [99, 99] },
    Writing { what: "Hex, 20", write: |d| hex::encode(d)[..20].to_owned(), at_least: [99, 99] },
    Writing { what: "Hex, 32", write: |d| hex::encode(d)[..32].to_owned(), at_least: [99, 99] },
];

/// How many hashes are found, by alphabet and size of the folder: a miss stays an exception.
#[test]
fn most_real_hashes_are_found() {
    for Writing { what, write, at_least } in WRITINGS {
        for (size, at_least) in [40, 4].into_iter().zip(at_least) {
            let digest = |n: u32| hex::decode(crate::digest::Sha256::of(&n.to_be_bytes()).to_string()).unwrap();
            let sites = 4000 / size;
            let found: usize = (0..sites)
                .map(|site| {
                    let name = |n| {
                        format!(
                            "assets/part{}-{}.js",
                            (b'a' + u8::try_from(n % 26).unwrap()) as char,
                            write(&digest(n))
                        )
                    };
                    let names: Vec<_> = (site * size..(site + 1) * size).map(name).collect();
                    classified(&names).iter().filter(|found| **found).count()
                })
                .sum();
            let percent = found * 100 / 4000;
            println!("{what}, {size} in a folder: {percent} %");
            assert!(percent >= at_least, "{what}, {size} in a folder: {percent} %");
        }
    }
}

/// In a large folder of one bundler only what a person may have written is left out.
#[test]
fn many_certain_hashes_leave_little_doubt() {
    let hash = |n: u32| base64url(&hex::decode(crate::digest::Sha256::of(&n.to_be_bytes()).to_string()).unwrap(), 8);
    let written = ["Settings", "calendar", "MyWidget", "20241122", "12345678", "readme01", "MyPage01"];
    let mut names: Vec<_> = (0..1000).map(|n| format!("assets/chunk{n}-{}.js", hash(n))).collect();
    names.extend(written.map(|name| format!("assets/view-{name}.js")));
    let found = classified(&names);
    let missed = found[..1000].iter().filter(|found| !**found).count();
    assert!(missed <= 5, "{missed} of 1000");
    assert_eq!(found[1000..], [false; 7]);
    // Among as many words they prove nothing.
    names.extend((0..1500).map(|n| format!("assets/{n}-{}.js", ["Settings", "calendar"][n % 2])));
    let among_words = classified(&names);
    assert!(among_words.iter().filter(|found| **found).count() < found.iter().filter(|found| **found).count());
}
