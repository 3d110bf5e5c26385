"""Diagrams and limits in the documentation are those of the code."""

import re
from dataclasses import fields
from pathlib import Path

from kakuri_http import REQUEST_TABLE, RESPONSE_TABLE, Limits
from kakuri_tcp import ServerLimits

from .diagrams import mermaid

PACKAGE = Path(__file__).parents[1]
DESIGN = PACKAGE.parents[1] / "docs/design/http-implementation.md"


def test_state_diagrams_of_the_design_page_are_those_of_the_tables():
    text = DESIGN.read_text()
    for name, table in (("request", REQUEST_TABLE), ("response", RESPONSE_TABLE)):
        shown = re.search(rf"<!-- {name} -->\n```mermaid\n(.*?)\n```", text, re.DOTALL)
        assert shown[1] == mermaid(table)


def test_every_limit_is_in_the_conformance_page():
    text = (PACKAGE / "CONFORMANCE.md").read_text()
    section = text[text.index("## Limits") : text.index("## Deviations from")]
    named = set(re.findall(r"`([a-z_]+)`", section)) - {"body_limit"}
    ours = {field.name for field in fields(Limits)}
    inherited = {field.name for field in fields(ServerLimits)}
    assert named <= ours
    assert ours - inherited <= named
