"""The causes of problem details, as the API's OpenAPI document describes them."""

from dataclasses import dataclass
from typing import Any, ClassVar

from kakuri_daemon.api.openapi import Header, Problem, ProblemKind
from kakuri_rpc import StoreId

RETRY = (Header("Retry-After", "Seconds after which to try again.", "[0-9]{1,3}"),)


@dataclass(frozen=True, slots=True)
class Compacted(Problem):
    """The problem of a client that can't continue after its index without a gap.

    Attributes:
        oldest: The smallest index that events can be read after.
        newest: The current index.
        store_id: The id of the agent's store, if the client named another one.
    """

    __json__: ClassVar[dict[str, Any]] = {"omit_defaults": True}

    oldest: int | None = None
    newest: int | None = None
    store_id: StoreId | None = None


BAD_REQUEST = ProblemKind("bad_request", 400, "the path, query, header or content is not valid")
FORBIDDEN_USER = ProblemKind(
    "forbidden_user", 403, "the client's user may not use this server over loopback"
)
CROSS_SITE = ProblemKind("cross_site", 403, "a page of another site sent the request")
MISDIRECTED = ProblemKind("misdirected_request", 421, "`Host` is not a name of this server")
INTERNAL = ProblemKind("internal", 500, "the control plane failed")
COMMON = (BAD_REQUEST, FORBIDDEN_USER, CROSS_SITE, MISDIRECTED, INTERNAL)

UNREACHABLE = ProblemKind("agent_unreachable", 503, "the agent can't be reached", RETRY)
TIMEOUT = ProblemKind("agent_timeout", 504, "the agent did not answer in time")
AGENT = (
    UNREACHABLE,
    TIMEOUT,
    ProblemKind("unexpected_reply", 500, "the agent's reply does not follow the protocol"),
    ProblemKind("runtime", 500, "the container runtime refused or failed"),
    ProblemKind("internal", 500, "the agent failed"),
    ProblemKind("bad_request", 500, "an agent of another version refused the request"),
    ProblemKind("runtime_unavailable", 503, "the container runtime does not answer", RETRY),
)
"""The errors of every request that is passed on to the agent."""

READINESS = tuple(ProblemKind(kind.code, 503, kind.description, RETRY) for kind in AGENT)
"""The same for the readiness probe, which has one status for all."""

NOT_FOUND = ProblemKind("not_found", 404, "there is nothing with this id, name or path")
CONFLICT = ProblemKind(
    "conflict", 409,
    "the id belongs to another specification, of which `errors` has the differences, or the "
    "workload is being removed",
)  # fmt: skip
VERSION_MISMATCH = ProblemKind(
    "version_mismatch", 412, "the workload has none of the versions of `If-Match`"
)
COMPACTED = ProblemKind(
    "compacted", 410,
    "events after the index are no longer kept, the index is in the future, or another store "
    "issued it: list again",
    content=Compacted,
)  # fmt: skip
CONTENT_TOO_LARGE = ProblemKind("content_too_large", 413, "the content exceeds a limit in bytes")
TOO_LARGE = ProblemKind("too_large", 413, "the workload exceeds its limit in bytes")
MEDIA_TYPE = ProblemKind(
    "unsupported_media_type",
    415,
    "the content has a media type that can't be JSON, or a content coding",
)
NEVER_FITS = ProblemKind(
    "never_fits",
    422,
    "the workload needs more than the node has; `errors` has the figures",
)
CAPACITY = ProblemKind("capacity", 503, "the node has no room at the moment", RETRY)
BUSY = ProblemKind("busy", 503, "too many expensive requests are in progress", RETRY)
TOO_MANY_LOGS = ProblemKind("too_many_logs", 503, "too many logs are being read", RETRY)
TOO_MANY_SCRAPES = ProblemKind("too_many_scrapes", 503, "too many clients read metrics", RETRY)
TOO_MANY_STREAMS = ProblemKind("too_many_streams", 503, "too many clients read events", RETRY)
