"""The systemd units in docs/operations.md are confined as its text describes; its log lines exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/operations.md").read_text()
UNITS = dict(
    re.findall(
        r"`/etc/systemd/system/(kakuri-[\w-]+)\.service`\n\n```ini\n(.*?)```", TEXT, re.DOTALL
    )
)


def settings(name):
    return dict(re.findall(r"^(\w+)=(.*)$", UNITS[name], re.MULTILINE))


def test_operations_page_has_a_unit_for_each_daemon():
    assert sorted(UNITS) == ["kakuri-agent", "kakuri-control-plane", "kakuri-sidecar"]


@pytest.mark.parametrize("name", UNITS)
def test_unit_bounds_memory_and_tasks_and_leaves_no_core_file(name):
    found = settings(name)
    assert found["LimitCORE"] == "0"
    assert found["MemoryMax"]
    assert found["TasksMax"]
    assert found["CapabilityBoundingSet"] == ""


def test_control_plane_has_a_user_of_its_own_and_the_agents_group():
    plane, agent = settings("kakuri-control-plane"), settings("kakuri-agent")
    assert plane["DynamicUser"] == "yes"
    assert plane["SupplementaryGroups"] == agent["Group"]
    assert f'`listen-group = "{agent["Group"]}"`' in TEXT
    assert agent["RuntimeDirectoryMode"] == "0750"


@pytest.mark.parametrize("name", ["kakuri-agent", "kakuri-sidecar"])
def test_only_the_unit_of_the_control_plane_allows_a_network(name):
    assert settings(name)["RestrictAddressFamilies"] == "AF_UNIX"
    assert settings(name)["PrivateNetwork"] == "yes"


def test_log_lines_of_the_page_are_in_the_code():
    sources = [
        path for name in ("packages", "services") for path in (ROOT / name).glob("*/src/**/*.py")
    ]
    code = re.sub(r"""["']\s*f?["']""", "", "".join(path.read_text() for path in sources))
    _, _, table = TEXT.partition("| log line | meaning |\n")
    rows = re.findall(r"^\| (`.+?) \| ", table.partition("\n\n")[0], re.MULTILINE)
    lines = [line for row in rows for line in re.findall("`(.+?)`", row)]
    assert len(lines) > 40
    # A line with a value is in the code without it.
    assert [
        line
        for line in lines
        if not all(part in code for part in re.split(r"\d+|…|(?= may )", line))
    ] == []
