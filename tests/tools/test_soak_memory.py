"""The soak's measure of growth: a leak of 2 MB a second is one, and coming and going is none."""

import random

import pytest

from tests.soak.memory import slope


def samples(leak, garbage, spikes=0):
    """Return a quarter of a minute of samples, two each second, with garbage that is collected."""
    chance = random.Random(1)
    found = [(n / 2, 60 + leak * n / 2 + chance.uniform(0, garbage)) for n in range(30)]
    for number in chance.sample(range(30), spikes):
        found[number] = (found[number][0], found[number][1] + 100)
    return found


@pytest.mark.parametrize(("garbage", "spikes"), [(0, 0), (8, 0), (8, 4)])
def test_slope_of_a_leak_is_found_among_garbage(garbage, spikes):
    assert 1.6 < slope(samples(2.0, garbage, spikes)) < 2.4


@pytest.mark.parametrize(("garbage", "spikes"), [(0, 0), (8, 0), (20, 0), (8, 4)])
def test_slope_without_a_leak_is_about_nothing(garbage, spikes):
    assert abs(slope(samples(0.0, garbage, spikes))) < 0.7


def test_slope_of_one_sample_is_nothing():
    assert slope([(1.0, 60.0)]) == 0
