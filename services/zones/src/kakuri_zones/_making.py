"""Making a zone's sandbox and container, under names that the runtime may hold already.

Making is not idempotent, and what a call that was never answered has made may turn up later. So
what is there is taken over if it is what is wanted, and else a new name is used: a name that is
held is never waited for.

A container is made only in a sandbox whose handler was checked: nothing of a submitter's runs
where it should not.
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
from kakuri_zones._facts import (
    MAX_ADDRESS,
    START_ERROR,
    Container,
    Sandbox,
    ZoneFacts,
    addresses,
    attempt_of,
)
from kakuri_zones._images import NodeImage
from kakuri_zones._inspector import Inspector
from kakuri_zones._removal import Objects
from kakuri_zones._zone_config import container_config, sandbox_config
from kakuri_zones._zone_network import ZoneNetwork
from kakuri_zones.logs._store import LogPlace

MAX_NAMES = 10
"""Names tried for one sandbox or container; each one held stands for a call never answered."""

FIRST_LOOK, LAST_LOOK = 0.05, 1.0
"""Seconds between looks at a container that an earlier call is starting; doubled each time."""


class ZoneMaker:
    """Makes what a spec asks for.

    Attributes:
        spec_hash: identifies the spec, whatever the attempt.
        made: what was made, as far as the runtime has answered.
        took_over: whether the container was there, created for this run by an earlier start.

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
        self.made = Objects()
        self.took_over = False

    def fits(self, sandbox: Sandbox) -> bool:
        """Whether a sandbox is ready and was made for this spec, whatever the attempt."""
        return sandbox.is_ready and sandbox.spec_hash == self.spec_hash

    def is_unstarted(self, container: Container) -> bool:
        """Whether a container was made for this run and can still be started."""
        identity = (container.spec_hash, container.attempt)
        is_created = container.state == ContainerState.CONTAINER_CREATED
        return is_created and identity == (self.spec_hash, self._spec.attempt)

    async def sandbox(self, before: ZoneFacts | None) -> Sandbox:
        """Take over a sandbox or make one, and see who runs it.

        Raises CriError, StartCancelled, and StartFailed if it is not the handler that was asked
        for.
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
            self.made = replace(self.made, sandboxes=self.made.sandboxes | {sandbox_id})
            made = Sandbox(
                id=sandbox_id,
                zone_id=self._spec.id,
                cri_attempt=cri_attempt,
                is_ready=True,
                created_at=0,
                handler=self._handler,
                spec_hash=self.spec_hash,
                attempt=self._spec.attempt,
            )
            return await self._checked(made)
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

    async def container(self, before: ZoneFacts | None, sandbox: Sandbox, image: NodeImage) -> str:
        """Take over a container of this run that was not started, or make one; gives its id.

        Raises CriError and StartCancelled.
        """
        if (found := self._unstarted_in(sandbox, before)) is not None:
            self.took_over = True
            return found.id
        mounts = await self._network.mounts(self._spec.id, self._addresses)
        in_sandbox = await self._sandbox_config(sandbox.cri_attempt, sandbox.attempt)
        known = before.containers if before is not None else ()
        # Their names don't tell sandboxes of one zone apart.
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
                facts = await self._inspector.zone(self._spec.id)
                if (found := self._unstarted_in(sandbox, facts)) is not None:
                    return found.id
                if isinstance(error, CallTimeout):
                    raise
                refusal = error
                continue
            self.made = replace(self.made, containers=self.made.containers | {container_id})
            return container_id
        assert refusal is not None
        try:
            raise refusal
        finally:
            del refusal  # its traceback holds this frame

    async def launch(self, sandbox: Sandbox, container_id: str) -> Container:
        """Start a container and see what became of it.

        Raises CriError, StartCancelled, and StartFailed with the runtime's words.
        """
        try:
            await self._guard(self._cri.start_container(container_id))
        except (CallRefused, CallTimeout) as error:
            if isinstance(error, StartUnderWay):
                await self._guard(self._until_started(container_id))
            status = await self._cri.container_status(container_id)
            # An earlier call, never answered, may have started it after all.
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
        """Wait until a start that an earlier call began is over, however it ends.

        Raises CallTimeout after as long as a start may take.
        """
        pause = FIRST_LOOK
        try:
            async with asyncio.timeout(self._cri.timeouts.usual):
                while await self._is_created(container_id):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LAST_LOOK)
        except TimeoutError as error:
            raise CallTimeout("StartContainer", "an earlier start does not end") from error

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
        facts = await self._inspector.zone(self._spec.id)
        sandboxes = facts.sandboxes if facts is not None else ()
        new = [each for each in sandboxes if self.fits(each) and each.id not in known]
        return max(new, key=lambda each: each.cri_attempt, default=None)

    def _unstarted_in(self, sandbox: Sandbox, facts: ZoneFacts | None) -> Container | None:
        containers = facts.containers if facts is not None else ()
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
