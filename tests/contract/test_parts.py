"""The README and the architecture page list every member and what it requires."""

import re

import pytest

from tools.members import MEMBERS, ROOT

ROW = re.compile(
    r"^\| \[(kakuri(?:-[\w-]+)?)\]\(([\w/-]+)/README\.md\) \| .+ \| (.+) \|$", re.MULTILINE
)
ROWS = {
    name: (directory, text)
    for name, directory, text in ROW.findall((ROOT / "README.md").read_text())
}
EDGE = re.compile(r"^    (\w+)(?:\[[\w-]+\])? --> (\w+)(?:\[[\w-]+\])?$", re.MULTILINE)
NODE = re.compile(r"(\w+)\[(kakuri(?:-[\w-]+)?)\]")
PAGE = (ROOT / "docs/architecture.md").read_text()


def short(names):
    return sorted(name.removeprefix("kakuri-") for name in names)


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_readme_lists_a_member_with_its_directory_and_siblings(member):
    directory, requires = ROWS[member.name]

    assert directory == member.directory.relative_to(ROOT).as_posix()
    assert sorted(re.findall(r"[a-z][a-z0-9-]*", requires)) == short(member.siblings)


def test_architecture_shows_only_dependencies_that_exist():
    names = dict(NODE.findall(PAGE))
    by_name = {member.name: member for member in MEMBERS}

    for source, target in EDGE.findall(PAGE):
        assert names[target] in by_name[names[source]].siblings
    assert set(names.values()) == set(by_name)
