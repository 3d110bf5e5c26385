"""The result of one check of `doctor`."""

from typing import NamedTuple

OK, WARN, FAIL, SKIP = "ok", "warn", "FAIL", "skip"


class Check(NamedTuple):
    """The result of one check.

    Attributes:
        result: OK, WARN, FAIL, or SKIP for one that could not look; which is not OK.
        name: What was checked.
        detail: What was found.
        advice: What to do about it; empty if there is nothing to do.
    """

    result: str
    name: str
    detail: str
    advice: str = ""
