"""No expression of a member repeats a group possessively, which CPython 3.11.2 matches wrongly."""

import re._parser as sre
import subprocess
import sys

import pytest

from tools.members import ROOT
from tools.patterns import repeats_group_possessively


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a*+", False),
        ("[a-z]++x?+", False),
        (".{1,3}+", False),
        ("[^a]*+", False),
        (r"\d?+", False),
        ("(?:a)*+", False),  # the parser leaves no group here
        ("(?>(?:ab)*)", False),
        ("(?:ab|)", False),
        ("(?:ab)*+", True),
        ("(?:ab)?+", True),
        ("(?:ab)++", True),
        ("(?:ab){1,2}+", True),
        ("(a)*+", True),
        ("(?:a|bc)?+", True),
        ("x(?:y(?:ab)?+)?", True),
        ("(?=(?:ab)*+)", True),
        ("(?>(?:ab)*+)", True),
        ("a|(?:bc)*+", True),
        ("(a)(?(1)(?:bc)*+|d)", True),
    ],
)
def test_possessive_repeat_of_a_group_is_found(pattern, expected):
    assert repeats_group_possessively(sre.parse(pattern)) is expected


@pytest.mark.parametrize("package", ["kakuri_json"])
def test_modules_of_a_package_repeat_no_group_possessively(package):
    # A new process: here the modules may have been imported before.
    command = [sys.executable, "-m", "tools.patterns", package]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)
