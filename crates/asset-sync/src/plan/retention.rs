//! What kept releases need, and what may therefore not be deleted.

use std::collections::HashSet;

use crate::digest::Sha256;
use crate::site::Key;
use crate::state::Manifest;

/// What the kept releases need.
#[derive(Debug, Default)]
pub(crate) struct Needed {
    keys: HashSet<Key>,
    blobs: HashSet<Sha256>,
}

impl Needed {
    /// Adds what a kept release needs: each of its keys, and the archived bytes of each of its files, if there are any.
    /// Role does not matter: bytes of a fingerprinted file are in the archive only if something else took its name.
    pub(crate) fn add(&mut self, manifest: &Manifest) {
        for file in &manifest.files {
            self.keys.insert(file.key.clone());
            self.blobs.insert(file.sha256);
        }
    }

    /// Whether a kept release has a file with this key.
    pub(crate) fn key(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Whether a kept release has a file with this content.
    pub(crate) fn blob(&self, sha256: &Sha256) -> bool {
        self.blobs.contains(sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Role;
    use crate::state::ReleaseFile;

    #[test]
    fn archived_bytes_of_every_role_are_needed() {
        let roles = [Role::Fingerprinted, Role::Entry, Role::Html, Role::Root];
        let name = |role: Role| format!("{role:?}");
        let files = roles.into_iter().map(|role| ReleaseFile {
            key: Key::new(&name(role)).unwrap(),
            sha256: Sha256::of(name(role).as_bytes()),
            size: 1,
            headers: std::sync::Arc::default(),
            role,
            demoted: false,
        });
        let mut needed = Needed::default();
        needed.add(&Manifest { files: files.collect() });
        for role in roles {
            assert!(needed.key(&Key::new(&name(role)).unwrap()) && needed.blob(&Sha256::of(name(role).as_bytes())));
        }
        assert!(!needed.key(&Key::new("other").unwrap()) && !needed.blob(&Sha256::of(b"other")));
    }
}
