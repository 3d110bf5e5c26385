"""What Kakuri's daemons share: options, logging, readiness and graceful shutdown.

`kakuri_daemon.api` has what those with an HTTP API share besides.
"""

from kakuri_daemon._command import EXIT_USAGE, DaemonCommand, DaemonError, WorkerCount, endpoint
from kakuri_daemon._listen_group import listen_group
from kakuri_daemon._logs import configure_logs, event_log
from kakuri_daemon._private_directory import open_private_directory
from kakuri_daemon._run import run
from kakuri_daemon._settings import read_toml
from kakuri_daemon._stream import LogStream
from kakuri_daemon._supervision import shed_with
from kakuri_daemon._trace import current_trace, current_traceparent, set_trace
from kakuri_daemon._version import __version__
from kakuri_daemon._worker_peers import WorkerPeers
from kakuri_daemon._workers import run_workers

__all__ = [
    "EXIT_USAGE",
    "DaemonCommand",
    "DaemonError",
    "LogStream",
    "WorkerCount",
    "WorkerPeers",
    "__version__",
    "configure_logs",
    "current_trace",
    "current_traceparent",
    "endpoint",
    "event_log",
    "listen_group",
    "open_private_directory",
    "read_toml",
    "run",
    "run_workers",
    "set_trace",
    "shed_with",
]

for _name in __all__:  # tracebacks show where users import a name from
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
