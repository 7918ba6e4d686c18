//! Listing a bucket: page after page, or in ranges side by side where it is known what to expect.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio_util::task::AbortOnDropHandle;

use crate::bucket::{Bucket as _, BucketError, ListPage, ListedObject, MAX_BATCH, Resilient};
use crate::error::Error;
use crate::site::Key;

/// Expected keys of a range. A little less than a page holds, so that a few objects that nobody
/// expects do not take another request.
const KEYS_PER_RANGE: usize = MAX_BATCH * 95 / 100;
/// Ranges listed at once: each holds a page in memory, several times over while it is read.
const RANGES_AT_ONCE: usize = 12;
/// Sorts after every key that continues the text before it.
const LAST_CHARACTER: char = '\u{10FFFF}';

/// A stretch of keys: those after `after`, up to and with `through`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    after: Option<String>,
    through: Option<String>,
}

/// What is listed: the keys that start with `prefix` and not with `skip`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) prefix: &'a str,
    pub(super) skip: Option<&'a str>,
}

impl Scope<'_> {
    /// Where to go on after `last`, passing over what is skipped.
    fn resume(&self, last: &str) -> String {
        match self.skip.filter(|skip| last.starts_with(*skip)) {
            Some(skip) => format!("{skip}{LAST_CHARACTER}"),
            None => last.to_owned(),
        }
    }

    /// Takes the objects in scope up to `through` from a page. Gives where to go on, if there is more.
    fn take(&self, page: ListPage, through: Option<&str>, objects: &mut Vec<ListedObject>) -> Option<String> {
        let next = page.objects.last().filter(|last| page.truncated && through.is_none_or(|end| &*last.key < end));
        let next = next.map(|last| self.resume(&last.key));
        let in_range = page.objects.into_iter().take_while(|o| through.is_none_or(|end| &*o.key <= end));
        objects.extend(
            in_range.filter(|o| o.key.starts_with(self.prefix) && self.skip.is_none_or(|s| !o.key.starts_with(s))),
        );
        next
    }
}

/// Cuts the keys after `after` into ranges of about a page each, by the keys (ascending, without
/// the prefix) that are expected there. Together the ranges cover every key there can be in scope,
/// expected or not, each once, in order.
fn cut(scope: Scope<'_>, after: Option<String>, expected: &[&Key], per_range: usize) -> Vec<Range> {
    let begun = after.as_deref().and_then(|after| after.strip_prefix(scope.prefix)).unwrap_or_default().to_owned();
    let expected = &expected[expected.partition_point(|key| key.as_str() <= begun.as_str())..];
    let mut bounds = vec![after];
    // The keys of the last chunk are the last range's, with its open end.
    let chunks = expected.chunks(per_range).rev().skip(1);
    let ends = chunks.filter_map(|chunk| chunk.last()).map(|key| Some(format!("{}{key}", scope.prefix)));
    bounds.extend(ends.rev());
    let through = bounds.iter().skip(1).cloned().chain([None]).collect::<Vec<_>>();
    let ranges = bounds.into_iter().zip(through).map(|(after, through)| Range { after, through });
    ranges.flat_map(|range| around(range, scope.skip)).collect()
}

/// The range without what is skipped: in two, where that lies within it.
fn around(range: Range, skip: Option<&str>) -> Vec<Range> {
    let within = |skip: &&str| {
        range.after.as_deref().is_none_or(|after| after < *skip)
            && range.through.as_deref().is_none_or(|through| through > *skip)
    };
    match skip.filter(within) {
        Some(skip) => vec![
            Range { after: range.after, through: Some(skip.to_owned()) },
            Range { after: Some(format!("{skip}{LAST_CHARACTER}")), through: range.through },
        ],
        None => vec![range],
    }
}

/// All objects under `prefix` in the byte order of their keys, one page after the other.
pub(super) async fn list_all(bucket: &Resilient, prefix: &str) -> Result<Vec<ListedObject>, BucketError> {
    let whole = Range { after: None, through: None };
    Ok(in_order(list_range(bucket, Scope { prefix, skip: None }, whole).await?))
}

async fn list_range(bucket: &Resilient, scope: Scope<'_>, range: Range) -> Result<Vec<ListedObject>, BucketError> {
    let mut objects = Vec::new();
    let mut after = range.after;
    loop {
        let page = bucket.list(scope.prefix, after.as_deref()).await?;
        after = scope.take(page, range.through.as_deref(), &mut objects);
        if after.is_none() {
            return Ok(objects);
        }
    }
}

/// Lists `ranges` side by side; adds what is there to `listed`, range by range.
async fn list_ranges(
    bucket: &Arc<Resilient>,
    scope: Scope<'_>,
    ranges: Vec<Range>,
    listed: &mut Relative<'_>,
) -> Result<(), Error> {
    let (prefix, skip) = (scope.prefix.to_owned(), scope.skip.map(str::to_owned));
    let mut done = stream::iter(ranges)
        .map(|range| {
            let (bucket, prefix, skip) = (Arc::clone(bucket), prefix.clone(), skip.clone());
            // A task of its own, since reading a page is work enough for another core.
            let task = tokio::spawn(async move {
                list_range(&bucket, Scope { prefix: &prefix, skip: skip.as_deref() }, range).await
            });
            AbortOnDropHandle::new(task)
        })
        .buffered(RANGES_AT_ONCE);
    while let Some(range) = done.try_next().await.map_err(|e| Error::Internal(format!("listing failed: {e}")))? {
        listed.add(range?);
    }
    Ok(())
}

/// Objects with keys relative to a prefix. A key that is expected takes no memory of its own: in a large
/// bucket most of them are.
#[derive(Debug)]
struct Relative<'k> {
    prefix: usize,
    /// The keys that are still to come, ascending.
    expected: &'k [&'k Key],
    objects: Vec<ListedObject>,
}

impl<'k> Relative<'k> {
    fn new(scope: Scope<'_>, expected: &'k [&'k Key]) -> Self {
        Self { prefix: scope.prefix.len(), expected, objects: Vec::new() }
    }

    fn add(&mut self, mut objects: Vec<ListedObject>) {
        for object in &mut objects {
            let key = &object.key[self.prefix..];
            let before = self.expected.iter().take_while(|expected| expected.as_str() < key).count();
            self.expected = &self.expected[before..];
            match self.expected.first().filter(|expected| expected.as_str() == key) {
                Some(expected) => object.key = expected.shared(),
                None if self.prefix > 0 => object.key = key.into(),
                None => {}
            }
        }
        self.objects.append(&mut objects);
    }

    fn finish(self) -> Vec<ListedObject> {
        in_order(self.objects)
    }
}

/// Objects sorted by key, no key twice, whatever a store made of the order.
fn in_order(mut objects: Vec<ListedObject>) -> Vec<ListedObject> {
    if !objects.is_sorted_by(|a, b| a.key < b.key) {
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        objects.dedup_by(|a, b| a.key == b.key);
    }
    objects
}

/// The first page of what is in scope.
pub(super) async fn first_page(bucket: &Resilient, scope: Scope<'_>) -> Result<ListPage, Error> {
    Ok(bucket.list(scope.prefix, None).await?)
}

/// All objects in scope in the order of their keys, relative to its prefix. `first` is the first page; the rest is
/// listed in ranges by the keys that are `expected`, ascending, and comes out the same whatever they are.
pub(super) async fn list_after(
    bucket: &Arc<Resilient>,
    scope: Scope<'_>,
    first: ListPage,
    expected: &[&Key],
) -> Result<Vec<ListedObject>, Error> {
    let mut listed = Relative::new(scope, expected);
    let mut objects = Vec::new();
    let rest = scope.take(first, None, &mut objects);
    listed.add(objects);
    if let Some(after) = rest {
        let ranges = cut(scope, Some(after), expected, KEYS_PER_RANGE);
        list_ranges(bucket, scope, ranges, &mut listed).await?;
    }
    Ok(listed.finish())
}

/// The same, from the beginning.
pub(super) async fn list_scope(
    bucket: &Arc<Resilient>,
    scope: Scope<'_>,
    expected: &[&Key],
) -> Result<Vec<ListedObject>, Error> {
    let mut listed = Relative::new(scope, expected);
    let ranges = cut(scope, None, expected, KEYS_PER_RANGE);
    list_ranges(bucket, scope, ranges, &mut listed).await?;
    Ok(listed.finish())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn page<'k>(keys: impl IntoIterator<Item = &'k str>, truncated: bool) -> ListPage {
        let object = |key: &str| ListedObject {
            key: key.into(),
            size: 1,
            etag: "\"e\"".into(),
            last_modified: jiff::Timestamp::UNIX_EPOCH,
        };
        ListPage { objects: keys.into_iter().map(object).collect(), truncated }
    }

    fn range(after: Option<&str>, through: Option<&str>) -> Range {
        Range { after: after.map(str::to_owned), through: through.map(str::to_owned) }
    }

    fn keys<'k>(texts: impl IntoIterator<Item = &'k str>) -> Vec<Key> {
        texts.into_iter().map(|text| Key::new(text).unwrap()).collect()
    }

    fn cut<'k>(
        scope: Scope<'_>,
        after: Option<String>,
        expected: impl IntoIterator<Item = &'k str>,
        per_range: usize,
    ) -> Vec<Range> {
        super::cut(scope, after, &keys(expected).iter().collect::<Vec<_>>(), per_range)
    }

    #[test]
    fn nothing_expected_is_one_range() {
        let scope = Scope { prefix: "p/", skip: None };
        assert_eq!(cut(scope, None, [], 2), [range(None, None)]);
        assert_eq!(cut(scope, Some("p/m".into()), ["a", "b"], 1), [range(Some("p/m"), None)]);
    }

    #[test]
    fn what_is_expected_is_cut_into_pages_with_an_open_end() {
        let scope = Scope { prefix: "p/", skip: None };
        let cuts = cut(scope, None, ["a", "b", "c", "d", "e"], 2);
        assert_eq!(cuts, [range(None, Some("p/b")), range(Some("p/b"), Some("p/d")), range(Some("p/d"), None)]);
        assert_eq!(cut(scope, None, ["a", "b", "c", "d"], 2), [range(None, Some("p/b")), range(Some("p/b"), None)]);
    }

    #[test]
    fn the_state_area_is_passed_over() {
        let scope = Scope { prefix: "", skip: Some("m/") };
        let past = format!("m/{LAST_CHARACTER}");
        assert_eq!(cut(scope, None, [], 1), [range(None, Some("m/")), range(Some(&past), None)]);
        assert_eq!(cut(scope, Some("n".into()), [], 1), [range(Some("n"), None)]);
        assert_eq!(cut(scope, Some(past.clone()), [], 1), [range(Some(&past), None)]);
    }

    /// A page as S3 gives it.
    fn list<'k>(stored: &'k BTreeSet<String>, prefix: &str, after: Option<&str>, size: usize) -> ListPage {
        let mut keys =
            stored.iter().map(String::as_str).filter(|key| key.starts_with(prefix) && after.is_none_or(|a| *key > a));
        let first: Vec<&'k str> = keys.by_ref().take(size).collect();
        page(first, keys.next().is_some())
    }

    fn walk(stored: &BTreeSet<String>, scope: Scope<'_>, range: Range, size: usize, objects: &mut Vec<ListedObject>) {
        let mut after = range.after;
        loop {
            let page = list(stored, scope.prefix, after.as_deref(), size);
            after = scope.take(page, range.through.as_deref(), objects);
            if after.is_none() {
                return;
            }
        }
    }

    fn key() -> impl Strategy<Value = String> {
        "[a-c/.\u{7f}\u{10fffe}]{0,3}"
    }

    proptest! {
        /// Whatever else lies between and whatever is gone: each key once, in order.
        #[test]
        fn ranges_give_what_one_listing_gives(
            stored in prop::collection::btree_set(("(p/|p|)", key()).prop_map(|(p, k)| p + &k), 0..60),
            state in prop::collection::btree_set(key().prop_map(|k| format!("p/b/{k}")), 0..20),
            expected in prop::collection::btree_set(key().prop_filter("no state", |k| !k.starts_with("b/")), 0..40),
            known in prop::bool::weighted(0.7),
            first_page in any::<bool>(),
            skip in any::<bool>(),
            size in 1..9_usize,
            per_range in 1..9_usize,
        ) {
            let stored: BTreeSet<String> = stored.into_iter().chain(state).collect();
            let scope = Scope { prefix: "p/", skip: skip.then_some("p/b/") };
            let in_scope = |key: &&String| key.starts_with("p/") && !(skip && key.starts_with("p/b/"));
            let all: Vec<&String> = stored.iter().filter(in_scope).collect();
            let mut expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
            if known {
                expected.extend(all.iter().map(|key| &key[2..]));
            }
            // Foreign keys may be none that a site has.
            expected.retain(|key| Key::new(key).is_ok());

            let mut objects = Vec::new();
            let ranges = if first_page {
                match scope.take(list(&stored, "p/", None, size), None, &mut objects) {
                    Some(after) => cut(scope, Some(after), expected, per_range),
                    None => Vec::new(),
                }
            } else {
                cut(scope, None, expected, per_range)
            };
            for range in ranges {
                walk(&stored, scope, range, size, &mut objects);
            }
            prop_assert_eq!(objects.iter().map(|o| &*o.key).collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn a_key_that_is_expected_is_held_once() {
        let expected = keys(["a", "c", "d"]);
        let expected: Vec<&Key> = expected.iter().collect();
        let mut listed = Relative::new(Scope { prefix: "p/", skip: None }, &expected);
        listed.add(page(["p/a", "p/b"], true).objects);
        listed.add(page(["p/d", "p/e"], false).objects);
        let objects = listed.finish();
        assert_eq!(objects.iter().map(|o| &*o.key).collect::<Vec<_>>(), ["a", "b", "d", "e"]);
        let is_shared = |(at, key): (usize, usize)| Arc::ptr_eq(&objects[at].key, &expected[key].shared());
        assert!([(0, 0), (2, 2)].into_iter().all(is_shared));
    }

    #[test]
    fn a_range_ends_at_its_last_key() {
        let scope = Scope { prefix: "", skip: None };
        let mut taken = Vec::new();
        assert_eq!(scope.take(page(["a", "b"], true), Some("c"), &mut taken), Some("b".into()));
        assert_eq!(scope.take(page(["c"], true), Some("c"), &mut taken), None);
        assert_eq!(scope.take(page(["d", "e"], true), Some("d"), &mut taken), None);
        assert_eq!(taken.iter().map(|o| &*o.key).collect::<String>(), "abcd");
    }
}
