//! Edges that keep what they were asked for until it is invalidated.

use std::collections::BTreeMap;

use asset_sync::site::Role;

use super::sites::{INNER, is_known, is_steady};
use super::target::{Target, is_inner};
use crate::world::{BUCKET, World};

#[derive(Default)]
pub(super) struct Edges {
    /// What each distribution has under which URL path; `None` for what was not there.
    cached: BTreeMap<(&'static str, String), Option<Vec<u8>>>,
    /// How many invalidations of each took effect.
    invalidations: BTreeMap<&'static str, usize>,
}

/// Whether an invalidation path covers a URL path, as CloudFront has it.
fn covers(path: &str, url: &str) -> bool {
    path.strip_suffix('*').map_or(path == url, |start| url.starts_with(start))
}

/// The key that is served under a URL path.
fn key_of(url: &str) -> String {
    let key = url.trim_start_matches('/');
    if url.ends_with('/') { format!("{key}index.html") } else { key.to_owned() }
}

fn is_ever(target: &Target, key: &str, is: impl Fn(Role) -> bool) -> bool {
    target.sites.iter().flat_map(|s| &s.files).any(|f| f.key.as_str() == key && is(f.role))
}

impl Edges {
    /// Visitors ask every edge of a target for all that is there, and for pages and entry files that may have been. Nobody
    /// asks for a fingerprinted file before a page refers to it.
    pub(super) fn visit(&mut self, world: &World, targets: &[Target]) {
        for &distribution in targets.iter().flat_map(|t| t.distributions) {
            let made = world.cdn.invalidations(distribution);
            let known = self.invalidations.insert(distribution, made.len()).unwrap_or_default();
            let paths: Vec<&String> = made[known..].iter().flat_map(|i| &i.paths).collect();
            self.cached.retain(|(d, url), _| *d != distribution || !paths.iter().any(|path| covers(path, url)));
        }
        for target in targets {
            let objects = target.objects(world);
            let files = target.sites.iter().flat_map(|s| &s.files).map(|f| f.key.as_str());
            for key in files {
                let body = objects.get(key).map(|(body, _)| body.clone());
                let url = format!("/{}{key}", target.prefix);
                if body.is_none() && is_ever(target, key, |role| role == Role::Fingerprinted) {
                    // Such a file may stay in caches for good, and nothing on record tells that it was there: should its
                    // name come back with other content, that is the build's mistake.
                    target.distributions.iter().for_each(|&d| drop(self.cached.remove(&(d, url.clone()))));
                    continue;
                }
                let directory = url.strip_suffix("index.html").map(str::to_owned);
                for url in directory.into_iter().chain([url]) {
                    for &distribution in target.distributions {
                        self.cached.entry((distribution, url.clone())).or_insert_with(|| body.clone());
                    }
                }
            }
        }
    }

    /// Promise 3: whatever an edge has that is not served any more is owed to it. What somebody else did is not known,
    /// and is excused until a run puts it right.
    pub(super) fn check(&self, world: &World, targets: &[Target]) {
        let bucket = world.store.snapshot(BUCKET);
        let currents: Vec<_> = targets.iter().filter_map(|target| target.current(world)).collect();
        for ((distribution, url), cached) in &self.cached {
            let key = key_of(url);
            let served = bucket.get(&key).map(|object| object.body.to_vec());
            if *cached == served {
                continue;
            }
            let target = &targets[usize::from(is_inner(&bucket, &key))];
            let relative = key.strip_prefix(target.prefix).unwrap_or(&key);
            let is_excused = target.damaged.contains(relative)
                || target.touched.contains(relative) && !is_steady(&target.sites, relative)
                // It was the outer target's, before the inner one was there.
                || key.starts_with(INNER) && !is_known(&target.sites, relative);
            let pending = currents.iter().filter_map(|c| c.edges.pending(&[], "/*").remove(*distribution));
            let is_owed = pending.flatten().any(|path| covers(&path, url));
            assert!(is_excused || is_owed, "{distribution} has a stale {url}: {cached:?}, and served is {served:?}");
        }
    }
}
