"""The version, conditions and handlers of a fake runtime."""

import json
from collections.abc import Collection

from kakuri_cri import api
from kakuri_cri.testing._objects import Pause


class FakeNode:
    """Handles Version, Status and RuntimeConfig.

    Attributes:
        conditions: The conditions by type; without NetworkReady, no sandbox can be created.
        handlers: Names of the runtime handlers; the default one has an empty name.
        lists_handlers: Whether Status includes the handlers, as in runtimes since CRI 1.30.
        accepts_sysctls: Whether RunPodSandbox accepts a configuration with sysctls.
        stops_missing: Whether StopContainer succeeds for a missing container, as the protocol
            requires; containerd 1.6 returns NOT_FOUND.
        cgroup_driver: "systemd" or "cgroupfs".
        sandbox_image: Reference of the image for sandboxes, as reported by containerd.
        name: Name of the runtime.
        version: Version of the runtime.
    """

    def __init__(self, handlers: Collection[str]) -> None:
        self.conditions: dict[str, bool] = {"RuntimeReady": True, "NetworkReady": True}
        self.handlers: list[str] = list(handlers)
        self.lists_handlers = True
        self.accepts_sysctls = True
        self.stops_missing = True
        self.cgroup_driver = "cgroupfs"
        self.sandbox_image = ""
        self.name = "fake"
        self.version = "1.2.3"

    async def handle_version(
        self, _request: api.VersionRequest, pause: Pause
    ) -> api.VersionResponse:
        """Return names and versions."""
        await pause()
        return api.VersionResponse(
            version="0.1.0",
            runtime_name=self.name,
            runtime_version=self.version,
            runtime_api_version="v1",
        )

    async def handle_status(self, request: api.StatusRequest, pause: Pause) -> api.StatusResponse:
        """Return the conditions and the handlers."""
        await pause()
        conditions = tuple(
            api.RuntimeCondition(
                type=name, status=holds, reason="" if holds else name.replace("Ready", "NotReady")
            )
            for name, holds in self.conditions.items()
        )
        handlers = tuple(api.RuntimeHandler(name=name) for name in self.handlers)
        config = json.dumps({"sandboxImage": self.sandbox_image})
        return api.StatusResponse(
            status=api.RuntimeStatus(conditions=conditions),
            info={"config": config} if request.verbose else {},
            runtime_handlers=handlers if self.lists_handlers else (),
        )

    async def handle_config(
        self, _request: api.RuntimeConfigRequest, pause: Pause
    ) -> api.RuntimeConfigResponse:
        """Return the cgroup driver."""
        await pause()
        driver = api.CgroupDriver[self.cgroup_driver.upper()]
        linux = api.LinuxRuntimeConfiguration(cgroup_driver=driver)
        return api.RuntimeConfigResponse(linux=linux)
