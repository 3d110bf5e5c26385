from dataclasses import fields, replace

import pytest
from kakuri_json import JSONError, decode, encode, loads
from kakuri_rpc import (
    MAX_LOG_DATA,
    MAX_PAGE,
    DescribeNode,
    Desired,
    ErrorCode,
    ErrorReply,
    GetHistory,
    GetStatus,
    History,
    ListWorkloads,
    Log,
    Node,
    ReadLog,
    RemoveWorkload,
    Reply,
    Request,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    WorkloadList,
)
from kakuri_rpc._base import PENDING_LINE
from kakuri_rpc._requests import encode_request, status_request
from kakuri_workload import (
    MAX_HISTORY,
    DesiredState,
    Isolation,
    LogSelection,
    LogStream,
    Removal,
    Run,
    Transition,
    Workload,
    WorkloadState,
)

TIME = "2026-11-26T14:07:25.000000000Z"

SPEC = b'{"id":"wl-1","image":"nginx:latest","runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":500}'
WORKLOAD = Workload("wl-1", "nginx:latest", "edera-zone", 512, 500)

REQUESTS = [
    (StartWorkload(WORKLOAD), b'{"type":"StartWorkload","workload":' + SPEC + b"}"),
    (GetStatus("wl-1"), b'{"type":"GetStatus","id":"wl-1"}'),
    (StopWorkload("wl-1", 3), b'{"type":"StopWorkload","id":"wl-1","grace_seconds":3}'),
    (
        StopWorkload("wl-1", trace="4bf92f3577b34da6a3ce929d0e0e4736"),
        b'{"type":"StopWorkload","id":"wl-1","trace":"4bf92f3577b34da6a3ce929d0e0e4736"}',
    ),
    (RemoveWorkload("wl-1"), b'{"type":"RemoveWorkload","id":"wl-1"}'),
    (ListWorkloads(), b'{"type":"ListWorkloads"}'),
    (
        ListWorkloads(State.FAILED, "a", 2),
        b'{"type":"ListWorkloads","state":"Failed","after":"a","limit":2}',
    ),
    (
        ListWorkloads(label="example.com/team=a"),
        b'{"type":"ListWorkloads","label":"example.com/team=a"}',
    ),
    (DescribeNode(), b'{"type":"DescribeNode"}'),
    (ReadLog("wl-1"), b'{"type":"ReadLog","id":"wl-1"}'),
    (
        ReadLog("wl-1", 10, "0:12", 2.5),
        b'{"type":"ReadLog","id":"wl-1","tail":10,"after":"0:12","wait_seconds":2.5}',
    ),
    (
        ReadLog("wl-1", records=LogSelection()),
        b'{"type":"ReadLog","id":"wl-1","records":{}}',
    ),
    (
        ReadLog("wl-1", records=LogSelection(LogStream.STDERR, TIME, 2)),
        (
            b'{"type":"ReadLog","id":"wl-1","records":{"stream":"stderr",'
            b'"since":"2026-11-26T14:07:25.000000000Z","attempt":2}}'
        ),
    ),
    (GetHistory("wl-1"), b'{"type":"GetHistory","id":"wl-1"}'),
    (
        StartWorkload(WORKLOAD, dry_run=True, with_version=True),
        b'{"type":"StartWorkload","workload":' + SPEC + b',"dry_run":true,"with_version":true}',
    ),
    (GetStatus("wl-1", detail=True), b'{"type":"GetStatus","id":"wl-1","detail":true}'),
    (
        GetStatus("wl-1", removed=True, with_version=True),
        b'{"type":"GetStatus","id":"wl-1","removed":true,"with_version":true}',
    ),
    (
        StopWorkload("wl-1", expected_version=7, with_version=True),
        b'{"type":"StopWorkload","id":"wl-1","expected_version":7,"with_version":true}',
    ),
    (
        RemoveWorkload("wl-1", 0, 7),
        b'{"type":"RemoveWorkload","id":"wl-1","grace_seconds":0,"expected_version":7}',
    ),
    (RerunWorkload("wl-1"), b'{"type":"RerunWorkload","id":"wl-1"}'),
    (
        RerunWorkload("wl-1", 7, with_version=True),
        b'{"type":"RerunWorkload","id":"wl-1","expected_version":7,"with_version":true}',
    ),
    (RestartWorkload("wl-1"), b'{"type":"RestartWorkload","id":"wl-1"}'),
    (
        RestartWorkload("wl-1", 3, 7),
        b'{"type":"RestartWorkload","id":"wl-1","grace_seconds":3,"expected_version":7}',
    ),
    (
        ListWorkloads(detail=True, removed=True),
        b'{"type":"ListWorkloads","detail":true,"removed":true}',
    ),
    (ReadLog("wl-1", removed=True), b'{"type":"ReadLog","id":"wl-1","removed":true}'),
    (GetHistory("wl-1", removed=True), b'{"type":"GetHistory","id":"wl-1","removed":true}'),
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
    (
        Status("wl-1", State.RUNNING, image_digest="sha256:0f"),
        b'{"type":"Status","id":"wl-1","state":"Running","image_digest":"sha256:0f"}',
    ),
    (
        Status("wl-1", State.RUNNING, "BackOff", "m", 1, "10.0.0.2", 1.5, 2.25, 3, existing=True),
        (
            b'{"type":"Status","id":"wl-1","state":"Running","reason":"BackOff","message":"m","exit_code":1,'
            b'"address":"10.0.0.2","started_at":1.5,"ended_at":2.25,"attempt":3,"existing":true}'
        ),
    ),
    (
        Status(
            "wl-1",
            State.FAILED,
            desired=Desired.REMOVED,
            restart_at=1.5,
            version=7,
            created_at=2.5,
            changed_at=3.5,
            workload=WORKLOAD,
            removed_at=4.5,
            removal=Removal("5f0c", "9a3e", 0, "list"),
        ),
        (
            b'{"type":"Status","id":"wl-1","state":"Failed","desired":"Removed","restart_at":1.5,'
            b'"version":7,"created_at":2.5,"changed_at":3.5,"workload":' + SPEC + b","
            b'"removed_at":4.5,"removal":{"zone":"5f0c","container":"9a3e","log_bytes":0,'
            b'"verified_by":"list"}}'
        ),
    ),
    (
        ErrorReply(ErrorCode.CONFLICT, "no", ["$.image"], id="wl-1"),
        b'{"type":"Error","id":"wl-1","code":"conflict","message":"no","differences":["$.image"]}',
    ),
    (
        ErrorReply(ErrorCode.VERSION_MISMATCH, "no", version=7),
        b'{"type":"Error","code":"version_mismatch","message":"no","version":7}',
    ),
    (ErrorReply(ErrorCode.INTERNAL, "no"), b'{"type":"Error","code":"internal","message":"no"}'),
    (
        ErrorReply(ErrorCode.NOT_FOUND, "no", id="wl-1"),
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
    (
        Node("1", "cri", False, 2, 8192, 512, 4000, 500, False, "m", "unix", {"kata": "qemu"}),
        (
            b'{"type":"Node","version":"1","runtime":"cri","simulated":false,"workloads":2,'
            b'"memory_mb":8192,"memory_mb_used":512,"cpu_millicores":4000,"cpu_millicores_used":500,'
            b'"runtime_available":false,"message":"m","runtime_endpoint":"unix",'
            b'"runtime_handlers":{"kata":"qemu"}}'
        ),
    ),
    (
        Node(
            "1",
            "cri",
            False,
            2,
            name="n",
            store="sqlite",
            started_at=1.5,
            event_index=7,
            reason="StoreFailed",
            features=["trace"],
        ),
        (
            b'{"type":"Node","version":"1","runtime":"cri","simulated":false,"workloads":2,'
            b'"name":"n","store":"sqlite","started_at":1.5,"event_index":7,'
            b'"reason":"StoreFailed","features":["trace"]}'
        ),
    ),
    (
        Status(
            "wl-1",
            State.RUNNING,
            isolation=Isolation(
                handler="edera",
                kernel="6.16.1",
                host_kernel="6.12.0",
                profile="sha256:0f",
                checked_at=1.5,
            ),
        ),
        (
            b'{"type":"Status","id":"wl-1","state":"Running","isolation":{"handler":"edera",'
            b'"kernel":"6.16.1","host_kernel":"6.12.0","profile":"sha256:0f","checked_at":1.5}}'
        ),
    ),
    (
        Log(b"\xff\0\n", "0:3", ended=False, gap=True),
        b'{"type":"Log","data":"/wAK","next":"0:3","ended":false,"gap":true}',
    ),
    (
        Log(b"", "s0.0.3", ended=False, examined=524288),
        b'{"type":"Log","data":"","next":"s0.0.3","ended":false,"examined":524288}',
    ),
    (
        Log(b"\xff\0\n", "0:3", ended=False),
        b'{"type":"Log","data":"/wAK","next":"0:3","ended":false}',
    ),
    (
        History(
            "wl-1",
            [
                Transition(1.5, State.PENDING),
                Transition(2.0, State.FAILED, "Error", "m", 1, 2),
            ],
        ),
        (
            b'{"type":"History","id":"wl-1","transitions":[{"at":1.5,"state":"Pending"},'
            b'{"at":2.0,"state":"Failed","reason":"Error","message":"m","exit_code":1,"attempt":2}]}'
        ),
    ),
]


@pytest.mark.parametrize(("message", "line"), REQUESTS, ids=lambda value: type(value).__name__)
def test_request_is_encoded_as_in_the_contract(message, line):
    assert encode(message) == line
    assert decode(line, type=Request) == message


@pytest.mark.parametrize(("message", "line"), REPLIES, ids=lambda value: type(value).__name__)
def test_reply_is_encoded_as_in_the_contract(message, line):
    assert encode(message) == line
    assert decode(line, type=Reply) == message


def test_request_with_keys_in_another_order_and_whitespace_is_decoded():
    line = b' { "id" : "wl-1" , "type" : "GetStatus" } '
    assert decode(line, type=Request) == GetStatus("wl-1")


def test_reply_of_a_newer_agent_is_decoded_without_its_new_fields():
    line = b'{"type":"Status","id":"wl-1","state":"Running","mood":1}'
    assert decode(line, type=Reply) == Status("wl-1", State.RUNNING)


def test_reply_of_an_older_agent_is_decoded_with_defaults():
    line = b'{"type":"Node","version":"1","runtime":"x","simulated":true,"workloads":0}'
    node = decode(line, type=Reply)
    assert (node.memory_mb, node.cpu_millicores_used, node.runtime_available) == (None, None, True)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"Log","data":"' + b"AAAA" * 21_846 + b'","next":"1","ended":false}',  # 65538
        b'{"type":"Log","data":"?","next":"1","ended":false}',
        b'{"type":"Log","data":"","next":"","ended":false}',
        b'{"type":"Log","data":"","next":"a b","ended":false}',
        b'{"type":"Log","data":"","next":"' + b"x" * 129 + b'","ended":false}',
        b'{"type":"Log","data":"","ended":false}',
        b'{"type":"Status","id":"a","state":"Running","started_at":-1}',
        b'{"type":"Status","id":"a","state":"Running","ended_at":1e300}',
        b'{"type":"History","id":"a","transitions":[{"at":1e300,"state":"Running"}]}',
    ],
)
def test_invalid_reply_raises_json_error(line):
    with pytest.raises(JSONError):
        decode(line, type=Reply)


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
        b'{"type":"ListWorkloads","label":"team"}',
        b'{"type":"ListWorkloads","label":"team=a b"}',
        b'{"type":"ReadLog"}',
        b'{"type":"ReadLog","id":"a","tail":-1}',
        b'{"type":"ReadLog","id":"a","tail":1000001}',
        b'{"type":"ReadLog","id":"a","after":""}',
        b'{"type":"ReadLog","id":"a","after":"\xc3\xa9"}',
        b'{"type":"ReadLog","id":"a","wait_seconds":30.5}',
        b'{"type":"ReadLog","id":"a","records":true}',
        b'{"type":"ReadLog","id":"a","records":{"colour":"red"}}',
        b'{"type":"ReadLog","id":"a","records":{"stream":"stdin"}}',
        b'{"type":"ReadLog","id":"a","records":{"attempt":-1}}',
        b'{"type":"ReadLog","id":"a","records":{"since":"2026-11-26T14:07:25Z"}}',
        b'{"type":"GetHistory","id":"A"}',
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b"512.5") + b"}",
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b"-1") + b"}",
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b"true") + b"}",
        b'{"type":"StartWorkload","workload":' + SPEC.replace(b"512", b'"512"') + b"}",
        b'{"type":"StartWorkload","workload":'
        + SPEC.replace(b"nginx:latest", b"../../etc/passwd")
        + b"}",
    ],
)
def test_invalid_request_raises_json_error(line):
    with pytest.raises(JSONError):
        decode(line, type=Request)


def test_state_of_every_workload_state_converts_back():
    assert [State.of(state).value for state in WorkloadState] == [
        "Pending",
        "Running",
        "Succeeded",
        "Failed",
    ]
    assert all(State.of(state).workload_state is state for state in WorkloadState)


def test_status_of_a_run_has_its_fields_with_long_texts_shortened():
    assert Status.of("wl-1", Run(WorkloadState.PENDING)) == Status("wl-1", State.PENDING)
    run = Run(
        WorkloadState.FAILED,
        reason="r" * 65,
        message="m" * 1025,
        exit_code=3,
        address="a" * 65,
        started_at=3.5,
        ended_at=3.75,
        attempt=1,
        image_digest="d" * 136,
    )
    assert Status.of("wl-1", run, existing=True) == Status(
        "wl-1",
        State.FAILED,
        "r" * 63 + "…",
        "m" * 1023 + "…",
        3,
        "a" * 63 + "…",
        3.5,
        3.75,
        1,
        existing=True,
        image_digest="d" * 134 + "…",
    )


def test_history_with_a_long_reason_has_it_shortened():
    transition = Transition(1.0, WorkloadState.FAILED, "r" * 65, attempt=2)
    assert History.of("a", (transition,)) == History(
        "a", [Transition(1.0, State.FAILED, "r" * 63 + "…", attempt=2)]
    )


def test_longest_page_fits_into_a_line():
    run = Run(
        WorkloadState.SUCCEEDED,
        reason="\0" * 5000,
        message="\0" * 5000,
        exit_code=-(2**31),
        address="\0" * 5000,
        started_at=253_402_300_798.123456,
        ended_at=253_402_300_798.123456,
        attempt=2**31,
        image_digest="\0" * 5000,
    )
    longest = Status.of("x" * 63, run, existing=True)
    assert len(longest.message) == 1024
    assert longest.message.endswith("…")
    assert len(encode(WorkloadList([longest] * MAX_PAGE, "x" * 63))) < 1024 * 1024


def test_longest_history_fits_into_a_line():
    longest = Transition(
        253_402_300_798.123456,
        WorkloadState.SUCCEEDED,
        reason="\0" * 5000,
        message="\0" * 5000,
        exit_code=-(2**31),
        attempt=2**31,
        count=2**31,
    )
    history = History.of("x" * 63, [longest] * MAX_HISTORY)
    assert len(history.transitions) == 16
    assert len(encode(history)) < 1024 * 1024


def test_largest_piece_of_a_log_is_decoded():
    log = Log(bytes(MAX_LOG_DATA), "x" * 128, ended=True)
    assert decode(encode(log), type=Reply) == log


def test_node_without_handlers_has_the_default_runtime_class():
    node = Node("1", "cri", simulated=False, workloads=0)
    assert node.runtime_classes == {"edera-zone"}
    assert replace(node, runtime_handlers={}).runtime_classes == {"edera-zone"}
    assert replace(node, runtime_handlers={"machine": "qemu"}).runtime_classes == {"machine"}


@pytest.mark.parametrize(
    ("desired", "state", "spelled"),
    [
        (DesiredState.RUN, WorkloadState.RUNNING, None),
        (DesiredState.RESTART, WorkloadState.RUNNING, Desired.RESTARTED),
        (DesiredState.STOP, WorkloadState.PENDING, Desired.STOPPED),
        (DesiredState.STOP, WorkloadState.RUNNING, Desired.STOPPED),
        (DesiredState.STOP, WorkloadState.FAILED, None),
        (DesiredState.STOP, WorkloadState.SUCCEEDED, None),
        (DesiredState.REMOVE, WorkloadState.FAILED, Desired.REMOVED),
    ],
)
def test_desired_state_is_reported_while_it_is_not_reached(desired, state, spelled):
    assert Desired.of(desired, state) is spelled


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"StopWorkload","id":"wl-1","expected_version":-1}',
        b'{"type":"RestartWorkload","id":"wl-1","grace_seconds":3601}',
        b'{"type":"RemoveWorkload","id":"wl-1","grace_seconds":-1}',
        b'{"type":"RerunWorkload","id":"wl-1","grace_seconds":1}',
        b'{"type":"GetStatus","id":"wl-1","detail":1}',
        b'{"type":"StartWorkload","workload":' + SPEC + b',"dry_run":"true"}',
    ],
)
def test_request_outside_its_limits_is_invalid(line):
    with pytest.raises(JSONError):
        decode(line, type=Request)


@pytest.mark.parametrize("trace", [None, "0123456789abcdef" * 2])
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("with_version", [False, True])
def test_start_with_an_encoded_workload_is_the_same_line(dry_run, with_version, trace):
    one = Workload("wl-1", "nginx", "edera-zone", 1, 1, env={"A": 'é"\n'})
    request = StartWorkload(one, dry_run, with_version, trace)
    assert encode_request(request, encode(one)) == encode(request)


def test_every_member_of_a_start_is_in_its_line_with_an_encoded_workload():
    one = Workload("wl-1", "nginx", "edera-zone", 1, 1)
    request = StartWorkload(one, dry_run=True, with_version=True, trace="0123456789abcdef" * 2)
    members = [field.name for field in fields(StartWorkload)]
    assert list(loads(encode_request(request, encode(one)))) == ["type", *members]


def test_line_of_a_pending_status_is_that_of_the_encoder():
    assert encode(Status("wl-1", State.PENDING)) == PENDING_LINE % b"wl-1"


def test_encoded_workload_is_ignored_for_other_requests():
    assert encode_request(GetStatus("wl-1"), b"{}") == encode(GetStatus("wl-1"))


@pytest.mark.parametrize("workload_id", ["wl-1", 'a"b\n', "é"])
def test_cached_status_request_has_the_same_line_as_any_other(workload_id):
    for _ in range(2):
        assert status_request(workload_id) == (
            GetStatus(workload_id),
            encode(GetStatus(workload_id)),
        )
