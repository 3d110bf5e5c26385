"""What Kakuri's processes have in common: options, logs, readiness and a graceful end."""

from kakuri_daemon._version import __version__

__all__ = ["__version__"]
