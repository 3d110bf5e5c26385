"""The answer to each error of a zone or of the container runtime."""

import json
from pathlib import Path

import pytest
from kakuri_cri import CallRefused, CallTimeout, RuntimeUnavailable
from kakuri_sidecar._problems import PROBLEMS, StaleAgent, zone_problem
from kakuri_zones import LogCursorError, PullFailed, StartFailed, UnknownZone, ZoneConflict
from kakuri_zones._errors import NodeLocked, StartCancelled, UnknownRuntimeClass
from kakuri_zones.logs import LogNameError, LogStorageError, UnknownLog

ERRORS = [
    (LogCursorError("why"), 400, "bad_request"),
    (UnknownRuntimeClass("why"), 400, "bad_request"),
    (UnknownZone("why"), 404, "not_found"),
    (UnknownLog("why"), 404, "not_found"),
    (ZoneConflict("why"), 409, "conflict"),
    (StaleAgent("why"), 409, "stale_agent"),
    (StartCancelled("why"), 409, "Stopped"),
    (LogNameError("why"), 500, "internal"),
    (LogStorageError("why", "read", "reason"), 500, "internal"),
    (NodeLocked(Path("/logs")), 500, "node_locked"),
    (StartFailed("StartError", "why"), 502, "StartError"),
    (PullFailed("why", is_transient=True), 502, "ImagePullFailed"),
    (CallRefused("Version", "why"), 502, "RuntimeError"),
    (CallTimeout("Version", "why"), 503, "RuntimeUnavailable"),
    (RuntimeUnavailable("Version", "why"), 503, "RuntimeUnavailable"),
]


@pytest.mark.parametrize(
    ("error", "status", "code"), ERRORS, ids=[type(error).__name__ for error, *_ in ERRORS]
)
def test_error_has_its_status_and_code_and_503_when_to_try_again(error, status, code):
    response = zone_problem(error)
    document = json.loads(response.body)
    assert (response.status, document["status"], document["code"]) == (status, status, code)
    assert document["detail"] == str(error)
    assert response.headers.get("retry-after") == ("1" if status == 503 else None)


@pytest.mark.parametrize("error", [error for error, *_ in ERRORS])
def test_every_error_of_a_handler_is_answered(error):
    assert [kind for kind in PROBLEMS if isinstance(error, kind)]
