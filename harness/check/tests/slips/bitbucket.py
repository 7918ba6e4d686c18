"""Slips in the Bitbucket pipelines."""

from check.files import OWN_BITBUCKET, WEBAPP_BITBUCKET

from .edits import Mutation, edited, gone, put, text
from .places import CUT

BITBUCKET = [
    Mutation("a docker service", put(WEBAPP_BITBUCKET, f"{CUT}/services", ["docker"]), "bitbucket-docker"),
    Mutation("no token", gone(WEBAPP_BITBUCKET, f"{CUT}/oidc"), "bitbucket-oidc"),
    Mutation("no role", text(WEBAPP_BITBUCKET, "AWS_ROLE_ARN=$AWS_REGISTRY_ROLE ", ""), "bitbucket-oidc"),
    Mutation(
        "a variable of image-tagger misspelt", text(WEBAPP_BITBUCKET, "IMAGE_SITE=", "IMAGE_SITES="), "variable-unknown"
    ),
    Mutation("a variable of image-tagger missing", text(WEBAPP_BITBUCKET, "IMAGE_SITE=dist ", ""), "variable-missing"),
    Mutation(
        "another repository than the service's",
        text(WEBAPP_BITBUCKET, "amazonaws.com/webapp", "amazonaws.com/web"),
        "reference",
    ),
    Mutation("a base without a version", text(WEBAPP_BITBUCKET, "/deploy:1.0.0", "/deploy"), "reference"),
    Mutation(
        "no image of a tag", text(WEBAPP_BITBUCKET, "- image-tagger cut", "- image-tagger tags"), "bitbucket-release"
    ),
    Mutation(
        "an image of every branch",
        text(WEBAPP_BITBUCKET, "- image-tagger tags", "- image-tagger cut"),
        "bitbucket-release",
    ),
    Mutation("tags of another form", text(WEBAPP_BITBUCKET, "'*.*.*':", "release-*:"), "bitbucket-release"),
    Mutation(
        "an output that is none", put(WEBAPP_BITBUCKET, f"{CUT}/output-variables/0", "RELEASE"), "bitbucket-outputs"
    ),
    Mutation(
        "our images pushed untested",
        put(OWN_BITBUCKET, "pipelines/tags/*.*.*/0/step/script", ["true"]),
        "bitbucket-release",
    ),
    Mutation(
        "our images pushed from branches",
        edited(OWN_BITBUCKET, lambda d: d["pipelines"]["default"].append(d["pipelines"]["tags"]["*.*.*"][1])),
        "bitbucket-release",
    ),
    Mutation(
        "our images pushed without a token", gone(OWN_BITBUCKET, "pipelines/tags/*.*.*/1/step/oidc"), "bitbucket-oidc"
    ),
]
