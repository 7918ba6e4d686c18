//! Which files of a release a run looks at: pure.

use std::collections::HashMap;

use crate::plan::Routing;
use crate::site::{Key, Role};
use crate::state::{Manifest, ReleaseFile};

/// Pages that are looked at before what they load.
const MOST_PAGES: usize = 50;
/// An address that no site has, with a path that every single-page application takes for one of its own.
const MADE_UP: &str = "deploy-verify/made-up-address";
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

/// An address besides a file's own, which the routing says is answered by that file too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form<'a> {
    pub(super) address: String,
    pub(super) file: &'a ReleaseFile,
}

/// At most `most` addresses that pages have by the routing: the form that links use of each page, and the other forms, of
/// which a quarter find room in any case. What changed comes first. `pages` are those that are looked at.
pub(super) fn forms<'a>(
    pages: &[&'a ReleaseFile],
    routing: Routing,
    release: &'a Manifest,
    previous: Option<&Manifest>,
    most: usize,
) -> Vec<Form<'a>> {
    let is_there = |key: &str| Key::new(key).is_ok_and(|key| release.get(&key).is_some());
    let is_changed = |file: &ReleaseFile| previous.is_none_or(|previous| differs(file, previous));
    let (changed, same): (Vec<&ReleaseFile>, Vec<_>) =
        pages.iter().filter(|page| page.headers.redirect.is_none()).partition(|page| is_changed(page));
    let (mut of_links, mut others) = (Vec::new(), Vec::new());
    for &file in changed.iter().chain(&same) {
        match routing {
            Routing::Spa if file.role == Role::Root => of_links.push(Form { address: MADE_UP.to_owned(), file }),
            // The root document's address without a name is looked at as its own.
            Routing::Exact | Routing::Spa => {}
            Routing::Directory | Routing::Html => {
                let key = file.key.as_str();
                // The functions of AWS's samples take a name with a dot for a file's and leave it as it is.
                let is_seen = |address: &String| !address.is_empty() && !is_file_name(address);
                let answers = |address: &String| routing.key_for(address, is_there).as_deref() == Some(key);
                for (place, address) in routing.addresses_of(key).into_iter().skip(1).enumerate() {
                    if is_seen(&address) && answers(&address) {
                        let forms = if place == 0 { &mut of_links } else { &mut others };
                        forms.push(Form { address, file });
                    }
                }
            }
        }
    }
    let room = others.len().min(most / 4);
    of_links.truncate(most - room);
    others.truncate(most - of_links.len());
    of_links.extend(others);
    of_links
}

fn is_file_name(address: &str) -> bool {
    address.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::digest::Sha256;
    use crate::headers::Headers;

    fn manifest(pages: &[&str], content: &str) -> Manifest {
        let file = |key: &&str| ReleaseFile {
            key: Key::new(key).unwrap(),
            sha256: Sha256::of(format!("{key}{content}").as_bytes()),
            size: 1,
            headers: Arc::new(Headers::default()),
            role: if *key == "index.html" { Role::Root } else { Role::Html },
            demoted: false,
        };
        Manifest { files: pages.iter().map(file).collect() }
    }

    fn addresses(routing: Routing, pages: &[&str], changed: &[&str], most: usize) -> Vec<String> {
        let release = manifest(pages, "new");
        let same: Vec<&str> = pages.iter().copied().filter(|page| !changed.contains(page)).collect();
        let previous = manifest(&same, "new");
        let pages: Vec<&ReleaseFile> = release.files.iter().collect();
        forms(&pages, routing, &release, Some(&previous), most).into_iter().map(|form| form.address).collect()
    }

    #[test]
    fn pages_are_looked_at_under_each_address_and_changed_ones_first() {
        let pages = ["a/index.html", "b.html", "c/index.html", "index.html", "v1.2/index.html"];
        let of = |routing, most| addresses(routing, &pages, &["c/index.html"], most);
        assert_eq!(of(Routing::Directory, 50), ["c/", "a/", "v1.2/", "c", "a"]);
        assert_eq!(of(Routing::Directory, 4), ["c/", "a/", "v1.2/", "c"]);
        assert_eq!(of(Routing::Html, 50), ["c/", "a/", "b", "v1.2/", "c/index", "a/index", "index", "v1.2/index"]);
        assert_eq!(of(Routing::Spa, 50), [MADE_UP]);
        assert!(of(Routing::Exact, 50).is_empty() && of(Routing::Directory, 0).is_empty());
        // A file of the very name answers there.
        assert_eq!(addresses(Routing::Html, &["raw", "raw.html"], &[], 50), Vec::<String>::new());
    }

    #[test]
    fn a_sample_is_spread_evenly() {
        let numbers: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&numbers, 5), [0, 2, 4, 6, 8]);
        assert_eq!(spread(&numbers, 3), [0, 3, 6]);
        assert_eq!(spread(&numbers, 20), numbers);
        assert!(spread(&numbers, 0).is_empty() && spread::<usize>(&[], 3).is_empty());
    }
}
