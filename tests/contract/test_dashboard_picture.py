"""The dashboard's picture is up to date with the dashboard and the recorded values."""

import importlib.util

from tools.members import ROOT

SPEC = importlib.util.spec_from_file_location(
    "draw_dashboard", ROOT / "benchmarks" / "draw_dashboard.py"
)
draw = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(draw)


def test_picture_of_the_dashboard_is_drawn_from_its_panels_and_the_results():
    assert draw.PICTURE.read_text() == draw.picture(), "run benchmarks/draw_dashboard.py"
    assert "](pictures/dashboard.svg)" in (ROOT / "docs/operations.md").read_text()
