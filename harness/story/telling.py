"""What the story says, and how it ends where something is not as it should be."""

from __future__ import annotations

import time
from pathlib import Path


class Wrong(Exception):
    """Something is not as it should be."""


class Missing(Exception):
    """A tool that the story needs is not there."""


class Teller:
    """Writes to standard output and to a log."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._log = (folder / "story.log").open("w")
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """One line, or several, told as they are."""
        for line in text.rstrip().splitlines():
            print(line, flush=True)
            print(line, file=self._log, flush=True)

    def chapter(self, title: str) -> None:
        """The next part."""
        self.say(f"\n== {title} [{time.monotonic() - self._start:.0f}s]")

    def found(self, that: str, holds: bool, otherwise: object = "") -> None:
        """States a fact that was looked at. Raises `Wrong` where it does not hold."""
        if not holds:
            raise Wrong(f"not so: {that}\n{otherwise}")
        self.say(f"  ok  {that}")
