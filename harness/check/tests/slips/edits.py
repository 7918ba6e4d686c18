"""What a slip is, and how one is made."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from check.files import Files

Edit = Callable[[Files], Files]


class Mutation(NamedTuple):
    """A slip: what it is, how it is made, and which rule names it."""

    name: str
    edit: Edit
    rule: str


def text(path: str, old: str, new: str) -> Edit:
    """Replaces what stands in a file; every place of it."""

    def edit(files: Files) -> Files:
        assert old in files.texts[path], f"{path} has no {old!r}"
        return files.changed(path, files.texts[path].replace(old, new))

    return edit


def swap(path: str, one: str, other: str) -> Edit:
    """Exchanges two texts."""

    def edit(files: Files) -> Files:
        assert one in files.texts[path] and other in files.texts[path]
        marked = files.texts[path].replace(one, "\0").replace(other, one).replace("\0", other)
        return files.changed(path, marked)

    return edit


def file(path: str, content: str | None) -> Edit:
    """Another file in its place, or none."""
    return lambda files: files.changed(path, content)


def _descend(document: Any, way: str) -> tuple[Any, Any]:
    parts = [int(part) if part.isdigit() else part for part in way.split("/")]
    for part in parts[:-1]:
        document = document[part]
    return document, parts[-1]


def edited(path: str, change: Callable[[Any], None]) -> Edit:
    """Changes the document in a file."""

    def edit(files: Files) -> Files:
        document = copy.deepcopy(files.parsed(path))
        change(document)
        return files.changed(path, yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))

    return edit


def put(path: str, way: str, value: Any) -> Edit:
    """Sets what is at the way (`a/0/b`), there already or new."""

    def change(document: Any) -> None:
        holder, last = _descend(document, way)
        holder[last] = value

    return edited(path, change)


def gone(path: str, way: str) -> Edit:
    """Takes away what is at the way."""

    def change(document: Any) -> None:
        holder, last = _descend(document, way)
        del holder[last]

    return edited(path, change)


def moved(path: str, way: str, to: str) -> Edit:
    """Puts what is at one way at another."""

    def change(document: Any) -> None:
        holder, last = _descend(document, way)
        value = holder.pop(last)
        holder, last = _descend(document, to)
        holder[last] = value

    return edited(path, change)


def both(first: Edit, second: Edit) -> Edit:
    """One after the other."""
    return lambda files: second(first(files))
