"""Each limit of a message at its exact bound, and the figures that operators and peers rely on."""

import inspect
import json

import pytest
from kakuri_json import JSONError, LimitError, ValidationError, decode, encode
from kakuri_rpc import (
    AgentClient,
    DocumentTooLarge,
    ErrorReply,
    History,
    Reply,
    Request,
    Status,
    _document,
    _events,
    _fields,
    _log,
    _reply_checks,
    check_received,
)
from kakuri_workload import MAX_HISTORY, Run, Transition, WorkloadState

FAILED = WorkloadState.FAILED

REQUESTS = [
    ("StopWorkload", "grace_seconds", 0, 3600),
    ("RemoveWorkload", "grace_seconds", 0, 3600),
    ("RestartWorkload", "grace_seconds", 0, 3600),
    ("ListWorkloads", "limit", 1, 100),
    ("ReadLog", "tail", 0, 1_000_000),
    ("ReadLog", "wait_seconds", 0, 30),
    ("WatchChanges", "wait_seconds", 0, 30),
    ("WatchChanges", "limit", 1, 1000),
]


@pytest.mark.parametrize(("kind", "name", "least", "most"), REQUESTS)
def test_number_of_a_request_is_accepted_within_its_bounds_only(kind, name, least, most):
    whom = {} if kind in ("ListWorkloads", "WatchChanges") else {"id": "wl-1"}
    for value, is_valid in [(least - 1, False), (least, True), (most, True), (most + 1, False)]:
        message = json.dumps({"type": kind, **whom, name: value}).encode()
        if is_valid:
            assert getattr(decode(message, Request), name) == value
        else:
            with pytest.raises(JSONError, match=name):
                decode(message, Request)


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        ("StopWorkload", {"grace_seconds": 10, "expected_version": None, "with_version": False}),
        ("RemoveWorkload", {"grace_seconds": 10, "expected_version": None, "with_version": False}),
        ("RestartWorkload", {"grace_seconds": 10, "expected_version": None, "with_version": False}),
        ("RerunWorkload", {"expected_version": None, "with_version": False}),
        ("GetStatus", {"detail": False, "removed": False, "with_version": False}),
        ("GetHistory", {"removed": False}),
        (
            "ReadLog",
            {
                "tail": None, "after": None, "wait_seconds": 0, "bounded": False,
                "removed": False, "records": None,
            },
        ),
        (
            "ListWorkloads",
            {
                "state": None, "after": "", "limit": 100, "label": None, "detail": False,
                "removed": False,
            },
        ),
        ("WatchChanges", {"after": None, "wait_seconds": 0, "limit": 1000}),
    ],
)  # fmt: skip
def test_omitted_field_of_a_request_has_its_documented_default(kind, defaults):
    whom = {} if kind in ("ListWorkloads", "WatchChanges") else {"id": "wl-1"}
    request = decode(json.dumps({"type": kind, **whom}).encode(), Request)
    assert {name: getattr(request, name) for name in defaults} == defaults


@pytest.mark.parametrize(
    ("field", "length"), [("reason", 64), ("message", 1024), ("address", 64), ("image_digest", 135)]
)
def test_text_of_a_status_is_shortened_beyond_its_length(field, length):
    for text in ("x" * length, "x" * (length + 1)):
        shown = getattr(Status.of("wl-1", Run(FAILED, **{field: text})), field)
        assert shown == (text if len(text) == length else "x" * (length - 1) + "…")


def test_texts_of_a_history_are_shortened_like_those_of_a_status():
    step = Transition(1.0, FAILED, "r" * 65, "m" * 1025, 3, 2, 7)
    (found,) = History.of("wl-1", [step]).transitions
    assert (len(found.reason), len(found.message)) == (64, 1024)
    assert (found.at, found.exit_code, found.attempt, found.count) == (1.0, 3, 2, 7)


def as_reply(**fields):
    return decode(json.dumps(fields).encode(), Reply)


STATUS = {"type": "Status", "id": "wl-1", "state": "Failed"}
STEP = {"at": 1.5, "state": "Failed"}


@pytest.mark.parametrize(
    ("most", "make"),
    [
        (100, lambda n: {"type": "WorkloadList", "workloads": [STATUS] * n}),
        (MAX_HISTORY, lambda n: {"type": "History", "id": "wl-1", "transitions": [STEP] * n}),
        (
            64,
            lambda n: {
                "type": "Error", "code": "conflict", "message": "", "differences": ["$.a"] * n,
            },
        ),
    ],
)  # fmt: skip
def test_list_of_a_reply_is_accepted_up_to_its_length(most, make):
    assert as_reply(**make(most))
    with pytest.raises(JSONError, match=f"length {most} or less"):
        as_reply(**make(most + 1))


def test_document_as_received_raises_document_too_large_only_if_its_encoding_must_be_too_large():
    limit = 1000
    around = 1024
    for document, is_accepted in [
        (b"x" * (limit + around), True),
        (b"x" * (limit + around + 1), False),
        (b" " * 100_000 + b"x" * (limit + around), True),
        (b"\n\t\r" * 100_000 + b"x" * (limit + around + 1), False),
        (rb"\/" * (limit + around), True),
        (rb"\/" * (limit + around + 1), False),
        (rb"\u001b" * (limit + around), True),
        (rb"\u001b" * (limit + around + 1), False),
    ]:
        if is_accepted:
            check_received(document, limit=limit)
        else:
            with pytest.raises(DocumentTooLarge, match="at most 1000 bytes"):
                check_received(document, limit=limit)


def test_request_of_more_than_five_levels_is_rejected_where_the_sixth_begins():
    for depth, is_within in ((3, True), (4, False)):  # inside the message and the workload
        value = "[" * depth + "]" * depth
        line = f'{{"type":"StartWorkload","workload":{{"args":{value}}}}}'.encode()
        with pytest.raises(ValidationError if is_within else LimitError):
            decode(line, Request, limits=_document.LIMITS)


def test_constants_of_the_protocol_match_the_documentation():
    assert (_fields.MAX_PAGE, _fields.MAX_LOG_DATA, _events.MAX_EVENTS) == (100, 65_536, 1000)
    assert (_fields.MAX_DETAIL_BYTES, _events.MAX_EVENTS_BYTES) == (524_288, 524_288)
    assert (_fields.MAX_NAME_LENGTH, _fields.MAX_NODE_NAME_LENGTH) == (64, 253)
    assert (_fields.MAX_ERROR_LENGTH, _fields.MAX_RUNTIME_ID_LENGTH) == (8192, 128)
    assert (_fields.MAX_PATH_LENGTH, _reply_checks.MAX_QUOTED) == (256, 500)
    assert (_log.MAX_OPEN_LOGS, _log.LOG_LIMITS.line) == (64, 131_072)
    assert _log.LOG_LIMITS.idle_timeout == 10.0
    assert (_document.MAX_GROWTH, _document.MAX_OVERHEAD) == (6, 1024)
    assert _document.LIMITS.max_depth == 5
    assert inspect.signature(AgentClient).parameters["timeout"].default == 5.0


def test_error_reply_without_optional_fields_is_written_without_them():
    error = as_reply(type="Error", code="conflict", message="m")
    assert error == ErrorReply(error.code, "m")
    assert encode(error) == b'{"type":"Error","code":"conflict","message":"m"}'


def test_cursor_and_label_of_a_request_are_accepted_up_to_their_lengths():
    for length, is_valid in ((0, False), (1, True), (128, True), (129, False)):
        line = json.dumps({"type": "ReadLog", "id": "wl-1", "after": "c" * length}).encode()
        if is_valid:
            assert len(decode(line, Request).after) == length
        else:
            with pytest.raises(JSONError, match="a cursor: 1 to 128 printable characters"):
                decode(line, Request)
    for key, value, is_valid in (
        (317, 63, True),
        (318, 63, False),
        (317, 64, False),
        (0, 1, False),
    ):
        label = "k" * key + "=" + "v" * value
        line = json.dumps({"type": "ListWorkloads", "label": label}).encode()
        if is_valid:
            assert decode(line, Request).label == label
        else:
            with pytest.raises(JSONError, match="a label as key=value"):
                decode(line, Request)


@pytest.mark.parametrize("count", [0, 1, 2**53, 2**53 + 1, -1])
def test_count_of_a_node_is_exact_in_every_reader(count):
    fields = {"version": "1", "runtime": "cri", "simulated": False, "workloads": count}
    if 0 <= count <= 2**53:
        assert as_reply(type="Node", **fields).workloads == count
    else:
        with pytest.raises(JSONError, match=r"\$\.workloads"):
            as_reply(type="Node", **fields)
