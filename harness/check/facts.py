"""What is true of the binaries, asked of the binaries."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .files import ROOT

# What `image-tagger cut` sets in the image; the story looks at a real one and compares.
SET_BY_IMAGE = {
    "DEPLOY_SOURCE": "/site",
    "DEPLOY_SITE_MANIFEST": "/site.manifest.json",
    "DEPLOY_VERSION": "1.4.2",
    "DEPLOY_BUILD": "7",
    "DEPLOY_COMMIT": "7f2c0a91b3d4e5f60718293a4b5c6d7e8f901a2b",
    "DEPLOY_RULES": "/site-rules.toml",
}
# Given by EKS to pods whose service account has a role.
SET_BY_EKS = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")


@dataclass(frozen=True)
class Facts:
    """The registry of variables by name, exit codes by meaning, and the tags that builds get."""

    variables: dict[str, dict[str, Any]]
    exit_codes: dict[int, str]
    tags: dict[str, Any]

    def readers(self, name: str, program: str) -> list[str] | None:
        """The commands of a program that read a variable (none: all of them); nothing where it does not."""
        for reader in self.variables[name]["read_by"]:
            if reader["program"] == program:
                return reader["commands"]
        return None


def _cargo(*arguments: str) -> str:
    command = ["cargo", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@cache
def programs() -> Path:
    """Builds the binaries, and says in which folder they are."""
    # Of the whole workspace, so that dependencies have the features with which the tests were compiled: nothing is
    # compiled twice.
    named = [f"--bin={name}" for name in ("deploy", "image-tagger")]
    named += [f"--example={name}" for name in ("variables-json", "check-environments", "tags-json")]
    _cargo("build", "--locked", "--quiet", "--workspace", *named)
    target = json.loads(_cargo("metadata", "--no-deps", "--format-version=1", "--locked"))["target_directory"]
    return Path(target) / "debug"


def _output(*command: str, given: str | None = None) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, input=given).stdout


@cache
def facts() -> Facts:
    """Asks the binaries, once."""
    variables = json.loads(_output(f"{programs()}/examples/variables-json"))
    tags = json.loads(_output(f"{programs()}/examples/tags-json"))
    codes = {}
    told = _output(f"{programs()}/deploy", "--help").split("Exit codes:")[1]
    for numbers, meaning in re.findall(r"((?:\d+, )*\d+)  (\S.*?)(?:   |$)", told, re.MULTILINE):
        codes.update({int(number): meaning.strip() for number in numbers.split(", ")})
    return Facts({variable["name"]: variable for variable in variables}, codes, tags)


def judge(environments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `deploy` says of environments, each `{"command", "variables"}`."""
    return json.loads(_output(f"{programs()}/examples/check-environments", given=json.dumps(environments)))


def schemas() -> Path | None:
    """Harness's published schemas, which are beside the repository and not a part of it."""
    folder = Path(os.environ.get("MTRIBES_TEST_HARNESS_SCHEMAS", ROOT.parent / "shared/schemas/harness"))
    return folder if (folder / "pipeline.json").is_file() else None


def renderer() -> Path | None:
    """The program that fills templates in, made by `scripts/install-test-tools`."""
    path = Path(os.environ.get("MTRIBES_TEST_HARNESS_RENDER", ROOT / "target/test-tools/bin/harness-render"))
    return path if path.is_file() else None
