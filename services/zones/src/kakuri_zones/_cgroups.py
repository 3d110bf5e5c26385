"""The cgroup parent of zones, in the form of the runtime's cgroup driver."""

import time

import structlog
from kakuri_cri import Runtime, Unimplemented, api

log = structlog.get_logger()

# Each driver refuses the other's form.
CGROUPFS_PARENT = "/kakuri"
SYSTEMD_PARENT = "/kakuri.slice"


class CgroupParent:
    """Returns the cgroup parent of zones.

    The runtime is asked for its cgroup driver once, and again after it was unavailable, because it
    may have been restarted with another driver or replaced by another version.

    Args:
        cri: The runtime.
        configured: A parent to use in any case.

    Attributes:
        has_runtime_config: Whether the runtime reports its cgroup driver, which it does from
            CRI 1.28 on; None before the first request.
    """

    def __init__(self, cri: Runtime, configured: str | None = None) -> None:
        self._cri = cri
        self._configured = configured
        self._parent: str | None = None
        self._requested_at = 0.0
        self.has_runtime_config: bool | None = None

    async def __call__(self) -> str:
        """Return the parent: the one for cgroupfs if the runtime does not report its driver.

        Raises:
            CriError: The runtime does not answer.
        """
        if self._configured is not None:
            return self._configured
        if self._parent is None or self._is_outdated():
            now = time.monotonic()
            parent = await self.request() or CGROUPFS_PARENT
            if parent != self._parent:
                log.info("cgroup parent", path=parent)
            self._parent, self._requested_at = parent, now
        return self._parent

    def _is_outdated(self) -> bool:
        """Return whether the runtime was unavailable since its driver was requested."""
        return time.monotonic() - self._cri.seconds_since_silence >= self._requested_at

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
