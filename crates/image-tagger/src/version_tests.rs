use proptest::prelude::*;

use super::*;

const COMMIT: &str = "7f2c0a9d41be5c6f8f0e3b1d2a4c5e6f708192a3";

fn stated(version: Option<&str>) -> Stated {
    Stated { file: "package.json".to_owned(), version: version.map(str::to_owned) }
}

fn tagged(tag: &str, package: &str) -> Evidence {
    Evidence { git_tag: Some(tag.to_owned()), package_json: Some(stated(Some(package))), ..Evidence::default() }
}

fn branch(branch: &str) -> Evidence {
    Evidence {
        branch: Some(branch.to_owned()),
        commit: Some(COMMIT.to_owned()),
        package_json: Some(stated(Some("1.4.2"))),
        ..Evidence::default()
    }
}

fn tag(evidence: &Evidence) -> String {
    decide(evidence).unwrap().tag.to_string()
}

fn problem(evidence: &Evidence) -> String {
    decide(evidence).unwrap_err().to_string()
}

#[test]
fn the_table_of_the_documentation() {
    assert_eq!(tag(&tagged("1.4.2", "1.4.2")), "1.4.2");
    assert_eq!(tag(&tagged("v1.4.2", "1.4.2")), "1.4.2");
    assert_eq!(tag(&tagged("1.5.0-rc.1", "1.5.0-rc.1")), "1.5.0-rc.1");
    assert_eq!(tag(&tagged("v1.4.2+build.7", "1.4.2+build.7")), "1.4.2_build.7");
    let of_branch = decide(&branch("feature/login")).unwrap();
    assert_eq!(of_branch.tag.as_str(), "branch-feature-login-7f2c0a9d41be");
    assert_eq!(of_branch.version.to_string(), "1.4.2-branch.feature-login.g7f2c0a9d41be");
    assert_eq!(of_branch.channel, Channel::Branch);
}

#[test]
fn disagreements_are_all_named() {
    let mut evidence = tagged("v1.4.2", "1.4.1");
    evidence.stamp = Some(Stated { file: "dist/version.json".to_owned(), version: Some("1.4.0".to_owned()) });
    insta::assert_snapshot!(problem(&evidence), @r"
    BITBUCKET_TAG says version 1.4.2, and package.json says 1.4.1: make them agree
    BITBUCKET_TAG says version 1.4.2, and dist/version.json says 1.4.0: make them agree
    ");
    // SemVer precedence ignores build metadata; agreement does not.
    assert!(decide(&tagged("1.4.2+a", "1.4.2+b")).is_err());
    let explicit = Evidence { explicit: Some("1.4.3".to_owned()), ..tagged("1.4.2", "1.4.3") };
    assert!(problem(&explicit).contains("IMAGE_VERSION says version 1.4.3, and BITBUCKET_TAG says 1.4.2"));
}

#[test]
fn what_is_missing_is_named() {
    insta::assert_snapshot!(problem(&Evidence::default()), @"no version: set BITBUCKET_TAG (as a build of a git tag does), BITBUCKET_BRANCH or IMAGE_VERSION");
    let no_package = Evidence {
        git_tag: Some("1.4.2".to_owned()),
        package_json_path: "package.json".to_owned(),
        ..Evidence::default()
    };
    insta::assert_snapshot!(problem(&no_package), @"package.json: is not there, and the build of a git tag needs its version to compare with: set IMAGE_PACKAGE_JSON to the right file");
    let no_version = Evidence { package_json: Some(stated(None)), ..no_package.clone() };
    assert!(problem(&no_version).contains("has no `version`"));
    let explicit = Evidence { explicit: Some("1.4.2".to_owned()), ..no_version };
    assert_eq!(tag(&explicit), "1.4.2");
    let no_commit = Evidence { commit: None, ..branch("main") };
    assert!(problem(&no_commit).contains("BITBUCKET_COMMIT"));
    let no_stamp = Evidence { stamp: Some(Stated { file: "s".to_owned(), version: None }), ..branch("main") };
    assert!(problem(&no_stamp).contains("has no version in it"));
}

#[test]
fn what_is_not_a_version() {
    for text in ["latest", "nightly", "v1", "1.2", "01.2.3", "vv1.2.3", "1.2.3-01", "1.2.3 "] {
        assert!(problem(&tagged(text, "1.2.3")).contains("not a SemVer version"), "{text}");
    }
    // Only git tags have the `v`.
    assert!(decide(&tagged("1.2.3", "v1.2.3")).is_err());
    let long = format!("1.0.0-{}", "a".repeat(130));
    assert!(problem(&tagged(&long, &long)).contains("too long"));
}

/// Whether `tag` matches a pattern, by our own reading of the two regular expressions.
fn channel_by_form(tag: &str) -> Option<Channel> {
    let (version, metadata) = match tag.split_once('_') {
        Some((version, metadata)) => (version, Some(metadata)),
        None => (tag, None),
    };
    let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    if metadata.is_some_and(|metadata| !word(metadata)) {
        return None;
    }
    let (core, pre) = match version.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (version, None),
    };
    let number = |s: &str| s == "0" || (!s.is_empty() && !s.starts_with('0') && s.bytes().all(|b| b.is_ascii_digit()));
    let parts: Vec<_> = core.split('.').collect();
    if parts.len() != 3 || !parts.into_iter().all(number) {
        return None;
    }
    match pre {
        None => Some(Channel::Release),
        Some(pre) if word(pre) => Some(Channel::PreRelease),
        Some(_) => None,
    }
}

/// `grep -E` reads the patterns as Harness does.
#[test]
fn the_patterns_are_what_the_property_tests_read_them_to_be() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let tags = [
        "1.4.2",
        "1.4.2_build.7",
        "1.5.0-rc.1",
        "1.5.0-rc.1_a",
        "branch-1.4.2-7f2c0a9d41be",
        "01.2.3",
        "1.2",
        "v1.2.3",
        "latest",
    ];
    for (pattern, channel) in [(RELEASE_PATTERN, Channel::Release), (PRE_RELEASE_PATTERN, Channel::PreRelease)] {
        for tag in tags {
            let mut grep = Command::new("grep").args(["-qE", pattern]).stdin(Stdio::piped()).spawn().unwrap();
            grep.stdin.take().unwrap().write_all(tag.as_bytes()).unwrap();
            assert_eq!(grep.wait().unwrap().success(), channel_by_form(tag) == Some(channel), "{tag} {pattern}");
        }
    }
}

fn version() -> impl Strategy<Value = String> {
    let words = "([0-9A-Za-z-]{1,8})(\\.[0-9A-Za-z-]{1,8}){0,2}";
    (any::<u16>(), any::<u16>(), any::<u16>(), proptest::option::of(words), proptest::option::of(words))
        .prop_filter_map("not SemVer", |(major, minor, patch, pre, build)| {
            let pre = pre.map(|pre| format!("-{pre}")).unwrap_or_default();
            let build = build.map(|build| format!("+{build}")).unwrap_or_default();
            let text = format!("{major}.{minor}.{patch}{pre}{build}");
            Version::parse(&text).is_ok().then_some(text)
        })
}

proptest! {
    #[test]
    fn a_tag_tells_its_channel_and_its_version(version in version(), v in any::<bool>()) {
        let git_tag = format!("{}{version}", if v { "v" } else { "" });
        let name = decide(&tagged(&git_tag, &version)).unwrap();
        prop_assert_eq!(name.version.to_string(), version.clone());
        prop_assert_eq!(name.tag.as_str().replace('_', "+"), version);
        prop_assert_eq!(channel_by_form(name.tag.as_str()), Some(name.channel));
        prop_assert_ne!(name.tag.as_str(), "latest");
    }

    #[test]
    fn no_branch_gets_a_tag_that_a_trigger_matches(name in ".{0,200}", commit in "[0-9a-f]{7,64}", package in proptest::option::of(version())) {
        let evidence = Evidence {
            branch: Some(name),
            commit: Some(commit),
            package_json: package.map(|version| Stated { file: "package.json".to_owned(), version: Some(version) }),
            ..Evidence::default()
        };
        let name = decide(&evidence).unwrap();
        prop_assert_eq!(channel_by_form(name.tag.as_str()), None);
        prop_assert_eq!(name.channel, Channel::Branch);
        prop_assert!(!name.version.pre.is_empty());
        prop_assert_ne!(name.tag.as_str(), "latest");
    }

    #[test]
    fn versions_that_differ_anywhere_are_refused(a in version(), b in version()) {
        prop_assume!(a != b);
        prop_assert!(decide(&tagged(&a, &b)).is_err());
    }

    #[test]
    fn any_texts_give_a_name_or_problems(texts in proptest::collection::vec(proptest::option::of(".{0,30}"), 6)) {
        let stated = |text: &Option<String>| text.clone().map(|version| Stated { file: "f".to_owned(), version: Some(version) });
        let evidence = Evidence {
            explicit: texts[0].clone(),
            git_tag: texts[1].clone(),
            branch: texts[2].clone(),
            commit: texts[3].clone(),
            package_json: stated(&texts[4]),
            stamp: stated(&texts[5]),
            package_json_path: "f".to_owned(),
        };
        match decide(&evidence) {
            Ok(name) => prop_assert!(name.tag.as_str().len() <= 128),
            Err(VersionError(problems)) => prop_assert!(!problems.is_empty()),
        }
    }
}
