//! The AWS SDK's variables that people meet.

use super::declare;
use crate::format::{FilePath, HttpUrl, Region, Text};
use crate::variable::{Group, Owner, Presence, Program, Reader, Variable};

const DEPLOY_ALONE: &[Reader] = &[Reader { program: Program::Deploy, commands: &[] }];
/// Credentials, which `image-tagger` needs for ECR.
const BOTH: &[Reader] = &[
    Reader { program: Program::Deploy, commands: &[] },
    Reader { program: Program::ImageTagger, commands: &["cut", "tag", "inspect"] },
];

/// What these variables have in common.
const SDK: Variable = Variable {
    name: "",
    group: Group::Aws,
    summary: "",
    details: "",
    format: &Text("text"),
    presence: Presence::Optional("not used"),
    example: "",
    secret: false,
    owner: Owner::AwsSdk,
    read_by: DEPLOY_ALONE,
};

declare! {
    /// The AWS SDK's variables that people meet, in the order of the documentation.
    AWS from SDK;

    AWS_REGION: Region, "The region, where `DEPLOY_REGION` is not set" {
        details: "EKS sets it in pods that have a role.",
        presence: Presence::Optional("see `DEPLOY_REGION`"),
        example: "eu-central-1",
    }
    AWS_DEFAULT_REGION: Region, "The region, where `AWS_REGION` is not set either" {
        presence: Presence::Optional("see `DEPLOY_REGION`"),
        example: "eu-central-1",
    }
    AWS_ACCESS_KEY_ID: Text("access key id"), "The id of an access key" {
        details: "Wins over every other source of credentials.",
        example: "AKIAIOSFODNN7EXAMPLE",
        read_by: BOTH,
    }
    AWS_SECRET_ACCESS_KEY: Text("secret, on one line"), "The secret of that access key" {
        example: "(from a secret store)",
        secret: true,
        read_by: BOTH,
    }
    AWS_SESSION_TOKEN: Text("secret, on one line"), "The session token, where the access key is a temporary one" {
        example: "(from a secret store)",
        secret: true,
        read_by: BOTH,
    }
    AWS_PROFILE: Text("profile name"), "The profile in the shared configuration files" {
        presence: Presence::Optional("the profile `default`"),
        example: "production",
        read_by: BOTH,
    }
    AWS_ROLE_ARN: Text("ARN"), "The role to assume with a web identity token" {
        details: "EKS sets it in pods whose service account has a role (IRSA).",
        example: "arn:aws:iam::123456789012:role/webapp-deploy",
        read_by: BOTH,
    }
    AWS_WEB_IDENTITY_TOKEN_FILE: FilePath("file"), "The file that holds the web identity token" {
        details: "EKS sets it together with `AWS_ROLE_ARN`.",
        example: "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
        read_by: BOTH,
    }
    AWS_ROLE_SESSION_NAME: Text("session name"), "The name of the session of that role" {
        details: "CloudTrail shows it.",
        presence: Presence::Optional("the SDK makes one up"),
        example: "webapp-deploy",
        read_by: BOTH,
    }
    AWS_CONTAINER_CREDENTIALS_FULL_URI: HttpUrl, "Where a container gets its credentials" {
        details: "EKS Pod Identity sets it.",
        example: "http://169.254.170.23/v1/credentials",
        read_by: BOTH,
    }
    AWS_CONTAINER_AUTHORIZATION_TOKEN: Text("secret, on one line"), "The token for that address" {
        example: "(from the platform)",
        secret: true,
        read_by: BOTH,
    }
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: FilePath("file"), "The file that holds the token for that address" {
        details: "EKS Pod Identity sets it.",
        example: "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
        read_by: BOTH,
    }
    AWS_ENDPOINT_URL_S3: HttpUrl, "The address of an S3 server other than AWS's" {
        details: "Most need `DEPLOY_FORCE_PATH_STYLE=true` too.",
        presence: Presence::Optional("AWS's, by region"),
        example: "http://127.0.0.1:3900",
    }
    AWS_ENDPOINT_URL_CLOUDFRONT: HttpUrl, "The address of a CloudFront API other than AWS's" {
        presence: Presence::Optional("AWS's"),
        example: "http://127.0.0.1:4566",
    }
    AWS_ENDPOINT_URL: HttpUrl, "The address of every service for which none is set by name" {
        presence: Presence::Optional("AWS's"),
        example: "http://127.0.0.1:4566",
        read_by: BOTH,
    }
}
