"""Kakuri's sidecar: zones as JSON over HTTP, in front of a CRI runtime."""

from kakuri_sidecar._grpcio import GrpcioChannel
from kakuri_sidecar._service import sidecar_service
from kakuri_sidecar._version import __version__

__all__ = ["GrpcioChannel", "__version__", "sidecar_service"]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
