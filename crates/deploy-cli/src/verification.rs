//! Looking at the live site as its visitors do.

use std::time::Duration;

use asset_sync::ErrorClass;
use asset_sync::verify::{Fault, HttpVerifier, InvalidVerifier, Observation, Verdict, VerifierOptions};
use deploy_config::{Settings, Verification, Verify};

use crate::commands::Looks;
use crate::connect::routing;
use crate::failure::Failure;
use crate::hint::verdict_hint;

/// Most observations in a message; the result has all.
const SHOWN: usize = 5;

/// What to say where `deploy verify` is not told where the site is.
pub(crate) const NO_URL: &str = "DEPLOY_PUBLIC_URL: is not set. Set it to the URL under which visitors find the site, such as https://www.example.com/";

/// What looks at the site, where the settings and the command ask for it. Sends nothing.
///
/// # Errors
/// What the URL or the header must not be; neither the header's value nor a login in the URL is shown.
pub(crate) fn verifier(looks: Looks, settings: &Settings) -> Result<Option<HttpVerifier>, Failure> {
    let Verification { public_url, verify, header, .. } = &settings.verification;
    let asked = match looks {
        Looks::Always => true,
        Looks::AsConfigured => *verify != Verify::Off,
        Looks::Never => false,
    };
    match public_url {
        Some(url) if asked => {
            let header = header.as_ref().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
            connect(&VerifierOptions { header, ..options(url, settings) }).map(Some)
        }
        None if looks == Looks::Always => Err(Failure::usage(NO_URL)),
        _ => Ok(None),
    }
}

/// The same, for the target within this process: the public URL of the environment is somebody else's.
#[cfg(feature = "local")]
pub(crate) fn local_verifier(looks: Looks, settings: &Settings, url: &str) -> Result<Option<HttpVerifier>, Failure> {
    let asked = match looks {
        Looks::Always => true,
        Looks::AsConfigured => settings.verification.verify != Verify::Off,
        Looks::Never => false,
    };
    // Nothing is in between that a pause could mend.
    let options = VerifierOptions {
        pause: Duration::from_millis(20),
        patience: Duration::ZERO,
        timeout: settings.request_timeout,
        routing: routing(settings),
        ..VerifierOptions::new(url)
    };
    if asked { connect(&options).map(Some) } else { Ok(None) }
}

fn options(url: &str, settings: &Settings) -> VerifierOptions {
    const LONGEST_PAUSE: Duration = Duration::from_secs(2);
    const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
    let patience = settings.verification.timeout;
    VerifierOptions {
        timeout: settings.request_timeout,
        patience,
        ignore: settings.verification.ignore.clone(),
        routing: routing(settings),
        pause: (patience / 5).clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
        ..VerifierOptions::new(url)
    }
}

fn connect(options: &VerifierOptions) -> Result<HttpVerifier, Failure> {
    let authority =
        options.url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
    if authority.contains('@') {
        return Err(Failure::usage(
            "DEPLOY_PUBLIC_URL: has a user name or a password in it, which would be shown wherever the URL is. Put them into DEPLOY_VERIFY_HEADER, as `Authorization: Basic …`",
        ));
    }
    HttpVerifier::new(options).map_err(|error| match error {
        // Not the URL itself: its query may be a secret.
        InvalidVerifier::Url { reason, .. } => {
            Failure::usage(format!("DEPLOY_PUBLIC_URL: is not the URL of a site: {reason}"))
        }
        InvalidVerifier::Ignore { .. } => Failure::usage(format!("DEPLOY_VERIFY_IGNORE: {error}")),
        InvalidVerifier::Header { .. } => Failure::usage(format!("DEPLOY_VERIFY_HEADER: {error}")),
        InvalidVerifier::Client(_) => Failure::new(ErrorClass::Transient, error.to_string()),
    })
}

/// What follows from what was seen, unless all is well.
pub(crate) fn failure_of(verdict: &Verdict, settings: &Settings) -> Option<Failure> {
    let required = settings.verification.verify == Verify::Required;
    // Who asks how the site looks is told of whatever is not as it should be; a part that could not be
    // seen is no more than a warning unless all of it must be.
    let fault = verdict.fault().filter(|fault| required || *fault != Fault::Unseen);
    fault.map(|fault| failure(fault, verdict))
}

fn failure(fault: Fault, verdict: &Verdict) -> Failure {
    let seen = some(&verdict.evidence());
    let message = match fault {
        Fault::Wrong => format!("what is served is not the live release: {seen}"),
        Fault::Stale => format!("the edge still serves the release before the live one: {seen}"),
        Fault::StateAreaReadable => format!("the live release is served, and more than that: {seen}"),
        Fault::Unreachable => format!("the site could not be looked at: {seen}"),
        Fault::Unseen => format!("a part of the site could not be looked at: {seen}"),
    };
    Failure { hint: Some(verdict_hint(fault)), ..Failure::new(ErrorClass::Verification, message) }
}

fn some(observations: &[Observation]) -> String {
    let text = observations.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match observations.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_login_or_a_query_is_refused_and_not_shown() {
        for url in ["https://me:planted@www.example.com/", "https://www.example.com/?token=planted"] {
            let failure = connect(&VerifierOptions::new(url)).unwrap_err();
            assert_eq!(failure.exit, ErrorClass::Usage.into());
            assert!(failure.message.starts_with("DEPLOY_PUBLIC_URL: "), "{}", failure.message);
            assert!(!failure.message.contains("planted"), "{}", failure.message);
        }
        let header = Some(("X-Key".to_owned(), "planted\u{7f}".to_owned()));
        let failure =
            connect(&VerifierOptions { header, ..VerifierOptions::new("https://www.example.com/") }).unwrap_err();
        assert!(failure.message.starts_with("DEPLOY_VERIFY_HEADER: "), "{}", failure.message);
        assert!(!failure.message.contains("planted"), "{}", failure.message);
    }
}
