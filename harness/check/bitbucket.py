"""The Bitbucket pipelines: what is built when, and what is sent where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from .facts import facts
from .files import OWN_BITBUCKET, SERVICE, WEBAPP_BITBUCKET, Files
from .finding import Finding
from .trigger import accepts

# What `image-tagger cut` writes for later steps (docs/image.md).
OUTPUT = {"RELEASE_VERSION", "RELEASE_TAG", "RELEASE_DIGEST", "RELEASE_REFERENCE"}


def _steps(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "step":
                yield inner
            else:
                yield from _steps(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _steps(inner)


def _commands(step: dict[str, Any]) -> str:
    return "\n".join(line for line in step.get("script", ()) if isinstance(line, str))


def _pushes(step: dict[str, Any]) -> bool:
    pipes = [one["pipe"] for one in step.get("script", ()) if isinstance(one, dict) and "pipe" in one]
    return "docker push" in _commands(step) or any("push" in pipe for pipe in pipes)


def _exported(step: dict[str, Any]) -> dict[str, str]:
    return dict(re.findall(r"\b([A-Z][A-Z0-9_]*)=(\S+)", _commands(step)))


def _cuts(step: dict[str, Any]) -> bool:
    return re.search(r"\bimage-tagger (cut|tag)\b", _commands(step)) is not None


def check(files: Files) -> Iterator[Finding]:
    """The files that are there."""
    if WEBAPP_BITBUCKET in files.texts:
        yield from _webapp(files)
    if OWN_BITBUCKET in files.texts:
        yield from _own(files)


def _webapp(files: Files) -> Iterator[Finding]:
    def finding(rule: str, message: str) -> Finding:
        return Finding(WEBAPP_BITBUCKET, rule, message)

    whole = files.parsed(WEBAPP_BITBUCKET)
    pipelines = whole["pipelines"]
    tagged = list(_steps(pipelines.get("tags", {})))
    other = [step for name, part in pipelines.items() if name != "tags" for step in _steps(part)]
    if whole.get("options", {}).get("docker") or any("docker" in step.get("services", ()) for step in tagged + other):
        yield finding("bitbucket-docker", "no step needs a docker service: image-tagger sends the layer by itself")
    if not any(_cuts(step) for step in tagged):
        yield finding("bitbucket-release", "no step of a tag runs `image-tagger cut`")
    for step in filter(_cuts, other):
        yield finding(
            "bitbucket-release", f"{step.get('name')}: only tags are released; elsewhere `image-tagger tags` will do"
        )
    if not any("image-tagger tags" in _commands(step) for step in other):
        yield finding(
            "bitbucket-release", "no step of a branch runs `image-tagger tags`, which finds disagreeing versions early"
        )
    for one in facts().tags["tags"]:
        git_tags = [one["version"], f"v{one['version']}"] if one["channel"] != "branch" else []
        for git_tag in git_tags:
            if not any(fnmatchcase(git_tag, pattern) for pattern in pipelines.get("tags", {})):
                yield finding("bitbucket-release", f"the git tag {git_tag} starts nothing")
    for step in filter(_cuts, tagged):
        yield from _cut(files, finding, step)


def _cut(files: Files, finding: Any, step: dict[str, Any]) -> Iterator[Finding]:
    given = _exported(step)
    for name in given:
        known = name in facts().variables and facts().readers(name, "image-tagger") is not None
        if name.startswith(("IMAGE_", "DEPLOY_")) and not known:
            yield finding("variable-unknown", f"{name} is not a variable of image-tagger (docs/configuration.md)")
    for name, variable in facts().variables.items():
        commands = facts().readers(name, "image-tagger")
        if variable["required"] and commands is not None and "cut" in commands and name not in given:
            yield finding("variable-missing", f"{name} is not set, and `image-tagger cut` needs it")
    if step.get("oidc") is not True:
        yield finding("bitbucket-oidc", "oidc must be true: the step's token is the login to ECR, no key is")
    if "AWS_ROLE_ARN" not in given:
        yield finding("bitbucket-oidc", "AWS_ROLE_ARN is not set: the role that the step's token is exchanged for")
    declared = set(step.get("output-variables", ()))
    if unknown := declared - OUTPUT:
        yield finding("bitbucket-outputs", f"image-tagger writes no {', '.join(sorted(unknown))}")
    repository = given.get("IMAGE_REPOSITORY", "").strip("\"'")
    spec = files.parsed(SERVICE)["service"]["serviceDefinition"]["spec"]["artifacts"]["primary"]["sources"][0]["spec"]
    if repository.partition("/")[2] != spec["imagePath"] or f".{spec['region']}." not in repository:
        yield finding("reference", f"IMAGE_REPOSITORY {repository} is not where the service looks: {spec['imagePath']}")
    if not re.search(r"[:@]\S+$", given.get("IMAGE_BASE", "").partition("/")[2].strip("\"'")):
        yield finding("reference", "IMAGE_BASE needs a tag or digest")
    # A release must start the pipeline in Harness.
    if not all(accepts(files, one["tag"]) for one in facts().tags["tags"] if one["channel"] == "release"):
        yield finding("trigger-pattern", "the trigger does not accept what this step pushes")


def _own(files: Files) -> Iterator[Finding]:
    def finding(rule: str, message: str) -> Finding:
        return Finding(OWN_BITBUCKET, rule, message)

    pipelines = files.parsed(OWN_BITBUCKET)["pipelines"]
    tagged = list(_steps(pipelines.get("tags", {})))
    other = [step for name, part in pipelines.items() if name != "tags" for step in _steps(part)]
    tests = [index for index, step in enumerate(tagged) if re.search(r"(?m)^scripts/test\b", _commands(step))]
    pushes = [index for index, step in enumerate(tagged) if _pushes(step)]
    if not tests or not pushes or min(pushes) < max(tests):
        yield finding("bitbucket-release", "a tag is tested first, then its images are pushed")
    if not any(re.search(r"(?m)^scripts/test\b", _commands(step)) for step in other):
        yield finding("bitbucket-release", "branches are not tested")
    for step in filter(_pushes, other):
        yield finding("bitbucket-release", f"{step.get('name')}: only tags are released")
    for index in pushes:
        if tagged[index].get("oidc") is not True:
            yield finding("bitbucket-oidc", f"{tagged[index].get('name')}: oidc must be true")
