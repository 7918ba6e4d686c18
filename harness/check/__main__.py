"""`python -m check` in `harness/`: says what is wrong with the files, and ends with 1 if anything is."""

import sys

from .facts import renderer, schemas
from .files import Files
from .rules import check


def main() -> int:
    """Prints findings, one a line."""
    if renderer() is None:
        print("the renderer is absent: scripts/install-test-tools builds it", file=sys.stderr)
        return 2
    if schemas() is None:
        print("SKIPPED: Harness's own schemas are absent, so the shape of its files is not checked", file=sys.stderr)
    found = check(Files.read())
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
