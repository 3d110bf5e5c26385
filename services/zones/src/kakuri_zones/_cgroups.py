"""Below which cgroup zones lie, in the form that the runtime's cgroup driver takes."""

import structlog
from kakuri_cri import Runtime, Unimplemented, api

log = structlog.get_logger()

# A path for the one driver is an error for the other.
CGROUPFS_PARENT = "/kakuri"
SYSTEMD_PARENT = "/kakuri.slice"


class CgroupParent:
    """Knows the parent, once the runtime was asked.

    A parent that is given is taken as it is. A runtime that can't tell its driver (before CRI
    1.28) gets the one for cgroupfs.
    """

    def __init__(self, cri: Runtime, given: str | None = None) -> None:
        self._cri = cri
        self._parent = given
        self.has_runtime_config: bool | None = None
        """Whether the runtime tells its driver; None before it was asked."""

    async def __call__(self) -> str:
        """Give the parent. Raises CriError if the runtime does not answer."""
        if self._parent is None:
            self._parent = await self.ask() or CGROUPFS_PARENT
            log.info("cgroup parent", path=self._parent)
        return self._parent

    async def ask(self, timeout: float | None = None) -> str | None:
        """Give the parent for the runtime's driver; None if it can't tell."""
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
