//! Why a file is served as immutable.

use std::fmt;
use std::sync::Arc;

/// Most characters of a folder that evidence shows.
const FOLDER_SHOWN: usize = 16;

/// Whether the name of a file carries a hash of its content, so that the file never changes under its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fingerprint {
    /// Nothing suggests it.
    #[default]
    No,
    /// The name has the shape of a hash, which alone is not enough. The file is an entry file until the history of a
    /// target shows more.
    Likely,
    /// It does, by this evidence.
    Certain(Evidence),
}

/// Why a file is taken to be fingerprinted. `Display` gives at most 60 characters, the same text for all files that
/// share one reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// A rule of the user has `fingerprinted = true`.
    Rule {
        /// The rule's number, from 1.
        number: usize,
    },
    /// A file that the build tool wrote names it as one whose name changes with its content.
    Listed {
        /// The name of the manifest, without its folder.
        manifest: Arc<str>,
    },
    /// It lies in a folder that a framework keeps for such files.
    Folder {
        /// The folder, with a slash at its end.
        folder: &'static str,
        /// The framework.
        tool: &'static str,
    },
    /// An `index.html` page loads it as a part of a build, with no other than such names from its folder.
    Loaded,
    /// The name itself.
    Name {
        /// The folder of the file, with a slash at its end; empty for the top of the site.
        folder: Arc<str>,
        /// The characters that its hash is written with.
        alphabet: Alphabet,
        /// Length of the hash in characters.
        length: usize,
        /// Number of other names in the folder that are written the same way.
        others: usize,
    },
    /// Earlier releases of the target: the name of the file changed with its content.
    History,
}

/// The characters a hash is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Alphabet {
    /// `0`–`9` and `a`–`f`.
    Hex,
    /// `A`–`Z` and `2`–`7`.
    Base32,
    /// Figures and small letters.
    Base36,
    /// Figures and small letters, `-` and `_`.
    Base38,
    /// Figures and letters of both cases, with `-` and `_`.
    Base64url,
}

/// The end of a folder that is too long for a line.
fn shortened(folder: &str) -> String {
    let length = folder.chars().count();
    if length <= FOLDER_SHOWN {
        return folder.to_owned();
    }
    let end: String = folder.chars().skip(length + 1 - FOLDER_SHOWN).collect();
    format!("…{end}")
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hex => "hex",
            Self::Base32 => "base32",
            Self::Base36 => "base36",
            Self::Base38 => "base38",
            Self::Base64url => "base64url",
        })
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { number } => write!(f, "rule {number}"),
            Self::Listed { manifest } => write!(f, "listed in {manifest}"),
            Self::Folder { folder, tool } => write!(f, "folder {folder} ({tool})"),
            Self::Loaded => f.write_str("loaded by index.html"),
            Self::Name { folder, alphabet, length, others } => {
                let place = if folder.is_empty() { String::new() } else { format!(" in {}", shortened(folder)) };
                match others {
                    0 => write!(f, "name{place} ({alphabet}, {length})"),
                    1 => write!(f, "name like 1 other{place} ({alphabet}, {length})"),
                    _ => write!(f, "name like {others} others{place} ({alphabet}, {length})"),
                }
            }
            Self::History => f.write_str("history"),
        }
    }
}
