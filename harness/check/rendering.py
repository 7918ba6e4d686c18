"""Jobs as Harness makes them: expressions resolved in the values, manifests filled in by Go's templates."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from .facts import renderer
from .files import SERVICE, VALUES, Files
from .finding import Finding

EXPRESSION = re.compile(r"<\+([^<>]*)>")
JOBS = {"deploy": "jobs/deploy.yaml", "rollback": "jobs/rollback.yaml"}


class Unrenderable(Exception):
    """A manifest that cannot be filled in, or does not become YAML."""


@dataclass(frozen=True)
class Execution:
    """One run of the pipeline for one environment: what expressions stand for."""

    environment: str
    sequence: int
    image: str
    tag: str
    # In place of the environment's own, where a test has other buckets.
    overrides: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """What tells it from the executions of all pipelines."""
        return f"execution-{self.sequence}-kA1bW0xTSVqcRk"

    def resolve(self, files: Files, expression: str) -> str | None:
        """What Harness puts in the place of an expression; nothing for one it does not know here."""
        _, environment = files.environments()[self.environment]
        variables = {v["name"]: str(v["value"]) for v in environment.get("variables", ())} | dict(self.overrides)
        namespaces = [
            i["spec"]["namespace"]
            for _, i in files.infrastructures().values()
            if i["environmentRef"] == self.environment
        ]
        known = {
            "pipeline.sequenceId": str(self.sequence),
            "pipeline.executionId": self.id,
            "artifact.image": self.image,
            "artifact.tag": self.tag,
            "env.identifier": self.environment,
            "env.name": environment["name"],
            "infra.namespace": namespaces[0] if namespaces else None,
            "service.identifier": files.parsed(SERVICE)["service"]["identifier"],
        }
        if expression.startswith("env.variables."):
            return variables.get(expression.removeprefix("env.variables."))
        return known.get(expression)


def values(files: Files, execution: Execution) -> str:
    """The values with every expression resolved; those that nothing is known for become `null`, as Harness has it."""
    return EXPRESSION.sub(lambda match: execution.resolve(files, match[1]) or "null", files.texts[VALUES])


@lru_cache(maxsize=8192)
def fill_in(manifest: str, values: str) -> str:
    """Go's text/template and sprig over a manifest. Raises `Unrenderable`."""
    program = renderer()
    assert program is not None, "the renderer is absent"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        done = subprocess.run([program, file.name], input=manifest, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unrenderable(done.stderr.strip().replace(file.name, "values"))
    return done.stdout


def job(files: Files, kind: str, execution: Execution) -> dict[str, Any]:
    """The Job of that kind; shared between callers, so read only. Raises `Unrenderable` and `KeyError`."""
    return _object(fill_in(files.texts[f"{files.manifests_folder()}/{JOBS[kind]}"], values(files, execution)))


@lru_cache(maxsize=8192)
def _object(text: str) -> dict[str, Any]:
    try:
        documents = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document is not None]
    except yaml.YAMLError as error:
        raise Unrenderable(f"does not become YAML: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise Unrenderable(f"becomes {len(documents)} objects where one is expected")
    return documents[0]


def environment_of(rendered: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a Job's one container, by name; for one from elsewhere its `valueFrom`."""
    container = rendered["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container.get("env", ())}


def check(files: Files) -> Iterator[Finding]:
    """Expressions only where Harness resolves them, and only such as resolve in every environment."""
    used = set(EXPRESSION.findall(files.texts[VALUES]))
    for identifier, (path, _) in files.environments().items():
        execution = Execution(identifier, 1, "image:1", "1")
        for expression in sorted(used):
            if execution.resolve(files, expression) is None:
                where = path if expression.startswith("env.variables.") else VALUES
                yield Finding(where, "unresolved-expression", f"<+{expression}> stands for nothing in {identifier}")
    for path in files.under(files.manifests_folder()):
        for expression in EXPRESSION.findall(files.texts[path]):
            yield Finding(
                path, "expression-in-manifest", f"<+{expression}>: take it into {VALUES}, where it is resolved"
            )
