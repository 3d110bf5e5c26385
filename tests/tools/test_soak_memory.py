"""The soak's measure of growth: a leak of 2 MB a second is one, and coming and going is none."""

import importlib.util
import random
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "soak" / "soak_memory.py"
SPEC = importlib.util.spec_from_file_location("soak_memory", PATH)
soak_memory = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(soak_memory)


def samples(leak, garbage, spikes=0):
    """Return a quarter of a minute of samples, two each second, with garbage that is collected."""
    chance = random.Random(1)
    found = [(n / 2, 60 + leak * n / 2 + chance.uniform(0, garbage)) for n in range(30)]
    for number in chance.sample(range(30), spikes):
        found[number] = (found[number][0], found[number][1] + 100)
    return found


@pytest.mark.parametrize(("garbage", "spikes"), [(0, 0), (8, 0), (8, 4)])
def test_slope_of_a_leak_is_found_among_garbage(garbage, spikes):
    assert 1.6 < soak_memory.slope(samples(2.0, garbage, spikes)) < 2.4


@pytest.mark.parametrize(("garbage", "spikes"), [(0, 0), (8, 0), (20, 0), (8, 4)])
def test_slope_without_a_leak_is_about_nothing(garbage, spikes):
    assert abs(soak_memory.slope(samples(0.0, garbage, spikes))) < 0.7


def test_slope_of_one_sample_is_nothing():
    assert soak_memory.slope([(1.0, 60.0)]) == 0
