"""The cgroup parent of zones, in the form of the runtime's cgroup driver."""

import structlog
from kakuri_cri import Runtime, Unimplemented, api

log = structlog.get_logger()

# Each driver refuses the other's form.
CGROUPFS_PARENT = "/kakuri"
SYSTEMD_PARENT = "/kakuri.slice"


class CgroupParent:
    """Returns the cgroup parent of zones, and requests the runtime's cgroup driver only once.

    Args:
        cri: The runtime.
        configured: A parent to use in any case.

    Attributes:
        has_runtime_config: Whether the runtime reports its cgroup driver, which it does from
            CRI 1.28 on; None before the first request.
    """

    def __init__(self, cri: Runtime, configured: str | None = None) -> None:
        self._cri = cri
        self._parent = configured
        self.has_runtime_config: bool | None = None

    async def __call__(self) -> str:
        """Return the parent: the one for cgroupfs if the runtime does not report its driver.

        Raises:
            CriError: The runtime does not answer.
        """
        if self._parent is None:
            self._parent = await self.request() or CGROUPFS_PARENT
            log.info("cgroup parent", path=self._parent)
        return self._parent

    async def request(self, timeout: float | None = None) -> str | None:
        """Request the driver; return the parent for it, or None if the runtime has no such call.

        Raises:
            CriError: The runtime does not answer.
        """
        try:
            config = await self._cri.runtime_config(timeout)
        except Unimplemented:
            self.has_runtime_config = False
            return None
        self.has_runtime_config = True
        if config.linux is None:
            return None
        # An absent driver in a present message is systemd.
        is_systemd = config.linux.cgroup_driver == api.CgroupDriver.SYSTEMD
        return SYSTEMD_PARENT if is_systemd else CGROUPFS_PARENT
