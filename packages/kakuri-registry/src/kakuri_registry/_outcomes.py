"""The outcomes of writes, as callers and the log get them."""

import logging
from collections.abc import Callable
from typing import TypeAlias

from kakuri_registry._backlog import OnSaved
from kakuri_registry._errors import StoreError, StoreFailed, StoreFull

OnWrite: TypeAlias = Callable[[int, float, BaseException | None], None]
"""Called after a write with the number of its changes, its seconds, and its error."""

_log = logging.getLogger("kakuri_registry")


def ignore_write(_changes: int, _seconds: float, _error: BaseException | None) -> None:
    """Do nothing after a write."""


def after_all(number: int, then: OnSaved) -> OnSaved:
    """Return a callback for some writes, which calls `then` after the last one.

    `then` gets the first error, or None.
    """
    remaining = number
    first_error: StoreError | None = None

    def on_saved(error: StoreError | None) -> None:
        nonlocal remaining, first_error
        remaining -= 1
        first_error = first_error or error
        if not remaining:
            then(first_error)

    return on_saved


def log_change(what: str, before: StoreError | None, error: StoreError | None) -> StoreError | None:
    """Log that a store stops or resumes accepting writes, and return the error of this write.

    Args:
        what: What is written: "changes" or "new workloads".
        before: The error of the write before; None if it succeeded.
        error: The error of this write; None if it succeeded.
    """
    if error is None and before is not None:
        _log.info("the store accepts %s again", what)
    elif error is not None and str(error) != str(before):
        _log.error("the store accepts no %s: %s", what, error)
    return error


def copy_error(error: StoreError) -> StoreError:
    """Return an error for one caller: each raise adds a traceback to the object."""
    copy = StoreFull(str(error)) if isinstance(error, StoreFull) else StoreFailed(str(error))
    copy.__cause__ = error
    return copy
