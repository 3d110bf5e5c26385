"""A fake CRI runtime on a real socket, which behaves like containerd but starts no processes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Literal, Self

from kakuri_grpc import Server, ServerCall, StatusCode, status_error
from kakuri_protobuf import Method
from kakuri_tcp import Endpoint

from kakuri_cri import api
from kakuri_cri.testing._calls import Calls
from kakuri_cri.testing._faults import Faults
from kakuri_cri.testing._images import FakeImages
from kakuri_cri.testing._node import FakeNode
from kakuri_cri.testing._objects import FakeContainer, FakeImage, FakeSandbox, Pause, Refusal
from kakuri_cri.testing._runtime import FakeRuntime
from kakuri_cri.testing._socket import SocketServer, limits_with

_Behaviour = Callable[[Any, Pause], Awaitable[Any]]

_LOST_EXIT_CODE = 255


class FakeCri:
    """A CRI runtime for tests, as an async context manager.

        async with FakeCri(images={"web:1": "present"}) as runtime:
            runtime.faults.set("RunPodSandbox", "1*error(UNAVAILABLE)->2*delay(100)")
            ...  # something that uses runtime.endpoint
            runtime.exit("my-zone", 3)

    It reproduces the behaviour of containerd that clients can observe: ids, states, times, exit
    codes, reasons, log files and events; names that are reserved while an object exists or is being
    created; NOT_FOUND and idempotent calls. A call continues after its caller has cancelled it,
    except for a pull.

    Attributes:
        faults: The faults of the next calls.
        calls: The calls that were received.
        node: Its version, conditions and handlers.
        images: The images on the node and in the registry.
        unimplemented: Methods that return UNIMPLEMENTED.
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
        concurrent_calls: int | None = None,
    ) -> None:
        """Create a runtime.

        Args:
            path: Path of its socket; by default, in a temporary directory.
            images: The images by name; a state alone means an image in that state.
            default_image: The image for all other names.
            handlers: Names of its runtime handlers; the default one has an empty name.
            unimplemented: Methods that return UNIMPLEMENTED.
            faults: Fault scripts by method; see `parse_faults`.
            concurrent_calls: Maximum number of concurrent calls on a connection
                (SETTINGS_MAX_CONCURRENT_STREAMS), at least 1; None for the default of kakuri-http2.

        Raises:
            ValueError: A fault or the state of an image is not valid.
        """
        self.faults: Faults = Faults(faults)
        self.calls: Calls = Calls()
        self.node: FakeNode = FakeNode(handlers)
        known = {name: _image(image) for name, image in (images or {}).items()}
        self.images: FakeImages = FakeImages(known, _image(default_image))
        self.unimplemented: set[str] = set(unimplemented)
        self._runtime = FakeRuntime(self.images, self.node)
        self._work: set[asyncio.Future[Any]] = set()
        self._server = SocketServer(path, self._add_methods, limits_with(concurrent_calls))

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
        """The endpoint of its socket."""
        return Endpoint.unix(str(self.path))

    @property
    def sandboxes(self) -> list[FakeSandbox]:
        """Its sandboxes, oldest first."""
        return list(self._runtime.sandboxes.values())

    @property
    def containers(self) -> list[FakeContainer]:
        """Its containers, oldest first."""
        return list(self._runtime.containers.values())

    @property
    def listeners(self) -> int:
        """The number of calls that receive its events."""
        return self._runtime.events.listeners

    def sandbox(self, name: str) -> FakeSandbox:
        """Return the newest sandbox with this id, or with this name in its metadata.

        Raises:
            LookupError: There is none.
        """
        for sandbox in reversed(self.sandboxes):
            if name in {sandbox.id, sandbox.metadata.name}:
                return sandbox
        raise LookupError(f"expected the id or the name of a sandbox, got {name!r}")

    def container(self, name: str) -> FakeContainer:
        """Return the newest container with this id, or in a sandbox with this id or name.

        Raises:
            LookupError: There is none.
        """
        for container in reversed(self.containers):
            sandbox = container.sandbox
            if name in {container.id, sandbox.id, sandbox.metadata.name}:
                return container
        raise LookupError(f"expected the id of a container or its sandbox's name, got {name!r}")

    def finish_start(self, name: str) -> None:
        """Complete a start whose call a crash interrupted; see `FakeContainer.is_starting`."""
        container = self.container(name)
        container.is_starting = False
        with suppress(Refusal):
            self._runtime.finish_start(container)

    def exit(self, name: str, code: int = 0, reason: str = "", message: str = "") -> None:
        """End the process of a running container.

        Args:
            name: Id of the container, or id or name of its sandbox.
            code: Its exit code.
            reason: The reason in its status; "Completed" or "Error" if empty.
            message: The message in its status.

        Raises:
            LookupError: There is no such container.
        """
        self._runtime.end(self.container(name), code, reason, message)

    def write(self, name: str, data: bytes, stream: str = "stdout") -> None:
        """Write to a stream of a running container.

        A line is logged once it is complete or longer than 16 KiB.

        Raises:
            LookupError: There is no such container, or it has no log.
        """
        log = self.container(name).log
        if log is None:
            raise LookupError(f"expected a container with a log, got {name!r}")
        log.write(data, stream)

    def lose_sandbox(self, name: str) -> None:
        """Make a sandbox NOTREADY while its containers stay RUNNING, as after a crash of the guest.

        Raises:
            LookupError: There is no such sandbox.
        """
        self._runtime.end_sandbox(self.sandbox(name))

    async def break_connections(self) -> None:
        """Break all connections; new ones are accepted."""
        self._server.break_connections()

    async def crash(self) -> None:
        """Crash as after SIGKILL: connections break, calls are aborted, containers continue."""
        await self._server.crash()
        await self._end_work()

    async def restart(self, objects: Literal["kept", "dead", "lost"] = "kept") -> None:
        """Crash, unless it has already crashed, and listen again on a new socket.

        Args:
            objects: "kept" leaves sandboxes and containers as they were; "dead" makes them look as
                after a reboot (sandboxes NOTREADY, containers EXITED with 255); "lost" removes
                them.
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

    # Calls.

    def _add_methods(self, server: Server) -> None:
        behaviours = self._behaviours()
        for service in (api.RuntimeService, api.ImageService):
            for name, method in vars(service).items():
                if name in behaviours:
                    server.add(method, self._handler(name, method, behaviours[name]))
        server.add(api.RuntimeService.GetContainerEvents, self._follow)
        runtime, images = self._runtime, self.images
        for method, responses in (
            (api.RuntimeService.StreamPodSandboxes, runtime.stream_pod_sandboxes),
            (api.RuntimeService.StreamContainers, runtime.stream_containers),
            (api.ImageService.StreamImages, images.stream_images),
        ):
            server.add(method, self._stream_handler(method, responses))

    def _behaviours(self) -> dict[str, _Behaviour]:
        runtime, images, node = self._runtime, self.images, self.node
        return {
            "Version": node.handle_version,
            "Status": node.handle_status,
            "RuntimeConfig": node.handle_config,
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
            "UpdateContainerResources": runtime.update_container_resources,
            "ExecSync": runtime.exec_sync,
            "Exec": runtime.exec,
            "Attach": runtime.attach,
            "PortForward": runtime.port_forward,
            "ContainerStats": runtime.container_stats,
            "ListContainerStats": runtime.list_container_stats,
            "PodSandboxStats": runtime.pod_sandbox_stats,
            "ListPodSandboxStats": runtime.list_pod_sandbox_stats,
            "ImageStatus": images.image_status,
            "PullImage": images.pull_image,
            "ListImages": images.list_images,
            "RemoveImage": images.remove_image,
            "ImageFsInfo": images.image_fs_info,
        }

    def _handler(
        self, name: str, method: Method[Any, Any], behaviour: _Behaviour
    ) -> Callable[[Any, ServerCall], Awaitable[Any]]:
        async def respond(request: Any, _call: ServerCall) -> Any:
            self._check_implemented(name, method)
            return await self._respond(name, behaviour, request)

        return respond

    def _stream_handler(
        self, method: Method[Any, Any], responses: Callable[[Any], list[Any]]
    ) -> Callable[[Any, ServerCall], AsyncIterator[Any]]:
        """Return a handler that responds with one message for each element of a list."""
        name = method.path.rpartition("/")[2]

        async def stream(request: Any, _call: ServerCall) -> AsyncIterator[Any]:
            self._check_implemented(name, method)
            call = await self.calls.add(name, request)
            fault = self.faults.take(name)
            await asyncio.sleep(fault.delay)
            await self._server.fail_before(call, fault)
            for response in responses(request):
                yield response
                await self._server.fail_after(call, fault)
            call.code = "OK"

        return stream

    async def _respond(self, name: str, behaviour: _Behaviour, request: Any) -> Any:
        call = await self.calls.add(name, request)
        fault = self.faults.take(name)
        await self._server.fail_before(call, fault)
        work = asyncio.ensure_future(behaviour(request, lambda: asyncio.sleep(fault.delay)))
        self._work.add(work)
        work.add_done_callback(self._done)
        try:
            response = await (work if name == "PullImage" else asyncio.shield(work))
        except Refusal as refusal:
            call.code = refusal.code.name
            raise status_error(refusal.code, str(refusal)) from None
        finally:
            del work  # breaks a cycle: task, exception, traceback, this frame
        await self._server.fail_after(call, fault)
        call.code = "OK"
        return response

    async def _follow(
        self, request: api.GetEventsRequest, _call: ServerCall
    ) -> AsyncIterator[api.ContainerEventResponse]:
        """Handle GetContainerEvents; a fault "finish-then-…" follows the first event."""
        self._check_implemented("GetContainerEvents", api.RuntimeService.GetContainerEvents)
        call = await self.calls.add("GetContainerEvents", request)
        fault = self.faults.take(call.method)
        await asyncio.sleep(fault.delay)
        await self._server.fail_before(call, fault)
        async with aclosing(self._runtime.events.listen()) as events:
            async for event in events:
                yield event
                await self._server.fail_after(call, fault)

    def _check_implemented(self, name: str, method: Method[Any, Any]) -> None:
        if name in self.unimplemented:
            service = method.path.split("/")[1]
            message = f"unknown method {name} for service {service}"
            raise status_error(StatusCode.UNIMPLEMENTED, message)

    def _done(self, work: asyncio.Future[Any]) -> None:
        self._work.discard(work)
        if not work.cancelled():
            work.exception()  # retrieve it: the caller may have cancelled the call


def _image(image: FakeImage | str) -> FakeImage:
    return FakeImage(state=image) if isinstance(image, str) else image
