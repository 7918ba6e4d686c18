"""A webapp's repository, and Bitbucket's part: its steps, run as they stand in the file."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from check.facts import programs
from check.files import ROOT, WEBAPP_BITBUCKET, Files
from check.jobs import REGISTRY

from .process import program, run
from .telling import Teller

GIT = {
    "GIT_AUTHOR_NAME": "story",
    "GIT_AUTHOR_EMAIL": "story@example.com",
    "GIT_COMMITTER_NAME": "story",
    "GIT_COMMITTER_EMAIL": "story@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


class Repository:
    """The example webapp in a git repository of its own."""

    def __init__(self, folder: Path, files: Files, registry: str, teller: Teller) -> None:
        self.folder, self.files, self.registry, self.teller = folder, files, registry, teller
        self.work = folder / "webapp"
        shutil.copytree(ROOT / "examples/webapp", self.work, ignore=shutil.ignore_patterns("dist", "node_modules"))
        self._git("init", "--quiet", "--initial-branch=main")
        self._builds = 0

    def _git(self, *arguments: str) -> str:
        return run(program("git"), *arguments, environment={**os.environ, **GIT}, folder=self.work).strip()

    def write(self, path: str, text: str | None) -> None:
        """Changes a file of the sources, or takes it away."""
        (self.work / path).parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            (self.work / path).unlink()
        else:
            (self.work / path).write_text(text)

    def commit(self, version: str, message: str) -> None:
        """Commits everything, as this version."""
        for name in ("package.json", "package-lock.json"):
            content = json.loads((self.work / name).read_text())
            content["version"] = version
            for package in content.get("packages", {}).values():
                package["version"] = version
            (self.work / name).write_text(json.dumps(content, indent=2) + "\n")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", f"--message={message}")

    def tag(self, name: str) -> None:
        """Tags the last commit, and lets Bitbucket build the tag."""
        self._git("tag", name)
        [steps] = self.files.parsed(WEBAPP_BITBUCKET)["pipelines"]["tags"].values()
        self._build(steps, {"BITBUCKET_TAG": name})

    def push(self, branch: str) -> None:
        """Lets Bitbucket build the last commit, as that of a branch."""
        self._build(self.files.parsed(WEBAPP_BITBUCKET)["pipelines"]["default"], {"BITBUCKET_BRANCH": branch})

    def _build(self, steps: list[dict[str, Any]], about: dict[str, str]) -> None:
        """Each step in a clone of its own, with what the steps before left."""
        self._builds += 1
        artifacts = self.folder / f"artifacts-{self._builds}"
        artifacts.mkdir()
        for number, wrapper in enumerate(steps, 1):
            step = wrapper["step"]
            clone = self.folder / f"build-{self._builds}-{number}"
            self._git("clone", "--quiet", "--no-local", str(self.work), str(clone))
            shutil.copytree(artifacts, clone, dirs_exist_ok=True)
            self.teller.say(f"  Bitbucket, {', '.join(about.values())}: {step['name']}")
            told = run(program("bash"), "-euc", self._script(step), environment=self._environment(about), folder=clone)
            self.teller.say("\n".join(f"    | {line}" for line in told.splitlines() if line.strip()))
            for pattern in step.get("artifacts", ()):
                shutil.copytree(clone / pattern.partition("/")[0], artifacts / pattern.partition("/")[0])

    def _script(self, step: dict[str, Any]) -> str:
        """As in the file, but for the registry."""
        return re.sub(re.escape(REGISTRY), self.registry, "\n".join(step["script"]))

    def _environment(self, about: dict[str, str]) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": f"{programs()}:{os.environ['PATH']}",
            "HOME": str(home),
            "CI": "true",
            "NO_UPDATE_NOTIFIER": "1",
            "npm_config_audit": "false",
            "npm_config_fund": "false",
            "BITBUCKET_COMMIT": self._git("rev-parse", "HEAD"),
            "BITBUCKET_BUILD_NUMBER": str(self._builds),
            "BITBUCKET_REPO_FULL_NAME": "example/webapp",
            "AWS_REGISTRY_ROLE": "arn:aws:iam::123456789012:role/none",
            "IMAGE_INSECURE_REGISTRIES": self.registry,
            "IMAGE_LOG": "text",
            **about,
        }
