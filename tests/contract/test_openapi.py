"""The stored copy of the API's OpenAPI document, and its page, match the running routes."""

import json
import re

from tools import openapi
from tools.openapi_changes import changes


def test_no_change_of_the_api_breaks_clients():
    stored = json.loads(openapi.STORED.read_text())
    found = changes(stored, openapi.current())
    broken = [str(change) for change in found if change.is_breaking]
    assert broken == [], "python -m tools.openapi --write --breaking accepts them"


def test_example_on_the_page_is_in_the_document():
    page = (openapi.STORED.parent / "openapi.md").read_text()
    shown = re.search(r"\.(components\.[\w.]+)'\n(\{\n.*?\n\})\n", page, re.DOTALL)
    part = json.loads(openapi.STORED.read_text())
    for name in shown[1].split("."):
        part = part[name]
    assert json.loads(shown[2]) == part


def test_stored_document_is_the_current_one():
    assert openapi.run([], openapi.STORED) == "openapi.json is the current document"
