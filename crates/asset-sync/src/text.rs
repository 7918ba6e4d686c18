//! Values that are written as text.

use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};

/// A value that is read from its text. The text is not copied first: state objects have a million lines.
pub(crate) trait FromText: Sized {
    /// What is expected, for a message.
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Result<Self, impl Display>;
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromText>(deserializer: D) -> Result<T, D::Error> {
    struct Text<T>(PhantomData<T>);

    impl<T: FromText> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            T::from_text(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}
