"""Tests that agents that are killed at any failpoint lose nothing and do nothing twice.

KAKURI_CRASHES is the number of kills, 1000 by default. KAKURI_CRASH_SEED is the seed of the first
scenario, so that one that failed can be repeated alone.
"""

import os
from collections import Counter

import pytest

from .crash_harness import FAILPOINTS, World
from .model_cri import CALL_FAILPOINTS

KILLS = int(os.environ.get("KAKURI_CRASHES", "1000"))
FIRST_SEED = int(os.environ.get("KAKURI_CRASH_SEED", "0"))


def run_scenarios(crash_directory, number, runtime):
    """Kill agents at least this many times; return the number of kills at each failpoint."""
    kills = Counter()
    seed = FIRST_SEED
    while kills.total() < number:
        directory = crash_directory / str(seed)
        directory.mkdir()
        world = World(directory, seed, runtime=runtime)
        world.run()
        kills += world.kills
        seed += 1
    print(f"{kills.total()} kills in {seed - FIRST_SEED} scenarios: {dict(kills)}")
    return kills


@pytest.mark.timeout(600)  # more than a minute where cores are shared and coverage is measured
def test_acknowledged_requests_survive_kills_at_every_failpoint(crash_directory):
    kills = run_scenarios(crash_directory, KILLS, "sidecar")
    assert KILLS < 1000 or min(kills[name] for name in (*FAILPOINTS, "any-time")) >= 5


@pytest.mark.timeout(600)
def test_acknowledged_requests_survive_kills_of_agents_that_run_zones_themselves(crash_directory):
    number = KILLS // 5  # each costs more than five times as much
    kills = run_scenarios(crash_directory, number, "cri")
    assert (
        number < 1000
        or min(kills[name] for name in (*FAILPOINTS, *CALL_FAILPOINTS, "any-time")) >= 3
    )


def test_same_seed_repeats_the_same_scenario(tmp_path):
    traces = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, 7)
        world.run()
        traces.append(world.trace)
    assert traces[0] == traces[1]
