//! Pages that state the hash of a file which differs from environment to environment.

use std::collections::HashSet;

use crate::site::Key;
use crate::site::address::Addresses;
use crate::site::html::{Piece, parse};

/// The tags of `page` with an `integrity` attribute for a file of `changed`, each with its line.
///
/// Under which URL path the site is served is not known here, so an absolute path counts for every
/// key it ends with.
pub(in crate::site) fn broken_by(changed: &HashSet<&Key>, page: &Key, source: &[u8]) -> Vec<(usize, Key)> {
    let addresses = Addresses::under("/");
    let Some(mut base) = addresses.of(page) else { return Vec::new() };
    let mut based = false;
    let mut broken = Vec::new();
    for piece in parse(source) {
        let Piece::Tag { name, start, .. } = &piece else { continue };
        if name == "base"
            && !based
            && let Some(href) = piece.attribute("href")
        {
            based = true;
            base = base.join(&href.value).unwrap_or(base);
        }
        let reference = piece.attribute("src").or_else(|| piece.attribute("href"));
        if let (Some(_), Some(reference)) = (piece.attribute("integrity"), reference)
            && let Some(path) = addresses.resolve(&base, &reference.value)
        {
            let hit = changed.iter().find(|key| {
                path.strip_suffix(key.as_str()).is_some_and(|before| before.is_empty() || before.ends_with('/'))
            });
            let line = 1 + memchr::memchr_iter(b'\n', &source[..*start]).count();
            broken.extend(hit.map(|key| (line, (*key).clone())));
        }
    }
    broken
}
