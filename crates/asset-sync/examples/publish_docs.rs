//! Publishes one folder of documents, and prints first what it will do, as a table.
//!
//! A second tool on the same library: it keeps no history worth rolling back to, has no CDN, and
//! lets every browser keep a document for an hour.
//!
//! ```sh
//! AWS_REGION=eu-central-1 cargo run --example publish_docs -- handbook my-bucket handbook/
//! ```
//!
//! Credentials, and the address of a server that is not AWS's, are found as the AWS SDK finds them.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use asset_sync::Deployer;
use asset_sync::bucket::{S3Bucket, S3Options};
use asset_sync::cdn::CloudFront;
use asset_sync::deploy::{Options, PlanReport, ReleaseInfo};
use asset_sync::site::{Rules, ScanOptions, scan};
use asset_sync::state::{StateArea, Target};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

const USAGE: &str = "usage: publish_docs FOLDER BUCKET PREFIX/ (with AWS_REGION set)";

const RULES: &str = r#"
[[rule]]
glob = "**"
cache-control = "public, max-age=3600"
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, bucket, prefix] = arguments.as_slice() else { return Err(USAGE.into()) };
    if !prefix.is_empty() && !prefix.ends_with('/') {
        return Err(USAGE.into());
    }
    let region = env::var("AWS_REGION").map_err(|_| USAGE)?;

    let target = Target { bucket: bucket.clone(), prefix: prefix.clone() };
    let area = StateArea::in_target(&target, ".published/");
    let scanning = ScanOptions {
        prefix: prefix.clone(),
        state_prefix: Some(area.root.clone()),
        rules: Rules::parse(RULES)?,
        ..ScanOptions::default()
    };
    let documents = scan(Path::new(folder), &scanning)?;

    // An address of one's own is most often that of a server that wants the bucket in the path.
    let force_path_style = env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let client = S3Bucket::connect(S3Options { force_path_style, ..S3Options::new(bucket, region) }).await;
    let options = Options {
        keep_releases: 0,
        grace: SignedDuration::ZERO,
        owner: "publish_docs".to_owned(),
        ..Options::default()
    };
    // Never asked, since no distribution is named.
    let cdn = Arc::new(CloudFront::connect());
    let deployer = Deployer::new(prefix, Arc::new(client), area, None, cdn, options);

    // Documents have no versions: nothing is refused as older.
    let info = ReleaseInfo { version: "documents".to_owned(), build: None };
    let plan = deployer.plan(&documents, &info).await?;
    print(&plan, &mut io::stdout().lock())?;
    if !plan.unchanged {
        let report = deployer.deploy(&documents, &info, &CancellationToken::new()).await?;
        writeln!(io::stdout(), "Published {} of {} documents.", report.uploaded.files, documents.files.len())?;
    }
    Ok(())
}

fn print(plan: &PlanReport, out: &mut impl Write) -> io::Result<()> {
    if plan.unchanged {
        return writeln!(out, "Everything is published as it is.");
    }
    writeln!(out, "{:>12}  {:<16}  document", "bytes", "why")?;
    for write in &plan.writes {
        // As it is written in JSON, with dashes.
        let why = serde_json::to_string(&write.reason)?;
        writeln!(out, "{:>12}  {:<16}  {}", write.bytes, why.trim_matches('"'), write.key)?;
    }
    for gone in &plan.obsolete {
        writeln!(out, "{:>12}  {:<16}  {}", gone.bytes, "gone", gone.key)?;
    }
    Ok(())
}
