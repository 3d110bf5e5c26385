"""The health check: which runtime answers, and whether it can run zones now."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ClassVar

import structlog
from kakuri_cri import CallRefused, CriError, Runtime, Unimplemented, api
from kakuri_workload import printable

from kakuri_zones._cgroups import CgroupParent
from kakuri_zones._image_collection import ImageCollector
from kakuri_zones._monitor import Monitor
from kakuri_zones._zone_network import ZoneNetwork

log = structlog.get_logger()

HEALTH_SECONDS = 5.0
"""Seconds for the runtime to answer a health check."""

REQUIRED_CONDITIONS = ("RuntimeReady", "NetworkReady")

MAX_NAME = 128
"""Characters of a name, version or reason that the runtime reports about itself."""

MAX_MESSAGE = 1024
"""Characters of the runtime's message about a condition."""

MAX_ITEMS = 100
"""Maximum number of conditions, and of handlers (the first ones by name), that are reported."""

NO_CONTAINER = "kakuri-probe"
"""An id that no container has."""


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """The runtime's names and versions."""

    name: str
    version: str
    api_version: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the runtime, or of a part of the node."""

    __json__: ClassVar = {"omit_defaults": True}

    type: str
    status: bool
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class OptionalCalls:
    """Which optional calls the runtime has; None for one that is not known yet."""

    events: bool | None
    runtime_config: bool | None
    reopen_container_log: bool | None
    image_fs_info: bool | None


@dataclass(frozen=True, slots=True)
class Health:
    """The result of a health check; `status` is "ok" or "unavailable", `message` says why."""

    __json__: ClassVar = {"omit_defaults": True}

    status: str
    message: str | None = None
    runtime: RuntimeInfo | None = None
    conditions: list[Condition] | None = None
    handlers: list[str] | None = None
    optional: OptionalCalls | None = None


def own_conditions(network: ZoneNetwork, collector: ImageCollector) -> list[Condition]:
    """Return the conditions of the node's own parts; none prevents zones from running."""
    conditions = []
    if not network.resolvers().servers:
        message = "the host has no resolver that zones can reach: set one with --dns-server"
        conditions.append(
            Condition("NameResolution", status=False, reason="NoResolver", message=message)
        )
    if collector.problem is not None:
        message = printable(collector.problem, MAX_MESSAGE)
        conditions.append(Condition("ImageRoom", status=False, reason="DiskFull", message=message))
    return conditions


async def check_health(
    cri: Runtime,
    monitor: Monitor,
    cgroup_parent: CgroupParent,
    handlers: Iterable[str],
    own: Iterable[Condition] = (),
) -> Health:
    """Query the runtime and return its health.

    Args:
        cri: The client of the runtime.
        monitor: Knows whether the runtime reports events.
        cgroup_parent: Knows whether the runtime has the call RuntimeConfig.
        handlers: The handlers that zones need.
        own: Conditions of the node, in addition to the runtime's.
    """
    try:
        version, status = await asyncio.gather(
            cri.version(HEALTH_SECONDS), cri.status(HEALTH_SECONDS)
        )
        if cgroup_parent.has_runtime_config is None:
            await cgroup_parent.request(HEALTH_SECONDS)
    except CriError as error:
        return Health("unavailable", str(error))
    reopen, usage = await asyncio.gather(
        _is_implemented(partial(cri.reopen_container_log, NO_CONTAINER, HEALTH_SECONDS)),
        _is_implemented(partial(cri.image_fs_info, HEALTH_SECONDS)),
    )
    faults = list(_faults(status, handlers))
    return Health(
        "unavailable" if faults else "ok",
        "; ".join(faults) or None,
        RuntimeInfo(
            _name(version.runtime_name),
            _name(version.runtime_version),
            _name(version.runtime_api_version),
        ),
        [
            Condition(
                _name(each.type),
                each.status,
                _name(each.reason) or None,
                printable(each.message, MAX_MESSAGE) or None,
            )
            for each in islice(_conditions(status), MAX_ITEMS)
        ]
        + list(own),
        sorted(_name(each.name) for each in status.runtime_handlers)[:MAX_ITEMS] or None,
        OptionalCalls(monitor.has_events, cgroup_parent.has_runtime_config, reopen, usage),
    )


async def watch_health(
    check: Callable[[], Awaitable[Health]], monitor: Monitor, interval: float
) -> None:
    """Keep `monitor.fault` current: why the runtime can't run zones although it answers.

    Its network may not be set up, or a handler may be missing. Runs until it is cancelled.

    Args:
        check: Returns the health of the runtime.
        monitor: Reports it with the next listing.
        interval: Seconds between two checks.
    """
    while True:
        health = await check()
        if health.runtime is not None and health.message != monitor.fault:
            if health.message is not None:
                log.warning("the runtime can't run zones", error=health.message)
            else:
                log.info("the runtime can run zones again")
            monitor.fault = health.message
            monitor.wake()
        await asyncio.sleep(interval)


def _name(text: str) -> str:
    return printable(text, MAX_NAME)


async def _is_implemented(call: Callable[[], Awaitable[object]]) -> bool | None:
    """Return whether the runtime implements a call; None if it does not answer."""
    try:
        await call()
    except Unimplemented:
        return False
    except CallRefused:
        return True
    except CriError:
        return None
    return True


def _conditions(status: api.StatusResponse) -> Iterable[api.RuntimeCondition]:
    return () if status.status is None else status.status.conditions


def _faults(status: api.StatusResponse, required: Iterable[str]) -> Iterable[str]:
    conditions = {each.type: each for each in _conditions(status)}
    for name in REQUIRED_CONDITIONS:
        condition = conditions.get(name)
        if condition is None or not condition.status:
            message = printable(condition.message, MAX_MESSAGE) if condition else "not reported"
            yield f"{name}: {message}"
    # Runtimes before CRI 1.30 do not report their handlers.
    present = {_name(each.name) for each in status.runtime_handlers}
    if present:
        for name in sorted(set(required) - present):
            got = printable(str(sorted(present)[:MAX_ITEMS]), MAX_MESSAGE)
            yield f"expected the runtime to have handler {name!r}, got {got}"
