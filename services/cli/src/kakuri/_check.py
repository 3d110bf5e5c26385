"""The result of one check of `doctor`."""

from collections.abc import Iterator
from typing import NamedTuple

OK, WARN, FAIL, SKIP = "ok", "warn", "FAIL", "skip"


class Check(NamedTuple):
    """The result of one check.

    Attributes:
        result: OK, WARN, FAIL, or SKIP for a check that could not run, which is not OK.
        name: What was checked.
        detail: What was found.
        advice: What to do about it; empty if there is nothing to do.
    """

    result: str
    name: str
    detail: str
    advice: str = ""


def skipped(reason: str, *names: str) -> Iterator[Check]:
    """Yield the results of checks that could not run, all for the same reason."""
    for name in names:
        yield Check(SKIP, name, reason)
