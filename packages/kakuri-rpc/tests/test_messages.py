import pytest
from kakuri_json import JSONError, decode, encode
from kakuri_registry import Workload, WorkloadState
from kakuri_rpc import (
    DescribeNode,
    Error,
    ErrorCode,
    GetStatus,
    ListWorkloads,
    Node,
    RemoveWorkload,
    Reply,
    Request,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    WorkloadList,
)

SPEC = b'{"id":"wl-1","image":"nginx:latest","runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":500}'
WORKLOAD = Workload("wl-1", "nginx:latest", "edera-zone", 512, 500)

REQUESTS = [
    (StartWorkload(WORKLOAD), b'{"type":"StartWorkload","workload":' + SPEC + b"}"),
    (GetStatus("wl-1"), b'{"type":"GetStatus","id":"wl-1"}'),
    (StopWorkload("wl-1", 3), b'{"type":"StopWorkload","id":"wl-1","grace_seconds":3}'),
    (RemoveWorkload("wl-1"), b'{"type":"RemoveWorkload","id":"wl-1"}'),
    (ListWorkloads(), b'{"type":"ListWorkloads"}'),
    (
        ListWorkloads(State.FAILED, "a", 2),
        b'{"type":"ListWorkloads","state":"Failed","after":"a","limit":2}',
    ),
    (DescribeNode(), b'{"type":"DescribeNode"}'),
]
REPLIES = [
    (Status("wl-1", State.PENDING), b'{"type":"Status","id":"wl-1","state":"Pending"}'),
    (
        Status("wl-1", State.FAILED, "Error", 'it "broke"\n', 3),
        b'{"type":"Status","id":"wl-1","state":"Failed","reason":"Error","message":"it \\"broke\\"\\n","exit_code":3}',
    ),
    (
        Status("wl-1", State.SUCCEEDED, exit_code=0, existing=True),
        b'{"type":"Status","id":"wl-1","state":"Succeeded","exit_code":0,"existing":true}',
    ),
    (Error(ErrorCode.INTERNAL, "no"), b'{"type":"Error","code":"internal","message":"no"}'),
    (
        Error(ErrorCode.NOT_FOUND, "no", id="wl-1"),
        b'{"type":"Error","id":"wl-1","code":"not_found","message":"no"}',
    ),
    (WorkloadList([]), b'{"type":"WorkloadList","workloads":[]}'),
    (
        WorkloadList([Status("a", State.RUNNING)], "a"),
        b'{"type":"WorkloadList","workloads":[{"type":"Status","id":"a","state":"Running"}],"next":"a"}',
    ),
    (
        Node("1", "simulated", simulated=True, workloads=2, message="m"),
        b'{"type":"Node","version":"1","runtime":"simulated","simulated":true,"workloads":2,"message":"m"}',
    ),
]


@pytest.mark.parametrize(("message", "line"), REQUESTS, ids=lambda value: type(value).__name__)
def test_requests_are_these_bytes(message, line):
    assert encode(message) == line
    assert decode(line, type=Request) == message


@pytest.mark.parametrize(("message", "line"), REPLIES, ids=lambda value: type(value).__name__)
def test_replies_are_these_bytes(message, line):
    assert encode(message) == line
    assert decode(line, type=Reply) == message


def test_keys_may_come_in_any_order_with_white_space():
    line = b' { "id" : "wl-1" , "type" : "GetStatus" } '
    assert decode(line, type=Request) == GetStatus("wl-1")


def test_a_reply_of_a_newer_agent_is_understood():
    line = b'{"type":"Status","id":"wl-1","state":"Running","started_at":1}'
    assert decode(line, type=Reply) == Status("wl-1", State.RUNNING)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"42",
        b"{}",
        b'{"id":"wl-1"}',
        b'{"type":1}',
        b'{"type":"Nope"}',
        b'{"type":"Status","id":"wl-1","state":"Pending"}',
        b'{"type":"GetStatus"}',
        b'{"type":"GetStatus","id":"wl-1","id":"wl-2"}',
        b'{"type":"GetStatus","id":"wl-1","more":1}',
        b'{"type":"GetStatus","id":"WL"}',
        b'{"type":"GetStatus","id":"a\\n"}',
        b'{"type":"GetStatus","id":NaN}',
        b'{"type":"StopWorkload","id":"a","grace_seconds":3601}',
        b'{"type":"ListWorkloads","limit":101}',
        b'{"type":"ListWorkloads","state":"pending"}',
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b"512.5") + b"}",
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b"-1") + b"}",
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b"true") + b"}",
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b'"512"') + b"}",
        b'{"type":"StartWorkload","workload":'
        + SPEC.replace(b"nginx:latest", b"../../etc/passwd")
        + b"}",
    ],
)
def test_what_is_no_request_is_refused(line):
    with pytest.raises(JSONError):
        decode(line, type=Request)


def test_the_states_of_the_registry_have_words_and_back():
    assert [State.of(state).value for state in WorkloadState] == [
        "Pending",
        "Running",
        "Succeeded",
        "Failed",
    ]
    assert all(State.of(state).workload_state is state for state in WorkloadState)
    assert Status.of("a", WorkloadState.RUNNING) == Status("a", State.RUNNING)


def test_the_longest_page_fits_into_a_line():
    longest = Status.of(
        "x" * 63, WorkloadState.SUCCEEDED, reason="\0" * 5000, message="\0" * 5000, exit_code=255
    )
    assert len(longest.message) == 1024
    assert longest.message.endswith("…")
    assert len(encode(WorkloadList([longest] * 100, "x" * 63))) < 1024 * 1024
