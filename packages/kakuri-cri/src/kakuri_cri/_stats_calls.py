"""The calls about statistics and metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from kakuri_protobuf import Method

from kakuri_cri import api
from kakuri_cri._caller import Caller, required
from kakuri_cri._responses import read_items

_SERVICE = api.RuntimeService


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """A list whose items are not decoded."""

    items: Annotated[tuple[bytes, ...], 1] = ()


_CONTAINER_ITEMS = Method(_SERVICE.ListContainerStats.path, api.ListContainerStatsRequest, _Items)
_SANDBOX_ITEMS = Method(_SERVICE.ListPodSandboxStats.path, api.ListPodSandboxStatsRequest, _Items)


class StatsCalls(Caller):
    """Reads the resource usage of containers and sandboxes.

    A value that the runtime does not report is None; 0 is a measurement.
    """

    async def container_stats(
        self, container_id: str, timeout: float | None = None
    ) -> api.ContainerStats:
        """Return the usage of a container.

        Raises:
            NotFound: There is no container with this id.
            CriError: The call failed.
        """
        request = api.ContainerStatsRequest(container_id=container_id)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ContainerStats, request, timeout=timeout)
        return required("ContainerStats", "stats", response.stats)

    async def list_container_stats(
        self, labels: Mapping[str, str], *, sandbox_id: str = "", timeout: float | None = None
    ) -> list[api.ContainerStats]:
        """Return the usage of the running containers that have all of these labels.

        Args:
            labels: All of them must match exactly.
            sandbox_id: The sandbox whose containers to return; empty for all.
            timeout: Seconds; `timeouts.usual` if None.
        """
        selected = api.ContainerStatsFilter(label_selector=labels, pod_sandbox_id=sandbox_id)
        request = api.ListContainerStatsRequest(filter=selected)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ListContainerStats, request, timeout=timeout)
        return list(response.stats)

    async def pod_sandbox_stats(
        self, sandbox_id: str, timeout: float | None = None
    ) -> api.PodSandboxStats:
        """Return the usage of a sandbox and its containers (CRI 1.23).

        Raises:
            NotFound: There is no sandbox with this id.
            CriError: The call failed.
        """
        request = api.PodSandboxStatsRequest(pod_sandbox_id=sandbox_id)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.PodSandboxStats, request, timeout=timeout)
        return required("PodSandboxStats", "stats", response.stats)

    async def list_pod_sandbox_stats(
        self, labels: Mapping[str, str], timeout: float | None = None
    ) -> list[api.PodSandboxStats]:
        """Return the usage of the sandboxes that have all of these labels (CRI 1.23)."""
        selected = api.PodSandboxStatsFilter(label_selector=labels)
        request = api.ListPodSandboxStatsRequest(filter=selected)
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ListPodSandboxStats, request, timeout=timeout)
        return list(response.stats)

    async def visit_container_stats(
        self,
        labels: Mapping[str, str],
        visit: Callable[[api.ContainerStats], None],
        timeout: float | None = None,
    ) -> None:
        """Call a function with the usage of each container that `list_container_stats` returns.

        Items are decoded one at a time, because a list of 5,000 containers would take 100 MB, and
        other tasks run in between, because it takes a second.

        Args:
            labels: All of them must match exactly.
            visit: The function; it must not raise.
            timeout: Seconds for the call, without decoding the items; `timeouts.usual` if None.
        """
        selected = api.ContainerStatsFilter(label_selector=labels)
        request = api.ListContainerStatsRequest(filter=selected)
        response = await self.call(_CONTAINER_ITEMS, request, timeout=self._seconds(timeout))
        await read_items(self._codec, _CONTAINER_ITEMS, response.items, api.ContainerStats, visit)

    async def visit_pod_sandbox_stats(
        self,
        labels: Mapping[str, str],
        visit: Callable[[api.PodSandboxStats], None],
        timeout: float | None = None,
    ) -> None:
        """Call a function with the usage of each sandbox that `list_pod_sandbox_stats` returns.

        See `visit_container_stats`.
        """
        selected = api.PodSandboxStatsFilter(label_selector=labels)
        request = api.ListPodSandboxStatsRequest(filter=selected)
        response = await self.call(_SANDBOX_ITEMS, request, timeout=self._seconds(timeout))
        await read_items(self._codec, _SANDBOX_ITEMS, response.items, api.PodSandboxStats, visit)

    async def list_metric_descriptors(
        self, timeout: float | None = None
    ) -> list[api.MetricDescriptor]:
        """Describe the metrics of `list_pod_sandbox_metrics`; many runtimes raise Unimplemented."""
        request = api.ListMetricDescriptorsRequest()
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ListMetricDescriptors, request, timeout=timeout)
        return list(response.descriptors)

    async def list_pod_sandbox_metrics(
        self, timeout: float | None = None
    ) -> list[api.PodSandboxMetrics]:
        """Return the metrics of all sandboxes; many runtimes raise Unimplemented."""
        request = api.ListPodSandboxMetricsRequest()
        timeout = self._seconds(timeout)
        response = await self.call(_SERVICE.ListPodSandboxMetrics, request, timeout=timeout)
        return list(response.pod_metrics)
