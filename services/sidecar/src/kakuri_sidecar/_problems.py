"""Errors of zones as problem details (RFC 9457)."""

from collections.abc import Callable, Mapping
from typing import Any

from kakuri_cri import CriError
from kakuri_http import Response, problem
from kakuri_zones import StartFailed, ZoneError, error_code

RETRY_AFTER = {"Retry-After": "1"}
"""The delay in seconds after which a restarted runtime usually answers again."""

STATUSES = {
    "bad_request": 400,
    "not_found": 404,
    "conflict": 409,
    "stale_agent": 409,
    "Stopped": 409,
    "RuntimeError": 502,
    "RuntimeUnavailable": 503,
}
"""The HTTP status of each code; 502 for the reason of a failed start, 500 for any other."""


class StaleAgent(Exception):
    """A request is from an agent other than the one that opened the stream of events last."""

    code = "stale_agent"


def zone_problem(error: ZoneError | CriError | StaleAgent) -> Response:
    """Return the answer to a request that could not be carried out."""
    code = error.code if isinstance(error, StaleAgent) else error_code(error)
    status = 502 if isinstance(error, StartFailed) else STATUSES.get(code, 500)
    headers = RETRY_AFTER if status == STATUSES["RuntimeUnavailable"] else None
    return problem(status, code=code, detail=str(error), headers=headers)


PROBLEMS: Mapping[type[Exception], Callable[[Any], Response]] = dict.fromkeys(
    (ZoneError, CriError, StaleAgent), zone_problem
)
"""The function that builds the response, for each kind of exception of the handlers."""
