//! Which scripts and style sheets the pages of a site reach.

use std::collections::HashSet;
use std::io;

use super::reference::ReferenceKind;
use super::{Language, Look, MAX_READ, Resolved, language, script};
use crate::site::SiteFile;

impl Look<'_> {
    /// Those of the files `wanted` that a page reaches by scripts, style sheets and their imports.
    /// Reads pages, and scripts and style sheets as they are reached, until all that is wanted is.
    ///
    /// # Errors
    /// A file that can no longer be read.
    pub(super) fn reached<'k>(
        &self,
        wanted: impl Iterator<Item = &'k str>,
    ) -> Result<HashSet<String>, (&SiteFile, io::Error)> {
        let mut wanted: HashSet<usize> = wanted.filter_map(|key| self.keys().get(key).copied()).collect();
        let mut reached = HashSet::new();
        let is_page = |(index, file): (usize, &SiteFile)| (language(file) == Some(Language::Html)).then_some(index);
        let mut queue: Vec<usize> = self.files.iter().enumerate().filter_map(is_page).collect();
        let mut seen: HashSet<usize> = queue.iter().copied().collect();
        while let Some(index) = queue.pop() {
            if wanted.is_empty() {
                break;
            }
            let file = &self.files[index];
            for next in self.followed(file).map_err(|error| (file, error))? {
                if seen.insert(next) {
                    queue.push(next);
                }
                if wanted.remove(&next) {
                    reached.insert(self.files[next].key.to_string());
                }
            }
        }
        Ok(reached)
    }

    /// The files that this one makes browsers run or apply.
    fn followed(&self, file: &SiteFile) -> io::Result<Vec<usize>> {
        let Some(language) = language(file).filter(|_| file.size <= MAX_READ) else { return Ok(Vec::new()) };
        let content = file.content()?;
        let Some(references) = self.references(file, language, &content) else { return Ok(Vec::new()) };
        let code = script::CodeIn::new(&content.bytes, &references.scripts);
        let certain = references.list.iter().filter(|reference| {
            reference.kind.is_followed()
                && reference.kind != ReferenceKind::PreloadList
                && code.counts(reference.span.start)
        });
        Ok(certain
            .filter_map(|reference| match self.resolve(&references.base, reference) {
                Resolved::File(index) => Some(index),
                _ => None,
            })
            .collect())
    }
}
