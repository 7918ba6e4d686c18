//! Names that are nearly those of known variables.

use crate::variable::Variable;

/// The variable that `name` is most likely a misspelling of.
///
/// Two slips are taken for a misspelling, or one where the part after the first underscore has no
/// more than four letters: a short name is soon near to something. Kubernetes puts names such as
/// `DEPLOY_PORT` and `DEPLOY_SERVICE_HOST` in a pod's environment for a service called `deploy`,
/// and those must pass.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a Variable>) -> Option<&'a Variable> {
    let name = name.to_ascii_uppercase();
    let letters = name.split_once('_').map_or(name.len(), |(_, rest)| rest.len());
    let slips = if letters <= 4 { 1 } else { 2 };
    known
        .map(|variable| (strsim::damerau_levenshtein(&name, variable.name), variable))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, variable)| variable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    fn guess(name: &str) -> Option<&'static str> {
        nearest(name, registry()).map(|variable| variable.name)
    }

    #[test]
    fn misspellings() {
        for (name, meant) in [
            ("DEPLOY_BUKCET", "DEPLOY_BUCKET"),
            ("DEPLOY_BUCKETS", "DEPLOY_BUCKET"),
            ("DEPLOY_DISTRIBUTION_ID", "DEPLOY_DISTRIBUTION_IDS"),
            ("DEPLOY_DISTRIBUTIONIDS", "DEPLOY_DISTRIBUTION_IDS"),
            ("DEPLOY_SOURCES", "DEPLOY_SOURCE"),
            ("DEPLOY_LGO", "DEPLOY_LOG"),
            ("deploy_bucket", "DEPLOY_BUCKET"),
            ("DEPLOY_KEEP_RELEASE", "DEPLOY_KEEP_RELEASES"),
        ] {
            assert_eq!(guess(name), Some(meant), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_misspellings() {
        let of_kubernetes = [
            "DEPLOY_PORT",
            "DEPLOY_PORT_80_TCP",
            "DEPLOY_PORT_80_TCP_ADDR",
            "DEPLOY_SERVICE_HOST",
            "DEPLOY_SERVICE_PORT",
            "DEPLOY_SERVICE_PORT_HTTP",
        ];
        // What later versions of `deploy` will read: an older image must accept them.
        let of_later = ["DEPLOY_CANARY_SHARE", "DEPLOY_NOTIFY_URL", "DEPLOY_METRICS"];
        for name in of_kubernetes.into_iter().chain(of_later).chain(["DEPLOY_", "DEPLOY_KEY"]) {
            assert_eq!(guess(name), None, "{name}");
        }
    }
}
