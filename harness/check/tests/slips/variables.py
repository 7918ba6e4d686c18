"""Slips in what the Jobs are told."""

from check.files import VALUES

from .edits import Mutation, gone, put, text
from .places import DEPLOY, DEV

VARIABLES = [
    Mutation(
        "a variable misspelt in the values", text(VALUES, "  DEPLOY_BUCKET:", "  DEPLOY_BUKET:"), "variable-unknown"
    ),
    Mutation("a variable with another prefix", text(VALUES, "  DEPLOY_REGION:", "  REGION:"), "variable-unknown"),
    Mutation(
        "a variable misspelt in an environment", text(DEV, "DEPLOY_BUCKET", "DEPLOY_BUKET"), "unresolved-expression"
    ),
    Mutation(
        "an expression misspelt",
        text(VALUES, "env.variables.DEPLOY_BUCKET", "env.variable.DEPLOY_BUCKET"),
        "unresolved-expression",
    ),
    Mutation(
        "a required variable missing in the values",
        text(VALUES, '  DEPLOY_BUCKET: "<+env.variables.DEPLOY_BUCKET>"\n', ""),
        "variable-missing",
    ),
    Mutation(
        "the region missing",
        text(VALUES, '  DEPLOY_REGION: "<+env.variables.DEPLOY_REGION>"\n', ""),
        "variable-missing",
    ),
    Mutation("a variable missing in one environment", gone(DEV, "environment/variables/0"), "unresolved-expression"),
    Mutation(
        "a variable in one environment alone",
        put(DEV, "environment/variables/0/name", "DEPLOY_PREFIX"),
        "variable-not-everywhere",
    ),
    Mutation(
        "a surplus variable in an environment", text(VALUES, "<+env.variables.WEBAPP_LABEL>", "Test"), "variable-unused"
    ),
    Mutation(
        "a variable that the command does not read",
        text(VALUES, "target:\n", "target:\n  DEPLOY_MAX_SHRINK: 10%\n"),
        "variable-not-read",
    ),
    Mutation(
        "a value of the site for the rollback",
        text(VALUES, "target:\n", "target:\n  WEBAPP_X: x\n"),
        "variable-not-read",
    ),
    Mutation(
        "image-tagger's variable in the Job",
        text(VALUES, "site:\n", "site:\n  IMAGE_SITE: dist\n"),
        "variable-not-read",
    ),
    Mutation(
        "the version set beside the image's",
        text(VALUES, "release:\n", "release:\n  DEPLOY_VERSION: 1.4.2\n"),
        "variable-set-by-image",
    ),
    Mutation("a duration without a unit", text(VALUES, "DEPLOY_LEASE: 60s", "DEPLOY_LEASE: 60"), "variable-invalid"),
    Mutation("a bucket with its scheme", text(DEV, "value: webapp-dev", "value: s3://webapp-dev"), "variable-invalid"),
    Mutation(
        "an ARN in place of a distribution's id",
        text(DEV, "E1DEVEXAMPLE", "arn:aws:cloudfront::1:distribution/E1"),
        "variable-invalid",
    ),
    Mutation("a URL without a scheme", text(DEV, "https://dev.example.com/", "dev.example.com"), "variable-invalid"),
    Mutation("a choice that is none", text(VALUES, "DEPLOY_LOG: json", "DEPLOY_LOG: xml"), "variable-invalid"),
    Mutation("a variable of another type", put(DEV, "environment/variables/0/type", "Number"), "schema"),
    Mutation("a value that is no string", put(DEV, "environment/variables/0/value", 7), "schema"),
    Mutation(
        "a number where strings are",
        put(DEV, "environment/variables/5", {"name": "WEBAPP_LABEL", "type": "Number", "value": 7}),
        "variable-type",
    ),
    Mutation(
        "a variable twice in an environment",
        put(DEV, "environment/variables/5/name", "DEPLOY_BUCKET"),
        "variable-twice",
    ),
    Mutation(
        "a variable twice in the Job",
        text(DEPLOY, "          env:\n", "          env:\n            - name: DEPLOY_LOG\n              value: text\n"),
        "variable-twice",
    ),
    Mutation("a key twice in a file", text(VALUES, "target:\n", 'tag: "1"\ntarget:\n'), "yaml"),
]
