"""The stored copy of the API's OpenAPI document is that of the running routes."""

import json

from tools import openapi
from tools.openapi_changes import changes


def test_no_change_of_the_api_breaks_clients():
    stored = json.loads(openapi.STORED.read_text())
    found = changes(stored, openapi.current())
    broken = [str(change) for change in found if change.is_breaking]
    assert broken == [], "python -m tools.openapi --write --breaking accepts them"


def test_stored_document_is_the_current_one():
    assert openapi.run([], openapi.STORED) == "openapi.json is the current document"
