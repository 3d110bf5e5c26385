"""One start of a zone, in the kubelet's order: image, sandbox, container, process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from kakuri_cri import CallRefused, CallUnanswered, CriError, Runtime
from kakuri_cri.api import ContainerState
from kakuri_registry import WorkloadState, ZoneSpec, ZoneStatus

from kakuri_zones._cancellation import Cancellation
from kakuri_zones._errors import StartFailed, ZoneConflict
from kakuri_zones._facts import (
    CREATING_CONTAINER,
    CREATING_SANDBOX,
    START_ERROR,
    STARTING,
    ZoneFacts,
)
from kakuri_zones._images import Images
from kakuri_zones._inspector import Inspector
from kakuri_zones._making import ZoneMaker
from kakuri_zones._removal import Objects, Remover
from kakuri_zones._security import leaves_zone
from kakuri_zones._table import ZoneTable
from kakuri_zones._zone_network import ZoneNetwork
from kakuri_zones.logs._errors import LogError
from kakuri_zones.logs._store import LogStore

log = structlog.get_logger()

PULLING = "Pulling"

RECOVERY_SECONDS = 30.0
"""How long after it has been away a runtime's refusal is not taken for its last word: it may have
stumbled over what its own end has left (containerd: "rename …/snapshots/new-…: file exists")."""


@dataclass(frozen=True, slots=True)
class StartTools:
    """What a start works with.

    cancel_patience: seconds that a call that makes something may still take when its start has
    been cancelled; its answer says what to remove.
    """

    cri: Runtime
    inspector: Inspector
    table: ZoneTable
    images: Images
    remover: Remover
    logs: LogStore
    cgroup_parent: Callable[[], Awaitable[str]]
    network: ZoneNetwork
    cancel_patience: float = 10.0


class Start:
    """Carries out one start of a spec by a handler of the runtime."""

    def __init__(self, tools: StartTools, spec: ZoneSpec, handler: str) -> None:
        self.spec = spec
        self._tools = tools
        words = f"zone {spec.id!r} was told to stop before it ran"
        self._cancellation = Cancellation(words, tools.cancel_patience)
        self._maker = ZoneMaker(
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
        """Let the start end with StartCancelled as soon as it can, leaving nothing behind."""
        self._cancellation.cancel()

    async def run(self) -> bool:
        """Start the zone, and tell the table of it; gives whether it was there already.

        Raises ZoneConflict, StartFailed and StartCancelled, after which nothing of it is left,
        and CallUnanswered, after which anything may be.
        """
        facts = await self._tools.inspector.zone(self.spec.id)
        if facts is not None and self._is_there(facts):
            self._tools.table.learn(self.spec.id, facts)
            return True
        try:
            await self._try(self._without_rests(facts))
        except StartFailed as error:
            # A failure that the end of the runtime or of an earlier sidecar caused is not final.
            is_recovering = self._tools.cri.seconds_since_silence <= RECOVERY_SECONDS
            if error.reason != START_ERROR or not (is_recovering or self._maker.took_over):
                raise
            log.warning("start tried again", zone=self.spec.id, error=str(error))
            await self._try(None)
        return False

    async def _try(self, before: ZoneFacts | None) -> None:
        """Start the zone; what fails leaves nothing behind, unless the runtime does not answer."""
        try:
            await self._start(before)
        except CallUnanswered:
            raise  # the runtime may be at it still
        except CallRefused as error:
            await self._roll_back()
            raise StartFailed(START_ERROR, error.message) from error
        except LogError as error:
            await self._roll_back()
            raise StartFailed(START_ERROR, str(error)) from error
        except Exception:  # a fault of ours, too
            await self._roll_back()
            raise

    def _is_there(self, facts: ZoneFacts) -> bool:
        """Tell whether this very run is there; raises ZoneConflict for another one in its place."""
        container = facts.container
        if container is not None and self.spec.attempt < container.attempt:
            given = f"attempt {self.spec.attempt}"
            raise ZoneConflict(f"expected at least attempt {container.attempt}, got {given}")
        if container is None or not container.was_started:
            return False
        if container.spec_hash != self._maker.spec_hash:
            raise ZoneConflict(f"zone {self.spec.id!r} exists with another spec")
        if self.spec.attempt == container.attempt:
            return True
        if container.state == ContainerState.CONTAINER_RUNNING and not facts.is_lost:
            raise ZoneConflict(f"attempt {container.attempt} of {self.spec.id!r} still runs")
        return False

    def _without_rests(self, facts: ZoneFacts | None) -> ZoneFacts | None:
        """Have what was half made for another spec or attempt removed, and count it no more."""
        if facts is None:
            return None
        maker = self._maker
        containers = [
            each for each in facts.containers if each.was_started or maker.is_unstarted(each)
        ]
        used = {each.sandbox_id for each in containers}
        sandboxes = [each for each in facts.sandboxes if each.id in used or maker.fits(each)]
        kept = ZoneFacts(facts.id, tuple(sandboxes), tuple(containers))
        self._remove_other(facts, kept, "left by an earlier start")
        return kept if sandboxes or containers else None

    async def _start(self, before: ZoneFacts | None) -> None:
        images, spec = self._tools.images, self.spec
        with images.holding() as hold:
            # The log's folder is made while the runtime looks for the image.
            folder = asyncio.ensure_future(self._tools.logs.prepare(spec.id, spec.attempt))
            try:
                image = await self._cancellation.guard(
                    images.ensure(spec.image, spec.pull, self._tell_pulling, hold), at_once=True
                )
            finally:
                await folder
            if not spec.working_dir and leaves_zone(image.working_dir):
                words = f"the image's working directory {image.working_dir[:100]!r} leaves the zone"
                raise StartFailed(START_ERROR, words)
            self._tell(CREATING_SANDBOX)
            sandbox = await self._maker.sandbox(before)
            self._tell(CREATING_CONTAINER, sandbox_id=sandbox.id)
            container_id = await self._maker.container(before, sandbox, image)
        self._tell(STARTING, sandbox_id=sandbox.id, container_id=container_id)
        container = await self._maker.launch(sandbox, container_id)
        facts = ZoneFacts(self.spec.id, (sandbox,), (container,))
        if before is not None:
            self._remove_other(before, facts, "replaced by a later attempt")
        self._tools.table.learn(self.spec.id, facts)
        log.info(
            "started",
            zone=self.spec.id,
            attempt=self.spec.attempt,
            sandbox=sandbox.id,
            container=container.id,
        )

    def _remove_other(self, before: ZoneFacts, kept: ZoneFacts, why: str) -> None:
        old, new = Objects.of(before), Objects.of(kept)
        other = Objects(old.sandboxes - new.sandboxes, old.containers - new.containers)
        self._tools.remover.remove_later(self.spec.id, other, why)

    async def _roll_back(self) -> None:
        """Remove everything that the runtime has of the zone; in the background if need be."""
        zone_id, made = self.spec.id, self._maker.made
        try:
            facts = await self._tools.inspector.zone(zone_id)
            found = Objects.of(facts)
            made = Objects(made.sandboxes | found.sandboxes, made.containers | found.containers)
            await self._tools.remover.remove_zone(zone_id)
        except CriError as error:
            log.warning("could not undo a start", zone=zone_id, error=str(error))
            self._tools.remover.remove_later(zone_id, made, "its start failed")

    def _tell_pulling(self, words: str) -> None:
        self._tell(PULLING, words)

    def _tell(
        self,
        step: str,
        message: str | None = None,
        *,
        sandbox_id: str | None = None,
        container_id: str | None = None,
    ) -> None:
        """Say which step the start has come to, and what it has made."""
        self._tools.table.show_progress(
            ZoneStatus(
                self.spec.id,
                WorkloadState.PENDING,
                step,
                message,
                pod_sandbox_id=sandbox_id,
                container_id=container_id,
                attempt=self.spec.attempt,
                spec_hash=self._maker.spec_hash,
            )
        )
