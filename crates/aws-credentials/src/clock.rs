//! Requests that are refused for the time they were signed at.

use std::time::SystemTime;

use jiff::fmt::{rfc2822, strtime};
use jiff::{Timestamp, Unit, civil, tz};

use crate::error::one_line;

/// By how much S3 lets clocks differ: `MaxAllowedSkewMilliseconds` of its answers is 900000.
const ALLOWED: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);

/// An answer that refused a request.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The error code; none where the answer has no body, as to a HEAD.
    pub code: Option<&'a str>,
    /// The error message.
    pub message: &'a str,
    /// The `Date` header.
    pub date: Option<&'a str>,
    /// The body, where it may have a `ServerTime`, as S3's has.
    pub body: Option<&'a [u8]>,
}

/// Says that this machine's clock is wrong, with both times, if that is why the request was refused.
///
/// `now` is the time on this machine's clock.
pub fn wrong_clock(refusal: &Refusal<'_>, now: SystemTime) -> Option<String> {
    let now = Timestamp::try_from(now).ok()?;
    let server = server_time(refusal);
    let is_far_off = || server.is_some_and(|server| server.duration_since(now).abs() > ALLOWED);
    let is_wrong = match refusal.code {
        // S3's and CloudFront's names for it.
        Some("RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture") => true,
        // Services with signature version 4 say: "Signature expired: T1 is now earlier than T2 (T3 - 15 min.)",
        // or "Signature not yet current: T1 is still later than T2 (T3 + 15 min.)" (aws/aws-cli#1065).
        _ if refusal.message.contains("is now earlier than") || refusal.message.contains("is still later than") => true,
        // A wrong clock spoils the signature in other ways too. An answer without a body gives no reason at all.
        Some("SignatureDoesNotMatch" | "InvalidSignatureException" | "AuthFailure") | None => is_far_off(),
        Some(_) => false,
    };
    is_wrong.then(|| {
        let of_server = match server {
            Some(server) => {
                let off = now.duration_since(server);
                let direction = if off.is_negative() { "behind" } else { "ahead" };
                let off = off.abs().round(Unit::Second).unwrap_or(off.abs());
                format!("the server's shows {}. It is {off:#} {direction}", whole(server))
            }
            None => "the server does not say its time".to_owned(),
        };
        let said = match refusal.code {
            Some(code) => format!(" ({code}: {})", one_line(refusal.message)),
            None => String::new(),
        };
        format!("the clock of this machine is wrong: it shows {}, {of_server}{said}", whole(now))
    })
}

fn whole(time: Timestamp) -> Timestamp {
    time.round(Unit::Second).unwrap_or(time)
}

/// The time on the server's clock. The message comes before the header, which a cache may have kept.
fn server_time(refusal: &Refusal<'_>) -> Option<Timestamp> {
    let in_body = || {
        let body = std::str::from_utf8(refusal.body?).ok()?;
        body.split_once("<ServerTime>")?.1.split_once("</ServerTime>")?.0.trim().parse().ok()
    };
    let in_message = || {
        let compact = refusal.message.split_once('(')?.1.split_whitespace().next()?;
        let civil: civil::DateTime = strtime::parse("%Y%m%dT%H%M%SZ", compact).ok()?.to_datetime().ok()?;
        civil.to_zoned(tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let in_header = || rfc2822::parse(refusal.date?).ok().map(|zoned| zoned.timestamp());
    in_body().or_else(in_message).or_else(in_header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-25T12:00:00Z";

    fn told(code: Option<&str>, message: &str, date: Option<&str>, body: Option<&str>) -> Option<String> {
        let refusal = Refusal { code, message, date, body: body.map(str::as_bytes) };
        wrong_clock(&refusal, NOW.parse::<Timestamp>().unwrap().into())
    }

    #[test]
    fn both_times_are_named() {
        let message = "The difference between the request time\nand the current time is too large.";
        let body = "<Error><Code>RequestTimeTooSkewed</Code><RequestTime>20261125T120000Z</RequestTime><ServerTime>2026-11-25T12:20:00Z</ServerTime></Error>";
        let date = Some("Wed, 25 Nov 2026 11:00:00 GMT");
        let both = told(Some("RequestTimeTooSkewed"), message, date, Some(body)).unwrap();
        assert!(both.contains("it shows 2026-11-25T12:00:00Z, the server's shows 2026-11-25T12:20:00Z"), "{both}");
        assert!(both.contains("20m behind") && !both.contains('\n'), "{both}");
        let header = told(Some("RequestTimeTooSkewed"), message, date, None).unwrap();
        assert!(header.contains("2026-11-25T11:00:00Z. It is 1h ahead"), "{header}");
        let neither = told(Some("RequestTimeTooSkewed"), message, None, None).unwrap();
        assert!(neither.contains("does not say its time"), "{neither}");
    }

    #[test]
    fn signatures_of_another_time() {
        for (message, server) in [
            (
                "Signature expired: 20261125T120000Z is now earlier than 20261125T121500Z (20261125T123000Z - 15 min.)",
                "2026-11-25T12:30:00Z",
            ),
            (
                "Signature not yet current: 20261125T120000Z is still later than 20261125T113500Z (20261125T112000Z + 15 min.)",
                "2026-11-25T11:20:00Z",
            ),
        ] {
            for code in ["InvalidSignatureException", "SignatureDoesNotMatch"] {
                let told = told(Some(code), message, None, None).unwrap();
                assert!(told.contains(server), "{told}");
            }
        }
    }

    #[test]
    fn other_refusals_are_not_the_clock() {
        let (near, far) = ("Wed, 25 Nov 2026 12:14:00 GMT", "Wed, 25 Nov 2026 12:16:00 GMT");
        for (code, date, is_clock) in [
            (Some("SignatureDoesNotMatch"), near, false),
            (Some("SignatureDoesNotMatch"), far, true),
            (None, near, false),
            (None, far, true),
            (Some("AccessDenied"), far, false),
            (Some("ExpiredToken"), far, false),
        ] {
            assert_eq!(told(code, "no", Some(date), None).is_some(), is_clock, "{code:?} {date}");
        }
    }
}
