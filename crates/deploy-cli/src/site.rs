//! The site as it would be served: scanned, the environment's values filled in, and looked over for
//! mistakes of the build.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use asset_sync::Error;
use asset_sync::site::{
    BakedManifest, PreflightOptions, Rules, ScanOptions, Site, SiteValues, SourceMaps, ValuesInput, ValuesProblem,
    scan_and_preflight,
};
use deploy_config::{Settings, Values, variables};

use crate::connect::Places;
use crate::failure::Failure;

/// Most warnings of one kind that are told one by one.
const SHOWN: usize = 20;

/// How the site is read.
#[derive(Debug)]
pub(crate) struct Reading {
    source: PathBuf,
    scan: ScanOptions,
    preflight: PreflightOptions,
}

impl Reading {
    /// As the settings say; reads the rules. `progress` is told of bytes.
    ///
    /// # Errors
    /// Everything that is wrong with rules and values.
    pub(crate) fn new(
        settings: &Settings,
        source: &Path,
        progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<Self, Failure> {
        let rules = settings.rules.as_deref().map_or_else(|| Ok(Rules::default()), read_rules);
        let manifest = settings.site_manifest.as_deref().map(read_manifest).transpose();
        let (rules, (values, manifest)) = Failure::both(rules, Failure::both(values(&settings.values), manifest))?;
        let Places { target, area } = Places::new(settings);
        let preflight = PreflightOptions {
            url_prefix: settings.url_prefix.clone(),
            rules: rules.clone(),
            source_maps: match settings.source_maps {
                deploy_config::SourceMaps::Allow => SourceMaps::Allow,
                deploy_config::SourceMaps::Warn => SourceMaps::Warn,
                deploy_config::SourceMaps::Refuse => SourceMaps::Refuse,
            },
            threads: 0,
        };
        let scan = ScanOptions {
            prefix: target.prefix,
            state_prefix: area.in_target.then_some(area.root),
            rules,
            // Without any value too: a placeholder must not reach a visitor.
            values: Some(values),
            manifest,
            progress: Some(progress),
            ..ScanOptions::default()
        };
        Ok(Self { source: source.to_owned(), scan, preflight })
    }

    /// Reads it. This blocks.
    pub(crate) fn read(&self) -> Result<Site, Error> {
        Ok(scan_and_preflight(&self.source, &self.scan, &self.preflight)?)
    }
}

/// What is odd about how the site was read and stops nothing. What the pre-flight found is not among it.
pub(crate) fn warnings(site: &Site) -> Vec<String> {
    let unmatched = site.unmatched_rules.iter();
    let unmatched: Vec<_> = unmatched.map(|r| format!("DEPLOY_RULES: {r} matches no file of the site")).collect();
    let mut warnings = capped(&unmatched, "rules that match no file");
    warnings.extend(capped(&site.warnings, "warnings about the site"));
    warnings
}

/// The first of `items`, and how many more there are.
fn capped<T: Display>(items: &[T], what: &str) -> Vec<String> {
    let mut texts: Vec<String> = items.iter().take(SHOWN).map(ToString::to_string).collect();
    if items.len() > SHOWN {
        texts.push(format!("and {} more {what}", items.len() - SHOWN));
    }
    texts
}

fn read_rules(path: &Path) -> Result<Rules, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::unreadable_rules(path, &source))?;
    Rules::parse(&text).map_err(|error| Failure::rules(path, &error))
}

fn read_manifest(path: &Path) -> Result<BakedManifest, Failure> {
    BakedManifest::read(path).map_err(|error| {
        let message = format!("{}: {}: {error}", variables::DEPLOY_SITE_MANIFEST.name, path.display());
        Failure::usage(message)
            .hinted("The image sets it to the manifest it was cut with; set it to nothing to go without")
    })
}

fn values(values: &Values) -> Result<SiteValues, Failure> {
    let Values { prefix, values, json, js, templates } = values.clone();
    let input = ValuesInput { prefix, values, templates, env_json: json, env_js: js };
    SiteValues::new(input).map_err(|error| {
        let lines: Vec<String> = error.problems.iter().map(told).collect();
        Failure::usage(lines.join("\n")).hinted(
            "DEPLOY_VALUES_PREFIX says which variables are for the site; `deploy config` shows the others that concern it",
        )
    })
}

/// A problem under the name of its variable.
fn told(problem: &ValuesProblem) -> String {
    let variable = match problem {
        ValuesProblem::Prefix { .. } => &variables::DEPLOY_VALUES_PREFIX,
        ValuesProblem::Glob { .. } => &variables::DEPLOY_TEMPLATES,
        ValuesProblem::Key { what: "env.json", .. } => &variables::DEPLOY_VALUES_JSON,
        ValuesProblem::Key { .. } | ValuesProblem::SameKey { .. } => &variables::DEPLOY_VALUES_SCRIPT,
        // These begin with the name of theirs.
        _ => return problem.to_string(),
    };
    format!("{}: {problem}", variable.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(change: impl FnOnce(&mut Values)) -> String {
        let mut given =
            Values { prefix: "WEBAPP_".into(), values: BTreeMap::new(), json: None, js: None, templates: None };
        change(&mut given);
        values(&given).unwrap_err().message
    }

    #[test]
    fn what_is_wrong_with_values_is_told_by_variable_and_not_by_value() {
        let text = of(|v| {
            v.values.insert("WEBAPP_A".into(), "<+planted.secret>".into());
            v.templates = Some(vec!["[".into()]);
            v.json = Some("env.js".into());
            v.js = Some("env.js".into());
        });
        for start in ["WEBAPP_A: ", "DEPLOY_TEMPLATES: ", "DEPLOY_VALUES_SCRIPT: "] {
            assert!(text.lines().any(|line| line.starts_with(start)), "{start} in {text}");
        }
        assert!(!text.contains("planted"), "{text}");
        assert!(of(|v| v.prefix = "webapp".into()).starts_with("DEPLOY_VALUES_PREFIX: "));
        assert!(of(|v| v.json = Some("a/../b".into())).starts_with("DEPLOY_VALUES_JSON: "));
    }

    #[test]
    fn many_warnings_are_cut_and_counted() {
        let items: Vec<usize> = (0..SHOWN + 3).collect();
        let texts = capped(&items, "things");
        assert_eq!(texts.len(), SHOWN + 1);
        assert_eq!(texts[SHOWN], "and 3 more things");
        assert_eq!(capped(&items[..SHOWN], "things").len(), SHOWN);
    }
}
