"""The files that are checked, as texts by path; a mutation is a copy with other texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    "harness/*.yaml",
    "harness/environments/*.yaml",
    "harness/infrastructures/*.yaml",
    "harness/cluster/*.yaml",
    "harness/manifests/**/*.yaml",
    "bitbucket-pipelines.yml",
    "examples/webapp/bitbucket-pipelines.yml",
)
SERVICE = "harness/service.yaml"
PIPELINE = "harness/pipeline.yaml"
TRIGGER = "harness/trigger.yaml"
VALUES = "harness/values.yaml"
WEBAPP_BITBUCKET = "examples/webapp/bitbucket-pipelines.yml"
OWN_BITBUCKET = "bitbucket-pipelines.yml"


class _NoDuplicates(yaml.CSafeLoader):
    """YAML in which no key may be there twice: parsers disagree on which one counts."""


def _mapping(loader: _NoDuplicates, node: yaml.MappingNode) -> dict[Any, Any]:
    names = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    for name in names:
        if names.count(name) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is there twice", node.start_mark)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_NoDuplicates.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@lru_cache(maxsize=4096)
def _documents(text: str) -> tuple[Any, ...]:
    return tuple(yaml.load_all(text, Loader=_NoDuplicates))


def parse(text: str) -> Any:
    """The one document in a text. Raises `yaml.YAMLError`. Shared between callers: read only."""
    documents = _documents(text)
    if len(documents) != 1:
        raise yaml.YAMLError(f"{len(documents)} documents where one is expected")
    return documents[0]


@dataclass(frozen=True)
class Files:
    """Texts by path, as seen from the repository's top."""

    texts: Mapping[str, str]

    @classmethod
    def read(cls, root: Path = ROOT) -> Files:
        """Those on disk: of this repository, or of a webapp's, whose Bitbucket pipeline is at its top."""
        paths = sorted({path for pattern in PATTERNS for path in root.glob(pattern)})
        texts = {str(path.relative_to(root)): path.read_text() for path in paths}
        if WEBAPP_BITBUCKET not in texts and OWN_BITBUCKET in texts:
            texts[WEBAPP_BITBUCKET] = texts.pop(OWN_BITBUCKET)
        return cls(texts)

    def changed(self, path: str, text: str | None) -> Files:
        """With another text for one path, or without it."""
        texts = {**self.texts, path: text}
        return Files({path: text for path, text in texts.items() if text is not None})

    def parsed(self, path: str) -> Any:
        """The document in a file; raises `KeyError` where there is no such file."""
        return parse(self.texts[path])

    def documents(self, path: str) -> tuple[Any, ...]:
        """All documents in a file."""
        return _documents(self.texts[path])

    def under(self, folder: str) -> Iterator[str]:
        """The paths below a folder."""
        return (path for path in self.texts if path.startswith(f"{folder}/"))

    def entities(self, folder: str, kind: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """Harness entities of a folder: path and content by identifier."""
        found = {}
        for path in self.under(folder):
            content = self.parsed(path)[kind]
            found[content["identifier"]] = (path, content)
        return found

    def environments(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """By identifier: path and content."""
        return self.entities("harness/environments", "environment")

    def infrastructures(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """By identifier: path and content."""
        return self.entities("harness/infrastructures", "infrastructureDefinition")

    def manifests_folder(self) -> str:
        """The folder that paths in Apply steps are seen from."""
        service = self.parsed(SERVICE)["service"]["serviceDefinition"]["spec"]
        return service["manifests"][0]["manifest"]["spec"]["store"]["spec"]["paths"][0].rstrip("/")


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a document, with the way to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from strings(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings(inner, f"{path}.{index}")
