//! Which files of a release a run looks at: pure.

use std::collections::HashMap;

use crate::site::Role;
use crate::state::{Manifest, ReleaseFile};

/// Pages that are looked at before what they load.
const MOST_PAGES: usize = 50;
/// Larger files are not fetched.
const LARGEST_BODY: u64 = 32 * 1024 * 1024;

/// At most `count` of `files`, evenly spread over their order, the first one among them.
fn spread<T: Copy>(files: &[T], count: usize) -> Vec<T> {
    let count = count.min(files.len());
    (0..count).map(|i| files[i * files.len() / count]).collect()
}

/// The pages to begin with: the root document first, for it tells whether the site can be reached.
pub(super) fn pages<'a>(files: &[&'a ReleaseFile]) -> Vec<&'a ReleaseFile> {
    let mut pages: Vec<&ReleaseFile> = files.iter().copied().filter(|f| f.role >= Role::Html).collect();
    pages.sort_by_key(|f| std::cmp::Reverse(f.role));
    spread(&pages, MOST_PAGES)
}

/// A sample of `count` of the files that were not looked at: those whose names stay first, since they
/// are what changes under visitors.
pub(super) fn sample<'a>(rest: &[&'a ReleaseFile], count: usize) -> Vec<&'a ReleaseFile> {
    let (stable, fingerprinted): (Vec<_>, Vec<_>) = rest.iter().partition(|f| f.role != Role::Fingerprinted);
    let mut sample = spread(&stable, count);
    sample.extend(spread(&fingerprinted, count - sample.len()));
    sample
}

/// The files that are not too large to be fetched.
pub(super) fn fetched(manifest: &Manifest) -> impl Iterator<Item = &ReleaseFile> {
    manifest.files.iter().filter(|f| f.size <= LARGEST_BODY)
}

/// Whether any page differs from the one of the release before.
pub(super) fn pages_differ(manifest: &Manifest, previous: &Manifest) -> bool {
    manifest.files.iter().any(|f| f.role >= Role::Html && differs(f, previous))
}

/// Whether the release before has other bytes under this key, or none.
pub(super) fn differs(file: &ReleaseFile, previous: &Manifest) -> bool {
    previous.get(&file.key).is_none_or(|before| before.sha256 != file.sha256)
}

/// Fingerprinted files by their name, which is all that a reference must contain.
pub(super) fn by_name<'a>(files: &[&'a ReleaseFile]) -> HashMap<&'a str, &'a ReleaseFile> {
    let assets = files.iter().copied().filter(|f| f.role == Role::Fingerprinted);
    assets.filter_map(|f| Some((f.key.as_str().rsplit('/').next()?, f))).collect()
}

/// Files that a text mentions by name.
pub(super) fn mentioned<'a>(body: &[u8], names: &HashMap<&str, &'a ReleaseFile>) -> Vec<&'a ReleaseFile> {
    let text = String::from_utf8_lossy(body);
    let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '@' | '%' | '+')));
    words.filter_map(|word| names.get(word.trim_matches('.')).copied()).collect()
}

/// Whether it is a text that can mention files.
pub(super) fn is_text(file: &ReleaseFile) -> bool {
    ["text/html", "text/css", "text/javascript"].iter().any(|t| file.headers.content_type.starts_with(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_evenly() {
        let numbers: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&numbers, 5), [0, 2, 4, 6, 8]);
        assert_eq!(spread(&numbers, 3), [0, 3, 6]);
        assert_eq!(spread(&numbers, 20), numbers);
        assert!(spread(&numbers, 0).is_empty() && spread::<usize>(&[], 3).is_empty());
    }
}
