//! What a registry asks for when it answers 401.

use http_auth::ChallengeParser;

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from another address.
    Bearer {
        /// The address.
        realm: String,
        /// The service the token is for.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
    },
}

/// Reads the `WWW-Authenticate` headers of one answer; a token is preferred to a password.
pub(super) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for challenge in headers.flat_map(ChallengeParser::new).filter_map(Result::ok) {
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            let parameter = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if let Some(realm) = parameter("realm") {
                return Some(Challenge::Bearer { realm, service: parameter("service"), scope: parameter("scope") });
            }
        } else if challenge.scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_real_registries() {
        let bearer = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#;
        let Some(Challenge::Bearer { realm, service, scope }) = parse([bearer].into_iter()) else {
            panic!("{bearer}");
        };
        assert_eq!(realm, "https://auth.docker.io/token");
        assert_eq!(service.as_deref(), Some("registry.docker.io"));
        assert_eq!(scope.as_deref(), Some("repository:library/alpine:pull"));
        let ecr =
            r#"Basic realm="https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/",service="ecr.amazonaws.com""#;
        assert_eq!(parse([ecr].into_iter()), Some(Challenge::Basic));
        assert!(matches!(parse(["Basic realm=x", bearer].into_iter()), Some(Challenge::Bearer { .. })));
        for none in ["", "Digest realm=\"x\"", "Bearer service=\"x\"", ",,,"] {
            assert_eq!(parse([none].into_iter()), None, "{none}");
        }
    }
}
