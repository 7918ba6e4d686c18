//! What can be wrong with a site directory.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Difference, Fault, Key, KeyError};

/// How many problems a message shows.
const SHOWN: usize = 50;
/// How many files a warning names.
const NAMED: usize = 3;

/// Why a directory could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is nothing at the path.
    #[error("{path:?}: no such directory: build the site first, or name the folder the build writes")]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The path is a file, not a directory.
    #[error("{path:?}: is not a directory: name the folder that holds the built site")]
    NotDirectory {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The directory itself cannot be opened.
    #[error("{path:?}: cannot be read: {source}")]
    Unreadable {
        /// The path that was asked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no file to publish.
    #[error(
        "{path:?}: has no files to publish ({skipped} left out as hidden or by rules): \
         did the build run?"
    )]
    Empty {
        /// The path that was asked for.
        path: PathBuf,
        /// Number of files and directories that were left out.
        skipped: usize,
    },
    /// Files of the site cannot be published; all of them, by path. The message shows 50.
    #[error("{}", Report(.0))]
    Problems(Vec<ScanProblem>),
}

/// One reason why a site cannot be published. Paths are within the site.
#[derive(Debug, thiserror::Error)]
pub enum ScanProblem {
    /// The path cannot be an object key.
    #[error("{error}")]
    Key {
        /// The path.
        path: PathBuf,
        /// Why.
        error: KeyError,
    },
    /// The name is not UTF-8, which object keys must be.
    #[error("{path:?}: the name is not UTF-8: rename it")]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Two names that look the same and are stored apart: equal after Unicode normalisation (NFC).
    #[error(
        "{path:?}: the same name as {other:?} in another Unicode form, so links would find only \
         one of them: rename or remove one"
    )]
    NameClash {
        /// The later of the two in the order of bytes.
        path: PathBuf,
        /// The earlier.
        other: PathBuf,
    },
    /// The key lies in the area where this program keeps its state.
    #[error(
        "{path:?}: lies in the state area {state_prefix:?}, which is not for files of the site: \
         move it, or choose another state prefix"
    )]
    InStateArea {
        /// The path.
        path: PathBuf,
        /// The area's key prefix in the bucket.
        state_prefix: String,
    },
    /// A symbolic link to somewhere outside the site.
    #[error("{path:?}: links to {target:?}, outside the site: copy the file into the site")]
    LinkLeavesSite {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A symbolic link to nothing.
    #[error("{path:?}: links to {target:?}, which does not exist: remove the link or mend it")]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// A symbolic link to a directory it lies in: its files would have endlessly many keys.
    #[error("{path:?}: links to the directory {target:?} it lies in: remove the link")]
    LinkLoop {
        /// The link.
        path: PathBuf,
        /// The directory.
        target: PathBuf,
    },
    /// A pipe, a socket or a device.
    #[error("{path:?}: is a pipe, a socket or a device, not a file: remove it")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Something that is private by its name or content, which no site should serve.
    #[error(
        "{path:?}: is {what} and does not belong on a site: remove it, or leave it out by a rule with `include = false`"
    )]
    Private {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file or directory could not be read.
    #[error("{path:?}: cannot be read: {source}")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file changed while it was read.
    #[error("{path:?}: changed while it was read: run again once the build has finished")]
    Changed {
        /// The path.
        path: PathBuf,
    },
    /// A rule makes a file immutable that may change.
    #[error(
        "{path:?}: {rule} makes it `immutable`, but {}",
        if *.html {
            "it is an HTML page, which browsers must be able to renew: except pages from the rule"
        } else {
            "it is not known that its name changes whenever its content does: remove `immutable`, or add \
             `fingerprinted = true` if it does"
        }
    )]
    Immutable {
        /// The path.
        path: PathBuf,
        /// The rule that says so, by number, line and globs.
        rule: String,
        /// Whether it is an HTML page, which is never immutable.
        html: bool,
    },
    /// A rule makes the root page a fingerprinted file.
    #[error(
        "{path:?}: {rule} has `fingerprinted = true`, but it is the root page, which browsers must be able to renew: \
         except it from the rule, or add a later rule with `fingerprinted = false` for it"
    )]
    FingerprintedRoot {
        /// The path.
        path: PathBuf,
        /// The rule, by number, line and globs.
        rule: String,
    },
    /// A placeholder that cannot be filled in.
    #[error("{path:?}{}: {fault}", at_line(*.line))]
    Placeholder {
        /// The path.
        path: PathBuf,
        /// The line, from 1, where it is known.
        line: Option<usize>,
        /// The placeholder, and why.
        fault: Fault,
    },
    /// A page states the hash of a file that takes environment values, and so has another one.
    #[error(
        "{path:?} line {line}: has an `integrity` attribute for {target}, whose content differs in every environment: remove the attribute"
    )]
    Integrity {
        /// The page.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The file.
        target: Key,
    },
    /// The file is not what the manifest beside the site says.
    #[error(
        "{path:?}: {difference}, by the manifest {manifest:?} that was written when the image was cut: the image was changed since. Use it as it was cut, or deploy without the manifest"
    )]
    NotAsCut {
        /// The path.
        path: PathBuf,
        /// The manifest.
        manifest: PathBuf,
        /// What differs.
        difference: Difference,
    },
    /// A rule says that the build compressed the file, and the file does not show it.
    #[error(
        "{path:?}: {rule} says that it is compressed already, but {}",
        match .said {
            Some(said) => format!("its bytes are not {said}: remove `precompressed` to serve it as it is"),
            None => "neither its name nor its bytes show how: add `content-encoding = \"br\"` if it is Brotli, or \
                     except it from the rule".to_owned(),
        }
    )]
    NotPrecompressed {
        /// The path.
        path: PathBuf,
        /// The rule that says so, by number, line and globs.
        rule: String,
        /// The encoding that the rule or the file's name tells.
        said: Option<&'static str>,
    },
    /// A file that is to be made of the environment values is there already.
    #[error("{path:?}: is to be generated, and the build has a file of this name: remove it, or choose another name")]
    Taken {
        /// The path.
        path: PathBuf,
    },
}

fn at_line(line: Option<usize>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}

/// What is likely a mistake in a site, and stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanWarning {
    /// A variable that no placeholder names.
    #[error("{name} is set, and no file of the site uses it: remove it, or add the placeholder __{name}__")]
    UnusedValue {
        /// The variable.
        name: String,
    },
    /// A placeholder in a file that takes no values.
    #[error(
        "{path:?}: holds {placeholder}, which stays as it is, since the file takes no values: let it read the generated env.json or env.js, or an attribute of the page"
    )]
    StrayPlaceholder {
        /// The path within the site.
        path: PathBuf,
        /// The first placeholder.
        placeholder: String,
    },
    /// At least 5 files or 5 % of the site's bytes have names that look like hashes, without enough evidence.
    #[error(
        "{files} files ({percent} % of the site's bytes) have names that look like hashes of their content, which is \
         not certain, so browsers revalidate them at each use: {}. If their names change whenever their content does, \
         add a rule with `glob = {glob:?}` and `fingerprinted = true`",
        shown(.examples, *.files)
    )]
    LooksHashed {
        /// Number of these files.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// Their share of the site's bytes in percent, rounded down.
        percent: u64,
        /// The first of them, at most three.
        examples: Vec<Key>,
        /// A glob for those that are written like the largest group of them.
        glob: String,
    },
    /// Configuration of another host, which was left out.
    #[error(
        "{}: configuration of {host}, which S3 and CloudFront do not read, was left out. Instead, {instead}. A rule with `include = true` uploads it all the same",
        names(.paths.iter().map(|path| path.to_string_lossy()))
    )]
    HostFiles {
        /// The paths within the site, sorted.
        paths: Vec<PathBuf>,
        /// Who reads it.
        host: &'static str,
        /// What does the same here.
        instead: &'static str,
    },
    /// Compressed copies that lie beside their originals.
    #[error(
        "{} beside the original, and S3 does not choose between them: no browser gets a compressed copy unless a page names it. Leave copies out by a rule with `include = false`, and let `content-encoding` compress the originals",
        counted(.files, ["compressed copy", "compressed copies"], ["lies", "lie"])
    )]
    EncodedCopies {
        /// The copies, sorted.
        files: Vec<Key>,
    },
    /// Files that are compressed already, and otherwise than a rule asks for.
    #[error(
        "{rule} asks for `content-encoding = \"{asked}\"`, and {} {is} already: served with `Content-Encoding: {is}`. Except such files from the rule, or let the build leave them uncompressed",
        counted(.files, ["file", "files"], ["is", "are"])
    )]
    OtherEncoding {
        /// The rule, by number, line and globs.
        rule: String,
        /// The encoding that it asks for.
        asked: &'static str,
        /// The encoding that the files have.
        is: &'static str,
        /// The files, sorted.
        files: Vec<Key>,
    },
}

/// The first names of several files, and the number of the others.
fn shown(examples: &[Key], of: u64) -> String {
    let names = examples.iter().map(Key::as_str).collect::<Vec<_>>().join(", ");
    match of.saturating_sub(examples.len() as u64) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// The first few of some paths, and how many more there are.
fn names<'a>(paths: impl ExactSizeIterator<Item = Cow<'a, str>>) -> String {
    let more = paths.len().saturating_sub(NAMED);
    let named: Vec<String> = paths.take(NAMED).map(|path| format!("{path:?}")).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    named.join(", ") + &more
}

/// The number of some files with what they are called, the first few of them, and what they do or are; each for one file
/// and for several.
fn counted(files: &[Key], name: [&str; 2], verb: [&str; 2]) -> String {
    let form = usize::from(files.len() != 1);
    let names = names(files.iter().map(|key| key.as_str().into()));
    format!("{} {} ({names}) {}", files.len(), name[form], verb[form])
}

impl ScanProblem {
    /// The path within the site.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Key { path, .. }
            | Self::NotUtf8 { path }
            | Self::NameClash { path, .. }
            | Self::InStateArea { path, .. }
            | Self::LinkLeavesSite { path, .. }
            | Self::DanglingLink { path, .. }
            | Self::LinkLoop { path, .. }
            | Self::NotAFile { path }
            | Self::Private { path, .. }
            | Self::Unreadable { path, .. }
            | Self::Changed { path }
            | Self::Immutable { path, .. }
            | Self::FingerprintedRoot { path, .. }
            | Self::Placeholder { path, .. }
            | Self::Integrity { path, .. }
            | Self::NotAsCut { path, .. }
            | Self::NotPrecompressed { path, .. }
            | Self::Taken { path } => path,
        }
    }
}

/// One line per problem.
struct Report<'a>(&'a [ScanProblem]);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\nand {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(n: usize) -> ScanError {
        let problem = |i| ScanProblem::NotUtf8 { path: format!("{i}").into() };
        ScanError::Problems((0..n).map(problem).collect())
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        assert_eq!(some(50).to_string().lines().count(), 50);
        let text = some(53).to_string();
        assert_eq!(text.lines().count(), 51);
        assert!(text.ends_with("\nand 3 more"), "{text}");
    }

    #[test]
    fn paths_cannot_write_to_the_terminal() {
        let problem = ScanProblem::NotAFile { path: "a\u{1b}[2J\nb".into() };
        let text = problem.to_string();
        assert!(!text.contains(['\u{1b}', '\n']), "{text}");
    }
}
