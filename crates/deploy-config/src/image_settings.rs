//! The settings of `image-tagger`, validated and typed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::choice::Log;
use crate::environment::Environment;
use crate::problem::{Fault, Problem, Problems, Report, Warning};
use crate::variable::Program;
use crate::variables::{
    AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME, AWS_WEB_IDENTITY_TOKEN_FILE, BITBUCKET_COMMIT, IMAGE_PASSWORD, IMAGE_USERNAME,
    ImageInputs,
};

/// What a command of `image-tagger` cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageRequirements {
    /// It makes an image: site, base and repository (`cut`).
    Cut,
    /// It tags an image in a repository (`tag`).
    Tag,
    /// It only works out a name (`tags`), or takes its image from the command line (`inspect`).
    Nothing,
}

/// The settings of `image-tagger`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageSettings {
    /// The directory of built files; always set under [`ImageRequirements::Cut`].
    pub site: Option<PathBuf>,
    /// The base image, with a tag or digest; always set under [`ImageRequirements::Cut`].
    pub base: Option<String>,
    /// The repository with its registry, no tag; set under all but [`ImageRequirements::Nothing`].
    pub repository: Option<String>,
    /// The explicit version.
    pub version: Option<String>,
    /// The `package.json` to compare with.
    pub package_json: PathBuf,
    /// Whether that path was given, so that the file must be there.
    pub package_json_given: bool,
    /// A file in which the build left the version.
    pub stamp: Option<PathBuf>,
    /// A TOML file of rules to put in the image.
    pub rules: Option<PathBuf>,
    /// User and password for the registry of `repository`.
    pub login: Option<Login>,
    /// Hosts that are spoken to by plain HTTP.
    pub insecure_registries: Vec<String>,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How progress and results are written.
    pub log: Log,
    /// What the pipeline says of itself.
    pub pipeline: Pipeline,
    /// The time to record, in seconds since 1970.
    pub source_date_epoch: Option<u64>,
    /// The directory of docker's `config.json`, where it is not the usual one.
    pub docker_config: Option<PathBuf>,
}

/// What Bitbucket Pipelines says of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pipeline {
    /// The git tag that is built.
    pub tag: Option<String>,
    /// The branch that is built.
    pub branch: Option<String>,
    /// The commit that is built: hexadecimal digits.
    pub commit: Option<String>,
    /// The number of the run.
    pub build: Option<u64>,
    /// Workspace and name of the git repository.
    pub repository: Option<String>,
    /// Where variables for later steps go.
    pub variables_path: Option<PathBuf>,
    /// The role to take at AWS with the step's token; none where the SDK is told of a token itself.
    pub web_identity: Option<WebIdentity>,
}

/// A role at AWS and the token that gives the right to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// The role's ARN.
    pub role: String,
    /// The session's name.
    pub session: Option<String>,
    /// The token.
    pub token: Secret,
}

/// User and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A text that no log may show: its `Debug` hides it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl ImageSettings {
    /// The directory of built files, or an empty path: never under [`ImageRequirements::Cut`].
    pub fn site_directory(&self) -> &Path {
        self.site.as_deref().unwrap_or(Path::new(""))
    }
}

/// Reads the settings of `image-tagger`.
pub(crate) fn read(
    environment: &Environment,
    requirements: ImageRequirements,
) -> Result<(ImageSettings, Vec<Warning>), Problems> {
    let mut report = Report::default();
    let settings = parse(environment, requirements, &mut report);
    let warnings = std::mem::take(&mut report.warnings);
    match (settings, report.into_problems()) {
        (Some(settings), None) => Ok((settings, warnings)),
        (_, Some(problems)) => Err(problems),
        // Every way to no settings reports a problem; were one missed, it must not pass for success.
        (None, None) => Err(Problems::one(Problem {
            variable: Program::ImageTagger.prefix().to_owned(),
            given_by: None,
            fault: Fault::Unreadable,
        })),
    }
}

/// Parses every variable before it gives up on any, so that the report is whole.
pub(crate) fn parse(
    environment: &Environment,
    requirements: ImageRequirements,
    report: &mut Report,
) -> Option<ImageSettings> {
    environment.check_texts(Program::ImageTagger, report);
    let Ok(given) = ImageInputs::read(environment) else {
        // All its fields are optional texts under names of their own, so this does not happen.
        report.problem(Program::ImageTagger.prefix(), None, Fault::Unreadable);
        return None;
    };

    let cut = requirements == ImageRequirements::Cut;
    let (site, base) = if cut {
        (given.image_site.required(report), given.image_base.required(report))
    } else {
        (given.image_site.optional(report), given.image_base.optional(report))
    };
    let repository = if requirements == ImageRequirements::Nothing {
        given.image_repository.optional(report)
    } else {
        given.image_repository.required(report)
    };
    let version = given.image_version.optional(report);
    let package_json = given.image_package_json.required(report);
    let package_json_given = given.image_package_json.is_given();
    let stamp = given.image_stamp.optional(report);
    let rules = given.image_rules.optional(report);

    let username = given.image_username.optional(report);
    let password = given.image_password.optional(report);
    let login = match (username, password) {
        (Some(username), Some(password)) => Some(Login { username, password: Secret(password) }),
        (Some(_), None) if !given.image_password.is_given() => {
            let remedy = "Set it to the password or token of IMAGE_USERNAME";
            report.problem(IMAGE_PASSWORD.name, None, Fault::NotSet { remedy });
            None
        }
        (None, Some(_)) if !given.image_username.is_given() => {
            let remedy = "Set it to the user whose password is in IMAGE_PASSWORD";
            report.problem(IMAGE_USERNAME.name, None, Fault::NotSet { remedy });
            None
        }
        _ => None,
    };

    let insecure_registries = given.image_insecure_registries.optional(report).unwrap_or_default();
    let request_timeout = given.image_request_timeout.required(report);
    let log = given.image_log.required(report);

    let tag = given.bitbucket_tag.optional(report);
    let branch = given.bitbucket_branch.optional(report);
    let commit = given.bitbucket_commit.optional(report);
    if let Some(commit) = &commit
        && !((7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        let reason = "is not a commit: write its 7 to 64 hexadecimal digits";
        report.conflict(&BITBUCKET_COMMIT, reason.to_owned());
    }
    let build = given.bitbucket_build_number.optional(report);
    let full_name = given.bitbucket_repo_full_name.optional(report);
    let variables_path = given.bitbucket_pipelines_variables_path.optional(report);
    let oidc_token = given.bitbucket_step_oidc_token.optional(report);
    let source_date_epoch = given.source_date_epoch.optional(report);
    let docker_config = given.docker_config.optional(report);

    let text = |variable| environment.text(variable).map(|(text, _)| text.to_owned());
    let web_identity = match (oidc_token, text(&AWS_ROLE_ARN)) {
        // Where a file is named too, the SDK finds it by itself.
        (Some(token), Some(role)) if !environment.is_given(&AWS_WEB_IDENTITY_TOKEN_FILE) => {
            Some(WebIdentity { role, session: text(&AWS_ROLE_SESSION_NAME), token: Secret(token) })
        }
        _ => None,
    };

    Some(ImageSettings {
        site,
        base,
        repository,
        version,
        package_json: package_json?,
        package_json_given,
        stamp,
        rules,
        login,
        insecure_registries,
        request_timeout: request_timeout?,
        log: log?,
        pipeline: Pipeline {
            tag,
            branch,
            commit: commit.map(|commit| commit.to_ascii_lowercase()),
            build,
            repository: full_name,
            variables_path,
            web_identity,
        },
        source_date_epoch,
        docker_config,
    })
}
