"""Kakuri's sidecar: zones as JSON over HTTP, in front of a CRI runtime.

Names are imported when they are first used, so that the command can import its event loop without
OpenSSL first.
"""

from importlib import import_module

from kakuri_sidecar._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_sidecar._grpcio import GrpcioChannel
    from kakuri_sidecar._service import sidecar_service

__all__ = ["GrpcioChannel", "__version__", "sidecar_service"]

_HOMES = {"GrpcioChannel": "_grpcio", "sidecar_service": "_service"}


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        value.__module__ = __name__  # tracebacks show where users import a name from
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
