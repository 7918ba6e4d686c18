"""Chromium, which opens a site as a visitor does."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from .cloud import Site
from .process import program
from .telling import Wrong

# Without these it asks its maker for updates.
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--hide-scrollbars",
)


def open_site(site: Site, picture: Path) -> dict[str, str]:
    """Opens the site, keeps a picture, and gives what stands in its elements once its script ran, by their id."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            program("chromium"),
            *QUIET,
            f"--user-data-dir={profile}",
            "--window-size=900,360",
            f"--host-resolver-rules=MAP {site.domain} 127.0.0.1",
            "--virtual-time-budget=5000",
            f"--screenshot={picture}",
            "--dump-dom",
            site.url,
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HOME": profile},
            timeout=120,
        )
    if not picture.is_file() or "</html>" not in done.stdout:
        raise Wrong(f"Chromium shows nothing of {site.url}:\n{done.stdout}\n{done.stderr}")
    return dict(re.findall(r'id="(\w+)">([^<]*)<', done.stdout))
