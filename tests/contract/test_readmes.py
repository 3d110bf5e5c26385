"""The Python examples of all READMEs run as printed."""

import pytest

from tools.members import MEMBERS
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
