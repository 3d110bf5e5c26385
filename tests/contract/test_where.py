"""Each place in the code that docs/where-things-are.md names exists."""

import ast
import re

import pytest

from tools.members import MEMBERS, ROOT

PAGE = (ROOT / "docs" / "where-things-are.md").read_text()
PLACES = sorted(set(re.findall(r"`(kakuri_\w+/[\w/]+(?:\.py)?)(?:::([\w.]+))?`", PAGE)))
SOURCES = {member.import_name: member.directory / "src" for member in MEMBERS}


def test_page_names_places_in_every_layer():
    assert len(PLACES) > 30


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_place_that_the_page_names_exists(path, name):
    file = SOURCES[path.partition("/")[0]] / path
    assert file.exists()
    if not name:
        return
    body = ast.parse(file.read_text()).body
    for part in name.split("."):
        (found,) = (node for node in body if getattr(node, "name", None) == part)
        body = found.body
