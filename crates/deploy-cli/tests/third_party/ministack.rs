//! ministack: S3, CloudFront and IAM by other people.

use std::process::Command;

use aws_sdk_cloudfront::types::{
    DefaultCacheBehavior, DistributionConfig, Origin, OriginAccessControlConfig, OriginAccessControlOriginTypes,
    OriginAccessControlSigningBehaviors, OriginAccessControlSigningProtocols, Origins, S3OriginConfig,
    ViewerProtocolPolicy,
};
use aws_sdk_s3::types::CreateBucketConfiguration;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::http;
use crate::process::{Server, free_port};
use crate::proxy::Proxy;
use crate::target::{Access, Target};

pub(crate) const ACCOUNT: &str = "000000000000";
const REGION: &str = "eu-central-1";
/// Its root, whose signature it does not check. The program never has these keys.
const ROOT: &str = "test";
pub(crate) const BUCKET: &str = "webapp-production";
/// Where the policies are that are said to be enough.
const DOCUMENTATION: &str = include_str!("../../../../docs/iam.md");

/// A running ministack with a bucket and a distribution.
#[derive(Debug)]
pub(crate) struct Ministack {
    port: u16,
    access: Access,
    distribution: String,
    /// The host name under which the distribution serves visitors.
    domain: String,
    _server: Server,
}

/// An IAM user's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Ministack {
    /// Starts it; `None`, said loudly, where it is not at hand.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = crate::tool("MTRIBES_TEST_MINISTACK", "venv/bin/ministack") else {
            crate::skip("the server ministack");
            return None;
        };
        loop {
            let port = free_port();
            let mut server = Server::start("ministack", |_| {
                let mut command = Command::new(&program);
                // By default it listens on every interface and checks nothing.
                command.env("BIND_HOST", "127.0.0.1").env("AUTH", "true").env("LOG_LEVEL", "WARNING");
                command.env("GATEWAY_PORT", port.to_string());
                command
            });
            let is_ready = async || {
                let request = Request::get("/_ministack/health").body(String::new()).unwrap();
                http::send(port, request).await.is_ok_and(|answer| answer.status() == StatusCode::OK)
            };
            if server.becomes_ready(is_ready).await {
                return Some(Self::furnish(port, server).await);
            }
            assert!(server.log().contains("in use"), "ministack does not start: {}", server.log());
        }
    }

    /// Creates what an account has before the first deploy.
    async fn furnish(port: u16, server: Server) -> Self {
        let url = format!("http://127.0.0.1:{port}");
        let access = Access {
            s3: url.clone(),
            cloudfront: Some(url),
            region: REGION.to_owned(),
            key_id: ROOT.to_owned(),
            secret: ROOT.to_owned(),
        };
        create_bucket(&access, BUCKET).await;
        let (distribution, domain) = create_distribution(&access, BUCKET).await;
        open_to_the_distribution(&access, BUCKET, &distribution).await;
        Self { port, access, distribution, domain, _server: server }
    }

    /// The bucket and the distribution, reached by the program with the keys of a new user who has
    /// just the documented policy.
    pub(crate) async fn target(&self, prefix: &str) -> Target {
        let keys = self.user("deployer").await;
        self.set_policy("deployer", &self.documented_policy(prefix)).await;
        self.target_of(&keys, prefix)
    }

    /// The bucket and the distribution, reached by the program with these keys.
    pub(crate) fn target_of(&self, keys: &Keys, prefix: &str) -> Target {
        let mut target = Target::new(&self.access, BUCKET, prefix, Some(&self.distribution));
        target.program = target.program.with("AWS_ACCESS_KEY_ID", &keys.id).with("AWS_SECRET_ACCESS_KEY", &keys.secret);
        target
    }

    /// The bucket and the distribution, with a CloudFront that refuses the paths that the real one is said to refuse.
    pub(crate) async fn strict_target(&self, prefix: &str) -> (Target, Proxy) {
        let (mut target, proxy) = (self.target(prefix).await, Proxy::before(self.port).await);
        target.program = target.program.with("AWS_ENDPOINT_URL_CLOUDFRONT", &proxy.url);
        (target, proxy)
    }

    /// One more environment in the account: a bucket, a distribution and a user of its own, who may
    /// do what is documented there and nothing elsewhere. The program looks at the site as visitors
    /// of the distribution do.
    pub(crate) async fn environment(&self, name: &str) -> Target {
        let (bucket, user) = (format!("webapp-of-{name}"), format!("deployer-of-{name}"));
        create_bucket(&self.access, &bucket).await;
        let (distribution, domain) = create_distribution(&self.access, &bucket).await;
        open_to_the_distribution(&self.access, &bucket, &distribution).await;
        let keys = self.user(&user).await;
        let policy = documented("cloudfront:CreateInvalidation", &distribution, "").replace(BUCKET, &bucket);
        self.set_policy(&user, &policy).await;
        let mut target = Target::new(&self.access, &bucket, "", Some(&distribution));
        target.program = target.program.with("AWS_ACCESS_KEY_ID", &keys.id).with("AWS_SECRET_ACCESS_KEY", &keys.secret);
        // The server tells distributions apart by the host name, and has one address for all.
        target.program = target.program.with("DEPLOY_PUBLIC_URL", format!("http://127.0.0.1:{}/", self.port));
        target.program = target.program.with("DEPLOY_VERIFY_HEADER", format!("Host: {domain}"));
        target
    }

    /// The policy of `docs/iam.md`, for this bucket, prefix and distribution.
    pub(crate) fn documented_policy(&self, prefix: &str) -> String {
        documented("cloudfront:CreateInvalidation", &self.distribution, prefix)
    }

    /// The statements of that policy which its table says are enough for a command, without one of
    /// them if `lacking` names it; and the names of all.
    pub(crate) fn policy_for(&self, command: &str, prefix: &str, lacking: Option<&str>) -> (String, Vec<String>) {
        let row = DOCUMENTATION.lines().find_map(|line| {
            let (commands, statements) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
            commands
                .split(", ")
                .any(|one| one == format!("`{command}`") || one == format!("`{}`", command.trim_end_matches(" --all")))
                .then_some(statements)
        });
        let row = row.unwrap_or_else(|| panic!("docs/iam.md does not say what {command} needs"));
        let names: Vec<String> = row.split(", ").map(str::to_owned).collect();
        let mut policy: Value = serde_json::from_str(&self.documented_policy(prefix)).unwrap();
        let statements = policy["Statement"].as_array_mut().unwrap();
        let is_named = |statement: &Value, name: &str| statement["Sid"] == name;
        for name in &names {
            assert!(statements.iter().any(|one| is_named(one, name)), "docs/iam.md has no statement {name}");
        }
        statements.retain(|one| names.iter().any(|name| is_named(one, name) && lacking != Some(name)));
        (policy.to_string(), names)
    }

    /// Creates an IAM user, who may do nothing yet.
    pub(crate) async fn user(&self, name: &str) -> Keys {
        self.iam(&[("Action", "CreateUser"), ("UserName", name)]).await;
        let answer = self.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]).await;
        let field = |tag: &str| {
            let (_, rest) = answer.split_once(&format!("<{tag}>")).unwrap_or_else(|| panic!("no {tag} in {answer}"));
            rest.split_once('<').unwrap().0.to_owned()
        };
        Keys { id: field("AccessKeyId"), secret: field("SecretAccessKey") }
    }

    /// Replaces what a user may do.
    pub(crate) async fn set_policy(&self, user: &str, policy: &str) {
        let name = ("PolicyName", "deploy");
        self.iam(&[("Action", "PutUserPolicy"), ("UserName", user), name, ("PolicyDocument", policy)]).await;
    }

    /// Creates a role, which those whom `trust` names may take on.
    pub(crate) async fn role(&self, name: &str, trust: &str, policy: &str) {
        let role = ("RoleName", name);
        self.iam(&[("Action", "CreateRole"), role, ("AssumeRolePolicyDocument", trust)]).await;
        self.iam(&[("Action", "PutRolePolicy"), role, ("PolicyName", "deploy"), ("PolicyDocument", policy)]).await;
    }

    /// Where all its services are.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A request to IAM's query API.
    async fn iam(&self, parameters: &[(&str, &str)]) -> String {
        let version = ("Version", "2010-05-08");
        let pairs: Vec<_> =
            parameters.iter().chain([&version]).map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let scope = format!("Credential={ROOT}/20260101/us-east-1/iam/aws4_request");
        let request = Request::post("/")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"));
        let answer = http::send(self.port, request.body(pairs.join("&")).unwrap()).await.unwrap();
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{parameters:?}: {text}");
        text
    }

    /// What a visitor of the distribution gets at `path`.
    pub(crate) async fn visit(&self, path: &str) -> (StatusCode, Vec<u8>) {
        let request = Request::get(path).header("Host", &self.domain);
        let answer = http::send(self.port, request.body(String::new()).unwrap()).await.unwrap();
        (answer.status(), answer.body().to_vec())
    }
}

/// Every byte of a form's value percent-encoded, which is always right.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

/// The JSON in the documentation that has `what` in it, for this distribution and prefix.
fn documented(what: &str, distribution: &str, prefix: &str) -> String {
    let mut blocks = DOCUMENTATION.split("```json").skip(1).filter_map(|block| block.split("```").next());
    let block = blocks.find(|block| block.contains(what)).unwrap();
    let block = block.replace("/DISTRIBUTION", &format!("/{distribution}"));
    block.replace("PREFIX", prefix).replace("BUCKET", BUCKET).replace("ACCOUNT", ACCOUNT)
}

async fn create_bucket(access: &Access, bucket: &str) {
    let place = CreateBucketConfiguration::builder().location_constraint(REGION.into()).build();
    let create = access.s3_client().create_bucket().bucket(bucket).create_bucket_configuration(place);
    create.send().await.unwrap();
}

/// Lets a distribution read a bucket, but for the state area of a site at its top.
async fn open_to_the_distribution(access: &Access, bucket: &str, distribution: &str) {
    let deny: Value = serde_json::from_str(&documented("\"Deny\"", distribution, "").replace(BUCKET, bucket)).unwrap();
    let allow = json!({
        "Effect": "Allow",
        "Principal": { "Service": "cloudfront.amazonaws.com" },
        "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*"),
        "Condition": {
            "StringEquals": {
                "AWS:SourceArn": format!("arn:aws:cloudfront::{ACCOUNT}:distribution/{distribution}")
            }
        }
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": [allow, deny] });
    let put = access.s3_client().put_bucket_policy().bucket(bucket).policy(policy.to_string());
    put.send().await.unwrap();
}

async fn create_distribution(access: &Access, bucket: &str) -> (String, String) {
    let client = access.cloudfront_client().unwrap();
    let control = OriginAccessControlConfig::builder()
        .name(bucket)
        .origin_access_control_origin_type(OriginAccessControlOriginTypes::S3)
        .signing_behavior(OriginAccessControlSigningBehaviors::Always)
        .signing_protocol(OriginAccessControlSigningProtocols::Sigv4);
    let control = client.create_origin_access_control().origin_access_control_config(control.build().unwrap());
    let control = control.send().await.unwrap().origin_access_control.unwrap();
    let origin = Origin::builder()
        .id("bucket")
        .origin_access_control_id(control.id)
        .domain_name(format!("{bucket}.s3.{REGION}.amazonaws.com"))
        .s3_origin_config(S3OriginConfig::builder().origin_access_identity("").build());
    let behavior = DefaultCacheBehavior::builder()
        .target_origin_id("bucket")
        .viewer_protocol_policy(ViewerProtocolPolicy::AllowAll);
    let config = DistributionConfig::builder()
        .caller_reference(bucket)
        .comment("")
        .enabled(true)
        .default_root_object("index.html")
        .origins(Origins::builder().quantity(1).items(origin.build().unwrap()).build().unwrap())
        .default_cache_behavior(behavior.build().unwrap());
    let created = client.create_distribution().distribution_config(config.build().unwrap()).send().await.unwrap();
    let distribution = created.distribution.unwrap();
    (distribution.id, distribution.domain_name)
}
