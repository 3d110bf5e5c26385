"""Settings of every run of tests.

Each regular expression that a member compiles is checked, and hypothesis tries the same examples in
each run, so that a run fails because of a change. `KAKURI_EXPLORE=1` lets it look for new ones.
"""

import faulthandler
import os
import signal
import sys
from collections.abc import Iterator

import hypothesis
import pytest

from tools.patterns import watching

hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
if not os.environ.get("KAKURI_EXPLORE"):
    hypothesis.settings.load_profile("same")


SECONDS_TO_EXIT = 120
"""Seconds that the interpreter has to exit after the tests, including writing coverage data."""

MEASURING = sys.gettrace()
"""What measures coverage, if anything does."""


def pytest_runtest_setup() -> None:
    """Measure coverage again after a test whose stack overflowed, where Python ends tracing."""
    if sys.gettrace() is None:
        sys.settrace(MEASURING)


def pytest_configure(config: pytest.Config) -> None:
    """Check expressions from now on, also those that are compiled from types at run time."""
    watched = watching(_refuse)
    watched.__enter__()
    config.add_cleanup(lambda: watched.__exit__(None, None, None))


def pytest_unconfigure() -> None:
    """Print the stack of every thread, and exit, if the interpreter does not exit by itself."""
    faulthandler.dump_traceback_later(SECONDS_TO_EXIT, exit=True)


@pytest.fixture
def hangup_by_default() -> Iterator[None]:
    """Start daemons as a service manager does, also where nohup has this run ignore SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def _refuse(module: str, pattern: str) -> None:
    if module.startswith("kakuri_"):
        message = f"{module} repeats a group possessively (see tools/patterns.py): {pattern}"
        raise AssertionError(message)
