"""Each text of a reply: unprintable, at its limit and beyond; and which workload a reply is about."""

from dataclasses import replace

import pytest
from kakuri_json import encode
from kakuri_rpc import (
    Changes,
    DescribeNode,
    ErrorCode,
    ErrorReply,
    GetStatus,
    History,
    ListWorkloads,
    Log,
    Node,
    ReadLog,
    StartWorkload,
    State,
    Status,
    UnexpectedReply,
    WatchChanges,
    WorkloadList,
)
from kakuri_rpc import _reply_checks as reply_checks
from kakuri_rpc._reply_checks import cleaned, decode_reply, mismatch
from kakuri_workload import Event, EventType, Isolation, Removal, Transition
from kakuri_workload.testing import workload

STATUS = Status("wl-1", State.FAILED)
STEP = Transition(1.0, State.FAILED)
EVENT = Event(5, 1.0, EventType.WORKLOAD, "wl-1", State.FAILED)
NODE = Node("1.0", "cri", simulated=False, workloads=3)
ERROR = ErrorReply(ErrorCode.CONFLICT, "m")


def in_isolation(**fields):
    return replace(STATUS, isolation=Isolation(checked_at=1.0, **fields))


WITH_TEXT = [
    (lambda text: replace(STATUS, reason=text), 64),
    (lambda text: replace(STATUS, message=text), 1024),
    (lambda text: replace(STATUS, address=text), 64),
    (lambda text: replace(STATUS, image_digest=text), 135),
    (lambda text: replace(STATUS, removal=Removal(zone=text)), 128),
    (lambda text: replace(STATUS, removal=Removal(container=text)), 128),
    (lambda text: replace(STATUS, removal=Removal(verified_by=text)), 64),
    (lambda text: in_isolation(handler=text), 64),
    (lambda text: in_isolation(kernel=text), 64),
    (lambda text: in_isolation(host_kernel=text), 64),
    (lambda text: in_isolation(profile=text), 135),
    (lambda text: WorkloadList([STATUS, replace(STATUS, id="z", message=text)]), 1024),
    (lambda text: History("wl-1", [STEP, replace(STEP, reason=text)]), 64),
    (lambda text: History("wl-1", [STEP, replace(STEP, message=text)]), 1024),
    (lambda text: Changes([EVENT, replace(EVENT, reason=text)], 9), 64),
    (lambda text: Changes([EVENT, replace(EVENT, message=text)], 9), 1024),
    (lambda text: Changes([EVENT, replace(EVENT, version=text)], 9), 64),
    (lambda text: Changes([EVENT, replace(EVENT, removal=Removal(zone=text))], 9), 128),
    (lambda text: replace(NODE, version=text), 64),
    (lambda text: replace(NODE, runtime=text), 64),
    (lambda text: replace(NODE, name=text), 253),
    (lambda text: replace(NODE, store=text), 64),
    (lambda text: replace(NODE, message=text), 1024),
    (lambda text: replace(ERROR, message=text), 8192),
    (lambda text: replace(ERROR, differences=["$.a", text]), 256),
]


@pytest.mark.parametrize(("make", "length"), WITH_TEXT)
def test_each_text_of_a_reply_is_made_printable_and_shortened(make, length):
    assert cleaned(make("a\x1b")) == make("a\\x1b")
    assert cleaned(make("x" * length)) == make("x" * length)
    assert cleaned(make("x" * (length + 1))) == make("x" * (length - 1) + "…")


@pytest.mark.parametrize(
    "reply", [STATUS, NODE, ERROR, History("wl-1", [STEP]), Changes([EVENT], 9), Log(b"\x1b", "1", ended=True)]
)  # fmt: skip
def test_reply_without_optional_text_is_unchanged(reply):
    assert cleaned(reply) == reply


def error_about(workload_id):
    return replace(ERROR, id=workload_id)


@pytest.mark.parametrize(
    ("request_", "reply", "matches"),
    [
        (GetStatus("wl-1"), STATUS, True),
        (GetStatus("wl-2"), STATUS, False),
        (StartWorkload(workload("wl-1")), STATUS, True),
        (StartWorkload(workload("wl-2")), STATUS, False),
        (GetStatus("wl-1"), error_about("wl-1"), True),
        (GetStatus("wl-1"), error_about("wl-2"), False),
        (GetStatus("wl-1"), error_about(None), True),
        (ListWorkloads(), error_about(None), True),
        (ListWorkloads(), error_about("wl-2"), True),
        (StartWorkload(workload("wl-2")), error_about("wl-1"), False),
        (DescribeNode(), NODE, True),
        (ReadLog("wl-1"), Log(b"", "1", ended=True), True),
    ],
)
def test_reply_is_about_the_workload_of_its_request(request_, reply, matches):
    assert (mismatch(request_, reply) is None) is matches


def events(*indexes):
    return [replace(EVENT, index=index) for index in indexes]


@pytest.mark.parametrize(
    ("after", "changes", "fault"),
    [
        (None, Changes([], 7), None),
        (None, Changes(events(7), 7), "expected the current index without events"),
        (4, Changes([], 4), None),
        (4, Changes([], 3), "expected 4 or a later index to continue from, got 3"),
        (4, Changes(events(5, 6), 6), None),
        (4, Changes(events(5, 6), 9), None),
        (4, Changes(events(5, 6), 5), "expected 6 or a later index to continue from, got 5"),
        (4, Changes(events(4), 6), "expected indexes in order, after 4, got 4"),
        (4, Changes(events(6, 6), 6), "expected indexes in order, after 6, got 6"),
        (4, Changes(events(7, 6), 9), "expected indexes in order, after 7, got 6"),
        (4, Changes(events(5, 6, 7), 7), "expected at most 2 events, got 3"),
    ],
)
def test_events_are_in_order_after_the_index_of_their_request(after, changes, fault):
    assert mismatch(WatchChanges(after, limit=2), changes) == fault


def page(*ids, **fields):
    return WorkloadList([replace(STATUS, id=each) for each in ids], **fields)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (page(), None),
        (page("c", "d"), None),
        (page("c", "d", next="d"), None),
        (page("c", "d", next="e"), None),
        (page("c", "d", "e"), "expected at most 2 workloads, got 3"),
        (page("b"), "expected ids in order, after 'b', got 'b'"),
        (page("c", "c"), "expected ids in order, after 'c', got 'c'"),
        (page("d", "c"), "expected ids in order, after 'd', got 'c'"),
        (page("c", "d", next="c"), "expected the next page to begin after 'd', got 'c'"),
        (page(next="c"), "expected at least one workload on a page with next 'c'"),
    ],
)
def test_page_is_in_order_after_the_id_of_its_request(reply, fault):
    assert mismatch(ListWorkloads(after="b", limit=2), reply) == fault


@pytest.mark.parametrize(
    ("log", "fault"),
    [
        (Log(b"", "0:6", ended=False), None),
        (Log(b"a", "0:7", ended=False), None),
        (Log(b"a", "0:6", ended=True), None),
        (
            Log(b"a", "0:6", ended=False),
            "expected another cursor than that of the request, got '0:6'",
        ),
        (
            Log(b"", "0:6", ended=False, examined=1),
            "expected another cursor than that of the request, got '0:6'",
        ),
    ],
)
def test_part_of_a_log_with_progress_needs_a_new_cursor(log, fault):
    assert mismatch(ReadLog("wl-1", after="0:6"), log) == fault


START = StartWorkload(workload("wl-1"))
ACCEPTED = encode(Status("wl-1", State.PENDING))


def test_usual_reply_to_a_new_workload_is_recognized_without_decoding(monkeypatch):
    monkeypatch.setattr(reply_checks, "decode", None)
    assert decode_reply(ACCEPTED, START) == Status("wl-1", State.PENDING)


@pytest.mark.parametrize(
    "status",
    [
        Status("wl-2", State.PENDING),
        Status("wl-1", State.RUNNING),
        Status("wl-1", State.PENDING, existing=True),
        Status("wl-1", State.PENDING, version=3),
        Status("wl-1", State.PENDING, message="a\x1b[2J"),
    ],
)
def test_other_reply_to_a_new_workload_is_decoded_and_cleaned(status):
    assert decode_reply(encode(status), START) == cleaned(status)


def test_usual_reply_to_a_new_workload_with_any_other_byte_is_read_as_for_other_requests():
    for place in range(len(ACCEPTED)):
        for other in b' "\\}x':
            line = ACCEPTED[:place] + bytes([other]) + ACCEPTED[place + 1 :]
            results = []
            for request in (START, GetStatus("wl-1")):
                try:
                    results.append(decode_reply(line, request))
                except UnexpectedReply as error:
                    results.append(str(error))
            assert results[0] == results[1]
