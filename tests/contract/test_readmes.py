"""The Python examples of all READMEs run as printed, and the tests that pages name exist."""

import re

import pytest

from tools.members import MEMBERS, ROOT
from tools.usage import examples_of

EXAMPLES = [
    pytest.param(example, id=f"{member.name}-{number}")
    for member in MEMBERS
    for number, example in enumerate(examples_of(member))
]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_readme_of_a_member_has_an_example(member):
    assert examples_of(member)


@pytest.mark.parametrize("example", EXAMPLES)
def test_readme_example_runs_as_it_stands(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})


def test_tests_that_pages_name_exist():
    trees = [ROOT / name for name in ("docs", "packages", "services", "tests")]
    files = [path for tree in trees for path in tree.rglob("test_*.py")]
    known = {path.stem for path in files}
    known.update(*(re.findall(r"def (test_\w+)\(", path.read_text()) for path in files))
    pages = [*ROOT.glob("*.md"), *(page for tree in trees for page in tree.rglob("*.md"))]
    named = {name for page in pages for name in re.findall(r"\btest_\w+\b(?!/)", page.read_text())}
    assert len(named) > 500
    assert named - known == set()
