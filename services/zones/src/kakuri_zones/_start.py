"""One start of a zone, in the kubelet's order: image, sandbox, container, process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from kakuri_cri import CallRefused, CallUnanswered, CriError, Runtime
from kakuri_cri.api import ContainerState
from kakuri_registry import WorkloadState, ZoneSpec, ZoneStatus

from kakuri_zones._cancellation import Cancellation
from kakuri_zones._creation import ZoneCreator
from kakuri_zones._errors import StartFailed, ZoneConflict
from kakuri_zones._images import Images
from kakuri_zones._inspector import Inspector
from kakuri_zones._observed import (
    CREATING_CONTAINER,
    CREATING_SANDBOX,
    START_ERROR,
    STARTING,
    ObservedZone,
)
from kakuri_zones._removal import Objects, Remover
from kakuri_zones._security import leaves_zone
from kakuri_zones._table import ZoneTable
from kakuri_zones._zone_network import ZoneNetwork
from kakuri_zones.logs._errors import LogError
from kakuri_zones.logs._store import LogStore

log = structlog.get_logger()

PULLING = "Pulling"

RECOVERY_SECONDS = 30.0
"""Seconds after an outage during which a call that the runtime refuses is tried again: leftovers of
its crash may cause the refusal (containerd: "rename …/snapshots/new-…: file exists")."""


@dataclass(frozen=True, slots=True)
class StartTools:
    """The collaborators of a start.

    Attributes:
        cancel_timeout: seconds that a creating call may still take after its start was cancelled;
            its answer says what to remove.

    """

    cri: Runtime
    inspector: Inspector
    table: ZoneTable
    images: Images
    remover: Remover
    logs: LogStore
    cgroup_parent: Callable[[], Awaitable[str]]
    network: ZoneNetwork
    cancel_timeout: float = 10.0


class Start:
    """Carries out one start of a spec by a handler of the runtime."""

    def __init__(self, tools: StartTools, spec: ZoneSpec, handler: str) -> None:
        self.spec = spec
        self._tools = tools
        message = f"zone {spec.id!r} was stopped before its container started"
        self._cancellation = Cancellation(message, tools.cancel_timeout)
        self._creator = ZoneCreator(
            tools.cri,
            tools.inspector,
            self._cancellation,
            tools.cgroup_parent,
            tools.network,
            spec,
            handler,
            tools.logs.place(spec.id, spec.attempt),
        )

    def cancel(self) -> None:
        """Cancel the start: `run` removes what it created and raises StartCancelled."""
        self._cancellation.cancel()

    async def run(self) -> bool:
        """Start the zone, report it to the table, and return whether it existed already.

        Raises:
            ZoneConflict: another run or another spec has this id.
            StartFailed: the start failed; everything that it created was removed.
            StartCancelled: `cancel` was called; everything that it created was removed.
            CallUnanswered: the outcome is unknown.

        """
        observed = await self._tools.inspector.zone(self.spec.id)
        if observed is not None and self._exists(observed):
            self._tools.table.observe(self.spec.id, observed)
            return True
        try:
            await self._try(self._remove_leftovers(observed))
        except StartFailed as error:
            # A crash of the runtime or of an earlier process may have caused the failure.
            is_recovering = self._tools.cri.seconds_since_silence <= RECOVERY_SECONDS
            if error.reason != START_ERROR or not (is_recovering or self._creator.adopted):
                raise
            log.warning("start tried again", zone=self.spec.id, error=str(error))
            await self._try(None)
        return False

    async def _try(self, before: ObservedZone | None) -> None:
        """Start the zone; if that fails, remove its objects, unless the runtime does not answer."""
        try:
            await self._start(before)
        except CallUnanswered:
            raise  # the runtime may still carry the call out
        except CallRefused as error:
            await self._roll_back()
            raise StartFailed(START_ERROR, error.message) from error
        except LogError as error:
            await self._roll_back()
            raise StartFailed(START_ERROR, str(error)) from error
        except Exception:  # a bug here as well
            await self._roll_back()
            raise

    def _exists(self, observed: ObservedZone) -> bool:
        """Return whether this run exists. Raises ZoneConflict if another one has its place."""
        container = observed.container
        if container is not None and self.spec.attempt < container.attempt:
            given = f"attempt {self.spec.attempt}"
            raise ZoneConflict(f"expected at least attempt {container.attempt}, got {given}")
        if container is None or not container.was_started:
            return False
        if container.spec_hash != self._creator.spec_hash:
            raise ZoneConflict(f"zone {self.spec.id!r} exists with another spec")
        if self.spec.attempt == container.attempt:
            return True
        if container.state == ContainerState.CONTAINER_RUNNING and not observed.is_lost:
            raise ZoneConflict(f"attempt {container.attempt} of {self.spec.id!r} still runs")
        return False

    def _remove_leftovers(self, observed: ObservedZone | None) -> ObservedZone | None:
        """Remove what was partially created for another spec or attempt; return the rest."""
        if observed is None:
            return None
        creator = self._creator
        containers = [
            each for each in observed.containers if each.was_started or creator.is_unstarted(each)
        ]
        used = {each.sandbox_id for each in containers}
        sandboxes = [each for each in observed.sandboxes if each.id in used or creator.fits(each)]
        kept = ObservedZone(observed.id, tuple(sandboxes), tuple(containers))
        self._remove_other(observed, kept, "left by an earlier start")
        return kept if sandboxes or containers else None

    async def _start(self, before: ObservedZone | None) -> None:
        images, spec = self._tools.images, self.spec
        with images.holding() as hold:
            # The log's folder is created while the runtime looks for the image.
            folder = asyncio.ensure_future(self._tools.logs.prepare(spec.id, spec.attempt))
            try:
                image = await self._cancellation.guard(
                    images.ensure(spec.image, spec.pull, self._report_pull, hold), at_once=True
                )
            finally:
                await folder
            if not spec.working_dir and leaves_zone(image.working_dir):
                message = (
                    f"the image's working directory {image.working_dir[:100]!r} leaves the zone"
                )
                raise StartFailed(START_ERROR, message)
            self._report(CREATING_SANDBOX)
            sandbox = await self._creator.sandbox(before)
            self._report(CREATING_CONTAINER, sandbox_id=sandbox.id)
            container_id = await self._creator.container(before, sandbox, image)
        self._report(STARTING, sandbox_id=sandbox.id, container_id=container_id)
        container = await self._creator.launch(sandbox, container_id)
        observed = ObservedZone(self.spec.id, (sandbox,), (container,))
        if before is not None:
            self._remove_other(before, observed, "replaced by a later attempt")
        self._tools.table.observe(self.spec.id, observed)
        log.info(
            "started",
            zone=self.spec.id,
            attempt=self.spec.attempt,
            sandbox=sandbox.id,
            container=container.id,
        )

    def _remove_other(self, before: ObservedZone, kept: ObservedZone, why: str) -> None:
        old, new = Objects.of(before), Objects.of(kept)
        other = Objects(old.sandboxes - new.sandboxes, old.containers - new.containers)
        self._tools.remover.remove_later(self.spec.id, other, why)

    async def _roll_back(self) -> None:
        """Remove every object of the zone, in the background if that fails at first."""
        zone_id, created = self.spec.id, self._creator.created
        try:
            observed = await self._tools.inspector.zone(zone_id)
            found = Objects.of(observed)
            created = Objects(
                created.sandboxes | found.sandboxes, created.containers | found.containers
            )
            await self._tools.remover.remove_zone(zone_id)
        except CriError as error:
            log.warning("could not undo a start", zone=zone_id, error=str(error))
            self._tools.remover.remove_later(zone_id, created, "its start failed")

    def _report_pull(self, message: str) -> None:
        self._report(PULLING, message)

    def _report(
        self,
        step: str,
        message: str | None = None,
        *,
        sandbox_id: str | None = None,
        container_id: str | None = None,
    ) -> None:
        """Publish the step of the start and the objects that exist so far."""
        self._tools.table.show_progress(
            ZoneStatus(
                self.spec.id,
                WorkloadState.PENDING,
                step,
                message,
                pod_sandbox_id=sandbox_id,
                container_id=container_id,
                attempt=self.spec.attempt,
                spec_hash=self._creator.spec_hash,
            )
        )
