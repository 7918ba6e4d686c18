//! A build that was made for another base path than the one it is deployed to.

use std::collections::BTreeSet;

use super::{Finding, FindingKind, Findings, Look};

impl Look<'_> {
    /// Says once what many missing references come from: that all lie in a folder which the build does
    /// not have, or outside of the URL prefix.
    pub(super) fn check_base_path(&self, findings: &mut Findings, outside: &[Finding]) {
        let is_missing = |finding: &&Finding| finding.kind == FindingKind::MissingReference;
        let all: Vec<&Finding> = findings.refusals.iter().chain(&findings.warnings).filter(is_missing).collect();
        // A base is proved by one file that is there without it; it explains all that lies below it.
        // A relative reference tells nothing of it.
        let is_absolute = |finding: &&&Finding| finding.reference.starts_with("\"/");
        let targets =
            || all.iter().filter(is_absolute).filter_map(|finding| Some((*finding, finding.target.as_deref()?)));
        let bases: BTreeSet<&str> = targets().filter_map(|(_, target)| self.base_of(target)).collect();
        let below = |base: &str| targets().filter(|(_, target)| target.starts_with(base)).map(|(f, _)| f).collect();
        let most = bases
            .into_iter()
            .map(|base| -> (&str, Vec<&Finding>) { (base, below(base)) })
            .max_by_key(|(_, found)| found.len())
            .filter(|(_, found)| found.len() * 2 > all.len());
        if let Some((base, found)) = most {
            let first = found.iter().min().copied();
            let finding = first.map(|first| self.base_finding(first, &format!("{}{base}", self.served_at())));
            let is_refused = findings.refusals.iter().any(|refusal| refusal.kind == FindingKind::MissingReference);
            if is_refused { findings.refusals.extend(finding) } else { findings.warnings.extend(finding) }
        } else if let Some(first) = outside.iter().min()
            && let Some(base) = first.target.as_deref().and_then(|target| self.base_of(target))
        {
            findings.warnings.push(self.base_finding(first, &format!("/{base}")));
        }
    }

    /// The folders, with a slash at the end, without which the path is that of a file of the site;
    /// nothing where it is one as it stands.
    pub(super) fn base_of<'t>(&self, target: &'t str) -> Option<&'t str> {
        let cuts = target.match_indices('/').map(|(at, _)| target.split_at(at + 1));
        [("", target)].into_iter().chain(cuts).find(|(_, rest)| self.keys().contains_key(rest)).map(|(base, _)| base)
    }

    /// The URL path of the site, with its outer slashes.
    fn served_at(&self) -> String {
        match self.options.url_prefix.trim_matches('/') {
            "" => "/".to_owned(),
            path => format!("/{path}/"),
        }
    }

    fn base_finding(&self, first: &Finding, base: &str) -> Finding {
        Finding {
            file: first.file.clone(),
            line: first.line,
            kind: FindingKind::BasePath,
            reference: base.to_owned(),
            target: Some(self.served_at()),
            instead: None,
        }
    }
}
