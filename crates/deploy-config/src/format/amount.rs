//! Numbers, durations, sizes and shares.

use std::time::Duration;

use super::Format;

/// A whole number within bounds.
#[derive(Debug)]
pub(crate) struct WholeNumber {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Format for WholeNumber {
    type Value = u64;

    fn describe(&self) -> String {
        if self.max == u64::MAX {
            format!("whole number, {} or more", self.min)
        } else {
            format!("whole number, {} to {}", self.min, self.max)
        }
    }

    fn parse(&self, text: &str) -> Result<u64, String> {
        // `parse` alone would also take a leading plus sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (self.min..=self.max).contains(&number) => Ok(number),
            _ if self.max == u64::MAX => Err("write a whole number".to_owned()),
            _ => Err(format!("write a whole number from {} to {}", self.min, self.max)),
        }
    }
}

/// A duration within bounds, as people write it: `90s`, `15m`, `1h 30m`.
#[derive(Debug)]
pub(crate) struct DurationBetween {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl DurationBetween {
    pub(crate) const fn seconds(min: u64, max: u64) -> Self {
        Self { min: Duration::from_secs(min), max: Duration::from_secs(max) }
    }
}

/// Longest duration text that is looked at.
const LONGEST_DURATION: usize = 40;
/// Most digits in a row in a duration: enough for 31 years in seconds.
const MOST_DIGITS: usize = 9;

impl Format for DurationBetween {
    type Value = Duration;

    fn describe(&self) -> String {
        format!("duration, {} to {}", show_duration(self.min), show_duration(self.max))
    }

    fn parse(&self, text: &str) -> Result<Duration, String> {
        let range = || format!("write a duration from {} to {}", show_duration(self.min), show_duration(self.max));
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("it has no unit; write one, such as `90s` for seconds or `15m` for minutes".to_owned());
        }
        // humantime 2.4 panics where the sum of all parts overflows (`18446744073709551615s 1000ms`).
        let digits = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
        if text.len() > LONGEST_DURATION || digits.unwrap_or(0) > MOST_DIGITS {
            return Err(range());
        }
        let duration = humantime::parse_duration(text)
            .map_err(|_| "write a number and a unit, such as `90s`, `15m`, `1h 30m` or `7d`".to_owned())?;
        if (self.min..=self.max).contains(&duration) { Ok(duration) } else { Err(range()) }
    }
}

/// A duration in its largest whole unit, as the parser reads it back: `7d`, `90s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    units
        .iter()
        .find(|(unit, _)| milliseconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{milliseconds}ms"), |(unit, name)| format!("{}{name}", milliseconds / unit))
}

/// A number of bytes within bounds, as people write it: `8MiB`, `64 MB`.
#[derive(Debug)]
pub(crate) struct ByteSize {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Format for ByteSize {
    type Value = u64;

    fn describe(&self) -> String {
        format!("size, {} to {}", show_size(self.min), show_size(self.max))
    }

    fn parse(&self, text: &str) -> Result<u64, String> {
        let size: bytesize::ByteSize = text.parse().map_err(|_| {
            "write a number and a unit, such as `8MiB` (8×1024×1024 bytes) or `8MB` \
             (8,000,000 bytes)"
                .to_owned()
        })?;
        if (self.min..=self.max).contains(&size.as_u64()) {
            Ok(size.as_u64())
        } else {
            Err(format!(
                "it is {} bytes; write a size from {} to {}",
                size.as_u64(),
                show_size(self.min),
                show_size(self.max)
            ))
        }
    }
}

/// A size in its largest whole binary unit, as the parser reads it back: `8MiB`.
pub(crate) fn show_size(bytes: u64) -> String {
    let units = [(bytesize::TIB, "TiB"), (bytesize::GIB, "GiB"), (bytesize::MIB, "MiB"), (bytesize::KIB, "KiB")];
    units
        .iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// A share of a whole, `50%` or `0.5`; the value is from 0 to 1.
#[derive(Debug)]
pub(crate) struct Share;

impl Format for Share {
    type Value = f64;

    fn describe(&self) -> String {
        "share, `0%` to `100%` (or `0.0` to `1.0`)".to_owned()
    }

    fn parse(&self, text: &str) -> Result<f64, String> {
        let (number, whole) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text, 1.0),
        };
        // `parse` alone would also take `inf`, `nan`, exponents and signs.
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match number.parse::<f64>() {
            Ok(value) if plain && (0.0..=whole).contains(&value) => Ok(value / whole),
            _ => Err("write a share such as `50%` or `0.5`, from 0% to 100%".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_A_DAY: DurationBetween = DurationBetween::seconds(1, 86_400);

    #[test]
    fn durations_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("15min", 900),
            ("1h 30m", 5_400),
            ("1h30m", 5_400),
            ("1d", 86_400),
            ("1.5h", 5_400),
        ] {
            assert_eq!(TO_A_DAY.parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(TO_A_DAY.parse("1500ms"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn a_duration_needs_a_unit() {
        let error = TO_A_DAY.parse("90").unwrap_err();
        assert_eq!(error, "it has no unit; write one, such as `90s` for seconds or `15m` for minutes");
    }

    #[test]
    fn durations_out_of_bounds_or_unreadable_are_refused() {
        for text in ["0s", "999ms", "25h", "1000000000s", "soon", "-5s", "5 s s", "s", "1e3s", "3 parsecs"] {
            assert!(TO_A_DAY.parse(text).is_err(), "{text}");
        }
        // Overflows inside humantime.
        assert!(TO_A_DAY.parse("18446744073709551615s 1000ms").is_err());
    }

    #[test]
    fn sizes_as_people_write_them() {
        let any = ByteSize { min: 0, max: u64::MAX };
        for (text, bytes) in [
            ("8MiB", 8 * 1024 * 1024),
            ("8mib", 8 * 1024 * 1024),
            ("8Mi", 8 * 1024 * 1024),
            ("8MB", 8_000_000),
            ("8M", 8_000_000),
            ("64 KiB", 65_536),
            ("1.5GiB", 1_610_612_736),
            ("5242880", 5_242_880),
        ] {
            assert_eq!(any.parse(text), Ok(bytes), "{text}");
        }
        for text in ["MiB", "-1MiB", "8 parsecs", "1.2.3MiB", "8MiBs"] {
            assert!(any.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_out_of_bounds_says_what_it_came_to() {
        let part = ByteSize { min: 5 * bytesize::MIB, max: 5 * bytesize::GIB };
        assert_eq!(part.parse("5MB").unwrap_err(), "it is 5000000 bytes; write a size from 5MiB to 5GiB");
    }

    #[test]
    fn shares() {
        for (text, share) in [("50%", 0.5), ("0.5", 0.5), ("100%", 1.0), ("1", 1.0), ("0", 0.0), ("12.5 %", 0.125)] {
            let parsed = Share.parse(text).unwrap();
            assert!((parsed - share).abs() < 1e-12, "{text} gave {parsed}");
        }
        for text in ["50", "101%", "-1%", "nan", "inf", "1e-1", "%", "half", "+0.5", "."] {
            assert!(Share.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers() {
        let format = WholeNumber { min: 1, max: 1024 };
        assert_eq!(format.parse("64"), Ok(64));
        for text in ["0", "1025", "+5", "-1", "6.4", "0x10", "99999999999999999999", "٣"] {
            assert!(format.parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_is_read_back(milliseconds in 0_u64..10_u64.pow(9), bytes in 0..u64::MAX) {
            let any = DurationBetween { min: Duration::ZERO, max: Duration::MAX };
            let duration = Duration::from_millis(milliseconds);
            proptest::prop_assert_eq!(any.parse(&show_duration(duration)), Ok(duration));
            let any = ByteSize { min: 0, max: u64::MAX };
            proptest::prop_assert_eq!(any.parse(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,50}", duration in "([0-9]{1,21}(\\.[0-9]{0,12})?[a-zµ ]{0,4}){1,4}") {
            let any = DurationBetween { min: Duration::ZERO, max: Duration::MAX };
            let size = ByteSize { min: 0, max: u64::MAX };
            for text in [&text, &duration] {
                let _ = any.parse(text);
                let _ = size.parse(text);
                let _ = Share.parse(text);
            }
        }
    }
}
