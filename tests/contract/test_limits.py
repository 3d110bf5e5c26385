"""The largest message that one side may send fits the limits of the next one, at every hop.

Each test encodes the largest legal value of its kind with the real encoders, and compares the size
with the receiver's real limit. All figures are the code's own constants, so changing one of them
alone breaks a test.
"""

from dataclasses import replace
from functools import cache, partial

import kakuri_protobuf as protobuf
import pytest
from kakuri_agent._metrics import RUNTIME_SECONDS
from kakuri_agent._removed import READ_SECONDS
from kakuri_agent._replies import page_builder, status_of
from kakuri_agent.runtimes._sidecar import MAX_EVENT, MAX_LOG_EVENT
from kakuri_agent.runtimes._zone_logs import LOG_SECONDS
from kakuri_agent.runtimes._zone_runtime import IMAGE_SECONDS
from kakuri_control_plane._api import MAX_BODY
from kakuri_control_plane._problems import agent_problem
from kakuri_control_plane._views import HistoryView, WorkloadPage, WorkloadView
from kakuri_cri import MAX_RECEIVED, CallRefused, api
from kakuri_cri._errors import MAX_MESSAGE as MAX_CRI_MESSAGE
from kakuri_daemon.api import APIRouter
from kakuri_http import Limits
from kakuri_json import decode, encode
from kakuri_registry import SQLiteStore, StoreWriter, WorkloadRegistry
from kakuri_rpc import (
    DEFAULT_TIMEOUT,
    MAX_DETAIL_BYTES,
    MAX_DIFFERENCES,
    MAX_LOG_DATA,
    MAX_PAGE,
    MAX_PATH_LENGTH,
    AgentError,
    ErrorCode,
    ErrorReply,
    History,
    Log,
    Reply,
    StartWorkload,
    State,
    Status,
    WorkloadList,
    check_document,
)
from kakuri_rpc import Request as AgentRequest
from kakuri_rpc._fields import (
    MAX_ADDRESS_LENGTH,
    MAX_DIGEST_LENGTH,
    MAX_ERROR_LENGTH,
    MAX_MESSAGE_LENGTH,
    MAX_REASON_LENGTH,
)
from kakuri_rpc._log import LOG_LIMITS
from kakuri_sidecar._api import Api
from kakuri_sidecar._problems import zone_problem
from kakuri_tcp import LineClientLimits, LineDecoder, LineServerLimits
from kakuri_workload import (
    MAX_DOCUMENT_BYTES,
    MAX_HISTORY,
    MAX_SPEC_BYTES,
    MAX_STRING_BYTES,
    WORKLOAD_ID,
    Isolation,
    LogGrown,
    RestartPolicy,
    Run,
    RuntimeHealth,
    Transition,
    Workload,
    WorkloadState,
    ZoneChanged,
    ZoneEvent,
    ZoneSpec,
    ZoneStatus,
    printable,
)
from kakuri_zones import StartFailed
from kakuri_zones import _labels as labels
from kakuri_zones._images import NodeImage
from kakuri_zones._isolation import MAX_NAME
from kakuri_zones._names import MAX_NAMES, named
from kakuri_zones._observed import MAX_ADDRESS, MAX_ID, MAX_MESSAGE, MAX_REASON
from kakuri_zones._zone_config import zone_config
from kakuri_zones.logs import LogLocation

LARGEST = 2**31 - 1
A_LONG_TIME = 4_102_444_800.123456
"""Seconds since the epoch, with the maximum number of digits."""

FILLS = ["x", '"', "\\", "\x01", "\x7f", "\x9b", "\u2028", "\u00e9", "\u6f22", "\U0001f600"]
"""What strings are filled with: some take a byte, some six when they are escaped."""


@cache
def widest(length):
    """Return the printable text of a given length that takes the most bytes when encoded."""
    texts = [printable(fill * length, length) for fill in FILLS]
    return max(texts, key=lambda text: len(encode(text)))


@cache
def largest_workload(fill):
    """Return a workload of exactly as many bytes as a document may have, in every dimension."""
    base = Workload(
        id="w" * 63,
        image="registry.example.com/" + "i" * 100 + "@sha256:" + "0" * 64,
        runtime_class="edera-zone",
        memory_mb=LARGEST,
        cpu_millicores=LARGEST,
        command=(fill * 100,) * 10,
        args=(fill * 100,) * 10,
        working_dir="/" + "d" * 1000,
        user="1000650000:1000650000",
        labels={f"{'k' * 60}{number:03d}": "v" * 63 for number in range(64)},
        restart_policy=RestartPolicy.ON_FAILURE,
        max_restarts=LARGEST,
    )
    size = len(encode(fill)) - 2  # without its quotes
    env = {}
    room = MAX_DOCUMENT_BYTES - len(encode(replace(base, env={"": ""})))
    while room > 30_000:
        name = f"VARIABLE_{len(env)}"
        count = min(20_000 // size, MAX_STRING_BYTES // 4)
        env[name] = fill * count
        room = MAX_DOCUMENT_BYTES - len(encode(replace(base, env=env)))
    rest = replace(base, env={**env, "REST": ""})
    env["REST"] = "x" * (MAX_DOCUMENT_BYTES - len(encode(rest)))
    return replace(base, env=env)


@pytest.fixture(params=FILLS, ids=ascii)
def workload(request):
    return largest_workload(request.param)


def receives(limit, line):
    """Return whether the decoder of a peer with a line limit accepts a line."""
    decoder = LineDecoder(limit=limit)
    decoder.receive_data(line + b"\n")
    return decoder.next_line() == line


def test_submission_of_the_largest_workload_fits_the_control_plane(workload):
    document = encode(workload)
    assert len(document) == MAX_DOCUMENT_BYTES <= MAX_BODY
    check_document(workload, len(document))
    assert decode(document, type=Workload) == workload


def test_start_of_the_largest_workload_fits_a_line_to_the_agent(workload):
    line = encode(StartWorkload(workload))
    assert receives(LineServerLimits().line, line)
    assert len(line) <= LineClientLimits().line
    assert decode(line, type=AgentRequest) == StartWorkload(workload)


async def test_largest_workload_fits_the_store(workload, tmp_path):
    path = tmp_path / "workloads.db"
    store = SQLiteStore(path)
    registry = WorkloadRegistry()
    writer = StoreWriter(registry, store)
    registry.register(workload, now=A_LONG_TIME)
    await writer.flushed(registrations=False)
    await writer.close()
    store.close()
    reopened = SQLiteStore(path)
    assert [entry.workload for entry in reopened.load().entries] == [workload]
    reopened.close()


def body_limit_of_starts():
    router = APIRouter(ids={"zone": WORKLOAD_ID})
    Api(None).add_to(router)
    (limit,) = [
        route.body_limit
        for route in router.routes
        if (route.method, route.pattern) == ("POST", "/zones")
    ]
    return limit


def test_spec_of_the_largest_workload_fits_the_sidecar(workload):
    spec = ZoneSpec(workload, LARGEST)
    assert len(encode(spec)) <= MAX_SPEC_BYTES
    assert body_limit_of_starts() >= MAX_SPEC_BYTES
    assert decode(encode(spec), type=ZoneSpec) == spec


def create_request(spec):
    image = NodeImage("sha256:" + "0" * 64, "1000650000:1000650000", "")
    log = LogLocation("/" * 4095, "9" * 20)
    config = zone_config(spec, labels.spec_hash(spec), image, log, cgroup_parent="/" * 100)
    return api.CreateContainerRequest(
        pod_sandbox_id="s" * MAX_ID,
        config=named(config.container, MAX_NAMES),
        sandbox_config=named(config.sandbox, MAX_NAMES),
    )


def test_creation_of_the_largest_container_fits_a_call_to_the_runtime(workload):
    request = create_request(ZoneSpec(workload, LARGEST))
    assert len(protobuf.encode(request)) <= MAX_RECEIVED


def test_list_of_all_containers_that_a_zone_may_have_fits_one_answer(workload):
    spec = ZoneSpec(workload, LARGEST)
    one = api.Container(
        id="c" * MAX_ID,
        pod_sandbox_id="s" * MAX_ID,
        labels=labels.container_labels(spec, labels.spec_hash(spec)),
        annotations=labels.container_annotations(spec),
        image_ref="i" * 1024,
    )
    # Containers of unanswered calls, and that of the previous attempt.
    answer = api.ListContainersResponse(containers=(one,) * (2 * MAX_NAMES))
    assert len(protobuf.encode(answer)) <= MAX_RECEIVED
    found = answer.containers[0].annotations[labels.SPEC]
    assert decode(found, type=ZoneSpec) == spec


def largest_zone():
    return ZoneStatus(
        id="z" * 63,
        state=WorkloadState.SUCCEEDED,
        reason=widest(MAX_REASON),
        message=widest(max(MAX_MESSAGE, MAX_CRI_MESSAGE)),
        exit_code=-LARGEST,
        pod_sandbox_id=widest(MAX_ID),
        container_id=widest(MAX_ID),
        address=widest(MAX_ADDRESS),
        started_at=A_LONG_TIME,
        ended_at=A_LONG_TIME,
        attempt=LARGEST,
        spec_hash=widest(MAX_ID),
        image_digest=widest(MAX_ID),
        isolation=Isolation(
            handler=widest(MAX_NAME),
            kernel=widest(MAX_NAME),
            host_kernel=widest(MAX_NAME),
            profile=widest(MAX_ID),
            checked_at=A_LONG_TIME,
        ),
    )


@pytest.mark.parametrize(
    "event",
    [
        ZoneChanged(largest_zone()),
        RuntimeHealth(available=False, message=widest(MAX_CRI_MESSAGE + 100)),
    ],
    ids=["zone", "health"],
)
def test_largest_event_fits_what_the_agent_accepts(event):
    line = encode(event)
    assert receives(MAX_EVENT, line)
    assert decode(line, type=ZoneEvent) == event


def test_event_about_a_log_fits_what_the_agent_accepts():
    assert receives(MAX_LOG_EVENT, encode(LogGrown("z" * 63)))


def test_answer_about_a_zone_with_the_largest_spec_fits_the_agents_client(workload):
    zone = replace(largest_zone(), spec=ZoneSpec(workload, LARGEST))
    assert len(encode(zone)) <= Limits().body


@pytest.mark.parametrize(
    "error",
    [
        StartFailed("StartError", widest(MAX_CRI_MESSAGE)),
        CallRefused("CreateContainer", widest(MAX_CRI_MESSAGE)),
    ],
    ids=["start", "call"],
)
def test_largest_problem_of_the_sidecar_fits_the_agents_client(error):
    assert len(zone_problem(error).body) <= Limits().body


def largest_status():
    return Status(
        id="w" * 63,
        state=State.SUCCEEDED,
        reason=widest(MAX_REASON_LENGTH),
        message=widest(MAX_MESSAGE_LENGTH),
        exit_code=LARGEST,
        address=widest(MAX_ADDRESS_LENGTH),
        started_at=A_LONG_TIME,
        ended_at=A_LONG_TIME,
        attempt=LARGEST,
        existing=True,
        image_digest=widest(MAX_DIGEST_LENGTH),
    )


def largest_history():
    step = Transition(
        A_LONG_TIME,
        State.SUCCEEDED,
        reason=widest(MAX_REASON_LENGTH),
        message=widest(MAX_MESSAGE_LENGTH),
        exit_code=LARGEST,
        attempt=LARGEST,
    )
    return History("w" * 63, [step] * MAX_HISTORY)


@pytest.mark.parametrize(
    "reply",
    [
        largest_status(),
        WorkloadList([largest_status()] * MAX_PAGE, "w" * 63),
        largest_history(),
        ErrorReply(ErrorCode.BAD_REQUEST, widest(MAX_ERROR_LENGTH), id="w" * 63),
    ],
    ids=["status", "list", "history", "error"],
)
def test_largest_reply_of_the_agent_fits_a_line_to_the_control_plane(reply):
    line = encode(reply)
    assert receives(LineClientLimits().line, line)
    assert decode(line, type=Reply) == reply


def test_largest_piece_of_a_log_fits_the_line_of_a_reader():
    piece = Log(b"\xff" * MAX_LOG_DATA, "c" * 128, ended=False)
    line = encode(piece)
    assert receives(LOG_LIMITS.line, line)
    assert decode(line, type=Reply) == piece


@pytest.mark.parametrize(
    "body",
    [
        encode(
            WorkloadPage.of(WorkloadList([largest_status()] * MAX_PAGE, "w" * 63), WorkloadView.of)
        ),
        encode(HistoryView.of(largest_history())),
        agent_problem(AgentError(ErrorReply(ErrorCode.CONFLICT, widest(MAX_ERROR_LENGTH)))).body,
    ],
    ids=["page", "history", "problem"],
)
def test_largest_answer_of_the_control_plane_fits_a_client_with_usual_limits(body):
    assert len(body) <= Limits().body


def fullest_entry(workload):
    """Return an entry with the longest texts that a status may have."""
    registry = WorkloadRegistry()
    registry.register(workload, now=A_LONG_TIME)
    run = Run(
        WorkloadState.RUNNING,
        "R" * MAX_REASON_LENGTH,
        widest(MAX_MESSAGE_LENGTH),
        address="a" * MAX_ADDRESS_LENGTH,
        started_at=A_LONG_TIME,
    )
    return registry.update(workload.id, run, now=A_LONG_TIME)


def test_status_with_the_details_of_the_largest_workload_fits_a_line(workload):
    status = status_of(fullest_entry(workload), detail=True)
    line = encode(status)
    assert len(line) <= LineClientLimits().line
    assert decode(line, type=Reply) == status


def test_page_with_details_fits_a_line_and_leaves_out_nothing(workload):
    entries = [fullest_entry(replace(workload, id=f"w{number}")) for number in range(5)]
    seen = []
    while len(seen) < len(entries):
        details = partial(status_of, detail=True)
        page = page_builder(entries[len(seen) :], None, details, detail=True)()
        line = encode(page)
        assert len(line) <= MAX_DETAIL_BYTES + 1024 <= LineClientLimits().line
        assert decode(line, type=Reply) == page
        seen += [status.id for status in page.workloads]
    assert seen == [entry.workload.id for entry in entries]


def test_largest_error_of_a_conflict_fits_a_line():
    paths = [widest(MAX_PATH_LENGTH)] * MAX_DIFFERENCES
    error = ErrorReply(ErrorCode.CONFLICT, widest(MAX_ERROR_LENGTH), paths, id="w" * 63)
    line = encode(error)
    assert len(line) <= LineClientLimits().line
    assert decode(line, type=Reply) == error


def test_time_limits_of_the_agent_are_a_second_below_its_clients_timeout():
    limits = (IMAGE_SECONDS, LOG_SECONDS, READ_SECONDS, RUNTIME_SECONDS)
    assert max(limits) <= DEFAULT_TIMEOUT - 1
