//! Values that are written as text.

use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};

/// Reads a value by `make` from its text, of which `expected` says for a message what it is. The text is
/// not copied first: state objects have a million lines.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    expected: &'static str,
    make: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Text<T, F> {
        expected: &'static str,
        make: F,
        value: PhantomData<T>,
    }

    impl<T, E: Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<T, F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }

        fn visit_str<M: de::Error>(self, text: &str) -> Result<T, M> {
            (self.make)(text).map_err(M::custom)
        }
    }

    deserializer.deserialize_str(Text { expected, make, value: PhantomData })
}
