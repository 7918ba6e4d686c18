//! Names: buckets, regions, distributions, versions.

use std::collections::BTreeSet;

use super::Format;

/// The name of an S3 bucket.
#[derive(Debug)]
pub(crate) struct BucketName;

impl Format for BucketName {
    type Value = String;

    fn describe(&self) -> String {
        "bucket name".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if let Some((_, rest)) = text.split_once("://") {
            let has_path = rest.trim_end_matches('/').contains('/');
            return Err(if has_path {
                "write the bucket's name alone, without `s3://`, and the rest in the prefix".to_owned()
            } else {
                "write the bucket's name alone, without `s3://`".to_owned()
            });
        }
        if text.starts_with("arn:") {
            return Err("an ARN is not supported; write the bucket's name, or an access point's alias".to_owned());
        }
        if text.contains('/') {
            return Err("write the bucket's name alone, and the rest in the prefix".to_owned());
        }
        // S3's rules for general purpose buckets.
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        if (3..=63).contains(&bytes.len())
            && bytes.iter().copied().all(allowed)
            && ends(bytes.first())
            && ends(bytes.last())
            && !text.contains("..")
        {
            Ok(text.to_owned())
        } else {
            Err("a bucket name has 3 to 63 lowercase letters, digits, `-` and `.`, and begins and \
                 ends with a letter or digit"
                .to_owned())
        }
    }
}

/// A region's name. Test servers have names of their own, so only its characters are checked.
#[derive(Debug)]
pub(crate) struct Region;

impl Format for Region {
    type Value = String;

    fn describe(&self) -> String {
        "region name".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.len() <= 64 && text.bytes().all(allowed) {
            Ok(text.to_owned())
        } else {
            Err("write a region's name, such as `eu-central-1`".to_owned())
        }
    }
}

/// The id of an AWS account.
#[derive(Debug)]
pub(crate) struct AccountId;

impl Format for AccountId {
    type Value = String;

    fn describe(&self) -> String {
        "12 digits".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(text.to_owned())
        } else {
            Err("write the 12 digits of an AWS account's id, without hyphens".to_owned())
        }
    }
}

/// A key of AWS KMS, as S3 takes it: by its id, its alias or the ARN of either.
#[derive(Debug)]
pub(crate) struct KmsKey;

impl Format for KmsKey {
    type Value = String;

    fn describe(&self) -> String {
        "id, alias (`alias/…`) or ARN of a KMS key".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        // AWS rule: key ids are UUIDs, or begin with `mrk-`; aliases have letters, digits, `/`, `_` and `-`.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
        let is_id = |text: &str| !text.is_empty() && text.bytes().all(allowed);
        let resource = match text.strip_prefix("arn:") {
            None => Some(text),
            Some(rest) => rest.split_once(":kms:").and_then(|(_, rest)| rest.splitn(3, ':').nth(2)),
        };
        if resource.is_some_and(is_id) {
            Ok(text.to_owned())
        } else {
            Err("write a key's id, `alias/` and its alias, or the ARN of either".to_owned())
        }
    }
}

/// A short name of the user's own making: a version, an environment.
#[derive(Debug)]
pub(crate) struct Label;

/// Longest label, in characters.
const LONGEST_LABEL: usize = 128;

impl Format for Label {
    type Value = String;

    fn describe(&self) -> String {
        format!("text without spaces, at most {LONGEST_LABEL} characters")
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            Err("write it without spaces and control characters".to_owned())
        } else if text.chars().count() > LONGEST_LABEL {
            Err(format!("it is longer than {LONGEST_LABEL} characters"))
        } else {
            Ok(text.to_owned())
        }
    }
}

/// The ids of CloudFront distributions, separated by commas.
#[derive(Debug)]
pub(crate) struct DistributionIds;

impl Format for DistributionIds {
    type Value = Vec<String>;

    fn describe(&self) -> String {
        "distribution ids, separated by commas".to_owned()
    }

    fn parse(&self, text: &str) -> Result<Vec<String>, String> {
        let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
        // Real ids are `E` and 13 or so capitals and digits; test servers make up others.
        let is_id = |id: &String| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if ids.iter().any(String::is_empty) {
            return Err("an entry between commas is empty; remove the extra comma".to_owned());
        }
        if let Some(at) = ids.iter().position(|id| !is_id(id)) {
            return Err(format!(
                "entry {} is not a distribution id; write ids such as `E2QWRUHEXAMPLE`, not domain \
                 names or ARNs, separated by commas",
                at + 1
            ));
        }
        let mut seen = BTreeSet::new();
        match ids.iter().position(|id| !seen.insert(id)) {
            Some(at) => Err(format!("entry {} repeats an earlier one; name each id once", at + 1)),
            None => Ok(ids),
        }
    }
}

/// What names of environment variables begin with.
#[derive(Debug)]
pub(crate) struct NamePrefix;

impl Format for NamePrefix {
    type Value = String;

    fn describe(&self) -> String {
        "capital letters, digits and `_`, ending in `_`".to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let reserved = ["AWS_", "DEPLOY_", "IMAGE_", "BITBUCKET_", "KUBERNETES_"];
        if !text.starts_with(|c: char| c.is_ascii_uppercase()) || !text.ends_with('_') || !text.chars().all(allowed) {
            return Err("write capital letters, digits and `_`, with a letter first and `_` last".to_owned());
        }
        if reserved.iter().any(|prefix| text.starts_with(prefix)) {
            return Err("choose another prefix: variables with this one may hold secrets".to_owned());
        }
        Ok(text.to_owned())
    }
}

/// One HTTP header.
#[derive(Debug)]
pub(crate) struct HeaderLine;

impl Format for HeaderLine {
    type Value = (String, String);

    fn describe(&self) -> String {
        "header, as `Name: value`".to_owned()
    }

    fn parse(&self, text: &str) -> Result<(String, String), String> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        match text.split_once(':') {
            Some((name, value))
                if !name.is_empty() && name.chars().all(token) && !value.trim().chars().any(char::is_control) =>
            {
                Ok((name.to_owned(), value.trim().to_owned()))
            }
            _ => Err("write `Name: value`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for name in ["site", "my-site.example.com", "0ab"] {
            assert_eq!(BucketName.parse(name), Ok(name.to_owned()));
        }
        for name in ["ab", "Site", "-site", "site-", "a..b", "my_site", "site/app", &"a".repeat(64), "büc"] {
            assert!(BucketName.parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_url_or_arn_for_a_bucket_is_explained() {
        assert_eq!(BucketName.parse("s3://site/").unwrap_err(), "write the bucket's name alone, without `s3://`");
        assert_eq!(
            BucketName.parse("s3://site/app").unwrap_err(),
            "write the bucket's name alone, without `s3://`, and the rest in the prefix"
        );
        let error = BucketName.parse("arn:aws:s3:::site").unwrap_err();
        assert!(error.starts_with("an ARN is not supported"), "{error}");
    }

    #[test]
    fn accounts_and_keys() {
        assert!(AccountId.parse("012345678901").is_ok());
        for bad in ["12345678901", "1234567890123", "1234-5678-9012", "12345678901a", "١٢٣٤٥٦"] {
            assert!(AccountId.parse(bad).is_err(), "{bad}");
        }
        for key in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            "alias/webapp/production",
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws-cn:kms:cn-north-1:123456789012:alias/aws/s3",
        ] {
            assert_eq!(KmsKey.parse(key), Ok(key.to_owned()));
        }
        for bad in ["a key", "alias:x", "arn:aws:s3:::site", "arn:aws:kms:eu-central-1:123456789012:", "schlüssel"] {
            assert!(KmsKey.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_and_labels() {
        assert!(Region.parse("eu-central-1").is_ok());
        assert!(Region.parse("garage").is_ok());
        for bad in ["EU-Central-1", "Frankfurt", "eu central 1", "eu_central_1"] {
            assert!(Region.parse(bad).is_err(), "{bad}");
        }
        assert!(Label.parse("1.4.2+build.7").is_ok());
        assert!(Label.parse(&"é".repeat(128)).is_ok());
        for bad in ["1.0 beta", "1.0\u{7}", "a\u{a0}b", &"x".repeat(129)] {
            assert!(Label.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn distribution_ids() {
        let ids = |text| DistributionIds.parse(text);
        assert_eq!(ids("E2AAA , E2BBB").unwrap(), ["E2AAA", "E2BBB"]);
        assert_eq!(ids("E2AAA").unwrap(), ["E2AAA"]);
        assert!(ids("E2AAA,,E2BBB").unwrap_err().contains("empty"));
        assert!(ids("E2AAA,").unwrap_err().contains("empty"));
        assert!(ids("E2AAA,E2BBB,E2AAA").unwrap_err().starts_with("entry 3 repeats"));
        assert!(ids("E2AAA,d111.cloudfront.net").unwrap_err().starts_with("entry 2 is not"));
    }
}
