"""One start of a zone, in the kubelet's order: image, sandbox, container, process.

A container is created only in a sandbox whose handler was checked, so that no workload ever runs by
another handler.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

import structlog
from kakuri_cri import (
    CallRefused,
    CallTimeout,
    CallUnanswered,
    CriError,
    NotFound,
    Runtime,
    api,
)
from kakuri_workload import WorkloadState, ZoneSpec, ZoneStatus, printable

from kakuri_zones import _labels as labels
from kakuri_zones._call_start import call_start
from kakuri_zones._cancellation import Cancellation
from kakuri_zones._errors import StartCancelled, StartFailed
from kakuri_zones._names import create_named, named
from kakuri_zones._observed import (
    CREATING_CONTAINER,
    CREATING_SANDBOX,
    MAX_ADDRESS,
    MAX_ID,
    START_ERROR,
    STARTING,
    Container,
    ObservedZone,
    Sandbox,
    addresses,
    attempt_of,
)
from kakuri_zones._preparation import Preparation
from kakuri_zones._pulling import PullBackoff, is_transient_message
from kakuri_zones._reader import RuntimeReader
from kakuri_zones._removal import Objects, Remover
from kakuri_zones._run import RunIdentity
from kakuri_zones._settings import DEFAULT_PULL_LIMITS, PullLimits
from kakuri_zones._table import ZoneTable
from kakuri_zones._zone_config import ZoneConfig
from kakuri_zones._zone_network import ZoneNetwork
from kakuri_zones.logs._errors import LogError

log = structlog.get_logger()

PULLING = "Pulling"

RECOVERY_SECONDS = 30.0
"""Seconds after an outage during which a call that the runtime refuses is tried again: leftovers of
its crash may cause the refusal (containerd: "rename …/snapshots/new-…: file exists")."""

_SANDBOX_PULL = re.compile(
    "sandbox image"  # containerd; all others: CRI-O
    "|initializing source|determining manifest MIME type|copying system image from manifest list"
    "|reading manifest|parsing image configuration|reading blob|writing blob"
)
"""What runtimes report before the error of their own pull of the sandbox image. Ids of
zones have no space, so they never match."""


def stopped_before_start(zone_id: str) -> str:
    """Return the message of a zone that never ran because it was stopped."""
    return f"zone {zone_id!r} was stopped before its container started"


class Start:
    """Carries out one start of a spec by a handler of the runtime.

    Args:
        spec: The spec to start.
        handler: The runtime's handler that has to run the sandbox.
        pulls: Retry limits for the runtime's own pull of the sandbox image.
        cancel_timeout: Seconds that a creating call may continue after the start was cancelled,
            because its answer names the object to remove.
    """

    def __init__(
        self,
        spec: ZoneSpec,
        handler: str,
        *,
        cri: Runtime,
        reader: RuntimeReader,
        table: ZoneTable,
        remover: Remover,
        preparation: Preparation,
        network: ZoneNetwork,
        pulls: PullLimits = DEFAULT_PULL_LIMITS,
        cancel_timeout: float = 10.0,
    ) -> None:
        self.spec = spec
        self._handler = handler
        self._cri = cri
        self._reader = reader
        self._table = table
        self._remover = remover
        self._preparation = preparation
        self._network = network
        self._pulls = pulls
        self._run = RunIdentity.of(spec)
        self._cancellation = Cancellation(stopped_before_start(spec.id), cancel_timeout)
        self._created_sandboxes: set[str] = set()
        self._created_containers: set[str] = set()
        self._has_adopted = False
        self._sandbox_id: str | None = None  # created or adopted
        self._has_lost_sandbox = False  # it ended before the container ran

    def matches(self, spec: ZoneSpec) -> bool:
        """Return whether a start of this spec would create the same zone."""
        return spec == self.spec or RunIdentity.of(spec) == self._run

    def cancel(self) -> None:
        """Cancel the start: `run` raises StartCancelled, unless the container starts meanwhile."""
        self._cancellation.cancel()

    async def run(self) -> bool:
        """Start the zone, report it to the table, and return whether it existed already.

        Raises:
            ZoneConflict: Another run or another spec has this id.
            StartFailed: The start failed; everything that it created was removed.
            StartCancelled: `cancel` was called before the container started; everything that the
                start created was removed.
            CallUnanswered: The outcome is unknown.
        """
        observed = await self._reader.zone(self.spec.id)
        if observed is not None and self._run.was_started(observed):
            self._table.observe(self.spec.id, observed)
            return True
        try:
            await self._start_once(self._discard_leftovers(observed))
        except StartFailed as error:
            if not self._should_retry(error):
                raise
            log.warning("start tried again", zone=self.spec.id, error=str(error))
            await self._start_once(None, repair_image=self._lacks_image_content(error))
        return False

    def _should_retry(self, error: StartFailed) -> bool:
        """Return whether to repeat a failed start.

        Leftovers of a crash, or an image or object that disappeared, may have caused the failure.
        """
        has_lost = self._has_lost_sandbox or isinstance(error.__cause__, NotFound)
        is_recovering = self._cri.seconds_since_silence <= RECOVERY_SECONDS
        return error.reason == START_ERROR and (is_recovering or self._has_adopted or has_lost)

    def _lacks_image_content(self, error: StartFailed) -> bool:
        """Return whether a start failed because content of its image is missing on the node."""
        cause = error.__cause__
        is_creation = isinstance(cause, NotFound) and cause.call == "CreateContainer"
        return is_creation and not self._has_lost_sandbox

    def _discard_leftovers(self, observed: ObservedZone | None) -> ObservedZone | None:
        """Remove unstarted objects of other runs, and return the zone without them."""
        if observed is None:
            return None
        kept = self._run.without_leftovers(observed)
        self._remove_others(observed, kept, "left by an earlier start")
        return kept if kept.sandboxes or kept.containers else None

    async def _start_once(self, before: ObservedZone | None, *, repair_image: bool = False) -> None:
        """Start the zone; if that fails and the runtime still answers, remove its objects."""
        try:
            await self._start(before, repair_image=repair_image)
        except CallUnanswered:
            raise  # the runtime may still carry the call out
        except CallRefused as error:
            await self._roll_back()
            raise StartFailed(START_ERROR, error.message) from error
        except LogError as error:
            await self._roll_back()
            raise StartFailed(START_ERROR, str(error)) from error
        except Exception:  # even after a bug
            await self._roll_back()
            raise

    async def _start(self, before: ObservedZone | None, *, repair_image: bool) -> None:
        prepared = self._preparation.prepared(
            self.spec,
            self._run.spec_hash,
            self._report_pull,
            self._cancellation,
            repair=repair_image,
        )
        async with prepared as config:
            self._report(CREATING_SANDBOX)
            sandbox = await self._provide_sandbox(config, before)
            self._sandbox_id = sandbox.id
            sandbox, own_addresses = await self._inspect(sandbox)
            self._report(CREATING_CONTAINER, sandbox_id=sandbox.id)
            container_id = await self._provide_container(config, before, sandbox, own_addresses)
        self._report(STARTING, sandbox_id=sandbox.id, container_id=container_id)
        container = await self._start_container(sandbox, container_id)
        observed = ObservedZone(self.spec.id, (sandbox,), (container,))
        if before is not None:
            self._remove_others(before, observed, "replaced by a later attempt")
        self._table.observe(self.spec.id, observed)
        log.info(
            "started",
            zone=self.spec.id,
            attempt=self.spec.attempt,
            sandbox=sandbox.id,
            container=container.id,
        )

    async def _provide_sandbox(self, config: ZoneConfig, before: ObservedZone | None) -> Sandbox:
        """Adopt a sandbox of this spec, or create one."""
        if (found := self._run.usable_sandbox(before)) is not None:
            return found
        known = before.sandboxes if before is not None else ()

        async def find() -> Sandbox | None:
            return self._run.usable_sandbox(await self._reader.zone(self.spec.id), known)

        return await create_named(config.sandbox, known, self._create_sandbox, find)

    async def _create_sandbox(self, config: api.PodSandboxConfig) -> Sandbox:
        has_sysctls = bool(self._network.sysctls(self._handler))
        try:
            sandbox_id = await self._run_sandbox(config)
        except CallRefused as error:
            network = self._network
            if not (
                has_sysctls and network.handle_sysctl_refusal(self._handler, self.spec.id, error)
            ):
                raise
            sandbox_id = await self._run_sandbox(config)
        self._created_sandboxes.add(sandbox_id)
        return Sandbox(
            id=sandbox_id,
            zone_id=self.spec.id,
            cri_attempt=attempt_of(config.metadata),
            is_ready=True,
            created_at=0,
            handler=self._handler,
            spec_hash=self._run.spec_hash,
            attempt=self.spec.attempt,
        )

    async def _run_sandbox(self, config: api.PodSandboxConfig) -> str:
        """Run a sandbox; retry while the runtime's pull of the sandbox image fails transiently."""
        backoff = PullBackoff(self._pulls)
        while True:
            call = self._cri.run_pod_sandbox(self._with_sysctls(config), self._handler)
            try:
                return await self._cancellation.guard(call)
            except CallRefused as error:
                failure = error.message
                pull = _SANDBOX_PULL.search(failure)
                is_retried = pull is not None and is_transient_message(failure[pull.end() :])
                pause = backoff.next_delay() if is_retried else None
                if pause is None:
                    raise
                event = "sandbox image not pulled, trying again"
                log.info(event, zone=self.spec.id, error=failure, pause=pause)
                self._report(CREATING_SANDBOX, f"{failure}; trying again in {pause:g} s")
            await self._cancellation.guard(asyncio.sleep(pause), at_once=True)

    def _with_sysctls(self, config: api.PodSandboxConfig) -> api.PodSandboxConfig:
        """Return the configuration of a sandbox with the sysctls that its handler accepts."""
        assert config.linux is not None  # it has the limits
        sysctls = self._network.sysctls(self._handler)
        return replace(config, linux=replace(config.linux, sysctls=sysctls))

    async def _inspect(self, sandbox: Sandbox) -> tuple[Sandbox, list[str]]:
        """Check the handler of a sandbox; return it with its primary address, and all addresses.

        Raises:
            StartFailed: Another handler than the requested one runs it.
        """
        status = await self._cancellation.guard(self._cri.pod_sandbox_status(sandbox.id))
        if status.runtime_handler != self._handler:
            expected = f"expected the sandbox to be run by handler {self._handler!r}"
            got = printable(status.runtime_handler, MAX_ID)
            raise StartFailed(START_ERROR, f"{expected}, got {got!r}")
        found = addresses(status)
        address = printable(found[0], MAX_ADDRESS) if found else None
        return replace(sandbox, address=address, created_at=status.created_at), found

    async def _provide_container(
        self,
        config: ZoneConfig,
        before: ObservedZone | None,
        sandbox: Sandbox,
        own_addresses: Sequence[str],
    ) -> str:
        """Adopt an unstarted container of this run, or create one; return its id."""
        if (found := self._run.startable_container(before, sandbox)) is not None:
            self._has_adopted = True
            return found.id
        mounts = await self._network.mounts(self.spec.id, own_addresses)
        # An earlier attempt may have created the sandbox.
        created_from = replace(
            self._with_sysctls(named(config.sandbox, sandbox.cri_attempt)),
            labels={**config.sandbox.labels, labels.ATTEMPT: str(sandbox.attempt)},
        )

        async def create(config: api.ContainerConfig) -> str:
            call = self._cri.create_container(sandbox.id, config, created_from)
            container_id = await self._cancellation.guard(call)
            self._created_containers.add(container_id)
            return container_id

        async def find() -> str | None:
            observed = await self._reader.zone(self.spec.id)
            found = self._run.startable_container(observed, sandbox)
            return found.id if found is not None else None

        # A container's name is unique in its zone, not only in its sandbox.
        known = before.containers if before is not None else ()
        mounted = replace(config.container, mounts=tuple(mounts))
        return await create_named(mounted, known, create, find)

    async def _start_container(self, sandbox: Sandbox, container_id: str) -> Container:
        """Start a container and return it with its status.

        A container that has started is returned even if the start was cancelled meanwhile: a stop
        then ends it like any other, and its attempt is never taken for one that did not run.

        Raises:
            StartFailed: The runtime refused, with its message.
            StartCancelled: The start was cancelled, and the container has not started.
        """
        try:
            await self._cancellation.guard(call_start(self._cri, container_id))
        except (StartCancelled, CallRefused, CallTimeout) as error:
            status = await self._cri.container_status(container_id)
            # An earlier, unanswered or abandoned call may have started it.
            if status.started_at <= 0 or status.reason == START_ERROR:
                if isinstance(error, CallRefused):
                    raise StartFailed(START_ERROR, error.message) from error
                raise
        else:
            status = await self._cri.container_status(container_id)
        return Container(
            id=container_id,
            zone_id=self.spec.id,
            sandbox_id=sandbox.id,
            cri_attempt=attempt_of(status.metadata),
            state=status.state,
            created_at=status.created_at,
            spec_hash=self._run.spec_hash,
            attempt=self.spec.attempt,
        ).with_status(status)

    def _remove_others(self, before: ObservedZone, kept: ObservedZone, reason: str) -> None:
        other = Objects.of(before) - Objects.of(kept)
        self._remover.remove_later(self.spec.id, other, reason)

    async def _roll_back(self) -> None:
        """Remove every object of the zone, in the background if that fails at first."""
        zone_id = self.spec.id
        created = Objects(frozenset(self._created_sandboxes), frozenset(self._created_containers))
        try:
            observed = await self._reader.zone(zone_id)
            sandboxes = observed.sandboxes if observed is not None else ()
            ready = {each.id for each in sandboxes if each.is_ready}
            self._has_lost_sandbox = self._sandbox_id not in {None, *ready}
            created |= Objects.of(observed)
            await self._remover.remove_zone(zone_id)
        except CriError as error:
            log.warning("could not undo a start", zone=zone_id, error=str(error))
            self._remover.remove_later(zone_id, created, "its start failed")

    def _report_pull(self, message: str, received: int | None) -> None:
        self._report(PULLING, message, pulled_bytes=received)

    def _report(
        self,
        step: str,
        message: str | None = None,
        *,
        sandbox_id: str | None = None,
        container_id: str | None = None,
        pulled_bytes: int | None = None,
    ) -> None:
        """Publish the step of the start and the objects that exist so far."""
        self._table.show_progress(
            ZoneStatus(
                self.spec.id,
                WorkloadState.PENDING,
                step,
                message,
                pod_sandbox_id=sandbox_id and printable(sandbox_id, MAX_ID),
                container_id=container_id and printable(container_id, MAX_ID),
                attempt=self.spec.attempt,
                spec_hash=self._run.spec_hash,
                pulled_bytes=pulled_bytes,
            )
        )
