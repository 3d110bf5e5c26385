"""Start a container, even if an earlier, abandoned call is still starting it."""

import asyncio

from kakuri_cri import CallTimeout, Runtime, StartUnderWay
from kakuri_cri.api import ContainerState

FIRST_POLL, LAST_POLL = 0.05, 1.0
"""Seconds between polls of a container that an earlier call is starting; doubled each time."""


async def call_start(cri: Runtime, container_id: str) -> None:
    """Start a container, or wait until an earlier call has started it or failed to.

    Raises:
        StartUnderWay: An earlier call has ended; the container's status shows whether it succeeded.
        CallTimeout: Neither call ended within the timeout.
        CriError: The call failed.
    """
    try:
        await cri.start_container(container_id)
    except StartUnderWay:
        await _until_started(cri, container_id)
        raise


async def _until_started(cri: Runtime, container_id: str) -> None:
    pause = FIRST_POLL
    try:
        async with asyncio.timeout(cri.timeouts.usual):
            while await _is_created(cri, container_id):
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_POLL)
    except TimeoutError as error:
        raise CallTimeout(
            "StartContainer", "an earlier start of the container has not finished"
        ) from error


async def _is_created(cri: Runtime, container_id: str) -> bool:
    status = await cri.container_status(container_id)
    return status.state == ContainerState.CONTAINER_CREATED
