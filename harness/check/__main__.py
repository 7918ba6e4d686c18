"""`python -m check [FOLDER]` in `harness/`: says what is wrong with the files, and ends with 1 if anything is."""

import sys
from pathlib import Path

from .facts import renderer, schemas
from .files import ROOT, SERVICE, Files
from .rules import check


def main() -> int:
    """Prints findings, one a line."""
    if renderer() is None:
        print("the renderer is absent: scripts/install-test-tools builds it", file=sys.stderr)
        return 2
    if schemas() is None:
        print("SKIPPED: Harness's own schemas are absent, so the shape of its files is not checked", file=sys.stderr)
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    files = Files.read(root)
    if SERVICE not in files.texts:
        print(f"{root}: there is no {SERVICE}", file=sys.stderr)
        return 2
    found = check(files)
    for finding in found:
        print(finding)
    print(
        f"{len(files.texts)} files: {len(found)} findings" if found else f"{len(files.texts)} files fit",
        file=sys.stderr,
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
