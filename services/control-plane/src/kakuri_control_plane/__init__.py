"""Kakuri's control plane: workloads over HTTP.

Names are imported when they are first used, so that the command can import its event loop without
OpenSSL first.
"""

from kakuri_daemon import lazy_names

from kakuri_control_plane._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_control_plane._api import Api
    from kakuri_control_plane._cli import control_plane_service

__all__ = ["Api", "__version__", "control_plane_service"]

_HOMES = {"Api": "_api", "control_plane_service": "_cli"}


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
