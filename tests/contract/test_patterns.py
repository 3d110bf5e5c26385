"""The members' regular expressions match correctly on CPython 3.11.2, and in linear time.

No group is repeated possessively, which that version matches wrongly.
"""

import re
import re._parser as sre
import subprocess
import sys

import pytest

from tools.linear import slow_text
from tools.members import MEMBERS, ROOT
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


@pytest.mark.parametrize("package", [member.import_name for member in MEMBERS])
def test_modules_of_a_package_repeat_no_group_possessively(package):
    # A new process: here the modules may have been imported before.
    command = [sys.executable, "-m", "tools.patterns", package]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("pattern", "searches", "expected"),
    [
        ("a*b", False, False),
        ("(?:ab|c)*d", False, False),
        ("a*", True, False),
        ("(?:ab?)*+c", False, False),
        ("a*a*b", False, True),
        ("[a-z]*[a-m]*!", False, True),
        (r"\d+\w*,", False, True),
        ("x(?:a*)(?:a|b)*c", False, True),
        ("(?:a+)*b", False, True),
        ("a+b", False, False),
        ("a+b", True, True),
    ],
)
def test_expression_that_is_not_linear_is_found(pattern, searches, expected):
    found = slow_text(re.compile(pattern), sre.parse(pattern), searches=searches)
    assert (found is not None) is expected


def test_expressions_of_all_members_take_linear_time():
    packages = [member.import_name for member in MEMBERS]
    command = [sys.executable, "-m", "tools.linear", *packages]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_pattern_compiled_by_a_member_during_tests_is_checked():
    source = "import re; re.compile('(?:possessive group)*+')"
    with pytest.raises(AssertionError, match="kakuri_example repeats a group possessively"):
        exec(source, {"__name__": "kakuri_example"})
    exec(source.replace("possessive", "another"), {"__name__": "someone_else"})
