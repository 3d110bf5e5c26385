"""Following one workload: its document now, and after each change."""

import time
from collections.abc import Iterator
from typing import Any

from kakuri._client import API, path_of
from kakuri._exits import NotFound, Unreachable
from kakuri._invocation import Invocation
from kakuri._outage import OutageTracker

POLL_SECONDS = 30
"""Seconds that the server may hold a request for the next change."""

SHORT_POLL_SECONDS = 1
"""The same while an image is pulled, because progress of a pull does not end a wait; and after a
failed request, to report soon that the server is back."""

PAUSE_SECONDS = 0.1
"""Seconds between a response without a change and the next request, in case the server, or a proxy
in front of it, does not wait for a change."""


def changes(
    invocation: Invocation, api: API, workload_id: str, *, is_known: bool = False
) -> Iterator[dict[str, Any] | None]:
    """Yield a workload's document now and after each change; finally None, once it is removed.

    An outage of the control plane or its agent is reported, and changes continue after it; those
    that happened in the meantime are one change.

    Args:
        invocation: Reports outages.
        api: The control plane.
        workload_id: The workload.
        is_known: Whether the workload is known to exist: then an outage at the start is retried.

    Raises:
        CommandError: A request was refused, an outage lasted too long, or the first request of an
            unknown workload got no response.
    """
    outages = OutageTracker(invocation, api.name)
    version: str | None = None
    wait = POLL_SECONDS
    while True:
        params = [("spec", "true")]
        if version is not None:
            params += [("wait", str(wait)), ("after", version)]
        try:
            response = api.get(path_of(workload_id), params, wait=wait)
        except NotFound:
            outages.response_completed()
            if version is None:
                raise
            yield None
            return
        except Unreachable as error:
            if version is None and not is_known:
                raise
            outages.attempt_failed(error)
            wait = SHORT_POLL_SECONDS
            continue
        outages.response_completed()
        document: dict[str, Any] = response.document
        wait = SHORT_POLL_SECONDS if document.get("reason") == "Pulling" else POLL_SECONDS
        newest = str(document["version"])
        if newest != version:
            version = newest
            yield document
        else:
            time.sleep(PAUSE_SECONDS)
