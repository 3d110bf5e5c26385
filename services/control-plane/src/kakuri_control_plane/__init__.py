"""Kakuri's control plane: workloads over HTTP."""

from kakuri_control_plane._api import Api
from kakuri_control_plane._cli import control_plane_service
from kakuri_control_plane._version import __version__

__all__ = ["Api", "__version__", "control_plane_service"]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
