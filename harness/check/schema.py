"""Whether files have the shape that Harness, Kubernetes and Bitbucket expect, and no key these do not know.

Harness's schemas let unknown keys pass; most slips are unknown keys. So every key must be one that a schema which
applies at its place names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from .facts import schemas
from .files import OWN_BITBUCKET, PIPELINE, SERVICE, TRIGGER, WEBAPP_BITBUCKET, Files, parse, strings
from .finding import Finding

# The first release in which podFailurePolicy is stable, and the newest whose schema is at hand.
KUBERNETES = ("1.31", "1.37")
# In Bitbucket's documentation, and not in its schema: steps to refer to by YAML anchors, and variables for later steps.
_DOCUMENTED = re.compile(r"definitions\.steps|.*\.step\.output-variables")
_FOLDERS = {"harness/environments": "environment", "harness/infrastructures": "infrastructure"}


def _used(value: Any) -> Iterator[str]:
    """Every `type` in a document."""
    for place, text in strings(value):
        if place == "type" or place.endswith(".type"):
            yield text


def _types(schema: Any, root: Any) -> set[str] | None:
    """What `type` must be for a member of a union to apply; nothing where it says nothing of it."""
    reference = schema.get("$ref", "")
    if reference.startswith("#/"):
        schema = root
        for part in reference[2:].split("/"):
            schema = schema[part]
    allowed = schema.get("properties", {}).get("type", {}).get("enum")
    return set(allowed) if allowed else None


def _pruned(schema: Any, root: Any, used: frozenset[str]) -> Any:
    """A copy in which unions lack the members that apply to no `type` in use.

    These fail for certain, and there are hundreds of them: step types, for one.
    """
    if isinstance(schema, list):
        return [_pruned(part, root, used) for part in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {}
    for name, part in schema.items():
        if name == "oneOf" and isinstance(part, list):
            part = [member for member in part if (types := _types(member, root)) is None or types & used]
        copy[name] = _pruned(part, root, used)
    return copy


@cache
def _published() -> dict[str, Any]:
    folder = schemas()
    assert folder is not None, "Harness's schemas are absent"
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


@cache
def _harness(name: str, used: frozenset[str]) -> Draft7Validator:
    registry = Registry()
    for file, content in _published().items():
        content = _pruned(content, content, used)
        registry = registry.with_resource(file, Resource.from_contents(content, default_specification=DRAFT7))
    return Draft7Validator({"$ref": f"{name}.json"}, registry=registry)


@cache
def _bitbucket() -> Draft7Validator:
    vendor = resources.files("check_jsonschema") / "builtin_schemas/vendor/bitbucket-pipelines.json"
    return Draft7Validator(json.loads(vendor.read_text()))


def _applicable(
    validator: Draft7Validator, schema: Any, value: Any
) -> Iterator[tuple[Draft7Validator, dict[str, Any]]]:
    """The schemas, without references and combinations, that say something of `value`."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        resolved = validator._resolver.lookup(schema["$ref"])
        inner = validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
        yield from _applicable(inner, resolved.contents, value)
        # Draft 7 ignores what stands beside a reference.
        return
    yield validator, schema
    for part in schema.get("allOf", ()):
        yield from _applicable(validator, part, value)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if _is_meant(validator, part, value):
            yield from _applicable(validator, part, value)
    if "if" in schema:
        holds = validator.evolve(schema=schema["if"]).is_valid(value)
        yield from _applicable(validator, schema.get("then" if holds else "else", {}), value)


def _is_meant(validator: Draft7Validator, part: Any, value: Any) -> bool:
    """Whether a member of a union is for `value`: told by its `type`, also where the value has other faults."""
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        contents = validator._resolver.lookup(part["$ref"]).contents if "$ref" in part else part
        types = _types(contents, contents)
        if types is not None:
            return value["type"] in types
    return validator.evolve(schema=part).is_valid(value)


def _unknown(schemas: list[tuple[Draft7Validator, Any]], value: Any, path: str) -> Iterator[str]:
    """The ways to keys that no applicable schema names."""
    applicable = [found for validator, schema in schemas for found in _applicable(validator, schema, value)]
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner = [(v, s["items"]) for v, s in applicable if isinstance(s.get("items"), dict)]
            yield from _unknown(inner, item, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    told = [s for _, s in applicable if {"properties", "patternProperties", "additionalProperties"} & s.keys()]
    # What no schema describes at all is free: inputs for another entity, tags.
    if not any(set(s.get("properties", ())) - {"description"} or "additionalProperties" in s for s in told):
        return
    for name, inner in value.items():
        place = f"{path}.{name}" if path else str(name)
        inside: list[tuple[Draft7Validator, Any]] = []
        for validator, schema in applicable:
            if name in schema.get("properties", ()):
                inside.append((validator, schema["properties"][name]))
            elif isinstance(schema.get("additionalProperties"), dict):
                inside.append((validator, schema["additionalProperties"]))
        if inside:
            yield from _unknown(inside, inner, place)
        elif not any(s.get("additionalProperties") is True for _, s in applicable):
            yield place


def _innermost(error: ValidationError) -> ValidationError:
    """What is wrong with the member of a union that was meant; the union's own message is the whole value."""
    while error.context:
        branches: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        meant = [b for b in branches.values() if not any(list(e.path) == ["type"] for e in b)] or [*branches.values()]
        # The member that got furthest.
        error = max(min(meant, key=len), key=lambda inner: len(inner.absolute_path))
    return error


@lru_cache(maxsize=4096)
def _against(kind: str, text: str) -> tuple[tuple[str, str], ...]:
    value = parse(text)
    validator = _bitbucket() if kind == "bitbucket" else _harness(kind, frozenset(_used(value)))
    found = []
    for error in validator.iter_errors(value):
        error = _innermost(error)
        place = ".".join(str(part) for part in error.absolute_path) or "(top)"
        found.append(("schema", f"{place}: {error.message[:300]}"))
    for place in _unknown([(validator, validator.schema)], value, ""):
        if kind == "bitbucket" and _DOCUMENTED.fullmatch(place):
            continue
        found.append(("unknown-key", f"{place}: no such key; a slip, or at the wrong place"))
    return tuple(found)


def _kind(path: str) -> str | None:
    fixed = {SERVICE: "service", PIPELINE: "pipeline", TRIGGER: "trigger"}
    fixed |= {WEBAPP_BITBUCKET: "bitbucket", OWN_BITBUCKET: "bitbucket"}
    return fixed.get(path) or next((kind for folder, kind in _FOLDERS.items() if path.startswith(folder)), None)


def check(files: Files) -> Iterator[Finding]:
    """Every file that a schema describes."""
    for path in files.texts:
        kind = _kind(path)
        if kind is not None and (kind == "bitbucket" or schemas() is not None):
            yield from (Finding(path, rule, message) for rule, message in _against(kind, files.texts[path]))
    for path in files.under("harness/cluster"):
        for document in files.documents(path):
            yield from kubernetes(path, document)


@cache
def _kubernetes_folder(version: str) -> Traversable:
    """Where the package `kubernetes-validate` has the schemas of a minor release, `-strict`: without unknown keys."""
    folders = (resources.files("kubernetes_validate") / "kubernetes-json-schema").iterdir()
    return next(folder for folder in folders if re.fullmatch(rf"v{version}\.\d+-local-strict", folder.name))


@cache
def _kubernetes(version: str, api_version: str, kind: str) -> Draft202012Validator | None:
    """A validator that knows every key; nothing for what that release of Kubernetes does not have."""
    folder = _kubernetes_folder(version)
    # apps/v1 is apps-v1 there, rbac.authorization.k8s.io/v1 is rbac-v1.
    group, slash, api = api_version.partition("/")
    file = folder / f"{kind.lower()}-{group.split('.')[0]}{'-' if slash else ''}{api}.json"
    if not file.is_file():
        return None
    definitions, schema = (json.loads(path.read_text()) for path in (folder / "_definitions.json", file))
    registry = Resource.from_contents(schema) @ (Resource.from_contents(definitions) @ Registry())
    return Draft202012Validator(schema, registry=registry)


@lru_cache(maxsize=4096)
def _misshapen(text: str) -> tuple[str, ...]:
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    found = []
    for version in KUBERNETES:
        validator = _kubernetes(version, document["apiVersion"], document["kind"])
        if validator is None:
            found.append(f"there is no {document['kind']} of {document['apiVersion']} (Kubernetes {version})")
            continue
        for error in validator.iter_errors(document):
            error = _innermost(error)
            place = ".".join(str(part) for part in error.absolute_path) or "(top)"
            found.append(f"{place}: {error.message[:300]} (Kubernetes {version})")
    return tuple(found)


def kubernetes(path: str, document: Any) -> Iterator[Finding]:
    """One object, against the schemas of the Kubernetes releases that are supported."""
    if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
        yield Finding(path, "kubernetes", "not a Kubernetes object: it has no apiVersion or kind")
        return
    text = yaml.dump(document, Dumper=yaml.CSafeDumper)
    yield from (Finding(path, "kubernetes", message) for message in _misshapen(text))
