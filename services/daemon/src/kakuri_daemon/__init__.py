"""What Kakuri's processes have in common: options, logs, readiness and a graceful end."""

from kakuri_daemon._command import ENDPOINT, EXIT_USAGE, DaemonCommand, DaemonError
from kakuri_daemon._logs import configure_logs
from kakuri_daemon._run import run
from kakuri_daemon._version import __version__

__all__ = [
    "ENDPOINT",
    "EXIT_USAGE",
    "DaemonCommand",
    "DaemonError",
    "__version__",
    "configure_logs",
    "run",
]
