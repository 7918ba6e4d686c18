//! What is known of one environment variable.

use std::fmt;

use serde::Serialize;

/// One environment variable: everything a reader, a parser or a check needs to know about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Variable {
    /// Its name, as in `DEPLOY_BUCKET`.
    pub name: &'static str,
    /// The heading it stands under.
    pub group: Group,
    /// What it is, in one line without a full stop.
    pub summary: &'static str,
    /// The rest of its documentation, one paragraph of Markdown; may be empty.
    pub details: &'static str,
    /// Which texts are accepted.
    pub format: &'static dyn Rule,
    /// What happens where it is not set.
    pub presence: Presence,
    /// A value to copy from. It satisfies `format`, and is a made-up one for a secret.
    pub example: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Whose variable it is.
    pub owner: Owner,
    /// The programs and commands that read it.
    pub read_by: &'static [Reader],
}

/// A rule for the text of a value.
pub trait Rule: fmt::Debug + Sync {
    /// What is accepted, as a phrase for the documentation (Markdown).
    fn describe(&self) -> String;

    /// Checks a text that is trimmed and not empty.
    ///
    /// # Errors
    /// Says what is wrong and what to write instead, without repeating the text.
    fn check(&self, text: &str) -> Result<(), String>;
}

/// What happens where a variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must be set wherever it is read. Holds the sentence that tells what to set it to.
    Required(&'static str),
    /// This text is used.
    Default(&'static str),
    /// The value is worked out from others. Holds how, as a phrase in Markdown.
    Derived(&'static str),
    /// It stays unset. Holds what that means, as a phrase in Markdown.
    Optional(&'static str),
}

/// Whose variable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// Declared and read by this project.
    Ours,
    /// Read by the AWS SDK itself; listed because it decides where requests go and with what rights.
    AwsSdk,
    /// Set by Bitbucket Pipelines.
    Bitbucket,
    /// A convention of many tools.
    Convention,
}

/// The heading a variable stands under. The order of the variants is the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The files and what they are called.
    Release,
    /// Where they go.
    Target,
    /// What differs between environments.
    Values,
    /// CloudFront.
    Invalidation,
    /// Looking at the live site.
    Verification,
    /// What keeps a deploy from doing harm.
    Safety,
    /// Lease, history and retention.
    State,
    /// Requests, memory, log.
    Running,
    /// What the deployment image is made from.
    Image,
    /// What the pipeline says of itself.
    Pipeline,
    /// The AWS SDK's own variables.
    Aws,
}

impl Group {
    /// Every group, in the order of the page.
    pub const ALL: [Self; 11] = [
        Self::Release,
        Self::Target,
        Self::Values,
        Self::Invalidation,
        Self::Verification,
        Self::Safety,
        Self::State,
        Self::Running,
        Self::Image,
        Self::Pipeline,
        Self::Aws,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Release => "What is deployed",
            Self::Target => "Where it goes",
            Self::Values => "What differs between environments",
            Self::Invalidation => "CloudFront",
            Self::Verification => "Looking at the live site",
            Self::Safety => "Safety",
            Self::State => "Lease, history and retention",
            Self::Running => "How it runs",
            Self::Image => "Cutting the image",
            Self::Pipeline => "The pipeline's own variables",
            Self::Aws => "The AWS SDK's own variables",
        }
    }

    /// One or two sentences under the heading (Markdown).
    pub fn introduction(self) -> &'static str {
        match self {
            Self::Release => {
                "The directory of built files and the name of the release made from it. \
                 The deployment image sets the first three itself."
            }
            Self::Target => {
                "The bucket, the place in it, and how that place is seen from a browser. Two \
                 deploys are of one *target* when they have the same bucket and prefix."
            }
            Self::Values => {
                "One image goes through all environments; only these values differ. Every variable \
                 whose name begins with `DEPLOY_VALUES_PREFIX` reaches the site, as a placeholder \
                 `__WEBAPP_NAME__` in HTML and JSON files and, if asked for, in a generated file. \
                 Nothing else of the environment ever does. They are public: never put a secret \
                 there."
            }
            Self::Verification => {
                "After the switch the site is fetched as a browser would, through its CDN, and \
                 compared with the release. Only positive evidence of wrong content counts against \
                 the release; `deploy verify` does the same at any time."
            }
            Self::Invalidation => "Which distributions serve the site, and how their caches learn of a new release.",
            Self::Safety => "What may stop a deploy before it has changed anything, and how to let it through.",
            Self::State => {
                "The state area holds the manifests, the pointer to the live release, the lease \
                 and the archived entry files: what rollback and the next deploy work from."
            }
            Self::Running => "Few deploys need another value than the default.",
            Self::Image => "`image-tagger` puts a built site on a base image and pushes it under its version.",
            Self::Pipeline => {
                "Set by Bitbucket Pipelines, or used by many tools. Elsewhere set those that are wanted by hand."
            }
            Self::Aws => {
                "Read by the AWS SDK, not by these tools. Those that people meet are listed here; \
                 the SDK knows more. Credentials are looked for in this order: environment, \
                 profile, web identity (IRSA), container (EKS Pod Identity, ECS), instance. A \
                 forgotten `AWS_ACCESS_KEY_ID` therefore wins over a Job's role."
            }
        }
    }
}

/// A program of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// The binary `deploy`.
    Deploy,
    /// The binary `image-tagger`.
    ImageTagger,
}

impl Program {
    /// Every program.
    pub const ALL: [Self; 2] = [Self::Deploy, Self::ImageTagger];

    /// The binary's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::ImageTagger => "image-tagger",
        }
    }

    /// What the names of its own variables begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Deploy => "DEPLOY_",
            Self::ImageTagger => "IMAGE_",
        }
    }
}

/// A program that reads a variable, and in which of its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The program.
    pub program: Program,
    /// Its commands; none named means all.
    pub commands: &'static [&'static str],
}

impl Variable {
    /// Whether `program` reads it.
    pub fn is_read_by(&self, program: Program) -> bool {
        self.read_by.iter().any(|reader| reader.program == program)
    }

    /// The text used where it is not set, if that is a fixed one.
    pub fn default_text(&self) -> Option<&'static str> {
        match self.presence {
            Presence::Default(text) => Some(text),
            Presence::Required(_) | Presence::Derived(_) | Presence::Optional(_) => None,
        }
    }
}
