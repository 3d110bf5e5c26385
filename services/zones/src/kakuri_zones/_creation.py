"""Creating a zone's sandbox and container, under names that the runtime may have reserved already.

The calls are not idempotent, and an object whose creation was never answered may appear later. So
an existing object is adopted if it fits the spec; otherwise the next name is tried at once, without
waiting for a reserved one.

A container is created only in a sandbox whose handler was checked, so that no workload ever runs by
another handler.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from kakuri_cri import CallRefused, CallTimeout, NameReserved, Runtime, StartUnderWay, api
from kakuri_cri.api import ContainerState
from kakuri_registry import ZoneSpec, printable

from kakuri_zones import _labels as labels
from kakuri_zones._cancellation import Cancellation
from kakuri_zones._errors import StartFailed
from kakuri_zones._images import NodeImage
from kakuri_zones._inspector import Inspector
from kakuri_zones._observed import (
    MAX_ADDRESS,
    START_ERROR,
    Container,
    ObservedZone,
    Sandbox,
    addresses,
    attempt_of,
)
from kakuri_zones._removal import Objects
from kakuri_zones._zone_config import container_config, sandbox_config
from kakuri_zones._zone_network import ZoneNetwork
from kakuri_zones.logs._store import LogPlace

MAX_NAMES = 10
"""Names tried for one sandbox or container; each reserved one belongs to an unanswered call."""

FIRST_POLL, LAST_POLL = 0.05, 1.0
"""Seconds between polls of a container that an earlier call is starting; doubled each time."""


class ZoneCreator:
    """Creates the sandbox and the container of a spec.

    Attributes:
        spec_hash: identifies the spec, whatever the attempt.
        created: the objects whose creation the runtime has confirmed.
        adopted: whether an earlier start had created the container for this run.

    """

    def __init__(
        self,
        cri: Runtime,
        inspector: Inspector,
        cancellation: Cancellation,
        cgroup_parent: Callable[[], Awaitable[str]],
        network: ZoneNetwork,
        spec: ZoneSpec,
        handler: str,
        place: LogPlace,
    ) -> None:
        self._cri = cri
        self._inspector = inspector
        self._guard = cancellation.guard
        self._cgroup_parent = cgroup_parent
        self._network = network
        self._addresses: list[str] = []
        self._spec = spec
        self._handler = handler
        self._place = place
        self.spec_hash = labels.spec_hash(spec)
        self.created = Objects()
        self.adopted = False

    def fits(self, sandbox: Sandbox) -> bool:
        """Return whether a sandbox is ready and was created for this spec, in any attempt."""
        return sandbox.is_ready and sandbox.spec_hash == self.spec_hash

    def is_unstarted(self, container: Container) -> bool:
        """Return whether a container was created for this run and can still be started."""
        identity = (container.spec_hash, container.attempt)
        is_created = container.state == ContainerState.CONTAINER_CREATED
        return is_created and identity == (self.spec_hash, self._spec.attempt)

    async def sandbox(self, before: ObservedZone | None) -> Sandbox:
        """Adopt or create a sandbox, and check its handler.

        Raises:
            StartFailed: another handler than the requested one runs it.
            StartCancelled: the start was cancelled.
            CriError: a call failed.

        """
        known = before.sandboxes if before is not None else ()
        ready = [each for each in known if self.fits(each)]
        if ready:
            return await self._checked(max(ready, key=lambda each: each.cri_attempt))
        first = _next(each.cri_attempt for each in known)
        refusal: CallRefused | None = None
        for cri_attempt in range(first, first + MAX_NAMES):
            config = await self._sandbox_config(cri_attempt, self._spec.attempt)
            try:
                sandbox_id = await self._run_sandbox(config)
            except (NameReserved, CallTimeout) as error:
                found = await self._new_sandbox({each.id for each in known})
                if found is not None:
                    return await self._checked(found)
                if isinstance(error, CallTimeout):
                    raise
                refusal = error
                continue
            self.created = replace(self.created, sandboxes=self.created.sandboxes | {sandbox_id})
            sandbox = Sandbox(
                id=sandbox_id,
                zone_id=self._spec.id,
                cri_attempt=cri_attempt,
                is_ready=True,
                created_at=0,
                handler=self._handler,
                spec_hash=self.spec_hash,
                attempt=self._spec.attempt,
            )
            return await self._checked(sandbox)
        assert refusal is not None
        try:
            raise refusal
        finally:
            del refusal  # its traceback holds this frame

    async def _run_sandbox(self, config: api.PodSandboxConfig) -> str:
        try:
            return await self._guard(self._cri.run_pod_sandbox(config, self._handler))
        except CallRefused as error:
            if not self._network.refuses_sysctls(self._handler, error):
                raise
            assert config.linux is not None  # sysctls are in it
            config = replace(config, linux=replace(config.linux, sysctls={}))
            return await self._guard(self._cri.run_pod_sandbox(config, self._handler))

    async def container(
        self, before: ObservedZone | None, sandbox: Sandbox, image: NodeImage
    ) -> str:
        """Adopt an unstarted container of this run or create one, and return its id.

        Raises:
            StartCancelled: the start was cancelled.
            CriError: a call failed.

        """
        if (found := self._unstarted_in(sandbox, before)) is not None:
            self.adopted = True
            return found.id
        mounts = await self._network.mounts(self._spec.id, self._addresses)
        in_sandbox = await self._sandbox_config(sandbox.cri_attempt, sandbox.attempt)
        known = before.containers if before is not None else ()
        # A container's name is unique in its zone, not only in its sandbox.
        first = _next(each.cri_attempt for each in known)
        refusal: CallRefused | None = None
        for cri_attempt in range(first, first + MAX_NAMES):
            config = container_config(
                self._spec,
                cri_attempt=cri_attempt,
                image=image,
                log_path=self._place.path,
                mounts=mounts,
                spec_hash=self.spec_hash,
            )
            call = self._cri.create_container(sandbox.id, config, in_sandbox)
            try:
                container_id = await self._guard(call)
            except (NameReserved, CallTimeout) as error:
                observed = await self._inspector.zone(self._spec.id)
                if (found := self._unstarted_in(sandbox, observed)) is not None:
                    return found.id
                if isinstance(error, CallTimeout):
                    raise
                refusal = error
                continue
            self.created = replace(
                self.created, containers=self.created.containers | {container_id}
            )
            return container_id
        assert refusal is not None
        try:
            raise refusal
        finally:
            del refusal  # its traceback holds this frame

    async def launch(self, sandbox: Sandbox, container_id: str) -> Container:
        """Start a container and return it with its status.

        Raises:
            StartFailed: the runtime refused, with its message.
            StartCancelled: the start was cancelled.
            CriError: a call failed.

        """
        try:
            await self._guard(self._cri.start_container(container_id))
        except (CallRefused, CallTimeout) as error:
            if isinstance(error, StartUnderWay):
                await self._guard(self._until_started(container_id))
            status = await self._cri.container_status(container_id)
            # An earlier, unanswered call may have started it.
            if status.started_at <= 0 or status.reason == START_ERROR:
                if isinstance(error, CallRefused):
                    raise StartFailed(START_ERROR, error.message) from error
                raise
        else:
            status = await self._cri.container_status(container_id)
        return Container(
            id=container_id,
            zone_id=self._spec.id,
            sandbox_id=sandbox.id,
            cri_attempt=attempt_of(status.metadata),
            state=status.state,
            created_at=status.created_at,
            spec_hash=self.spec_hash,
            attempt=self._spec.attempt,
        ).with_status(status)

    async def _until_started(self, container_id: str) -> None:
        """Wait until an earlier StartContainer call has succeeded or failed.

        Raises:
            CallTimeout: it took longer than a start may take.

        """
        pause = FIRST_POLL
        try:
            async with asyncio.timeout(self._cri.timeouts.usual):
                while await self._is_created(container_id):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LAST_POLL)
        except TimeoutError as error:
            raise CallTimeout(
                "StartContainer", "an earlier start of the container has not finished"
            ) from error

    async def _is_created(self, container_id: str) -> bool:
        status = await self._cri.container_status(container_id)
        return status.state == ContainerState.CONTAINER_CREATED

    async def _checked(self, sandbox: Sandbox) -> Sandbox:
        status = await self._guard(self._cri.pod_sandbox_status(sandbox.id))
        if status.runtime_handler != self._handler:
            expected = f"expected the sandbox to be run by handler {self._handler!r}"
            raise StartFailed(START_ERROR, f"{expected}, got {status.runtime_handler!r}")
        self._addresses = addresses(status)
        address = printable(self._addresses[0], MAX_ADDRESS) if self._addresses else None
        return replace(sandbox, address=address, created_at=status.created_at)

    async def _new_sandbox(self, known: set[str]) -> Sandbox | None:
        observed = await self._inspector.zone(self._spec.id)
        sandboxes = observed.sandboxes if observed is not None else ()
        new = [each for each in sandboxes if self.fits(each) and each.id not in known]
        return max(new, key=lambda each: each.cri_attempt, default=None)

    def _unstarted_in(self, sandbox: Sandbox, observed: ObservedZone | None) -> Container | None:
        containers = observed.containers if observed is not None else ()
        found = [
            each for each in containers if each.sandbox_id == sandbox.id and self.is_unstarted(each)
        ]
        return max(found, key=lambda each: each.cri_attempt, default=None)

    async def _sandbox_config(self, cri_attempt: int, attempt: int) -> api.PodSandboxConfig:
        return sandbox_config(
            replace(self._spec, attempt=attempt),
            cri_attempt=cri_attempt,
            cgroup_parent=await self._cgroup_parent(),
            log_directory=self._place.directory,
            dns_config=self._network.dns_config(),
            sysctls=self._network.sysctls(self._handler),
            spec_hash=self.spec_hash,
        )


def _next(attempts: Iterable[int]) -> int:
    return max(attempts, default=-1) + 1
