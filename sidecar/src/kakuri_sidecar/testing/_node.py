"""What a runtime that is not there tells about itself."""

from collections.abc import Collection

from kakuri_json import encode

from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar.testing._objects import Pause


class FakeNode:
    """What Version, Status and RuntimeConfig answer.

    Attributes:
        conditions: what holds, by type; without NetworkReady no sandbox can be run.
        handlers: the runtime handlers; the default one has an empty name.
        tells_handlers: whether Status lists them, as runtimes do since CRI 1.30.
        stops_missing: whether StopContainer succeeds for a container that is gone, as the
            protocol demands; containerd 1.6 says NOT_FOUND.
        cgroup_driver: "systemd" or "cgroupfs".
        sandbox_image: the reference of the image of sandboxes, as containerd tells it.
        name, version: of the runtime.

    """

    def __init__(self, handlers: Collection[str]) -> None:
        self.conditions = {"RuntimeReady": True, "NetworkReady": True}
        self.handlers = list(handlers)
        self.tells_handlers = True
        self.stops_missing = True
        self.cgroup_driver = "cgroupfs"
        self.sandbox_image = ""
        self.name = "fake"
        self.version = "1.2.3"

    async def tell_version(self, _request: api.VersionRequest, pause: Pause) -> api.VersionResponse:
        """Tell names and versions."""
        await pause()
        return api.VersionResponse(
            version="0.1.0",
            runtime_name=self.name,
            runtime_version=self.version,
            runtime_api_version="v1",
        )

    async def tell_status(self, request: api.StatusRequest, pause: Pause) -> api.StatusResponse:
        """Tell the conditions and the handlers."""
        await pause()
        conditions = [
            api.RuntimeCondition(
                type=name, status=holds, reason="" if holds else name.replace("Ready", "NotReady")
            )
            for name, holds in self.conditions.items()
        ]
        handlers = [api.RuntimeHandler(name=name) for name in self.handlers]
        config = encode({"sandboxImage": self.sandbox_image}).decode()
        return api.StatusResponse(
            status=api.RuntimeStatus(conditions=conditions),
            info={"config": config} if request.verbose else {},
            runtime_handlers=handlers if self.tells_handlers else [],
        )

    async def tell_config(
        self, _request: api.RuntimeConfigRequest, pause: Pause
    ) -> api.RuntimeConfigResponse:
        """Tell the cgroup driver."""
        await pause()
        linux = api.LinuxRuntimeConfiguration(cgroup_driver=self.cgroup_driver.upper())
        return api.RuntimeConfigResponse(linux=linux)
