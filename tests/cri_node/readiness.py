"""The conditions of a CRI runtime.

containerd's socket answers before its CRI service does, and only `Status` shows that containers and
their network can be created.
"""

import asyncio
from pathlib import Path

from kakuri_cri import CriError, Runtime, api


class NotReady(Exception):
    """The runtime does not answer, or not with its conditions."""


def conditions(path: Path, seconds: float = 2.0) -> dict[str, bool]:
    """Return the conditions, such as RuntimeReady, that CRI `Status` reports.

    Args:
        path: The runtime's socket.
        seconds: How long to wait for the answer.

    Raises:
        NotReady: There was no answer in this time, or one without conditions.
    """
    try:
        response = asyncio.run(_status(path, seconds))
    except CriError as error:
        raise NotReady(f"expected an answer at {path}, got {error!r}") from error
    found = () if response.status is None else response.status.conditions
    if not found:
        raise NotReady("expected conditions, got none")
    return {condition.type: condition.status for condition in found}


async def _status(path: Path, seconds: float) -> api.StatusResponse:
    async with Runtime(f"unix:{path}") as runtime:
        return await runtime.status(timeout=seconds)
