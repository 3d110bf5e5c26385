"""Kakuri's control plane: workloads over HTTP.

Names are imported when they are first used, so that the command can import its event loop without
OpenSSL first.
"""

from importlib import import_module

from kakuri_control_plane._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_control_plane._api import Api
    from kakuri_control_plane._cli import control_plane_service

__all__ = ["Api", "__version__", "control_plane_service"]

_HOMES = {"Api": "_api", "control_plane_service": "_cli"}


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
