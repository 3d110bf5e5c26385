"""Every test that the threat model names exists, and the web page shows its last section."""

import html
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/threat-model.md").read_text()
LINK = re.compile(r"\[((?:`test_\w+`(?:, )?)+)\]\(\.\./([\w./-]+\.py)\)")
NAMED = sorted(
    {(file, test) for names, file in LINK.findall(TEXT) for test in re.findall(r"test_\w+", names)}
)


def test_threat_model_names_tests():
    assert len(NAMED) > 60


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_name_in_the_threat_model_is_a_test(file, test):
    assert re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_page_lists_what_the_threat_model_does_not_promise():
    page = ROOT / "services/control-plane/src/kakuri_control_plane/page/index.html"
    shown = re.findall(r"^\s*<li>(.+)$", page.read_text(), re.MULTILINE)
    _, _, section = TEXT.partition("## What is not promised")
    titles = re.findall(r"^- \*\*(.+?)\*\*", section, re.MULTILINE)
    assert len(titles) > 10
    assert [html.unescape(each).rstrip(".") for each in shown] == [
        title.replace("`", "").rstrip(".:") for title in titles
    ]
