"""Every test that docs/reliability.md names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"`((?:[\w-]+/)*test_\w+\.py)::(test_\w+)`")
NAMED = sorted(set(NAME.findall((ROOT / "docs/reliability.md").read_text())))


def test_there_are_names():
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_exists(file, test):
    files = [path for folder in ("packages", "services", "sidecar", "tests")
             for path in (ROOT / folder).rglob(file)]  # fmt: skip
    (file,) = files  # else the folder has to be told, too
    assert f"def {test}(" in file.read_text()
