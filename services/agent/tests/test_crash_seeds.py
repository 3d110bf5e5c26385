"""Tests that agents that are killed at any failpoint lose nothing and do nothing twice.

KAKURI_CRASHES is the number of kills, 1000 by default. KAKURI_CRASH_SEED is the seed of the first
scenario, so that one that failed can be repeated alone.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from .crash_harness import FAILPOINTS, System
from .model_cri import CALL_FAILPOINTS

KILLS = int(os.environ.get("KAKURI_CRASHES", "1000"))
ROOT = Path(__file__).parents[3]
FIRST_SEED = int(os.environ.get("KAKURI_CRASH_SEED", "0"))


def run_scenarios(crash_directory, number, runtime):
    """Kill agents at least this many times; return the number of kills at each failpoint."""
    kills = Counter()
    seed = FIRST_SEED
    while kills.total() < number:
        directory = crash_directory / str(seed)
        directory.mkdir()
        system = System(directory, seed, runtime=runtime)
        system.run()
        kills += system.kills
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


SCENARIO = """\
import sys
from pathlib import Path
from services.agent.tests.crash_harness import System
system = System(Path(sys.argv[1]), 8, runs=3, runtime=sys.argv[2])
system.run()
print("\\n".join(system.trace))
"""


@pytest.mark.parametrize("runtime", ["sidecar", "cri"])
def test_same_seed_repeats_the_same_scenario_in_each_process(tmp_path, runtime):
    traces = []
    for hash_seed in ("1", "2"):  # by which Python orders sets of strings
        directory = tmp_path / hash_seed
        directory.mkdir()
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCENARIO, str(directory), runtime], cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        traces.append(done.stdout.splitlines())
    assert traces[0] == traces[1]
    assert sum("KILLED" in line for line in traces[0]) == 4
