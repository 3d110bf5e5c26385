"""What the documentation says of tables and limits is what the code has."""

import re
from dataclasses import fields
from pathlib import Path

from diagrams import mermaid
from kakuri_http import REQUEST_TABLE, RESPONSE_TABLE, Limits
from kakuri_tcp import ServerLimits

PACKAGE = Path(__file__).parents[1]
DESIGN = PACKAGE.parents[1] / "docs/design/http-implementation.md"


def test_diagrams_are_made_from_the_tables():
    text = DESIGN.read_text()
    for name, table in (("request", REQUEST_TABLE), ("response", RESPONSE_TABLE)):
        shown = re.search(rf"<!-- {name} -->\n```mermaid\n(.*?)\n```", text, re.DOTALL)
        assert shown[1] == mermaid(table)


def test_every_limit_is_documented():
    text = (PACKAGE / "CONFORMANCE.md").read_text()
    section = text[text.index("## Limits") : text.index("## Deviations from")]
    named = set(re.findall(r"`([a-z_]+)`", section)) - {"body_limit"}
    ours = {field.name for field in fields(Limits)}
    inherited = {field.name for field in fields(ServerLimits)}
    assert named <= ours
    assert ours - inherited <= named
