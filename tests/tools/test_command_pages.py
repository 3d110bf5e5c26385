import subprocess

import pytest

from tools.command_pages import SHARE, pages


def test_pages_are_those_of_the_present_options():
    present = {path: path.read_text() for path in SHARE.rglob("*") if path.is_file()}
    assert present == pages(), "run python -m tools.command_pages --write"


@pytest.mark.parametrize("name", ["kakuri", "kakuri-run", "kakuri-context-add"])
def test_page_is_read_by_man_without_a_warning(name):
    page = SHARE / f"man/man1/{name}.1"
    command = ["man", "--warnings", "-l", page]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "NAME" in shown.stdout
    assert shown.stderr == ""
