"""Creating objects under names that the runtime may have reserved already.

RunPodSandbox and CreateContainer are not idempotent, and an object whose creation was never
answered may appear later. A runtime reserves the name of an object before it creates it. So an
object that exists and fits is adopted; otherwise the next name is tried at once, without waiting
until a reserved name is released.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from kakuri_cri import CallTimeout, NameReserved, api

from kakuri_zones._observed import Container, Sandbox

MAX_NAMES = 10
"""Names tried for one sandbox or container; each reserved one belongs to an unanswered call."""

C = TypeVar("C", api.PodSandboxConfig, api.ContainerConfig)
T = TypeVar("T")


def named(config: C, cri_attempt: int) -> C:
    """Return the configuration of an object under another name.

    Args:
        config: The configuration.
        cri_attempt: The attempt in the object's metadata, which is the part of the name that
            distinguishes the objects of one zone. It is not the attempt of the spec.
    """
    assert config.metadata is not None  # it has the rest of the name
    return replace(config, metadata=replace(config.metadata, attempt=cri_attempt))


async def create_named(
    config: C,
    known: Iterable[Sandbox | Container],
    create: Callable[[C], Awaitable[T]],
    find: Callable[[], Awaitable[T | None]],
) -> T:
    """Create an object under the first name that the runtime accepts.

    Args:
        config: The configuration of the object.
        known: The objects of the same kind that the zone has.
        create: Creates the object; receives the configuration under a name.
        find: Lists the zone, and returns an object that an unanswered call has created.

    Returns:
        What `create` or `find` returned.

    Raises:
        NameReserved: Each of MAX_NAMES names is reserved.
        CallTimeout: The last call was not answered in time, and has created nothing so far.
        CriError: A call failed.
    """
    first = cri_attempt = max((each.cri_attempt for each in known), default=-1) + 1
    while True:
        try:
            return await create(named(config, cri_attempt))
        except (NameReserved, CallTimeout) as error:
            if (found := await find()) is not None:
                return found
            cri_attempt += 1
            if isinstance(error, CallTimeout) or cri_attempt == first + MAX_NAMES:
                raise
