"""Reads what is kept of a removed workload, if no current one has the id."""

import time
from typing import TYPE_CHECKING, Any

from kakuri._client import path_of
from kakuri._exits import NotFound
from kakuri._invocation import Invocation
from kakuri._text import age, seconds_of

if TYPE_CHECKING:
    from kakuri._client import API, Response

REMOVED = ("removed", "true")


def removed_document(api: "API", workload_id: str) -> dict[str, Any] | None:
    """Return what is kept of a removed workload; None if nothing is."""
    try:
        document: dict[str, Any] = api.get(
            path_of(workload_id), [("spec", "true"), REMOVED]
        ).document
    except NotFound:
        return None
    return document


def is_kept(invocation: Invocation, api: "API", workload_id: str) -> bool:
    """Return whether something of a removed workload is kept, and report that on standard error."""
    document = removed_document(api, workload_id)
    if document is None:
        return False
    since = ""
    if removed_at := document.get("removed_at"):
        since = f" {age(time.time() - seconds_of(removed_at))} ago"
    invocation.note(f"{workload_id} was removed{since}; this is what is kept of it")
    return True


def get_kept(
    invocation: Invocation,
    api: "API",
    workload_id: str,
    rest: str,
    params: tuple[tuple[str, str], ...] = (),
    *,
    is_removed: bool = False,
) -> "Response":
    """Return a response about a workload, or about what is kept of it.

    Args:
        invocation: Reports that the workload was removed.
        api: The control plane.
        workload_id: The workload.
        rest: What follows the workload's path.
        params: The query.
        is_removed: Whether to request only the removed one.

    Raises:
        NotFound: There is neither.
    """
    path = path_of(workload_id, rest)
    if not is_removed:
        try:
            return api.get(path, params)
        except NotFound:
            if not is_kept(invocation, api, workload_id):
                raise
    return api.get(path, [*params, REMOVED])
