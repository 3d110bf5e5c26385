"""The pictures and the table of the measurements page match the committed results."""

import importlib.util

import pytest

from tools.members import ROOT

SPEC = importlib.util.spec_from_file_location("draw", ROOT / "benchmarks" / "draw.py")
draw = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(draw)


@pytest.mark.parametrize("name", draw.pictures())
def test_picture_of_the_measurements_is_drawn_from_the_results(name):
    assert (draw.PICTURES / name).read_text() == draw.pictures()[name], "run benchmarks/draw.py"


def test_table_of_the_measurements_is_made_from_the_results():
    text = draw.PAGE.read_text()
    assert draw.table() in text, "run benchmarks/draw.py"
    assert all(f"](pictures/{name})" in text for name in draw.pictures())
