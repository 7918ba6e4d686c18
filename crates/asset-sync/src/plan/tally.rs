//! Counting files.

use serde::Serialize;

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    pub(crate) fn of(sizes: impl Iterator<Item = u64>) -> Self {
        let mut tally = Self::default();
        sizes.for_each(|bytes| tally.add(bytes));
        tally
    }
}
