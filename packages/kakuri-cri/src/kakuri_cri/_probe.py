"""Probes a runtime before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass

from kakuri_cri import api
from kakuri_cri._caller import Caller, required
from kakuri_cri._errors import Unimplemented, printable

_API_VERSION = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of `Runtime.probe`.

    Attributes:
        name: The runtime's name, such as `containerd`.
        version: The runtime's version, in its own format.
        api_version: The version of the CRI, always `v1`.
        handlers: The features of each runtime handler by name; the default handler has an empty
            name. None if the runtime does not list its handlers (before CRI 1.30).
        conditions: The conditions by type; the protocol requires `RuntimeReady` and `NetworkReady`.
        features: Features of the runtime as a whole; None before CRI 1.31.
        cgroup_driver: None if the runtime does not report it (before CRI 1.28).
    """

    name: str
    version: str
    api_version: str
    handlers: Mapping[str, api.RuntimeHandlerFeatures] | None
    conditions: Mapping[str, api.RuntimeCondition]
    features: api.RuntimeFeatures | None
    cgroup_driver: api.CgroupDriver | None

    @property
    def is_ready(self) -> bool:
        """Whether sandboxes can be created; does not include their network (`NetworkReady`)."""
        condition = self.conditions.get("RuntimeReady")
        return condition is not None and condition.status

    def has_handler(self, name: str) -> bool | None:
        """Return whether a runtime handler has this name; None if the runtime lists no handlers."""
        return None if self.handlers is None else name in self.handlers


async def probe(caller: Caller, timeout: float) -> ProbeResult:
    """Probe a runtime; see `Runtime.probe`."""
    request = api.VersionRequest(version="v1")
    version = await caller.call(api.RuntimeService.Version, request, timeout=timeout)
    required("Version", "runtime_name", version.runtime_name)
    if version.runtime_api_version != _API_VERSION:
        message = f"expected a runtime of CRI {_API_VERSION}, got {version.runtime_api_version!r}"
        raise Unimplemented("Version", printable(message), "UNIMPLEMENTED")
    status = await caller.call(api.RuntimeService.Status, api.StatusRequest(), timeout=timeout)
    conditions = status.status.conditions if status.status is not None else ()
    handlers = {handler.name: handler.features for handler in status.runtime_handlers}
    return ProbeResult(
        name=version.runtime_name,
        version=version.runtime_version,
        api_version=version.runtime_api_version,
        handlers={
            name: features or api.RuntimeHandlerFeatures() for name, features in handlers.items()
        }
        or None,
        conditions={condition.type: condition for condition in conditions},
        features=status.features,
        cgroup_driver=await _cgroup_driver(caller, timeout),
    )


async def _cgroup_driver(caller: Caller, timeout: float) -> api.CgroupDriver | None:
    request = api.RuntimeConfigRequest()
    try:
        response = await caller.call(api.RuntimeService.RuntimeConfig, request, timeout=timeout)
    except Unimplemented:
        return None
    return None if response.linux is None else response.linux.cgroup_driver
