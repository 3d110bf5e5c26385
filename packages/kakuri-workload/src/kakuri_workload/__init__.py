"""The types of workloads and zones that Kakuri's processes exchange."""

from kakuri_workload._copyable_error import CopyableError
from kakuri_workload._differences import differences
from kakuri_workload._document import oversized_strings
from kakuri_workload._events import (
    LogEvent,
    LogGrown,
    LogsWatched,
    RuntimeHealth,
    ZoneChanged,
    ZoneEvent,
    ZoneGone,
    ZonesListed,
)
from kakuri_workload._fast_init import fast_init
from kakuri_workload._grammar import (
    DIGEST,
    IMAGE_REFERENCE,
    LABEL_KEY,
    MAX_ID_LENGTH,
    MAX_IMAGE_LENGTH,
    TRACE_ID,
    WORKLOAD_ID,
    MaxLength,
    Range,
    Text,
)
from kakuri_workload._image import ImageState, ImageStatus
from kakuri_workload._isolation import Isolation
from kakuri_workload._limits import MAX_DOCUMENT_BYTES, MAX_STRING_BYTES
from kakuri_workload._log_records import (
    LOG_GAP,
    MAX_RECORD_HEADER,
    LogAttempt,
    LogRecord,
    LogSelection,
    LogStream,
    LogTime,
    log_time,
    read_records,
    select_records,
    write_record,
)
from kakuri_workload._logs import DEFAULT_LOG_BYTES, LogChunk, LogRequest
from kakuri_workload._node_events import Event, EventType, TraceId, Version
from kakuri_workload._removal import Removal
from kakuri_workload._run import Run
from kakuri_workload._state import (
    DESIRED_TRANSITIONS,
    TRANSITIONS,
    DesiredState,
    WorkloadState,
)
from kakuri_workload._text import printable
from kakuri_workload._transition import (
    MAX_HISTORY,
    MAX_TIME,
    Attempt,
    ExitCode,
    History,
    Timestamp,
    Transition,
)
from kakuri_workload._version import __version__
from kakuri_workload._workload import (
    DEFAULT_CPU_MILLICORES,
    DEFAULT_MEMORY_MB,
    DEFAULT_RUNTIME_CLASS,
    MAX_RESTARTS,
    Arguments,
    Environment,
    ImageReference,
    Labels,
    PullPolicy,
    Quantity,
    RestartPolicy,
    RuntimeClass,
    User,
    WorkingDirectory,
    Workload,
    WorkloadId,
)
from kakuri_workload._zone import MAX_SPEC_BYTES, ZoneSpec, ZoneStatus, present_spelling

__all__ = [
    "DEFAULT_CPU_MILLICORES",
    "DEFAULT_LOG_BYTES",
    "DEFAULT_MEMORY_MB",
    "DEFAULT_RUNTIME_CLASS",
    "DESIRED_TRANSITIONS",
    "DIGEST",
    "IMAGE_REFERENCE",
    "LABEL_KEY",
    "LOG_GAP",
    "MAX_DOCUMENT_BYTES",
    "MAX_HISTORY",
    "MAX_ID_LENGTH",
    "MAX_IMAGE_LENGTH",
    "MAX_RECORD_HEADER",
    "MAX_RESTARTS",
    "MAX_SPEC_BYTES",
    "MAX_STRING_BYTES",
    "MAX_TIME",
    "TRACE_ID",
    "TRANSITIONS",
    "WORKLOAD_ID",
    "Arguments",
    "Attempt",
    "CopyableError",
    "DesiredState",
    "Environment",
    "Event",
    "EventType",
    "ExitCode",
    "History",
    "ImageReference",
    "ImageState",
    "ImageStatus",
    "Isolation",
    "Labels",
    "LogAttempt",
    "LogChunk",
    "LogEvent",
    "LogGrown",
    "LogRecord",
    "LogRequest",
    "LogSelection",
    "LogStream",
    "LogTime",
    "LogsWatched",
    "MaxLength",
    "PullPolicy",
    "Quantity",
    "Range",
    "Removal",
    "RestartPolicy",
    "Run",
    "RuntimeClass",
    "RuntimeHealth",
    "Text",
    "Timestamp",
    "TraceId",
    "Transition",
    "User",
    "Version",
    "WorkingDirectory",
    "Workload",
    "WorkloadId",
    "WorkloadState",
    "ZoneChanged",
    "ZoneEvent",
    "ZoneGone",
    "ZoneSpec",
    "ZoneStatus",
    "ZonesListed",
    "__version__",
    "differences",
    "fast_init",
    "log_time",
    "oversized_strings",
    "present_spelling",
    "printable",
    "read_records",
    "select_records",
    "write_record",
]

for _name in __all__:  # so that tracebacks show the public name
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
