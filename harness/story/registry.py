"""A registry, and the poll by which Harness sees new tags."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from check.files import Files
from check.trigger import accepts

from .process import free_port, program, run, server

CONFIGURATION = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass
class Registry:
    """One on loopback, without a login."""

    host: str

    def tags(self, repository: str) -> list[str]:
        """Every tag of a repository, sorted as text, as registries do."""
        try:
            with urllib.request.urlopen(f"http://{self.host}/v2/{repository}/tags/list", timeout=30) as answer:
                return sorted(json.load(answer)["tags"] or [])
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise

    def take(self, image: str, name: str) -> None:
        """Copies an image in, from where skopeo finds it."""
        run(
            program("skopeo"),
            "--insecure-policy",
            "copy",
            "--quiet",
            "--dest-tls-verify=false",
            image,
            f"docker://{self.host}/{name}",
        )

    def environment_of(self, name: str) -> dict[str, str]:
        """The variables that an image sets."""
        told = run(
            program("skopeo"),
            "--insecure-policy",
            "inspect",
            "--config",
            "--tls-verify=false",
            f"docker://{self.host}/{name}",
        )
        return dict(one.split("=", 1) for one in json.loads(told)["config"]["Env"])


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Starts one."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "registry.yml"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port))
    command = [program("docker-registry"), "serve", str(configuration)]
    with server("docker-registry", command, {}, f"http://127.0.0.1:{port}/v2/", folder):
        yield Registry(f"127.0.0.1:{port}")


@dataclass
class Trigger:
    """What Harness does about a repository: each tag that was not there at the last look and meets the condition."""

    files: Files
    registry: Registry
    repository: str
    seen: set[str] = field(default_factory=set)

    def poll(self) -> tuple[list[str], list[str]]:
        """The new tags: those that start the pipeline, and the others."""
        new = [tag for tag in self.registry.tags(self.repository) if tag not in self.seen]
        self.seen.update(new)
        return [tag for tag in new if accepts(self.files, tag)], [tag for tag in new if not accepts(self.files, tag)]
