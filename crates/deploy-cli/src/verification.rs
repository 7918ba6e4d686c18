//! Looking at the live site as its visitors do.

use asset_sync::state::Manifest;
use asset_sync::verify::{HttpVerifier, InvalidVerifier, Observation, Verdict, Verifier as _, VerifierOptions};
use asset_sync::{Deployer, Error};
use deploy_config::{Settings, Verification, Verify};

use crate::args::Command;
use crate::connect::Places;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hint::verdict_hint;

/// Most observations in a message; the result has all.
const SHOWN: usize = 5;

/// What `deploy verify` saw.
#[derive(Debug)]
pub(crate) struct Looked {
    /// What was seen.
    pub(crate) verdict: Verdict,
    /// Where it was seen.
    pub(crate) url: String,
    /// What follows, unless all is well.
    pub(crate) failure: Option<Failure>,
}

/// What of a verdict makes `deploy verify` fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something else than the release is served.
    Wrong,
    /// Anybody can read the state area.
    Exposed,
    /// Nothing of the site could be seen.
    Unreachable,
    /// Something could not be seen, and all of it was required to be.
    Unseen,
}

/// What to say where `deploy verify` is not told where the site is.
pub(crate) const NO_URL: &str = "DEPLOY_PUBLIC_URL: is not set. Set it to the URL under which visitors find the site, such as https://www.example.com/";

/// What looks at the site, where the settings and the command ask for it. Sends nothing.
///
/// # Errors
/// What the URL or the header must not be; neither the header's value nor a login in the URL is shown.
pub(crate) fn verifier(command: &Command, settings: &Settings) -> Result<Option<HttpVerifier>, Failure> {
    let Verification { public_url, verify, header, .. } = &settings.verification;
    let asked = match command {
        Command::Verify(_) => true,
        Command::Run(_) | Command::Plan(_) => *verify != Verify::Off,
        _ => false,
    };
    match public_url {
        Some(url) if asked => {
            let header = header.as_ref().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
            connect(&VerifierOptions { header, ..VerifierOptions::new(url) }).map(Some)
        }
        None if matches!(command, Command::Verify(_)) => Err(Failure::usage(NO_URL)),
        _ => Ok(None),
    }
}

/// The same, for the target within this process: the public URL of the environment is somebody else's.
#[cfg(feature = "local")]
pub(crate) fn local_verifier(
    command: &Command,
    settings: &Settings,
    url: &str,
) -> Result<Option<HttpVerifier>, Failure> {
    let asked = match command {
        Command::Verify(_) => true,
        Command::Run(_) => settings.verification.verify != Verify::Off,
        _ => false,
    };
    // Nothing is in between that a pause could mend.
    let options = VerifierOptions { pause: std::time::Duration::from_millis(20), ..VerifierOptions::new(url) };
    if asked { connect(&options).map(Some) } else { Ok(None) }
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
        InvalidVerifier::Header { .. } => Failure::usage(format!("DEPLOY_VERIFY_HEADER: {error}")),
        InvalidVerifier::Client(_) => Failure { exit: Exit::Transient, message: error.to_string(), hint: None },
    })
}

/// Looks at what is live.
///
/// # Errors
/// What reading the state can give. What was seen is no error.
pub(crate) async fn look(
    deployer: &Deployer,
    verifier: &HttpVerifier,
    settings: &Settings,
    url: String,
) -> Result<Looked, Error> {
    let verdict = deployer.verify(verifier).await?;
    let Places { target, area } = Places::new(settings);
    let current = area.current();
    let state_path = current.strip_prefix(&target.prefix).filter(|_| area.in_target);
    // Of a release without files, there is nothing to remark but a state area that can be read.
    let exposed = state_path.is_some() && !verifier.verify(&Manifest::default(), state_path).await.remarks.is_empty();
    let required = settings.verification.verify == Verify::Required;
    let failure = fault(&verdict, exposed, required).map(|fault| failure(fault, &verdict));
    Ok(Looked { verdict, url, failure })
}

fn fault(verdict: &Verdict, exposed: bool, required: bool) -> Option<Fault> {
    if !verdict.wrong.is_empty() {
        Some(Fault::Wrong)
    } else if exposed {
        Some(Fault::Exposed)
    } else if verdict.unseen.is_empty() {
        None
    } else if verdict.right == 0 {
        Some(Fault::Unreachable)
    } else {
        required.then_some(Fault::Unseen)
    }
}

fn failure(fault: Fault, verdict: &Verdict) -> Failure {
    let message = match fault {
        Fault::Wrong => format!("what is served is not the live release: {}", some(&verdict.wrong)),
        Fault::Exposed => "the state area can be read by anybody".to_owned(),
        Fault::Unreachable => format!("the site could not be looked at: {}", some(&verdict.unseen)),
        Fault::Unseen => format!("a part of the site could not be looked at: {}", some(&verdict.unseen)),
    };
    Failure { exit: Exit::Verification, message, hint: Some(verdict_hint(fault)) }
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

    fn seen(right: u64, wrong: usize, unseen: usize) -> Verdict {
        let some = |n| vec![Observation { url: "https://x/".into(), what: "is odd".into() }; n];
        Verdict { right, wrong: some(wrong), unseen: some(unseen), remarks: some(2) }
    }

    #[test]
    fn only_evidence_and_blindness_are_faults() {
        assert_eq!(fault(&seen(3, 0, 0), false, true), None);
        assert_eq!(fault(&seen(3, 0, 1), false, false), None);
        assert_eq!(fault(&seen(3, 0, 1), false, true), Some(Fault::Unseen));
        assert_eq!(fault(&seen(0, 0, 1), false, false), Some(Fault::Unreachable));
        assert_eq!(fault(&seen(3, 0, 0), true, false), Some(Fault::Exposed));
        assert_eq!(fault(&seen(0, 1, 1), true, true), Some(Fault::Wrong));
    }

    #[test]
    fn a_url_with_a_login_or_a_query_is_refused_and_not_shown() {
        for url in ["https://me:planted@www.example.com/", "https://www.example.com/?token=planted"] {
            let failure = connect(&VerifierOptions::new(url)).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
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
