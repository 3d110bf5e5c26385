"""The command `kakuri`: run and watch workloads through the HTTP API of a control plane."""

from kakuri._main import main
from kakuri._version import __version__

__all__ = ["__version__", "main"]

main.__module__ = __name__
