"""What Kakuri's daemons share: options, logging, readiness and graceful shutdown.

`kakuri_daemon.api` is for daemons with an HTTP API. Names are imported when they are first used, so
that a process can call `import_loop_without_tls` before asyncio is imported.
"""

from kakuri_daemon._interrupt import end_at_interrupt
from kakuri_daemon._lazy_names import lazy_names
from kakuri_daemon._version import __version__
from kakuri_daemon._without_tls import import_loop_without_tls

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_daemon._command import (
        DaemonCommand,
        NonEmptyPath,
        NumberRange,
        WorkerCount,
        endpoint,
    )
    from kakuri_daemon._errors import EXIT_USAGE, DaemonError
    from kakuri_daemon._keyed_events import KeyedEvents, wait_until_set
    from kakuri_daemon._local_access import allow_user, listen_group, user_id
    from kakuri_daemon._logs import configure_logs, event_log
    from kakuri_daemon._private_directory import open_private_directory
    from kakuri_daemon._run import run
    from kakuri_daemon._settings import read_toml
    from kakuri_daemon._stream import LogStream
    from kakuri_daemon._supervision import shed_with
    from kakuri_daemon._tasks import cancel_all, create_deferred_task, retrieve_exception
    from kakuri_daemon._trace import current_trace, current_traceparent, set_trace
    from kakuri_daemon._worker_peers import WorkerPeers
    from kakuri_daemon._workers import run_workers

__all__ = [
    "EXIT_USAGE",
    "DaemonCommand",
    "DaemonError",
    "KeyedEvents",
    "LogStream",
    "NonEmptyPath",
    "NumberRange",
    "WorkerCount",
    "WorkerPeers",
    "__version__",
    "allow_user",
    "cancel_all",
    "configure_logs",
    "create_deferred_task",
    "current_trace",
    "current_traceparent",
    "end_at_interrupt",
    "endpoint",
    "event_log",
    "import_loop_without_tls",
    "lazy_names",
    "listen_group",
    "open_private_directory",
    "read_toml",
    "retrieve_exception",
    "run",
    "run_workers",
    "set_trace",
    "shed_with",
    "user_id",
    "wait_until_set",
]

_HOMES = {
    "DaemonCommand": "_command",
    "DaemonError": "_errors",
    "EXIT_USAGE": "_errors",
    "KeyedEvents": "_keyed_events",
    "LogStream": "_stream",
    "NonEmptyPath": "_command",
    "NumberRange": "_command",
    "WorkerCount": "_command",
    "WorkerPeers": "_worker_peers",
    "allow_user": "_local_access",
    "cancel_all": "_tasks",
    "configure_logs": "_logs",
    "create_deferred_task": "_tasks",
    "current_trace": "_trace",
    "current_traceparent": "_trace",
    "endpoint": "_command",
    "event_log": "_logs",
    "listen_group": "_local_access",
    "open_private_directory": "_private_directory",
    "read_toml": "_settings",
    "retrieve_exception": "_tasks",
    "run": "_run",
    "run_workers": "_workers",
    "set_trace": "_trace",
    "shed_with": "_supervision",
    "user_id": "_local_access",
    "wait_until_set": "_keyed_events",
}


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name
    __getattr__ = lazy_names(__name__, _HOMES)

# Tracebacks show where users import a name from.
end_at_interrupt.__module__ = lazy_names.__module__ = __name__
import_loop_without_tls.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
