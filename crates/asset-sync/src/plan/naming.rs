//! Which release people mean by a name.

use crate::error::{Conflict, Error};
use crate::state::{Current, ReleaseRecord};

use super::rollback::previous;

pub(crate) fn is_named(release: &ReleaseRecord, name: &str) -> bool {
    release.id.as_str() == name || release.version == name
}

pub(super) fn was_live(release: &ReleaseRecord) -> bool {
    release.activated_at.is_some()
}

/// The kept release that is meant by an id, by `live` or `previous` (the one that a rollback would go to), or by a version.
/// Of releases with one version those that were live count before the others, and of those with the same content the one
/// that was live last.
///
/// # Errors
/// [`Error::NoSuchRelease`] if none is; [`Conflict::Ambiguous`] if releases with different content have that version.
pub(crate) fn named_release<'a>(current: &'a Current, name: &str) -> Result<&'a ReleaseRecord, Error> {
    if let Some(release) = current.releases.iter().find(|r| r.id.as_str() == name) {
        return Ok(release);
    }
    match name {
        "live" => return current.live_release().ok_or_else(nothing_live),
        "previous" => {
            let none = || Error::NoSuchRelease("there is no release before the live one".to_owned());
            return previous(current).ok_or_else(none);
        }
        _ => {}
    }
    let (live, never): (Vec<&ReleaseRecord>, Vec<&ReleaseRecord>) =
        current.releases.iter().filter(|r| r.version == name).partition(|r| was_live(r));
    let named = if live.is_empty() { never } else { live };
    let latest = *named.iter().max_by_key(|r| r.activated_at).ok_or_else(|| no_such_release(current, name))?;
    if named.iter().any(|r| r.tree != latest.tree) {
        let ids = named.iter().map(|r| r.id.to_string()).collect();
        return Err(Conflict::Ambiguous { version: name.to_owned(), ids }.into());
    }
    Ok(latest)
}

fn nothing_live() -> Error {
    Error::NoSuchRelease("no release is live on this target".to_owned())
}

pub(super) fn no_such_release(current: &Current, name: &str) -> Error {
    let kept = current.releases.iter().filter(|r| was_live(r));
    let kept: Vec<String> = kept.map(|r| format!("{} (version {})", r.id, r.version)).collect();
    let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
    Error::NoSuchRelease(format!("no kept release is named {name:?}; there are: {kept}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::digest::Sha256;
    use crate::state::{Manifest, ReleaseId};

    /// A release of the history; `live_at` is when it went live, if it did.
    fn release(number: u64, version: &str, content: &str, live_at: Option<i64>) -> ReleaseRecord {
        let tree = Sha256::of(content.as_bytes());
        ReleaseRecord {
            id: ReleaseId::new(number, &tree),
            tree,
            activated_at: live_at.map(|second| Timestamp::from_second(second).unwrap()),
            ..ReleaseRecord::new(number, version, &Manifest::default(), Timestamp::UNIX_EPOCH)
        }
    }

    fn history() -> Current {
        let replaced = ReleaseId::new(1, &Sha256::of(b"a"));
        let live = ReleaseRecord { replaced: Some(replaced), ..release(4, "2.0.0", "b", Some(9)) };
        let releases = vec![
            release(1, "1.0.0", "a", Some(1)),
            release(2, "2.0.0", "b", Some(2)),
            release(3, "2.0.0", "died", None),
            live,
            release(5, "3.0.0", "c", Some(5)),
            release(6, "3.0.0", "d", Some(6)),
            release(7, "4.0.0", "died", None),
        ];
        Current { live: Some(releases[3].id.clone()), releases, ..Current::default() }
    }

    #[test]
    fn a_release_is_named_by_id_word_or_version() {
        let current = history();
        let number = |name: &str| named_release(&current, name).unwrap().id.number();
        let id = current.releases[2].id.to_string();
        assert_eq!((number(&id), number("live"), number("previous"), number("1.0.0")), (3, 4, 1, 1));
        assert_eq!(number("2.0.0"), 4, "the last of those with the same content; not one that was never live");
        assert_eq!(number("4.0.0"), 7, "one that was never live, where there is no other");
    }

    #[test]
    fn a_version_with_several_contents_is_refused_with_the_ids() {
        let current = history();
        let Error::Conflict(Conflict::Ambiguous { version, ids }) = named_release(&current, "3.0.0").unwrap_err()
        else {
            panic!("not ambiguous");
        };
        assert_eq!(
            (version.as_str(), ids),
            ("3.0.0", [&current.releases[4], &current.releases[5]].map(|r| r.id.to_string()).into())
        );
    }

    #[test]
    fn what_there_is_not_is_said() {
        let told = |current: &Current, name: &str| named_release(current, name).unwrap_err().to_string();
        assert!(told(&history(), "9").contains("no kept release is named \"9\"; there are: r1-"));
        assert_eq!(told(&Current::default(), "live"), "no release is live on this target");
        assert_eq!(told(&Current::default(), "previous"), "there is no release before the live one");
    }
}
