"""Secrets that stand in a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from .files import Files, strings
from .finding import Finding

_FORMS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.",
    "a service's token": r"\b(?:gh[pousr]_|glpat-|xox[abpr]-|ATATT3|ATCTT3|pat\.|npm_)[A-Za-z0-9_.-]{20,}",
    "a user and password in a URL": r"\b[a-z][a-z0-9+.-]*://[^/\s:@<$]+:[^/\s:@<$]+@",
}
_NAMES = re.compile(r"(?i)(password|passwd|secret|token|api_?key|access_?key|credential|authorization)(?!.*_file$)")
# Expressions and variables stand for a secret that is kept elsewhere.
_REFERENCE = re.compile(r"^(<\+.*>|\$\{?\w+\}?|)$")


def _named(value: Any) -> Iterator[tuple[str, str]]:
    """Pairs of a name and the text under it: keys, and `name: X, value: Y`."""
    if isinstance(value, dict):
        name, text = value.get("name"), value.get("value")
        if isinstance(name, str) and isinstance(text, str):
            yield name, text
        for key, inner in value.items():
            if isinstance(inner, str):
                yield str(key), inner
            yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)


def check(files: Files) -> Iterator[Finding]:
    """Texts that look like secrets, and names of secrets with a value beside them."""
    for path, text in files.texts.items():
        for what, form in _FORMS.items():
            if re.search(form, text):
                yield Finding(path, "secret-literal", f"{what}: roles give what is needed, or a secret manager")
        try:
            documents = files.documents(path)
        except yaml.YAMLError:
            # A template; what it becomes is looked at elsewhere.
            continue
        for document in documents:
            for name, value in _named(document):
                if _NAMES.search(name) and not _REFERENCE.match(value.strip()):
                    yield Finding(path, "secret-literal", f"{name}: a secret must not stand in a file")
            for place, value in strings(document):
                for name, given in re.findall(r"\b([A-Z][A-Z0-9_]*)=(\S+)", value):
                    if _NAMES.search(name) and not _REFERENCE.match(given.strip("'\"")):
                        yield Finding(path, "secret-literal", f"{place}: {name} is set to a value")
