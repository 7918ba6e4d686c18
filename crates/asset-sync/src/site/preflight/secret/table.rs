//! The secrets that are looked for, one a line.
//!
//! Left out, because they are public by design in a front end: Google's `AIza…` and Firebase's
//! settings, Stripe's and Clerk's `pk_…`, Mapbox's `pk.…`, Sentry's DSN, Algolia's search keys, Supabase's
//! `sb_publishable_…`, New Relic's browser keys, and all keys of test modes.
//! Left out, because other text has the same shape: tokens that are hexadecimal or base64 alone
//! (Heroku, Vercel, Mailgun, Twilio, Datadog, Cloudflare, Discord's bots), Airtable's `pat…`, Azure's `…Q~…`,
//! Vault's old `s.…`, JSON web tokens.
//!
//! Left out, because more signs make the scan of every site slower, and a front end has little to do
//! with them: GitLab's tokens of runners, deployments and OAuth, Vault's batch tokens, Sentry's tokens of users,
//! and all of Discord, Brevo, Bitbucket's old passwords, Terraform Cloud, Postman, New Relic, Doppler, Pulumi
//! and Telegram.
//!
//! A sign is cut so that its first three characters are rare; kinds share a sign where they can.
//!
//! Sources, by the short names below: "gitleaks" is its `config/gitleaks.toml`, "trufflehog" its
//! `pkg/detectors`, "noseyparker" its built-in rules.

use super::check::Check::{self, AwsSecret, Base36Crc, Base62Crc, HexCrc, KeyBody, Random, ReversedHexCrc};
use super::shape::Alphabet::{Base32, Base36, Base62, Base64, Base64Url, Digits, Hex, LowerHex, UpperBase36};
use super::shape::Part::{self, Run, Sign, Text};
use super::shape::run;

/// A kind of secret.
#[derive(Debug)]
pub(super) struct Secret {
    /// What it is to people, with its article.
    pub(super) name: &'static str,
    pub(super) parts: &'static [Part],
    pub(super) check: Check,
}

impl Secret {
    /// The texts it is searched for by; all begin at the same part.
    pub(super) fn signs(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().flat_map(|part| if let Sign(signs) = part { *signs } else { &[] }).copied()
    }
}

const fn secret(name: &'static str, parts: &'static [Part], check: Check) -> Secret {
    Secret { name, parts, check }
}

/// All signs, in rows of those that the search compares as one. aho-corasick deals up to 32 texts out
/// to 8 buckets in turn, and stops wherever three characters could begin some text of a bucket. In
/// this order it stops less than a thousand times in a megabyte of real builds, and the search is as fast as
/// one for a few texts; sorted by name, it takes three times as long.
#[rustfmt::skip]
pub(super) const SIGNS: [[&str; 4]; 8] = [
    ["hf_", "at_", "xox", "ghp_"],
    ["ghr_", "gsk_", "gho_", "ghs_"],
    ["AKIA", "ASIA", "xapp-", "Key="],
    ["SPX-", "cHlwaS5vcmc", "SG.", "TT3"],
    ["kFJ", "IVATE KEY-----", "eyJ", "dapi"],
    ["ck.com/services/T", "live_", "sk-ant-", "ghu_"],
    ["glp", "npm_", "gls", "hvs."],
    ["sb_secret_", "_api_", "shp", "_v1_"],
];

#[rustfmt::skip]
pub(super) const SECRETS: &[Secret] = &[
    // github.blog 2021-04-05 "Behind GitHub's new authentication token formats": 30 + 6 of CRC-32 in base 62.
    secret("a GitHub token", &[Sign(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]), run(Base62, 36)], Base62Crc),
    // 76 as in the patterns of other scanners.
    secret("a GitHub token", &[Sign(&["ghr_"]), run(Base62, 76)], Base62Crc),
    // docs.github.com "Generating an installation access token for a GitHub App": `ghs_APPID_JWT` since April 2026.
    secret("a GitHub token", &[Sign(&["ghs_"]), Run(Digits, 1, 12), Text(&["_eyJ"]), Run(Base64Url, 10, 200), Text(&[".eyJ"]), Run(Base64Url, 50, 800), Text(&["."]), Run(Base64Url, 43, 700)], Random),
    // gitleaks; its checksum is not public.
    secret("a GitHub token", &[Text(&["github_p"]), Sign(&["at_"]), run(Base62, 22), Text(&["_"]), run(Base62, 59)], Random),
    // docs.gitlab.com "GitLab token overview", gitleaks.
    secret("a GitLab token", &[Sign(&["glp"]), Text(&["at-"]), run(Base64Url, 20)], Random),
    secret("a GitLab token", &[Sign(&["gls"]), Text(&["oat-"]), run(Base64Url, 20)], Random),
    secret("a GitLab token", &[Sign(&["glp"]), Text(&["tt-"]), run(LowerHex, 40)], Random),
    // gitlabhq lib/authn/token_field/generator/routable_token.rb: payload, version, length, CRC-32.
    secret("a GitLab token", &[Sign(&["glp"]), Text(&["at-"]), Run(Base64Url, 27, 300), Text(&["."]), run(Base36, 2), Text(&["."]), run(Base36, 9)], Base36Crc),
    // github.blog 2021-09-23 "Announcing npm's new access token format": as GitHub's.
    secret("an npm token", &[Sign(&["npm_"]), run(Base62, 36)], Base62Crc),
    // gitleaks: a macaroon whose location is pypi.org.
    secret("a PyPI token", &[Text(&["pypi-AgEI"]), Sign(&["cHlwaS5vcmc"]), Run(Base64Url, 50, 1000)], Random),
    // gitleaks, trufflehog, noseyparker.
    secret("a Slack token", &[Sign(&["xox"]), Text(&["b-"]), Run(Digits, 10, 13), Text(&["-"]), Run(Digits, 10, 14), Text(&["-"]), Run(Base62, 23, 25)], Random),
    secret("a Slack token", &[Sign(&["xox"]), Text(&["p-"]), Run(Digits, 10, 13), Text(&["-"]), Run(Digits, 10, 13), Text(&["-"]), Run(Digits, 10, 13), Text(&["-"]), Run(Base62, 28, 34)], Random),
    secret("a Slack token", &[Sign(&["xapp-"]), run(Digits, 1), Text(&["-A"]), Run(UpperBase36, 8, 12), Text(&["-"]), Run(Digits, 10, 14), Text(&["-"]), run(LowerHex, 64)], Random),
    secret("a Slack token", &[Sign(&["xox"]), Text(&["e.xoxb-", "e.xoxp-"]), run(Digits, 1), Text(&["-"]), Run(Base62, 163, 166)], Random),
    secret("a Slack webhook", &[Text(&["hooks.sla"]), Sign(&["ck.com/services/T"]), Run(UpperBase36, 8, 12), Text(&["/B"]), Run(UpperBase36, 8, 12), Text(&["/"]), Run(Base62, 23, 25)], Random),
    // noseyparker for 24; gitlab.com/gitlab-org/gitlab issue 458019 (Stripe's own advice): newer ones are longer.
    secret("a Stripe secret key", &[Text(&["sk_", "rk_"]), Sign(&["live_"]), run(Base62, 24)], Random),
    secret("a Stripe secret key", &[Text(&["sk_", "rk_"]), Sign(&["live_"]), Text(&["51"]), Run(Base62, 80, 245)], Random),
    // noseyparker.
    secret("a SendGrid key", &[Sign(&["SG."]), run(Base64Url, 22), Text(&["."]), run(Base64Url, 43)], Random),
    // docs.aws.amazon.com "IAM identifiers"; gitleaks for the alphabet.
    secret("an AWS access key with its secret", &[Sign(&["AKIA", "ASIA"]), run(Base32, 16)], AwsSecret),
    // RFC 7468, RFC 4880 6.2. Google's service accounts have one in their JSON.
    secret("a private key", &[Text(&["-----BEGIN "]), Text(&["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "]), Text(&["PR"]), Sign(&["IVATE KEY-----"])], KeyBody),
    // noseyparker.
    secret("a Google OAuth client secret", &[Text(&["GOC"]), Sign(&["SPX-"]), run(Base64Url, 28)], Random),
    // gitleaks; `T3BlbkFJ` is "OpenAI" in base64.
    secret("an OpenAI key", &[Text(&["sk-"]), run(Base62, 20), Text(&["T3Blb"]), Sign(&["kFJ"]), run(Base62, 20)], Random),
    secret("an OpenAI key", &[Text(&["sk-proj-", "sk-svcacct-", "sk-admin-"]), run(Base64Url, 20), Text(&["T3Blb"]), Sign(&["kFJ"]), run(Base64Url, 20)], Random),
    secret("an OpenAI key", &[Text(&["sk-proj-", "sk-svcacct-", "sk-admin-"]), run(Base64Url, 58), Text(&["T3Blb"]), Sign(&["kFJ"]), run(Base64Url, 58)], Random),
    secret("an OpenAI key", &[Text(&["sk-proj-", "sk-svcacct-", "sk-admin-"]), run(Base64Url, 74), Text(&["T3Blb"]), Sign(&["kFJ"]), run(Base64Url, 74)], Random),
    // gitleaks, trufflehog.
    secret("an Anthropic key", &[Sign(&["sk-ant-"]), Text(&["api03-", "admin01-"]), run(Base64Url, 93), Text(&["AA"])], Random),
    secret("a Hugging Face token", &[Sign(&["hf_"]), run(Base62, 34)], Random),
    secret("a Groq key", &[Sign(&["gsk_"]), run(Base62, 52)], Random),
    secret("a DigitalOcean token", &[Text(&["dop", "doo", "dor"]), Sign(&["_v1_"]), run(LowerHex, 64)], Random),
    secret("a Shopify token", &[Sign(&["shp"]), Text(&["at_", "ca_", "pa_", "ss_"]), run(Hex, 32)], Random),
    secret("a Docker token", &[Text(&["dckr_p"]), Sign(&["at_"]), run(Base64Url, 27)], Random),
    secret("a Docker token", &[Text(&["dckr_o"]), Sign(&["at_"]), run(Base64Url, 32)], Random),
    secret("a Linear key", &[Text(&["lin"]), Sign(&["_api_"]), run(Base62, 40)], Random),
    secret("a Databricks token", &[Sign(&["dapi"]), run(LowerHex, 32)], Random),
    // grafana pkg/components/satokengen/tokengen.go; gitleaks for the cloud's.
    secret("a Grafana token", &[Sign(&["gls"]), Text(&["a_"]), run(Base62, 32), Text(&["_"]), run(LowerHex, 8)], ReversedHexCrc),
    secret("a Grafana token", &[Text(&["glc_"]), Sign(&["eyJ"]), Run(Base64, 60, 400)], Random),
    // gitleaks and trufflehog for the shapes; dd-sensitive-data-scanner and CredSweeper for the checksum.
    secret("an Atlassian token", &[Text(&["ATA", "ATC"]), Sign(&["TT3"]), Run(Base64Url, 100, 250), Text(&["="]), run(UpperBase36, 8)], HexCrc),
    // gitleaks.
    secret("a Vault token", &[Sign(&["hvs."]), Run(Base64Url, 90, 120)], Random),
    // trufflehog; `eyJ1Ijoi` is `{"u":"` in base64.
    secret("a Mapbox secret token", &[Text(&["sk."]), Sign(&["eyJ"]), Text(&["1Ijoi"]), Run(Base64Url, 30, 200), Text(&["."]), run(Base64Url, 22)], Random),
    // gitleaks; sentry's RFC 0091.
    secret("a Sentry token", &[Text(&["sntrys_"]), Sign(&["eyJ"]), Run(Base64, 50, 400), Text(&["_", "=_", "==_"]), run(Base64, 43)], Random),
    // supabase.com "Understanding API keys" for the beginning; the lengths are those of the local key that its command line prints.
    secret("a Supabase secret key", &[Sign(&["sb_secret_"]), run(Base64Url, 22), Text(&["_"]), run(Base64Url, 8)], Random),
    // learn.microsoft.com "Configure Azure Storage connection strings": 64 bytes; of Service Bus 32.
    secret("an Azure storage key", &[Text(&["Account"]), Sign(&["Key="]), run(Base64, 86), Text(&["=="])], Random),
    secret("an Azure access key", &[Text(&["SharedAccess"]), Sign(&["Key="]), run(Base64, 43), Text(&["="])], Random),
];
