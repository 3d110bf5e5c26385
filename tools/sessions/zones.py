"""Sessions that run the services on real containers."""

import os
from pathlib import Path

import nox

from tests.cri_node.cache import PROGRAMS, lacks
from tools import side_by_side, system
from tools.members import BY_NAME
from tools.sessions.steps import PYTHON, finish, install_wheels, tools_of

REQUIRE_ZONES = "KAKURI_REQUIRE_ZONES"
SETTINGS = "--rcfile=tests/zones/coverage.toml"

_started: list[tuple[side_by_side.Running, str]] = []
"""What the session zones has started, and the program that reports what it covered."""


@nox.session(python=PYTHON, reuse_venv=False)
def zones(session: nox.Session) -> None:
    """Run the services, from their wheels, with real containers on a real CRI runtime.

    Twice, in two isolated nodes side by side: through the sidecar, and without one. They
    wait for containers most of the time, so they run beside the sessions that follow, and the
    session zones_result reports them at the end.
    A machine that lacks something skips this, unless KAKURI_REQUIRE_ZONES is set.
    """
    if missing := lacks():
        refuse = session.error if REQUIRE_ZONES in os.environ else session.skip
        refuse(f"zones needs what is not here: {', '.join(missing)}")
    system.require(session, "curl", "nc", *PROGRAMS)
    services = ("kakuri", "kakuri-agent", "kakuri-control-plane", "kakuri-sidecar")
    install_wheels(session, *(name for name in services if name in BY_NAME))
    session.install("-q", *tools_of("test", "coverage"))
    # Once for both, and not beside other sessions that call apt-get.
    session.run("python", "-c", "from tests.cri_node.cache import Cache; Cache().fill()")
    session.run("coverage", "erase", SETTINGS)
    python = str(Path(session.bin) / "python")
    on_node = [python, "-m", "coverage", "run", SETTINGS, "-m", "tests.cri_node", "--"]
    tests = [python, "-m", "pytest", "-p", "no:cacheprovider", "tests/zones"]
    options = session.posargs
    runs = {
        f"zones with --runtime {runtime}": [*on_node, *tests, "--runtime", runtime, *options]
        for runtime in ("sidecar", "cri")
    }
    _started.append((side_by_side.Running(runs, len(runs)), str(Path(session.bin) / "coverage")))
    session.notify("zones_result")


@nox.session(python=False, default=False)
def zones_result(session: nox.Session) -> None:
    """Wait for what zones has started, show it, and report what it covered."""
    if not _started:
        session.error("the session zones has not run; run 'nox -s zones'")
    running, coverage = _started.pop()
    finish(session, running)
    if not session.posargs:
        session.run(coverage, "combine", "-q", SETTINGS, external=True)
        session.run(coverage, "report", SETTINGS, external=True)
