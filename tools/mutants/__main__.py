"""Change members at random, and report the changes that survive their tests.

    python -m tools.mutants [MEMBER ...] [--sample 50] [--seed N]

The Python that runs this must have all members as editables. The tests of a member run once, to
record which test runs which lines, and every change in a line that no test runs is printed. Then
the tests that run its line try each change of the sample.

A change is equivalent if nothing outside the member can observe it: not a caller, not the peer, not
an operator. Every result, error and log line, every byte on the wire and on disk, and every
documented bound on memory and time is the same. Such changes are listed in equivalent.toml, each
with one of these kinds and a reason that a reviewer can check, and are counted apart:

KINDS

A change that alters a documented default, limit or time is not equivalent, and neither is one that
is tedious to test. Where a line has no effect at all, remove the line instead of listing it.
"""

import argparse
import os
import secrets
import tempfile
from pathlib import Path

from tools.members import BY_NAME, Member
from tools.mutants.recording import record
from tools.mutants.report import Report
from tools.mutants.targets import KINDS, MODULES, Equivalents, places, sample
from tools.mutants.worker import Worker

FEWER_KILLS = {"KAKURI_CRASHES": "20", "KAKURI_KILLS": "3"}


def main() -> int:
    """Run what the command line asks for; return its exit status."""
    arguments = _arguments()
    os.environ |= FEWER_KILLS
    print(f"seed {arguments.seed}", flush=True)
    report = Report(arguments.seed)
    for name in arguments.members or MODULES:
        _try(BY_NAME[name], arguments.sample, arguments.seed, report)
    print(report.table())
    return 0 if report.is_good else 1


def _arguments() -> argparse.Namespace:
    kinds = "\n".join(f"    {kind}: {meaning}" for kind, meaning in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="mutants",
        description=(__doc__ or "").replace("KINDS", kinds),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("members", nargs="*", metavar="MEMBER", help="default: those with a list")
    parser.add_argument("--sample", type=int, default=50, help="number of changes of each member")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="of the random choice"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.members) - set(BY_NAME):
        parser.error(f"expected members of {sorted(BY_NAME)}, got {sorted(unknown)}")
    return arguments


def _try(member: Member, size: int, seed: int, report: Report) -> None:
    """Test a sample of a member's changes."""
    recording = record(member)
    equivalents = Equivalents()
    with tempfile.TemporaryDirectory(prefix="kakuri-mutants-") as directory:
        worker = Worker(member, Path(directory))
        found = places(member)
        for module, code, change in equivalents.stale(found):
            print(f"stale in equivalent.toml: {module}: {change}: {code}", flush=True)
        for place in found:
            if not recording.runs(place) and not equivalents.reason(place):
                print(f"no test runs: {place}", flush=True)
        for place in sample(found, size, seed):
            if reason := equivalents.reason(place):
                report.add_equivalent(member, place, reason)
            else:
                report.add(member, place, worker.run(place, recording.tests_of(place)))
        for name in sorted(worker.unstable):
            print(f"left out, because it fails without a change: {name}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
