"""Check, in every run of tests, each regular expression that a member compiles."""

import pytest

from tools.patterns import watching


def pytest_configure(config: pytest.Config) -> None:
    """Check expressions from now on, also those that are compiled from types at run time."""
    watched = watching(_refuse)
    watched.__enter__()
    config.add_cleanup(lambda: watched.__exit__(None, None, None))


def _refuse(module: str, pattern: str) -> None:
    if module.startswith("kakuri_"):
        message = f"{module} repeats a group possessively (see tools/patterns.py): {pattern}"
        raise AssertionError(message)
