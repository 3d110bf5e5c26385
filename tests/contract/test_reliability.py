"""The rows of docs/reliability.md are complete, and every test that they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"`((?:[\w-]+/)*test_\w+\.py)::(test_\w+)`")
TEXT = (ROOT / "docs/reliability.md").read_text()
NAMED = sorted(set(NAME.findall(TEXT)))
TESTS = {
    path.as_posix(): path.read_text()
    for directory in ("packages", "services", "tests")
    for path in (ROOT / directory).rglob("test_*.py")
}
FAULTS = dict(re.findall(r"^\| (\d+) \| (.+)$", TEXT, re.MULTILINE))


def test_reliability_page_has_rows():
    assert len(NAMED) > 40


def test_reliability_rows_are_numbered_without_a_gap():
    assert [int(number) for number in FAULTS] == list(range(1, max(len(FAULTS), 33) + 1))


@pytest.mark.parametrize("number", FAULTS)
def test_reliability_row_names_a_test(number):
    assert NAME.search(FAULTS[number])


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_name_on_the_reliability_page_is_a_test(file, test):
    found = [
        path for path, text in TESTS.items() if path.endswith(f"/{file}") and f"def {test}(" in text
    ]
    assert len(found) == 1  # of two, the page has to name the directory
