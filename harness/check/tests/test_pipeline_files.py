"""The files fit; and every slip that people make in them is caught, by the rule that is about it."""

from __future__ import annotations

import os
import warnings

import pytest

from check.facts import renderer, schemas
from check.files import OWN_BITBUCKET, Files
from check.rules import RULES, check
from slips import MUTATIONS, Mutation

FILES = Files.read()
# Rules that no slip in the files can break: what they compare comes from the binaries.
BY_CODE = {"exit-codes"}


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    """The renderer; without it there is nothing to look at."""
    if renderer() is None:
        message = "the renderer of Harness's templates is absent: scripts/install-test-tools builds it"
        if os.environ.get("MTRIBES_TEST_REQUIRED"):
            pytest.fail(message)
        pytest.skip(f"SKIPPED: {message}")
    if schemas() is None:
        warnings.warn("Harness's own schemas are absent: the shape of its files is not checked", stacklevel=1)


def test_the_files_fit() -> None:
    assert [str(finding) for finding in check(FILES)] == []


def test_a_copy_under_another_name_fits() -> None:
    """A webapp's own copy, with its Bitbucket pipeline alone."""
    texts = {path: text.replace("webapp", "shop") for path, text in FILES.texts.items() if path != OWN_BITBUCKET}
    assert [str(finding) for finding in check(Files(texts))] == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_slip_is_caught_by_its_rule(mutation: Mutation) -> None:
    changed = mutation.edit(FILES)
    assert changed != FILES
    if schemas() is None and mutation.rule in ("schema", "unknown-key"):
        pytest.skip("needs Harness's own schemas")
    found = check(changed)
    assert mutation.rule in {finding.rule for finding in found}, [str(finding) for finding in found]
    assert {finding.rule for finding in found} <= RULES.keys()


def test_every_rule_is_tried() -> None:
    assert RULES.keys() - {mutation.rule for mutation in MUTATIONS} == BY_CODE
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len(set(names))
