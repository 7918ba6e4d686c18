//! The formats of values: each parses a text, and says in words what it accepts.

mod amount;
mod image;
mod name;
mod path;

use std::fmt;
use std::marker::PhantomData;

pub(crate) use amount::{ByteSize, DurationBetween, Share, WholeNumber, show_duration, show_size};
pub(crate) use image::{ImageReference, ImageRepository, RegistryHosts};
pub(crate) use name::{AccountId, BucketName, DistributionIds, HeaderLine, KmsKey, Label, NamePrefix, Region};
pub(crate) use path::{FileKey, FilePath, Globs, HttpUrl, KeyPrefix, UrlPath};

use crate::choice::Choice;
use crate::variable::Rule;

/// How a text becomes a value.
pub(crate) trait Format: fmt::Debug + Sync {
    /// What it becomes.
    type Value;

    /// What is accepted, as a phrase for the documentation (Markdown).
    fn describe(&self) -> String;

    /// Parses a text that is trimmed and not empty. The error says what is wrong and what to write
    /// instead, and never repeats the text, which may be a secret or a page long.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;
}

impl<F: Format> Rule for F {
    fn describe(&self) -> String {
        Format::describe(self)
    }

    fn check(&self, text: &str) -> Result<(), String> {
        self.parse(text).map(drop)
    }
}

/// Any text on one line: it goes into headers.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) &'static str);

impl Format for Text {
    type Value = String;

    fn describe(&self) -> String {
        self.0.to_owned()
    }

    fn parse(&self, text: &str) -> Result<String, String> {
        if text.chars().any(char::is_control) {
            return Err("has a line break or another control character in it. Write it on one line".to_owned());
        }
        Ok(text.to_owned())
    }
}

/// Yes or no.
#[derive(Debug)]
pub(crate) struct Switch;

impl Format for Switch {
    type Value = bool;

    fn describe(&self) -> String {
        "`true` or `false` (also `1`/`0`, `yes`/`no`, `on`/`off`)".to_owned()
    }

    fn parse(&self, text: &str) -> Result<bool, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("write true or false".to_owned()),
        }
    }
}

/// One of a few named values.
pub(crate) struct OneOf<T>(PhantomData<T>);

impl<T> OneOf<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Choice> fmt::Debug for OneOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(T::NAMES.iter().map(|(name, _)| name)).finish()
    }
}

impl<T: Choice> Format for OneOf<T> {
    type Value = T;

    fn describe(&self) -> String {
        let names: Vec<_> = T::NAMES.iter().map(|(name, _)| format!("`{name}`")).collect();
        alternatives(&names)
    }

    fn parse(&self, text: &str) -> Result<T, String> {
        T::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = T::NAMES.iter().map(|(name, _)| (*name).to_owned()).collect();
            format!("write {}", alternatives(&names))
        })
    }
}

/// `a, b or c`.
fn alternatives(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}
