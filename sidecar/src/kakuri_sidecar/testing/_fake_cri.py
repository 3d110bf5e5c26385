"""A CRI runtime in this process, on a real socket: containerd's rules, and nothing that runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import grpc
import grpc.aio
from kakuri_tcp import Endpoint

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar import _cri_calls as cri
from kakuri_sidecar.testing._calls import Calls, CriCall
from kakuri_sidecar.testing._faults import Fault, Faults, Outcome
from kakuri_sidecar.testing._images import FakeImages
from kakuri_sidecar.testing._node import FakeNode
from kakuri_sidecar.testing._objects import FakeContainer, FakeImage, FakeSandbox, Pause, Refusal
from kakuri_sidecar.testing._runtime import FakeRuntime
from kakuri_sidecar.testing._socket import SocketServer

# The classes of grpc take parameters for type checkers alone.
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_Behaviour = Callable[[Any, Pause], Awaitable[Any]]

_LOST_EXIT_CODE = 255


class FakeCri:
    """A CRI runtime for tests. Use it as an async context manager.

        async with FakeCri(images={"web:1": "present"}) as runtime:
            runtime.faults.set("RunPodSandbox", "1*error(UNAVAILABLE)->2*delay(100)")
            ...  # something that uses runtime.endpoint
            runtime.exit("my-zone", 3)

    It does what containerd does as far as a client can see: ids and states, names that are taken
    while something has them or is being made, calls that find nothing, calls that may be
    repeated, exit codes and reasons, times, log files, events. A call goes on when its caller has
    left, except for a pull.

    Attributes:
        faults: what goes wrong with the next calls.
        calls: what was asked of it.
        node: what it tells about itself.
        images: what can be run.
        unimplemented: the methods that it does not have.

    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        images: Mapping[str, FakeImage | str] | None = None,
        default_image: FakeImage | str = "pullable",
        handlers: Collection[str] = ("", "edera"),
        unimplemented: Collection[str] = (),
        faults: Mapping[str, str] | None = None,
    ) -> None:
        """Make a runtime; its socket is at `path` or in a folder of its own.

        An image is given by its state, or in full.

        Raises:
            ValueError: a fault or the state of an image is none.

        """
        self.faults = Faults(faults)
        self.calls = Calls()
        self.node = FakeNode(handlers)
        known = {name: _image(image) for name, image in (images or {}).items()}
        self.images = FakeImages(known, _image(default_image))
        self.unimplemented = set(unimplemented)
        self._runtime = FakeRuntime(self.images, self.node)
        self._work: set[asyncio.Future[Any]] = set()
        self._server = SocketServer(path, _Methods(self))

    def __repr__(self) -> str:
        state = "up" if self._server.is_open else "down"
        sandboxes, containers = len(self.sandboxes), len(self.containers)
        return f"<FakeCri {state} sandboxes={sandboxes} containers={containers}>"

    async def __aenter__(self) -> Self:
        await self._server.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.close()
        await self._end_work()
        self._runtime.forget()
        self._server.remove()

    @property
    def path(self) -> Path:
        """The path of its socket."""
        return self._server.path

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint.unix(str(self.path))

    @property
    def sandboxes(self) -> list[FakeSandbox]:
        """What sandboxes there are, the oldest first."""
        return list(self._runtime.sandboxes.values())

    @property
    def containers(self) -> list[FakeContainer]:
        """What containers there are, the oldest first."""
        return list(self._runtime.containers.values())

    @property
    def listeners(self) -> int:
        """How many follow its events."""
        return self._runtime.events.listeners

    def sandbox(self, name: str) -> FakeSandbox:
        """Give the newest sandbox with that id, or that name in its metadata.

        Raises:
            LookupError: there is none.

        """
        for sandbox in reversed(self.sandboxes):
            if name in {sandbox.id, sandbox.config.metadata.name}:
                return sandbox
        raise LookupError(f"expected the id or the name of a sandbox, got {name!r}")

    def container(self, name: str) -> FakeContainer:
        """Give the newest container with that id, or in a sandbox with that id or name.

        Raises:
            LookupError: there is none.

        """
        for container in reversed(self.containers):
            sandbox = container.sandbox
            if name in {container.id, sandbox.id, sandbox.config.metadata.name}:
                return container
        raise LookupError(f"expected the id of a container or its sandbox's name, got {name!r}")

    def finish_start(self, name: str) -> None:
        """End a start that no call waits for, because its caller died. See `is_starting`."""
        container = self.container(name)
        container.is_starting = False
        with suppress(Refusal):
            self._runtime.finish_start(container)

    def exit(self, name: str, code: int = 0, reason: str = "", message: str = "") -> None:
        """End the process of a running container; the reason is the usual one if none is given.

        Raises:
            LookupError: there is no such container.

        """
        self._runtime.end(self.container(name), code, reason, message)

    def write(self, name: str, data: bytes, stream: str = "stdout") -> None:
        """Let a running container write; a line is logged once it is complete, or too long.

        Raises:
            LookupError: there is no such container, or it has no log.

        """
        log = self.container(name).log
        if log is None:
            raise LookupError(f"expected a container with a log, got {name!r}")
        log.write(data, stream)

    def lose_sandbox(self, name: str) -> None:
        """Let a sandbox be NOTREADY although its containers are told to run, as a dead guest.

        Raises:
            LookupError: there is no such sandbox.

        """
        self._runtime.end_sandbox(self.sandbox(name))

    async def break_connections(self) -> None:
        """Break every connection; new ones are taken."""
        await self._server.break_connections()

    async def crash(self) -> None:
        """Die as by SIGKILL: connections break, calls under way end, containers run on."""
        await self._server.crash()
        await self._end_work()

    async def restart(self, objects: Literal["kept", "dead", "lost"] = "kept") -> None:
        """Come back, from a crash if there was none yet.

        `objects` are "kept" as they are, "dead" as after a reboot of the node (sandboxes NOTREADY,
        containers EXITED with 255), or "lost" without a trace.
        """
        if self._server.is_open:
            await self.crash()
        if objects == "lost":
            self._runtime.forget()
        elif objects == "dead":
            for container in self.containers:
                self._runtime.end(container, _LOST_EXIT_CODE, "Unknown")
            for sandbox in self.sandboxes:
                self._runtime.end_sandbox(sandbox)
        await self._server.open()

    async def _end_work(self) -> None:
        for work in list(self._work):
            work.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def behaviour(self, method: str) -> _Behaviour:
        """Give what carries a method out."""
        runtime, images, node = self._runtime, self.images, self.node
        behaviours: dict[str, _Behaviour] = {
            "Version": node.tell_version,
            "Status": node.tell_status,
            "RuntimeConfig": node.tell_config,
            "RunPodSandbox": runtime.run_pod_sandbox,
            "StopPodSandbox": runtime.stop_pod_sandbox,
            "RemovePodSandbox": runtime.remove_pod_sandbox,
            "PodSandboxStatus": runtime.pod_sandbox_status,
            "ListPodSandbox": runtime.list_pod_sandbox,
            "CreateContainer": runtime.create_container,
            "StartContainer": runtime.start_container,
            "StopContainer": runtime.stop_container,
            "RemoveContainer": runtime.remove_container,
            "ContainerStatus": runtime.container_status,
            "ListContainers": runtime.list_containers,
            "ReopenContainerLog": runtime.reopen_container_log,
            "ImageStatus": images.image_status,
            "PullImage": images.pull_image,
            "ListImages": images.list_images,
            "RemoveImage": images.remove_image,
            "ImageFsInfo": images.image_fs_info,
        }
        return behaviours[method]

    async def answer(
        self, method: str, behaviour: _Behaviour, request: Any, context: _Context
    ) -> Any:
        """Answer a call that has one answer."""
        call = await self.calls.add(method, request)
        fault = self.faults.take(method)
        await self._fail(call, fault, context, Outcome.ERROR, Outcome.CLOSE)
        work = asyncio.ensure_future(behaviour(request, lambda: asyncio.sleep(fault.delay)))
        self._work.add(work)
        work.add_done_callback(self._done)
        try:
            answer = await (work if method == cri.PULL_IMAGE.name else asyncio.shield(work))
        except Refusal as refusal:
            call.code = refusal.code.name
            await context.abort(refusal.code, str(refusal))
        await self._fail(call, fault, context, Outcome.FINISH_THEN_ERROR, Outcome.FINISH_THEN_CLOSE)
        call.code = "OK"
        return answer

    async def follow(
        self, request: api.GetEventsRequest, context: _Context
    ) -> AsyncIterator[api.ContainerEventResponse]:
        """Answer GetContainerEvents; a fault after the call is one after the first event."""
        call = await self.calls.add(cri.GET_CONTAINER_EVENTS.name, request)
        fault = self.faults.take(call.method)
        await asyncio.sleep(fault.delay)
        await self._fail(call, fault, context, Outcome.ERROR, Outcome.CLOSE)
        async with aclosing(self._runtime.events.listen()) as events:
            async for event in events:
                yield event
                finish = Outcome.FINISH_THEN_ERROR, Outcome.FINISH_THEN_CLOSE
                await self._fail(call, fault, context, *finish)

    async def _fail(
        self, call: CriCall, fault: Fault, context: _Context, error: Outcome, close: Outcome
    ) -> None:
        if fault.outcome is error:
            call.code = fault.code.name
            await context.abort(fault.code, fault.words)
        if fault.outcome is close:
            await self._server.hang_up()

    def _done(self, work: asyncio.Future[Any]) -> None:
        self._work.discard(work)
        if not work.cancelled():
            work.exception()  # its caller may have left


class _Methods(grpc.GenericRpcHandler):
    """Finds what answers a call, by its path."""

    def __init__(self, runtime: FakeCri) -> None:
        self._runtime = runtime
        self._calls = {one.path: one for one in vars(cri).values() if isinstance(one, cri.Call)}

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        call = self._calls.get(handler_call_details.method)
        if call is None or call.name in self._runtime.unimplemented:
            return None
        codec = {
            "request_deserializer": call.request.FromString,
            "response_serializer": call.response.SerializeToString,
        }
        if call is cri.GET_CONTAINER_EVENTS:
            return grpc.unary_stream_rpc_method_handler(self._runtime.follow, **codec)
        behaviour = self._runtime.behaviour(call.name)

        async def answer(request: Any, context: _Context) -> Any:
            return await self._runtime.answer(call.name, behaviour, request, context)

        return grpc.unary_unary_rpc_method_handler(answer, **codec)


def _image(image: FakeImage | str) -> FakeImage:
    return FakeImage(state=image) if isinstance(image, str) else image
