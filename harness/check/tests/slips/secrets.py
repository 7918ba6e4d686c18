"""Secrets in files."""

from check.files import VALUES, WEBAPP_BITBUCKET

from .edits import Mutation, put, text
from .places import DEV

SECRETS = [
    Mutation(
        "an access key in an environment",
        text(DEV, "value: Development", "value: AKIAIOSFODNN7EXAMPLE"),
        "secret-literal",
    ),
    Mutation(
        "a password by name",
        put(DEV, "environment/variables/5", {"name": "WEBAPP_PASSWORD", "type": "String", "value": "hunter2"}),
        "secret-literal",
    ),
    Mutation(
        "the header that opens a protected site",
        text(VALUES, "release:\n", "release:\n  DEPLOY_VERIFY_HEADER: 'X-Key: abc'\n"),
        "secret-literal",
    ),
    Mutation(
        "a private key",
        text(VALUES, "DEPLOY_LOG: json", "DEPLOY_LOG: '-----BEGIN RSA PRIVATE KEY-----'"),
        "secret-literal",
    ),
    Mutation(
        "a user and password in a URL", text(DEV, "https://api.dev", "https://ci:hunter2@api.dev"), "secret-literal"
    ),
    Mutation(
        "credentials in the Job",
        text(VALUES, "target:\n", "target:\n  AWS_ROLE_ARN: arn:aws:iam::1:role/x\n"),
        "credentials",
    ),
    Mutation(
        "an access key in the Job",
        text(VALUES, "target:\n", 'target:\n  AWS_SECRET_ACCESS_KEY: "<+artifact.tag>"\n'),
        "credentials",
    ),
    Mutation(
        "a password in a pipeline",
        text(WEBAPP_BITBUCKET, "- image-tagger cut", "- IMAGE_PASSWORD=hunter2 image-tagger cut"),
        "secret-literal",
    ),
]
