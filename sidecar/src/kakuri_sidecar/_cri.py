"""A client of the CRI on gRPC: each call with its deadline, each failure as one of our errors."""

import asyncio
import math
import os
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import structlog
from kakuri_registry import printable
from kakuri_tcp import Endpoint

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar import _cri_calls as calls
from kakuri_sidecar._cri_calls import Call, Request, Response
from kakuri_sidecar._errors import (
    CallRefused,
    CallTimeout,
    CriError,
    NameReserved,
    NotFound,
    RuntimeUnavailable,
    StartUnderWay,
    Unimplemented,
)

log = structlog.get_logger()

MAX_RECEIVED = 16 * 2**20
"""Bytes of one answer: what the kubelet takes, and the most that containerd sends."""

OPTIONS: tuple[tuple[str, Any], ...] = (
    # Without it the socket's path becomes the authority, which servers built on hyper refuse.
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", MAX_RECEIVED),
    # The kubelet's: a runtime that comes back is found within three seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 3000),
    # Creating is not idempotent, so only the callers here know what may be repeated.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)

MAX_WORDS = 4096
"""Characters kept of what a runtime says about a failure: some quote whole command lines."""

_NAMED_CALLS = frozenset({calls.RUN_POD_SANDBOX.name, calls.CREATE_CONTAINER.name})
"""The calls that reserve a name. Other answers carry the words of registries and submitters."""

_RESERVED = re.compile("is reserved|already in use|already exists")
"""How containerd and CRI-O say that a name is taken, where the status does not say so."""

_STARTING = ("server is not initialized yet", "unknown service runtime.v1.")
"""How a runtime refuses whose socket is there before it has read its state or has all services."""

_SOCKET = re.compile(r"unix:[^\s:]+")

_UNDER_WAY = "is already in starting state"
"""What containerd says to StartContainer while an earlier one is being carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimeouts:
    """Seconds that calls may take: the kubelet's (cri-client, pkg/remote_runtime.go)."""

    usual: float = 120.0
    run_pod_sandbox: float = 240.0
    """A zone may have to boot."""


DEFAULT_TIMEOUTS = CallTimeouts()


class CriClient:
    """The calls of the CRI that the sidecar needs.

    Every method is named like its call and raises CriError in one of its kinds. Made inside a
    running event loop; to be closed.
    """

    def __init__(self, endpoint: Endpoint, timeouts: CallTimeouts = DEFAULT_TIMEOUTS) -> None:
        self._endpoint = endpoint
        self.timeouts = timeouts
        self._channel = grpc.aio.insecure_channel(f"unix:{endpoint.path}", options=OPTIONS)
        self._methods: dict[str, Any] = {}
        self._silent_at = -math.inf

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<CriClient {self._endpoint}>"

    @property
    def seconds_since_silence(self) -> float:
        """The seconds since a call found nobody to answer it; infinite if none has."""
        return time.monotonic() - self._silent_at

    async def close(self) -> None:
        """Close the channel; calls under way fail."""
        await self._channel.close()

    # What the runtime is

    async def version(self, timeout: float | None = None) -> api.VersionResponse:
        """Ask for names and versions."""
        return await self._call(calls.VERSION, api.VersionRequest(version="v1"), timeout)

    async def status(
        self, timeout: float | None = None, *, verbose: bool = False
    ) -> api.StatusResponse:
        """Return conditions and handlers; `verbose` adds the runtime's own information."""
        return await self._call(calls.STATUS, api.StatusRequest(verbose=verbose), timeout)

    async def runtime_config(self, timeout: float | None = None) -> api.RuntimeConfigResponse:
        """Ask for the cgroup driver; optional in runtimes."""
        return await self._call(calls.RUNTIME_CONFIG, api.RuntimeConfigRequest(), timeout)

    # Sandboxes

    async def run_pod_sandbox(self, config: api.PodSandboxConfig, handler: str) -> str:
        """Make and start a sandbox; gives its id."""
        request = api.RunPodSandboxRequest(config=config, runtime_handler=handler)
        answer = await self._call(calls.RUN_POD_SANDBOX, request, self.timeouts.run_pod_sandbox)
        return answer.pod_sandbox_id

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """End a sandbox and whatever runs in it; nothing if that is done."""
        await self._call(
            calls.STOP_POD_SANDBOX, api.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
        )

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox; nothing if that is done."""
        await self._call(
            calls.REMOVE_POD_SANDBOX, api.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
        )

    async def pod_sandbox_status(
        self, sandbox_id: str, timeout: float | None = None
    ) -> api.PodSandboxStatus:
        """Ask for a sandbox's state, address and handler."""
        request = api.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id)
        return (await self._call(calls.POD_SANDBOX_STATUS, request, timeout)).status

    async def list_pod_sandboxes(
        self, labels: Mapping[str, str], timeout: float | None = None
    ) -> list[api.PodSandbox]:
        """List the sandboxes that have all these labels."""
        request = api.ListPodSandboxRequest(filter=api.PodSandboxFilter(label_selector=labels))
        return list((await self._call(calls.LIST_POD_SANDBOX, request, timeout)).items)

    # Containers

    async def create_container(
        self, sandbox_id: str, config: api.ContainerConfig, sandbox_config: api.PodSandboxConfig
    ) -> str:
        """Make a container in a sandbox, without starting it; gives its id."""
        request = api.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=config, sandbox_config=sandbox_config
        )
        return (await self._call(calls.CREATE_CONTAINER, request)).container_id

    async def start_container(self, container_id: str) -> None:
        """Start a container that was made."""
        request = api.StartContainerRequest(container_id=container_id)
        await self._call(calls.START_CONTAINER, request)

    async def stop_container(self, container_id: str, grace_seconds: int) -> None:
        """Ask a container to end, and kill it after the grace time; nothing if it has ended."""
        request = api.StopContainerRequest(container_id=container_id, timeout=grace_seconds)
        await self._call(calls.STOP_CONTAINER, request, self.timeouts.usual + grace_seconds)

    async def remove_container(self, container_id: str) -> None:
        """Remove a container, running or not; nothing if that is done."""
        request = api.RemoveContainerRequest(container_id=container_id)
        await self._call(calls.REMOVE_CONTAINER, request)

    async def container_status(
        self, container_id: str, timeout: float | None = None
    ) -> api.ContainerStatus:
        """Ask for a container's state, times and exit code."""
        request = api.ContainerStatusRequest(container_id=container_id)
        return (await self._call(calls.CONTAINER_STATUS, request, timeout)).status

    async def list_containers(
        self, labels: Mapping[str, str], *, sandbox_id: str = "", timeout: float | None = None
    ) -> list[api.Container]:
        """List the containers that have all these labels, of one sandbox or of all."""
        selected = api.ContainerFilter(label_selector=labels, pod_sandbox_id=sandbox_id)
        request = api.ListContainersRequest(filter=selected)
        return list((await self._call(calls.LIST_CONTAINERS, request, timeout)).containers)

    async def reopen_container_log(self, container_id: str, timeout: float | None = None) -> None:
        """Have the runtime open a container's log file again, after it was renamed."""
        request = api.ReopenContainerLogRequest(container_id=container_id)
        await self._call(calls.REOPEN_CONTAINER_LOG, request, timeout)

    async def container_events(self) -> AsyncIterator[api.ContainerEventResponse]:
        """Follow what happens to containers until the stream breaks; optional in runtimes.

        Ends like any iterator if the runtime ends the stream.
        """
        call = calls.GET_CONTAINER_EVENTS
        self._check_owner(call.name)
        stream = self._channel.unary_stream(
            call.path,
            request_serializer=call.request.SerializeToString,
            response_deserializer=call.response.FromString,
        )(api.GetEventsRequest())
        try:
            async for event in stream:
                yield event
        except grpc.aio.AioRpcError as error:
            raise _translate(call.name, error) from error.with_traceback(None)
        finally:
            stream.cancel()

    # Images

    async def image_status(self, image: str) -> api.Image | None:
        """Ask for an image of the node; None if it has none of that name."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image))
        answer = await self._call(calls.IMAGE_STATUS, request)
        return answer.image if answer.HasField("image") else None

    async def image_info(self, image: str) -> Mapping[str, str]:
        """Return the verbose information of ImageStatus: text by key."""
        request = api.ImageStatusRequest(image=api.ImageSpec(image=image), verbose=True)
        return (await self._call(calls.IMAGE_STATUS, request)).info

    async def list_images(self) -> list[api.Image]:
        """List the images of the node."""
        return list((await self._call(calls.LIST_IMAGES, api.ListImagesRequest())).images)

    async def remove_image(self, image: str) -> None:
        """Remove an image with all of its tags; nothing if that is done."""
        request = api.RemoveImageRequest(image=api.ImageSpec(image=image))
        await self._call(calls.REMOVE_IMAGE, request)

    async def pull_image(self, image: str, timeout: float) -> str:
        """Fetch an image; gives the reference to make containers from."""
        request = api.PullImageRequest(image=api.ImageSpec(image=image))
        return (await self._call(calls.PULL_IMAGE, request, timeout)).image_ref

    async def image_fs_info(self, timeout: float | None = None) -> list[api.FilesystemUsage]:
        """Ask how much room images take; some runtimes don't know."""
        answer = await self._call(calls.IMAGE_FS_INFO, api.ImageFsInfoRequest(), timeout)
        return list(answer.image_filesystems)

    async def _call(
        self, call: Call[Request, Response], request: Request, timeout: float | None = None
    ) -> Response:
        self._check_owner(call.name)
        method = self._methods.get(call.name)
        if method is None:
            method = self._methods[call.name] = self._channel.unary_unary(
                call.path,
                request_serializer=call.request.SerializeToString,
                response_deserializer=call.response.FromString,
            )
        began = time.monotonic()
        try:
            answer: Response = await method(request, timeout=timeout or self.timeouts.usual)
        except grpc.aio.AioRpcError as error:
            # No name of this frame may hold what is raised: its traceback holds the frame, and
            # such a cycle keeps the frames above with all that they have received.
            raise self._failed(call.name, error, began) from error.with_traceback(None)
        except asyncio.CancelledError:
            log.debug("cri", call=call.name, ms=_ms_since(began), error="cancelled")
            raise
        log.debug("cri", call=call.name, ms=_ms_since(began))
        return answer

    def _failed(self, call: str, error: grpc.aio.AioRpcError, began: float) -> CriError:
        """Return the error to raise for a failed call."""
        translated = _translate(call, error)
        if isinstance(translated, RuntimeUnavailable):
            self._silent_at = time.monotonic()
        log.debug("cri", call=call, ms=_ms_since(began), error=str(translated))
        return translated

    def _check_owner(self, call: str) -> None:
        """Refuse a socket of another user, who would receive every zone's variables.

        gRPC does not show the connection, whose peer the kernel could name; the owner of the file
        is who made it.
        """
        try:
            owner = Path(self._endpoint.path).stat().st_uid
        except OSError:
            return  # gRPC says so, and tries again
        if owner not in {0, os.geteuid()}:
            words = f"the socket belongs to user {owner}, who is neither root nor this user"
            raise RuntimeUnavailable(call, words, "PERMISSION_DENIED")


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 2)


def _translate(call: str, error: grpc.aio.AioRpcError) -> CriError:
    """Turn a failure of gRPC into one of ours."""
    status = error.code()
    details = error.details() or status.name.lower().replace("_", " ")
    # The channel's own message names the socket, which callers must not learn.
    words = printable(_SOCKET.sub("the runtime's socket", details), MAX_WORDS)
    kind: type[CriError]
    match status:
        # Only at the beginning: further on, the message may quote what a submitter wrote.
        case _ if words.startswith(_STARTING):
            kind = RuntimeUnavailable
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            kind = RuntimeUnavailable
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            kind = CallTimeout
        case grpc.StatusCode.NOT_FOUND:
            kind = NotFound
        case grpc.StatusCode.UNIMPLEMENTED:
            kind = Unimplemented
        case grpc.StatusCode.ALREADY_EXISTS:
            kind = NameReserved
        case _ if call == calls.START_CONTAINER.name and _UNDER_WAY in words:
            kind = StartUnderWay
        case _ if call in _NAMED_CALLS and _says_reserved(words):
            kind = NameReserved
        case _:
            kind = CallRefused
    return kind(call, words, status.name)


def _says_reserved(words: str) -> bool:
    """Whether the runtime refused to reserve a name because it is taken."""
    return "name" in words and _RESERVED.search(words) is not None
