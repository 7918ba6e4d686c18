//! The settings of `image-tagger`.
#![allow(clippy::unwrap_used, reason = "these are tests, and so are their helper functions")]

use deploy_config::{Environment, ImageRequirements, ImageSettings, Program, Secret};

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::new(pairs.iter().map(|(name, value)| (name.into(), value.into())))
}

fn settings(pairs: &[(&str, &str)]) -> ImageSettings {
    environment(pairs).image_settings(ImageRequirements::Nothing).unwrap().0
}

fn problems(pairs: &[(&str, &str)], requirements: ImageRequirements) -> String {
    environment(pairs).image_settings(requirements).unwrap_err().to_string()
}

#[test]
fn each_command_asks_for_what_it_needs() {
    insta::assert_snapshot!(problems(&[], ImageRequirements::Cut), @r"
    IMAGE_SITE: is not set. Set it to the directory that the build wrote
    IMAGE_BASE: is not set. Set it to the image that holds `deploy`, such as registry.example.com/deploy:1.0.0
    IMAGE_REPOSITORY: is not set. Set it to the repository of the deployment images, such as registry.example.com/webapp
    ");
    insta::assert_snapshot!(problems(&[], ImageRequirements::Tag), @"IMAGE_REPOSITORY: is not set. Set it to the repository of the deployment images, such as registry.example.com/webapp");
    assert_eq!(settings(&[]).package_json.to_str(), Some("package.json"));
}

#[test]
fn every_mistake_is_named_at_once() {
    let given = [
        ("IMAGE_SITE", "https://example.com/dist"),
        ("IMAGE_BASE", "registry.example.com/deploy"),
        ("IMAGE_REPOSITORY", "registry.example.com/webapp:latest"),
        ("IMAGE_VERSION", "1 2"),
        ("IMAGE_USERNAME", "ci"),
        ("IMAGE_INSECURE_REGISTRIES", "http://x"),
        ("IMAGE_REQUEST_TIMEOUT", "9"),
        ("IMAGE_LOG", "xml"),
        ("BITBUCKET_COMMIT", "main"),
        ("BITBUCKET_BUILD_NUMBER", "x"),
        ("SOURCE_DATE_EPOCH", "today"),
        ("IMAGE_REPOSITORI", "x"),
    ];
    insta::assert_snapshot!(problems(&given, ImageRequirements::Cut), @r#"
    IMAGE_SITE: is "https://example.com/dist": write the path of a directory on this machine, not a URL
    IMAGE_BASE: is "registry.example.com/deploy": write it with a tag or digest, such as `…:1.0.0`: `latest` is never assumed
    IMAGE_REPOSITORY: is "registry.example.com/webapp:latest": write the repository alone, without a tag or digest: the tag is made from the version
    IMAGE_VERSION: is "1 2": write it without spaces and control characters
    IMAGE_PASSWORD: is not set. Set it to the password or token of IMAGE_USERNAME
    IMAGE_INSECURE_REGISTRIES: is "http://x": entry 1 is not a host; write hosts such as `127.0.0.1:5000`, separated by commas
    IMAGE_REQUEST_TIMEOUT: is "9": it has no unit; write one, such as `90s` for seconds or `15m` for minutes
    IMAGE_LOG: is "xml": write auto, text or json
    BITBUCKET_COMMIT: is not a commit: write its 7 to 64 hexadecimal digits
    BITBUCKET_BUILD_NUMBER: is "x": write a whole number
    SOURCE_DATE_EPOCH: is "today": write a whole number from 0 to 253402300799
    IMAGE_REPOSITORI: is not a known variable. Did you mean IMAGE_REPOSITORY?
    "#);
}

#[test]
fn a_password_is_never_shown() {
    let given = [("IMAGE_USERNAME", "ci"), ("IMAGE_PASSWORD", "hunter2"), ("BITBUCKET_STEP_OIDC_TOKEN", "hunter2")];
    let settings = settings(&given);
    assert_eq!(settings.login.as_ref().unwrap().password, Secret::new("hunter2"));
    let table = environment(&given).table(Program::ImageTagger);
    for shown in [format!("{settings:?}"), table.to_string(), serde_json::to_string(&table).unwrap()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_steps_token_gives_a_role_unless_the_sdk_has_a_file() {
    let token = ("BITBUCKET_STEP_OIDC_TOKEN", "jwt");
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/push");
    let identity = |given: &[(&str, &str)]| settings(given).pipeline.web_identity.map(|identity| identity.role);
    assert_eq!(identity(&[token, role]).as_deref(), Some(role.1));
    assert_eq!(identity(&[token, role, ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")]), None);
    assert_eq!(identity(&[token]), None);
    assert_eq!(identity(&[role]), None);
}
