"""Kakuri's sidecar: zones as JSON over HTTP, in front of a CRI runtime.

Names are imported when they are first used, so that the command can import its event loop without
OpenSSL first.
"""

from kakuri_daemon import lazy_names

from kakuri_sidecar._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_sidecar._grpcio import GrpcioChannel
    from kakuri_sidecar._service import sidecar_service

__all__ = ["GrpcioChannel", "__version__", "sidecar_service"]

_HOMES = {"GrpcioChannel": "_grpcio", "sidecar_service": "_service"}


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
