"""Lists of any length: streamed if the runtime supports it (CRI 1.36), otherwise in one response.

A response can have at most 16 MiB, which is too small for about ten thousand containers. Each kind
of list is first tried as a stream; after Unimplemented, streaming is never tried again.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeVar

from kakuri_protobuf import Method

from kakuri_cri import api
from kakuri_cri._container_calls import ContainerCalls
from kakuri_cri._errors import Unimplemented
from kakuri_cri._image_calls import ImageCalls
from kakuri_cri._responses import name_of
from kakuri_cri._sandbox_calls import SandboxCalls
from kakuri_cri._stats_calls import StatsCalls

Request = TypeVar("Request")
Response = TypeVar("Response")

_SERVICE = api.RuntimeService


class Lists(SandboxCalls, ContainerCalls, StatsCalls, ImageCalls):
    """Yields the items of lists one by one.

    If you do not read a generator to its end, close it, for example with `contextlib.aclosing`.
    """

    _not_streamed: frozenset[str] = frozenset()

    async def pod_sandboxes(
        self, labels: Mapping[str, str] | None = None
    ) -> AsyncGenerator[api.PodSandbox, None]:
        """Yield the sandboxes that have all of these labels."""
        selected = api.PodSandboxFilter(label_selector=labels or {})
        request = api.StreamPodSandboxesRequest(filter=selected)
        async for response in self._streamed(_SERVICE.StreamPodSandboxes, request):
            for sandbox in response.pod_sandboxes:
                yield sandbox
        if self._is_not_streamed(_SERVICE.StreamPodSandboxes):
            for sandbox in await self.list_pod_sandboxes(labels or {}):
                yield sandbox

    async def containers(
        self, labels: Mapping[str, str] | None = None, *, sandbox_id: str = ""
    ) -> AsyncGenerator[api.Container, None]:
        """Yield the containers that have all of these labels, in one sandbox or in all."""
        selected = api.ContainerFilter(label_selector=labels or {}, pod_sandbox_id=sandbox_id)
        request = api.StreamContainersRequest(filter=selected)
        async for response in self._streamed(_SERVICE.StreamContainers, request):
            for container in response.containers:
                yield container
        if self._is_not_streamed(_SERVICE.StreamContainers):
            for container in await self.list_containers(labels or {}, sandbox_id=sandbox_id):
                yield container

    async def images(self) -> AsyncGenerator[api.Image, None]:
        """Yield the images on the node."""
        method = api.ImageService.StreamImages
        async for response in self._streamed(method, api.StreamImagesRequest()):
            for image in response.images:
                yield image
        if self._is_not_streamed(method):
            for image in await self.list_images():
                yield image

    async def stats_of_containers(
        self, labels: Mapping[str, str] | None = None, *, sandbox_id: str = ""
    ) -> AsyncGenerator[api.ContainerStats, None]:
        """Yield the usage of the running containers that have all of these labels."""
        selected = api.ContainerStatsFilter(label_selector=labels or {}, pod_sandbox_id=sandbox_id)
        request = api.StreamContainerStatsRequest(filter=selected)
        async for response in self._streamed(_SERVICE.StreamContainerStats, request):
            for stats in response.container_stats:
                yield stats
        if self._is_not_streamed(_SERVICE.StreamContainerStats):
            for stats in await self.list_container_stats(labels or {}, sandbox_id=sandbox_id):
                yield stats

    async def stats_of_pod_sandboxes(
        self, labels: Mapping[str, str] | None = None
    ) -> AsyncGenerator[api.PodSandboxStats, None]:
        """Yield the usage of the sandboxes that have all of these labels."""
        selected = api.PodSandboxStatsFilter(label_selector=labels or {})
        request = api.StreamPodSandboxStatsRequest(filter=selected)
        async for response in self._streamed(_SERVICE.StreamPodSandboxStats, request):
            for stats in response.pod_sandbox_stats:
                yield stats
        if self._is_not_streamed(_SERVICE.StreamPodSandboxStats):
            for stats in await self.list_pod_sandbox_stats(labels or {}):
                yield stats

    async def metrics_of_pod_sandboxes(self) -> AsyncGenerator[api.PodSandboxMetrics, None]:
        """Yield the metrics of all sandboxes; many runtimes raise Unimplemented."""
        method = _SERVICE.StreamPodSandboxMetrics
        async for response in self._streamed(method, api.StreamPodSandboxMetricsRequest()):
            for metrics in response.pod_sandbox_metrics:
                yield metrics
        if self._is_not_streamed(method):
            for metrics in await self.list_pod_sandbox_metrics():
                yield metrics

    async def _streamed(
        self, method: Method[Request, Response], request: Request
    ) -> AsyncGenerator[Response, None]:
        """Yield the responses of a streaming call; nothing if the runtime does not implement it."""
        if self._is_not_streamed(method):
            return
        try:
            async with self.stream(method, request, timeout=self.timeouts.usual) as responses:
                async for response in responses:
                    yield response
        except Unimplemented:
            self._not_streamed |= {name_of(method)}

    def _is_not_streamed(self, method: Method[Any, Any]) -> bool:
        return name_of(method) in self._not_streamed
