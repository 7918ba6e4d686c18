"""Servers that the story starts on loopback, and programs it runs."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from .telling import Missing, Wrong

# How long a server may take to start on a busy machine, and how often it is asked.
PATIENCE, PACE = 60, 0.05


def program(name: str) -> str:
    """Where a program is. Raises `Missing`."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise Missing(f"{name} is absent: scripts/install-test-tools")
    return found


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(*command: str | Path, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """Runs a program to its end and gives what it said. Raises `Wrong` where it fails."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Wrong(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def server(name: str, command: list[str], environment: Mapping[str, str], url: str, folder: Path) -> Iterator[None]:
    """A server that runs until the block ends; the block begins when it answers at `url`."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **environment}
    log = folder / f"{name}.log"
    with log.open("w") as out:
        child = subprocess.Popen(command, env=given, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        end = os.pidfd_open(child.pid)
        try:
            for _ in range(int(PATIENCE / PACE)):
                if _answers(url):
                    break
                # Until the next look, or its end.
                if select.select([end], [], [], PACE)[0]:
                    raise Wrong(f"{name} ended: {log.read_text()}")
            else:
                raise Wrong(f"{name} does not start: {log.read_text()}")
        finally:
            os.close(end)
        yield
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
