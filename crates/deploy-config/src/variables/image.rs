//! The variables of `image-tagger`, and those of the pipeline it runs in.

use super::{declare, declare_inputs};
use crate::choice::Log;
use crate::format::{
    DurationBetween, FilePath, ImageReference, ImageRepository, Label, OneOf, RegistryHosts, Switch, Text, WholeNumber,
};
use crate::variable::{Group, Owner, Presence, Program, Reader, Variable};

const ALL: &[Reader] = &[Reader { program: Program::ImageTagger, commands: &[] }];
const CUT: &[Reader] = &[Reader { program: Program::ImageTagger, commands: &["cut"] }];
const NAMERS: &[Reader] = &[Reader { program: Program::ImageTagger, commands: &["cut", "tags", "tag"] }];
const PUSHERS: &[Reader] = &[Reader { program: Program::ImageTagger, commands: &["cut", "tag"] }];
const CALLERS: &[Reader] = &[Reader { program: Program::ImageTagger, commands: &["cut", "tag", "inspect"] }];

/// What most of these variables have in common.
const OURS: Variable = Variable {
    name: "",
    group: Group::Image,
    summary: "",
    details: "",
    format: &Switch,
    presence: Presence::Optional(""),
    example: "",
    secret: false,
    owner: Owner::Ours,
    read_by: ALL,
};

declare_inputs! {
    /// The variables of `image-tagger`, in the order of the documentation.
    IMAGE from OURS;
    /// The texts of the variables of `image-tagger`.
    struct ImageInputs;

    IMAGE_SITE as image_site: FilePath = FilePath("directory"),
    "The directory of built files" {
        details: "Its files become one layer of the image, below `/site`. Hidden files are left out, as `deploy` would.",
        presence: Presence::Required("Set it to the directory that the build wrote"),
        example: "dist",
        read_by: CUT,
    }
    IMAGE_BASE as image_base: ImageReference = ImageReference,
    "The base image, which holds `deploy`" {
        details: "Its digest is looked up and recorded, also where it is named by a tag.",
        presence: Presence::Required("Set it to the image that holds `deploy`, such as registry.example.com/deploy:1.0.0"),
        example: "registry.example.com/deploy:1.0.0",
        read_by: CUT,
    }
    IMAGE_REPOSITORY as image_repository: ImageRepository = ImageRepository,
    "The repository the image is pushed to" {
        details: "`image-tagger tags` does without it, and then prints the tag alone.",
        presence: Presence::Required("Set it to the repository of the deployment images, such as registry.example.com/webapp"),
        example: "registry.example.com/webapp",
        read_by: NAMERS,
    }
    IMAGE_VERSION as image_version: Label = Label,
    "The version, where it is not to be taken from the pipeline" {
        details: "A SemVer version. A git tag, `package.json` and the stamp must name the same one where they are there.",
        presence: Presence::Derived("`BITBUCKET_TAG`, with or without a `v`; on a branch one is made from its name and the commit"),
        example: "1.4.2",
        read_by: NAMERS,
    }
    IMAGE_PACKAGE_JSON as image_package_json: FilePath = FilePath("`package.json`"),
    "The `package.json` whose version must be that of the git tag" {
        details: "It must be there in a build of a git tag; elsewhere it may be absent unless this variable names it.",
        presence: Presence::Default("package.json"),
        example: "web/package.json",
        read_by: NAMERS,
    }
    IMAGE_STAMP as image_stamp: FilePath = FilePath("file"),
    "A file in which the build left the version" {
        details: "A JSON object with a `version`, or the version alone. It proves that the site was built from this version's \
            sources. The path is taken from the working directory.",
        presence: Presence::Optional("the build is not asked"),
        example: "dist/version.json",
        read_by: NAMERS,
    }
    IMAGE_RULES as image_rules: FilePath = FilePath("TOML file"),
    "A file of rules by glob, to be put in the image" {
        details: "`deploy` then follows it as its `DEPLOY_RULES`. It is a part of what the image is known by.",
        presence: Presence::Optional("the image has none"),
        example: "site-rules.toml",
        read_by: CUT,
    }
    IMAGE_USERNAME as image_username: Text = Text("user name"),
    "The user at the registry of `IMAGE_REPOSITORY`" {
        details: "Needs `IMAGE_PASSWORD`. The two win over docker's configuration, for that registry alone.",
        presence: Presence::Optional("docker's configuration is asked, then AWS for a registry of ECR; else requests are anonymous"),
        example: "ci",
        read_by: CALLERS,
    }
    IMAGE_PASSWORD as image_password: Text = Text("secret"),
    "The password or token of that user" {
        presence: Presence::Optional("see `IMAGE_USERNAME`"),
        example: "(from a secret store)",
        secret: true,
        read_by: CALLERS,
    }
    IMAGE_INSECURE_REGISTRIES as image_insecure_registries: RegistryHosts = RegistryHosts,
    "Registries that are spoken to by plain HTTP" {
        details: "For tests on the same machine: passwords go over the wire as they are.",
        presence: Presence::Optional("every registry is spoken to by HTTPS"),
        example: "127.0.0.1:5000",
        read_by: CALLERS,
    }
    IMAGE_REQUEST_TIMEOUT as image_request_timeout: DurationBetween = DurationBetween {
        min: std::time::Duration::from_millis(100),
        max: std::time::Duration::from_hours(1),
    },
    "How long one request to a registry may take" {
        details: "A layer gets a second more for every 64 KiB.",
        presence: Presence::Default("1m"),
        example: "2m",
        read_by: CALLERS,
    }
    IMAGE_LOG as image_log: OneOf<Log> = OneOf::<Log>::new(),
    "How progress and results are written" {
        details: "`auto`: bars at a terminal, lines elsewhere. `json`: one object per line; the last line on standard output is the result.",
        presence: Presence::Default("auto"),
        example: "json",
    }

    BITBUCKET_TAG as bitbucket_tag: Label = Label,
    "The git tag that is built" {
        group: Group::Pipeline,
        details: "Set in builds of tags alone.",
        presence: Presence::Optional("it is not the build of a tag"),
        example: "v1.4.2",
        owner: Owner::Bitbucket,
        read_by: NAMERS,
    }
    BITBUCKET_BRANCH as bitbucket_branch: Text = Text("branch name"),
    "The branch that is built" {
        group: Group::Pipeline,
        details: "Its images get tags that no trigger for releases or pre-releases matches.",
        presence: Presence::Optional("it is not the build of a branch"),
        example: "feature/login",
        owner: Owner::Bitbucket,
        read_by: NAMERS,
    }
    BITBUCKET_COMMIT as bitbucket_commit: Label = Label,
    "The commit that is built" {
        group: Group::Pipeline,
        details: "A part of what the image is known by.",
        presence: Presence::Optional("none is recorded; the build of a branch needs it"),
        example: "7f2c0a9d41be5c6f8f0e3b1d2a4c5e6f708192a3",
        owner: Owner::Bitbucket,
        read_by: NAMERS,
    }
    BITBUCKET_BUILD_NUMBER as bitbucket_build_number: WholeNumber = WholeNumber { min: 0, max: u64::MAX },
    "The number of the pipeline run" {
        group: Group::Pipeline,
        details: "Baked in the image as its `DEPLOY_BUILD`.",
        presence: Presence::Optional("the image has no build number"),
        example: "1287",
        owner: Owner::Bitbucket,
        read_by: CUT,
    }
    BITBUCKET_REPO_FULL_NAME as bitbucket_repo_full_name: Label = Label,
    "The workspace and name of the git repository" {
        group: Group::Pipeline,
        details: "Recorded as the image's source.",
        presence: Presence::Optional("none is recorded"),
        example: "example/webapp",
        owner: Owner::Bitbucket,
        read_by: CUT,
    }
    BITBUCKET_STEP_OIDC_TOKEN as bitbucket_step_oidc_token: Text = Text("secret"),
    "The step's token to prove itself by" {
        group: Group::Pipeline,
        details: "An OpenID Connect token, set in steps with `oidc: true`. Together with `AWS_ROLE_ARN` it gives the right to push to ECR, without a file.",
        presence: Presence::Optional("the AWS SDK looks for credentials by itself"),
        example: "(from the pipeline)",
        secret: true,
        owner: Owner::Bitbucket,
        read_by: CALLERS,
    }
    BITBUCKET_PIPELINES_VARIABLES_PATH as bitbucket_pipelines_variables_path: FilePath = FilePath("file"),
    "The file to which a step writes variables for later ones" {
        group: Group::Pipeline,
        details: "`RELEASE_VERSION`, `RELEASE_TAG`, `RELEASE_DIGEST` and `RELEASE_REFERENCE` are added to it; name them under \
            `output-variables` in the step.",
        presence: Presence::Optional("nothing is written"),
        example: "/opt/atlassian/pipelines/agent/build/variables",
        owner: Owner::Bitbucket,
        read_by: PUSHERS,
    }
    SOURCE_DATE_EPOCH as source_date_epoch: WholeNumber = WholeNumber { min: 0, max: 253_402_300_799 },
    "The time the image says it was made at, in seconds since 1970" {
        group: Group::Pipeline,
        details: "The convention of reproducible-builds.org; `git log -1 --format=%ct` gives the commit's.",
        presence: Presence::Optional("the base image's time"),
        example: "1767225600",
        owner: Owner::Convention,
        read_by: CUT,
    }
    DOCKER_CONFIG as docker_config: FilePath = FilePath("directory"),
    "The directory of docker's `config.json`" {
        group: Group::Pipeline,
        details: "Its logins and credential helpers are used.",
        presence: Presence::Optional("`~/.docker`"),
        example: "/home/ci/.docker",
        owner: Owner::Convention,
        read_by: CALLERS,
    }
}
