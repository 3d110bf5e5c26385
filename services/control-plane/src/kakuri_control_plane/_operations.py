"""Descriptions of the routes of the API, from which `GET /openapi.json` is generated."""

from kakuri_daemon.api.openapi import AllOf, AnyOf, Header, Operation, ResponseKind
from kakuri_workload import Workload

from kakuri_control_plane._content import NoOptions, StopOptions
from kakuri_control_plane._event_views import EventView, Heartbeat, StreamGap, Synced
from kakuri_control_plane._exposition import CONTENT_TYPES
from kakuri_control_plane._headers import (
    ENTITY_TAGS,
    EVENT_INDEX,
    MAX_KEY_LENGTH,
)
from kakuri_control_plane._log_views import LOG_ENTRY
from kakuri_control_plane._nodes import NodePage, NodeView
from kakuri_control_plane._problem_kinds import (
    AGENT,
    BUSY,
    CAPACITY,
    COMPACTED,
    CONFLICT,
    CONTENT_TOO_LARGE,
    MEDIA_TYPE,
    NEVER_FITS,
    NOT_FOUND,
    READINESS,
    TOO_LARGE,
    TOO_MANY_LOGS,
    TOO_MANY_SCRAPES,
    TOO_MANY_STREAMS,
    VERSION_MISMATCH,
)
from kakuri_control_plane._service_views import Health, Index
from kakuri_control_plane._submissions import Submission
from kakuri_control_plane._views import (
    DryRun,
    HistoryView,
    RemovedWorkload,
    WorkloadDetails,
    WorkloadPage,
    WorkloadView,
)

STREAM_LINE = AnyOf(EventView, Synced, Heartbeat, StreamGap)
"""One line of a stream, or the data of one server-sent event."""

WORKLOADS, EVENTS, NODES, SERVICE = "workloads", "events", "nodes", "service"

ETAG = Header("ETag", "The version of the workload as an entity tag.", r'"[0-9]{1,16}"', '"12"')
LOCATION = Header("Location", "The path of the workload.", "/workloads/.+")
IF_MATCH = Header(
    "If-Match",
    "Versions, as `ETag` has them, or `*`. If the workload has another version, nothing is done, "
    "and the response is 412 (RFC 9110 section 13.1.1).",
    ENTITY_TAGS,
    '"12"',
)
IF_NONE_MATCH = Header(
    "If-None-Match",
    "Entity tags of copies that the client has; if one of them is current, the response is 304.",
    example='"12"',
)
IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    f"1 to {MAX_KEY_LENGTH} printable ASCII characters. If the workload has no id, its id is made "
    "from the key and the image, so that the request can be repeated. If it has one, the key is "
    "ignored.",
    example="order-7",
)
LAST_EVENT_ID = Header(
    "Last-Event-ID",
    "The same as `after`, which it overrides; browsers send it.",
    EVENT_INDEX,
    "12",
)
NO_STORE = Header("Cache-Control", "Events and metrics are never cached.", "no-store")
NO_CACHE = Header("Cache-Control", "Clients revalidate a copy before they use it.", "no-cache")
DOCUMENT_HEADERS = (Header("ETag", "The hash of the document.", '"[0-9a-f]{16}"'), NO_CACHE)
VARY = Header("Vary", "The response depends on `Accept`.", "Accept")
PAGE_HEADERS = (
    Header("ETag", "The hash of the file.", '"[0-9a-f]{32}"'),
    NO_CACHE,
    Header("Content-Security-Policy", "What the page may load and run."),
    Header("X-Content-Type-Options", "Browsers do not guess the type of a file.", "nosniff"),
    Header("Referrer-Policy", "Links do not disclose this server to other sites.", "no-referrer"),
    Header(
        "Cross-Origin-Opener-Policy",
        "Pages of other origins that open it get no reference to its window.",
        "same-origin",
    ),
    Header("Cross-Origin-Resource-Policy", "Other origins cannot load the files.", "same-origin"),
)
NO_SNIFF = Header("X-Content-Type-Options", "A log may contain anything.", "nosniff")
TRAILER = Header(
    "Trailer",
    "The response may end with the trailer `Kakuri-Log-Gap: true`: a part of the log was removed "
    "before it could be read.",
    "Kakuri-Log-Gap",
)

WORKLOAD = (*AGENT, NOT_FOUND)
WRITE = (*WORKLOAD, CONFLICT, VERSION_MISMATCH, MEDIA_TYPE, CONTENT_TOO_LARGE)

STATUS_ACCEPTED = ResponseKind(
    "The request is on disk and is being carried out.", WorkloadView, (ETAG,)
)

CREATE_WORKLOAD = Operation(
    id="createWorkload",
    tag=WORKLOADS,
    summary="Submit a workload",
    description="Only `image` is required, and either `id` or the header `Idempotency-Key`. "
    "Submitting the same workload again changes nothing.",
    body=Submission,
    is_body_required=True,
    example={"id": "web", "image": "nginx:1.27", "memory_mb": 256, "labels": {"team": "a"}},
    headers=(IDEMPOTENCY_KEY,),
    responses={
        201: ResponseKind(
            "The workload was created; omitted fields have their defaults.", Workload, (LOCATION,)
        ),
        200: ResponseKind(
            "The workload exists already, with its status; with `dry_run`, what would be done.",
            AnyOf(AllOf(Workload, WorkloadView), DryRun),
            (LOCATION,),
        ),
    },
    problems=(
        *AGENT,
        CONFLICT,
        TOO_LARGE,
        CONTENT_TOO_LARGE,
        MEDIA_TYPE,
        NEVER_FITS,
        CAPACITY,
        BUSY,
    ),
)
LIST_WORKLOADS = Operation(
    id="listWorkloads",
    tag=WORKLOADS,
    summary="List workloads in the order of their ids",
    responses={200: ResponseKind("A page of workloads.", WorkloadPage[WorkloadDetails])},
    problems=(*AGENT, BUSY),
)
GET_WORKLOAD = Operation(
    id="getWorkload",
    tag=WORKLOADS,
    summary="Return the status of a workload, or wait until it changes",
    description="Without `spec`, there is an `ETag` only with `If-Match` or `wait`.",
    headers=(IF_MATCH, IF_NONE_MATCH),
    responses={
        200: ResponseKind(
            "Its status; with `spec` everything that is known, and an `ETag`.",
            WorkloadDetails,
            (ETAG,),
        ),
        304: ResponseKind("The client has this version.", None, (ETAG,)),
    },
    problems=(*WORKLOAD, VERSION_MISMATCH, BUSY),
)
GET_LOG = Operation(
    id="getLog",
    tag=WORKLOADS,
    summary="Return the output of a workload, or follow it",
    description="Without parameters that select lines or a form, the log has exactly the bytes "
    "that the workload wrote. If it can't be sent completely, the response ends without its "
    "terminating chunk, and the connection is reset.",
    responses={
        200: ResponseKind(
            "The log.",
            {"text/plain; charset=utf-8": str, "application/x-ndjson": LOG_ENTRY},
            (NO_SNIFF, TRAILER),
        )
    },
    problems=(*WORKLOAD, TOO_MANY_LOGS),
)
GET_HISTORY = Operation(
    id="getHistory",
    tag=WORKLOADS,
    summary="Return the latest transitions of a workload",
    responses={200: ResponseKind("Its transitions, oldest first.", HistoryView)},
    problems=(*WORKLOAD, BUSY),
)
STOP_WORKLOAD = Operation(
    id="stopWorkload",
    tag=WORKLOADS,
    summary="Stop a workload, but keep its record, log and history",
    body=StopOptions,
    example={"grace_seconds": 3},
    headers=(IF_MATCH,),
    responses={202: STATUS_ACCEPTED, 200: ResponseKind("It has ended.", WorkloadView, (ETAG,))},
    problems=WRITE,
)
START_WORKLOAD = Operation(
    id="startWorkload",
    tag=WORKLOADS,
    summary="Start another run of a workload that has ended",
    body=NoOptions,
    headers=(IF_MATCH,),
    responses={202: STATUS_ACCEPTED, 200: ResponseKind("It runs.", WorkloadView, (ETAG,))},
    problems=(*WRITE, NEVER_FITS, CAPACITY),
)
RESTART_WORKLOAD = Operation(
    id="restartWorkload",
    tag=WORKLOADS,
    summary="End the current run of a workload, and begin the next one",
    body=StopOptions,
    headers=(IF_MATCH,),
    responses={202: STATUS_ACCEPTED},
    problems=(*WRITE, NEVER_FITS, CAPACITY),
)
DELETE_WORKLOAD = Operation(
    id="deleteWorkload",
    tag=WORKLOADS,
    summary="Stop and remove a workload",
    headers=(IF_MATCH,),
    responses={
        202: STATUS_ACCEPTED,
        200: ResponseKind("With `wait`: it was removed within that time.", RemovedWorkload),
    },
    problems=(*WORKLOAD, VERSION_MISMATCH, CONTENT_TOO_LARGE),
)
GET_EVENTS = Operation(
    id="getEvents",
    tag=EVENTS,
    summary="Stream the events of all workloads and of the node",
    description="Without `after`, the stream begins with the state of every workload. It never "
    "ends by itself, and has a heartbeat every 5 s. A client that continues after the last index "
    "it has seen, and names the store of that index, misses no event and gets none twice. With "
    "`Accept: text/event-stream`, events are server-sent events, whose `data` is the same JSON.",
    headers=(LAST_EVENT_ID,),
    responses={
        200: ResponseKind(
            "A stream of events, one a line.",
            {"application/x-ndjson": STREAM_LINE, "text/event-stream": STREAM_LINE},
            (NO_STORE,),
        )
    },
    problems=(*AGENT, COMPACTED, TOO_MANY_STREAMS),
)
LIST_NODES = Operation(
    id="listNodes",
    tag=NODES,
    summary="List the nodes",
    responses={200: ResponseKind("All nodes.", NodePage)},
    problems=AGENT,
)
GET_NODE = Operation(
    id="getNode",
    tag=NODES,
    summary="Return one node",
    responses={200: ResponseKind("The node.", NodeView)},
    problems=WORKLOAD,
)
GET_INDEX = Operation(
    id="getIndex",
    tag=SERVICE,
    summary="Return the name and version of the service, or the web page",
    description="A client that prefers `text/html` to JSON, as browsers do, gets the web page.",
    headers=(IF_NONE_MATCH,),
    responses={
        200: ResponseKind(
            "The name, the version and paths; or the page.",
            {"application/json": Index, "text/html; charset=utf-8": str},
            (VARY, *PAGE_HEADERS),
        ),
        304: ResponseKind("The client has this page.", None, PAGE_HEADERS),
    },
)
GET_ASSET = Operation(
    id="getPageFile",
    tag=SERVICE,
    summary="Return a style sheet, a script or an icon of the web page",
    description="The names are the page's own, and may change with its version.",
    headers=(IF_NONE_MATCH,),
    responses={
        200: ResponseKind(
            "The file.",
            {
                "text/css; charset=utf-8": str,
                "text/javascript; charset=utf-8": str,
                "image/svg+xml": str,
            },
            PAGE_HEADERS,
        ),
        304: ResponseKind("The client has this file.", None, PAGE_HEADERS),
    },
    problems=(NOT_FOUND,),
)
GET_HEALTH = Operation(
    id="getHealth",
    tag=SERVICE,
    summary="Report that the process serves requests",
    responses={200: ResponseKind("The process serves requests.", Health)},
)
GET_READINESS = Operation(
    id="getReadiness",
    tag=SERVICE,
    summary="Report whether workloads can be run",
    responses={200: ResponseKind("The agent answers, and its runtime can run zones.", Health)},
    problems=READINESS,
)
GET_METRICS = Operation(
    id="getMetrics",
    tag=SERVICE,
    summary="Return the metrics of this process, of its node and of all zones",
    description="A client that prefers OpenMetrics to plain text, as Prometheus does, gets that. "
    "While the agent does not answer, its series are missing and `kakuri_agent_up` is 0.",
    responses={
        200: ResponseKind(
            "The metrics.",
            dict.fromkeys(CONTENT_TYPES.values(), str),
            (NO_STORE,),
        )
    },
    problems=(TOO_MANY_SCRAPES,),
)
GET_OPENAPI = Operation(
    id="getOpenAPI",
    tag=SERVICE,
    summary="Return this document",
    headers=(IF_NONE_MATCH,),
    responses={
        200: ResponseKind("The document.", dict[str, object], DOCUMENT_HEADERS),
        304: ResponseKind("The client has this document.", None, DOCUMENT_HEADERS),
    },
)

OPERATIONS = {
    "POST /workloads": CREATE_WORKLOAD,
    "GET /workloads": LIST_WORKLOADS,
    "GET /workloads/:id<workload>": GET_WORKLOAD,
    "GET /workloads/:id<workload>/log": GET_LOG,
    "GET /workloads/:id<workload>/history": GET_HISTORY,
    "POST /workloads/:id<workload>/stop": STOP_WORKLOAD,
    "POST /workloads/:id<workload>/start": START_WORKLOAD,
    "POST /workloads/:id<workload>/restart": RESTART_WORKLOAD,
    "DELETE /workloads/:id<workload>": DELETE_WORKLOAD,
    "GET /events": GET_EVENTS,
    "GET /nodes": LIST_NODES,
    "GET /nodes/:name<node>": GET_NODE,
    "GET /": GET_INDEX,
    "GET /ui/:name<file>": GET_ASSET,
    "GET /healthz": GET_HEALTH,
    "GET /metrics": GET_METRICS,
    "GET /readyz": GET_READINESS,
    "GET /openapi.json": GET_OPENAPI,
}
"""The description of each route."""
