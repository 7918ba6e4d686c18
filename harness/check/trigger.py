"""What starts the pipeline: new releases in the registry, and nothing else there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from .facts import facts
from .files import PIPELINE, SERVICE, TRIGGER, Files
from .finding import Finding

# Tags that no build gets, and that are found in registries.
STRANGE = (
    "latest",
    "stable",
    "production",
    "v1.4.2",
    "1",
    "1.4",
    "1.4.2.3",
    "01.4.2",
    "1.04.2",
    "1.4.2 ",
    "1.4.2-",
    "x1.4.2",
    "1.4.2x",
    "1-4-2",
    "1.4.2\n",
    "sha256-0f",
    "buildcache",
    "",
)


def matches(pattern: str, tag: str) -> bool:
    """Java's `Pattern.matches`, for the expressions that it has in common with Python's: all of the tag."""
    try:
        return re.fullmatch(pattern.replace("$", r"\Z"), tag) is not None
    except re.error:
        return False


def condition(files: Files) -> tuple[str, str]:
    """Operator and value of the condition on the tag."""
    spec = files.parsed(TRIGGER)["trigger"]["source"]["spec"]["spec"]
    found = [one for one in spec.get("eventConditions", ()) if one.get("key") == "build"]
    if len(found) != 1:
        return "", ""
    return found[0].get("operator", ""), found[0].get("value", "")


def accepts(files: Files, tag: str) -> bool:
    """Whether a new tag in the registry starts the pipeline."""
    operator, value = condition(files)
    return operator == "Regex" and matches(value, tag)


def _finding(rule: str, message: str) -> Finding:
    return Finding(TRIGGER, rule, message)


def check(files: Files) -> Iterator[Finding]:
    """Every rule about the trigger."""
    trigger = files.parsed(TRIGGER)["trigger"]
    yield from _pattern(files)
    pipeline = files.parsed(PIPELINE)["pipeline"]
    if trigger.get("pipelineIdentifier") != pipeline["identifier"]:
        yield _finding("reference", f"pipelineIdentifier: there is no pipeline {trigger.get('pipelineIdentifier')}")
    if trigger.get("enabled") is not True:
        yield _finding("trigger-artifact", "enabled must be true")
    spec = trigger["source"]["spec"].get("spec", {})
    service = files.parsed(SERVICE)["service"]["serviceDefinition"]["spec"]["artifacts"]["primary"]["sources"][0]
    if trigger["source"].get("type") != "Artifact" or trigger["source"]["spec"].get("type") != service["type"]:
        yield _finding("trigger-artifact", f"must wait for new artifacts of the service's type, {service['type']}")
    for name in ("connectorRef", "region", "imagePath"):
        if spec.get(name) != service["spec"].get(name):
            yield _finding(
                "trigger-artifact", f"{name} is {spec.get(name)}, and the service's is {service['spec'].get(name)}"
            )
    if spec.get("tag") != "<+trigger.artifact.build>":
        yield _finding("trigger-artifact", "tag must be <+trigger.artifact.build>: the tag that is new")
    yield from _inputs(pipeline, trigger)


def _pattern(files: Files) -> Iterator[Finding]:
    operator, pattern = condition(files)
    if operator != "Regex":
        yield _finding("trigger-pattern", "one condition on `build` with the operator Regex")
        return
    try:
        re.compile(pattern)
    except re.error as error:
        yield _finding("trigger-pattern", f"is no regular expression: {error}")
        return
    for one in facts().tags["tags"]:
        release = one["channel"] == "release"
        if accepts(files, one["tag"]) != release:
            yield _finding("trigger-pattern", f"{'refuses' if release else 'accepts'} {one['tag']}, a {one['channel']}")
    for tag in STRANGE:
        if accepts(files, tag):
            yield _finding("trigger-pattern", f"accepts {tag!r}, which no release has")
    if pattern != facts().tags["release"]:
        yield _finding("trigger-pattern", f"is not image-tagger's own: {facts().tags['release']}")


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The scalars in a document; list items go by their identifier."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            one = inner.get("stage", inner) if isinstance(inner, dict) else {}
            yield from _leaves(inner, (*path, one.get("identifier", index)))
    else:
        yield path, value


def _inputs(pipeline: dict[str, Any], trigger: dict[str, Any]) -> Iterator[Finding]:
    """The trigger gives what the pipeline leaves open, and nothing else."""
    try:
        given = yaml.safe_load(trigger.get("inputYaml", ""))
    except yaml.YAMLError as error:
        yield _finding("trigger-inputs", f"inputYaml is not YAML: {error}")
        return
    if not isinstance(given, dict) or "pipeline" not in given:
        yield _finding("trigger-inputs", "inputYaml: no pipeline in it")
        return
    wanted = {path for path, value in _leaves(pipeline) if value == "<+input>"}
    offered = dict(_leaves(given["pipeline"]))
    for path in sorted(wanted - offered.keys(), key=str):
        yield _finding("trigger-inputs", f"inputYaml lacks {'.'.join(map(str, path))}")
    fixed = dict(_leaves(pipeline))
    for path, value in offered.items():
        if path in wanted:
            if value != "<+trigger.artifact.build>":
                yield _finding(
                    "trigger-inputs",
                    f"{'.'.join(map(str, path))} must be <+trigger.artifact.build>, the tag that is new",
                )
        elif fixed.get(path) != value:
            yield _finding(
                "trigger-inputs", f"inputYaml: {'.'.join(map(str, path))} is not for the pipeline to be given"
            )
