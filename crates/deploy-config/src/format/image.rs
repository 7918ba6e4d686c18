//! Image references and registries, as far as a text shows whether it can be one.

use super::Format;

/// The rule the distribution specification has for tags, shortened to a length and characters.
const LONGEST_TAG: usize = 128;

/// A repository in a registry, without a tag.
#[derive(Debug)]
pub(crate) struct ImageRepository;

impl Format for ImageRepository {
    type Value = String;

    fn describe(&self) -> String {
        "repository with its registry, without a tag".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let repository = repository(text)?;
        if repository.contains('@') || repository.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            return Err(
                "write the repository alone, without a tag or digest: the tag is made from the version".to_owned()
            );
        }
        check_repository(repository)?;
        Ok(repository.to_owned())
    }
}

/// An image: a repository with a tag or digest.
#[derive(Debug)]
pub(crate) struct ImageReference;

impl Format for ImageReference {
    type Value = String;

    fn describe(&self) -> String {
        "image with its registry and a tag or digest".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let image = repository(text)?;
        let (named, digest) = match image.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (image, None),
        };
        let is_digest = |digest: &str| {
            digest.strip_prefix("sha256:").is_some_and(|hex| {
                hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err("what follows the `@` is not a digest; write `sha256:` and 64 hexadecimal digits".to_owned());
        }
        let tag_at = named.rfind(':').filter(|at| !named[*at..].contains('/'));
        let (repository, tag) = match tag_at {
            Some(at) => (&named[..at], Some(&named[at + 1..])),
            None => (named, None),
        };
        let is_tag = |tag: &str| {
            (1..=LONGEST_TAG).contains(&tag.len())
                && !tag.starts_with(['.', '-'])
                && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("what follows the last `:` is not a tag; write letters, digits, `_`, `.` and `-`".to_owned());
        }
        if tag.is_none() && digest.is_none() {
            return Err("write it with a tag or digest, such as `…:1.0.0`: `latest` is never assumed".to_owned());
        }
        check_repository(repository)?;
        Ok(image.to_owned())
    }
}

/// Hosts of registries, separated by commas.
#[derive(Debug)]
pub(crate) struct RegistryHosts;

impl Format for RegistryHosts {
    type Value = Vec<String>;

    fn describe(&self) -> String {
        "hosts with their ports, separated by commas".to_owned()
    }

    fn parse(&self, text: &str) -> Result<Vec<String>, String> {
        let hosts: Vec<String> = text.split(',').map(|host| host.trim().to_owned()).collect();
        match hosts.iter().position(|host| !is_host(host)) {
            Some(at) => Err(format!(
                "entry {} is not a host; write hosts such as `127.0.0.1:5000`, separated by commas",
                at + 1
            )),
            None => Ok(hosts),
        }
    }
}

/// What is left of a text once it is sure that it is not a URL.
fn repository(text: &str) -> Result<&str, String> {
    if text.contains("://") {
        return Err("write it without `https://`".to_owned());
    }
    Ok(text)
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, Some(port)),
        _ => (text, None),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Checks a registry and the path in it.
fn check_repository(text: &str) -> Result<(), String> {
    let Some((host, path)) = text.split_once('/') else {
        return Err("write the registry's host too, such as `registry.example.com/webapp`".to_owned());
    };
    if !is_host(host) || !(host.contains(['.', ':']) || host == "localhost") {
        return Err(
            "what precedes the first `/` is not a registry's host; write it too, such as `docker.io/…`".to_owned()
        );
    }
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            && !segment.starts_with(['.', '_', '-'])
            && !segment.ends_with(['.', '_', '-'])
    };
    if path.split('/').all(is_segment) && text.len() <= 255 {
        Ok(())
    } else {
        Err("a repository has lowercase letters, digits, `.`, `_` and `-`, in segments separated by single slashes"
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        for good in ["registry.example.com/webapp", "127.0.0.1:5000/a/b-c", "localhost/x", "[::1]:5000/x"] {
            assert_eq!(ImageRepository.parse(good), Ok(good.to_owned()));
        }
        for (bad, part) in [
            ("webapp", "registry's host too"),
            ("library/webapp", "not a registry's host"),
            ("registry.example.com/webapp:1.0", "without a tag"),
            ("registry.example.com/webapp@sha256:00", "without a tag"),
            ("https://registry.example.com/webapp", "without `https://`"),
            ("registry.example.com/Webapp", "lowercase"),
            ("registry.example.com/a//b", "single slashes"),
            ("registry.example.com/", "segments"),
        ] {
            let error = ImageRepository.parse(bad).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    #[test]
    fn references() {
        let digest = format!("r.io/x@sha256:{}", "0a".repeat(32));
        for good in ["r.io/x:1.0.0", "r.io:5000/x:1", &digest] {
            assert_eq!(ImageReference.parse(good), Ok(good.to_owned()));
        }
        for (bad, part) in [
            ("r.io/x", "with a tag or digest"),
            ("r.io:5000/x", "with a tag or digest"),
            ("r.io/x@sha256:00", "not a digest"),
            ("r.io/x:-a", "not a tag"),
            ("x:1", "registry's host too"),
        ] {
            let error = ImageReference.parse(bad).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(RegistryHosts.parse("127.0.0.1:5000, r.test").unwrap(), ["127.0.0.1:5000", "r.test"]);
        assert!(RegistryHosts.parse("a,,b").unwrap_err().starts_with("entry 2"));
        assert!(RegistryHosts.parse("http://a").is_err());
        assert!(RegistryHosts.parse("a:port").is_err());
    }
}
