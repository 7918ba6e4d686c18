//! The deployment tools' configuration, taken from environment variables.
//!
//! Each variable is declared once, in [`registry`]. From that declaration come its parser, the
//! error report, the table that `deploy config` prints ([`Environment::table`]), and the page
//! `docs/configuration.md` ([`markdown`]).
//!
//! ```
//! use deploy_config::{Environment, Requirements};
//!
//! let environment = Environment::new([
//!     ("DEPLOY_BUCKET".into(), "site".into()),
//!     ("DEPLOY_PREFIX".into(), "app".into()),
//!     ("AWS_REGION".into(), "eu-central-1".into()),
//! ]);
//! let (settings, warnings) = environment.settings(Requirements::Target)?;
//! assert_eq!(settings.prefix, "app/");
//! assert_eq!(settings.url_prefix, "/app/");
//! assert!(warnings.is_empty());
//!
//! // Every mistake is in one report, each under its variable's name.
//! let broken = Environment::new([("DEPLOY_LEASE".into(), "90".into())]);
//! let problems = broken.settings(Requirements::Publish).unwrap_err();
//! assert_eq!(problems.iter().count(), 5);
//! # Ok::<(), deploy_config::Problems>(())
//! ```
//!
//! Nothing here reads the process's environment but [`Environment::from_process`], and nothing is
//! printed: warnings are returned.

mod choice;
mod environment;
mod format;
mod image_settings;
mod markdown;
mod problem;
mod settings;
mod spelling;
mod table;
mod variable;
pub mod variables;

pub use choice::{Adopt, ConditionalWrites, Encryption, Invalidation, Log, OnFailure, Routing, SourceMaps, Verify};
pub use environment::Environment;
pub use image_settings::{ImageRequirements, ImageSettings, Login, Pipeline, Secret, WebIdentity};
pub use markdown::markdown;
pub use problem::{Fault, Problem, Problems, Warning};
pub use settings::{Publication, Requirements, Settings, Values, Verification};
pub use table::{Row, Source, Table};
pub use variable::{Group, Owner, Presence, Program, Reader, Rule, Variable};
pub use variables::registry;
