//! The registry: every environment variable, declared once.
//!
//! A variable is added by one entry in the list of its program. The entry makes a public static
//! (to name the variable in code) and, for our own variables, a field of the struct that envy
//! fills. A field that no settings are made from is a compiler warning (`dead_code`), so an entry
//! cannot be declared and forgotten.

mod aws;
mod deploy;
mod image;

pub use aws::*;
pub use deploy::*;
pub use image::*;

use crate::variable::Variable;

/// Every variable, grouped by program and in the order of the documentation.
pub fn registry() -> impl Iterator<Item = &'static Variable> {
    DEPLOY.iter().chain(IMAGE).chain(AWS).copied()
}

/// The variable of that name.
pub(crate) fn find(name: &str) -> Option<&'static Variable> {
    registry().find(|variable| variable.name == name)
}

/// Declares variables as public statics, and a list of them.
macro_rules! declare {
    (
        $(#[$list_doc:meta])* $list:ident from $base:path;
        $($name:ident: $format:expr, $summary:literal { $($key:ident: $value:expr),* $(,)? })*
    ) => {
        $(
            #[doc = $summary]
            pub static $name: Variable = Variable {
                name: stringify!($name),
                summary: $summary,
                format: &$format,
                $($key: $value,)*
                ..$base
            };
        )*

        $(#[$list_doc])*
        pub static $list: &[&Variable] = &[$(&$name),*];
    };
}

/// Declares variables, and the struct in which their texts wait to be parsed.
///
/// `NAME as name`: envy offers each variable under its name in lower case.
macro_rules! declare_inputs {
    (
        $(#[$list_doc:meta])* $list:ident from $base:path;
        $(#[$inputs_doc:meta])* struct $inputs:ident;
        $(
            $name:ident as $field:ident: $type:ty = $format:expr,
            $summary:literal { $($key:ident: $value:expr),* $(,)? }
        )*
    ) => {
        declare! {
            $(#[$list_doc])* $list from $base;
            $($name: $format, $summary { $($key: $value),* })*
        }

        $(#[$inputs_doc])*
        #[allow(clippy::struct_field_names, reason = "envy finds a variable by its whole name")]
        pub(crate) struct $inputs {
            $(pub(crate) $field: crate::environment::Input<$type>,)*
        }

        impl $inputs {
            /// Takes the texts from the environment, through envy.
            pub(crate) fn read(
                environment: &crate::environment::Environment,
            ) -> Result<Self, envy::Error> {
                /// All optional and all text, so that envy can neither stop at the first missing
                /// one nor print a value.
                #[derive(serde::Deserialize)]
                struct Texts {
                    $($field: Option<String>,)*
                }

                let texts: Texts = envy::from_iter(environment.texts($list))?;
                Ok(Self {
                    $($field: environment.input(&$name, $format, texts.$field),)*
                })
            }
        }
    };
}

use declare;
use declare_inputs;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::spelling::nearest;
    use crate::variable::{Group, Owner, Presence};

    #[test]
    fn names_are_unique_and_begin_with_their_programs_prefix() {
        let mut seen = BTreeSet::new();
        for variable in registry() {
            assert!(seen.insert(variable.name), "{} is declared twice", variable.name);
            assert!(!variable.read_by.is_empty(), "{} is read by nobody", variable.name);
            match variable.owner {
                Owner::Ours => {
                    let program = variable.read_by[0].program;
                    assert!(variable.name.starts_with(program.prefix()), "{}", variable.name);
                }
                Owner::AwsSdk => assert_eq!(variable.group, Group::Aws, "{}", variable.name),
                Owner::Bitbucket | Owner::Convention => {
                    assert_eq!(variable.group, Group::Pipeline, "{}", variable.name);
                }
            }
        }
    }

    #[test]
    fn examples_and_defaults_satisfy_their_own_format() {
        for variable in registry() {
            let texts = [Some(variable.example), variable.default_text()];
            for text in texts.into_iter().flatten() {
                assert_eq!(variable.format.check(text), Ok(()), "{}={text}", variable.name);
            }
        }
    }

    #[test]
    fn an_example_is_not_the_default() {
        for variable in registry() {
            assert_ne!(Some(variable.example), variable.default_text(), "{}", variable.name);
        }
    }

    /// A newer environment must not stop an older image: a new variable whose name is a near miss
    /// of an older one would.
    #[test]
    fn no_two_names_are_near_misses_of_each_other() {
        for variable in registry() {
            let others = registry().filter(|other| other.name != variable.name);
            assert_eq!(nearest(variable.name, others).map(|near| near.name), None, "{}", variable.name);
        }
    }

    #[test]
    fn documentation_is_whole() {
        for variable in registry() {
            assert!(!variable.summary.is_empty() && !variable.summary.ends_with('.'), "{}", variable.name);
            assert!(variable.details.is_empty() || variable.details.ends_with('.'), "{}", variable.name);
            if let Presence::Required(remedy) = variable.presence {
                assert!(remedy.starts_with("Set it to ") && !remedy.ends_with('.'), "{}", variable.name);
            }
        }
    }
}
