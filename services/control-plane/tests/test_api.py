import socket
from dataclasses import replace

import pytest
from kakuri_control_plane import __version__, control_plane_service
from kakuri_http import Client
from kakuri_rpc import (
    FEATURES,
    DescribeNode,
    Desired,
    ErrorCode,
    ErrorReply,
    GetHistory,
    GetStatus,
    History,
    ListWorkloads,
    Node,
    RemoveWorkload,
    StartWorkload,
    State,
    Status,
    WorkloadList,
)
from kakuri_tcp import Endpoint
from kakuri_workload import Isolation, Removal, Transition
from kakuri_workload.testing import workload

from .fake_agent import ANY_PORT, WORKLOAD, Api, api


async def test_post_of_a_new_workload_is_201_with_its_location():
    async with api(Status("wl-1", State.PENDING)) as call:
        status, body, headers = await call("POST", "/workloads", WORKLOAD)
        assert (status, body, headers.get("location")) == (201, WORKLOAD, "/workloads/wl-1")
        assert headers.get("content-type") == "application/json"
        (asked,) = call.asked
        assert isinstance(asked, StartWorkload)
        assert asked.workload.memory_mb == 512


async def test_post_of_an_existing_workload_is_200():
    async with api(Status("wl-1", State.RUNNING, existing=True)) as call:
        status, body, headers = await call("POST", "/workloads", WORKLOAD)
        assert (status, body) == (200, WORKLOAD | {"state": "running", "existing": True})
        assert list(body) == [*WORKLOAD, "state", "existing"]
        assert headers["location"] == "/workloads/wl-1"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCode.NOT_FOUND, 404),
        (ErrorCode.CONFLICT, 409),
        (ErrorCode.BAD_REQUEST, 500),
        (ErrorCode.TOO_LARGE, 413),
        (ErrorCode.NEVER_FITS, 422),
        (ErrorCode.CAPACITY, 503),
        (ErrorCode.RUNTIME, 500),
        (ErrorCode.INTERNAL, 500),
    ],
)
async def test_error_of_the_agent_has_its_http_status(code, expected):
    async with api(ErrorReply(code, "because", id="wl-1"), is_possible=False) as call:
        for method, path, document in (
            ("POST", "/workloads", WORKLOAD),
            ("GET", "/workloads/wl-1", None),
            ("DELETE", "/workloads/wl-1", None),
            ("GET", "/workloads", None),
            ("GET", "/workloads/wl-1/log", None),
            ("GET", "/workloads/wl-1/history", None),
        ):
            status, body, headers = await call(method, path, document)
            assert (status, body["status"], body["code"], body["detail"]) == (
                expected,
                expected,
                code.value,
                "because",
            )
            assert headers.get("content-type") == "application/problem+json"


async def test_full_node_is_503_with_retry_after():
    async with api(ErrorReply(ErrorCode.CAPACITY, "full", id="wl-1")) as call:
        _, _, headers = await call("POST", "/workloads", WORKLOAD)
        assert headers.get("retry-after") == "30"


async def test_unexpected_reply_of_the_agent_is_500():
    async with api(Node("1", "x", simulated=False, workloads=0)) as call:
        status, body, _ = await call("GET", "/workloads/wl-1")
        assert (status, body["code"]) == (500, "unexpected_reply")


async def test_status_has_the_fields_that_are_set():
    full = Status(
        "wl-1",
        State.FAILED,
        "OOMKilled",
        "it took too much",
        137,
        "10.0.0.2",
        1795453445.0,
        1795453446.123456,
        2,
        image_digest="sha256:0f",
    )
    async with api(full) as call:
        assert (await call("GET", "/workloads/wl-1"))[1] == {
            "id": "wl-1",
            "state": "failed",
            "reason": "OOMKilled",
            "message": "it took too much",
            "exit_code": 137,
            "address": "10.0.0.2",
            "started_at": "2026-11-23T17:04:05.000000Z",
            "ended_at": "2026-11-23T17:04:06.123456Z",
            "restarts": 2,
            "image_digest": "sha256:0f",
        }


async def test_invalid_document_is_400_with_every_fault_and_no_request_to_the_agent():
    async with api(Status("wl-1", State.PENDING)) as call:
        faulty = WORKLOAD | {"id": "A", "memory_mb": 0, "cpu_millicores": True, "x": 1}
        status, body, _ = await call("POST", "/workloads", faulty)
        assert (status, body["code"]) == (400, "bad_request")
        paths = {error["path"] for error in body["errors"]}
        assert paths == {"$.id", "$.memory_mb", "$.cpu_millicores", "$.x"}
        assert call.asked == []


FULL = WORKLOAD | {
    "command": ["/bin/sh", "-c"],
    "args": ["echo $A"],
    "env": {"A": "1"},
    "working_dir": "/tmp",
    "user": "1000:1000",
    "labels": {"example.com/team": "a"},
    "restart_policy": "on_failure",
    "max_restarts": 3,
    "pull": "always",
}


async def test_post_returns_the_workload_without_its_defaults():
    async with api(Status("wl-1", State.PENDING)) as call:
        assert (await call("POST", "/workloads", FULL))[:2] == (201, FULL)
        assert call.asked[0].workload.restart_policy.value == "on_failure"
        defaults = {"args": [], "env": {}, "user": None, "restart_policy": "never"}
        assert (await call("POST", "/workloads", WORKLOAD | defaults))[:2] == (201, WORKLOAD)


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("command", ["a", "b\0"], "$.command[1]"),
        ("args", "a", "$.args"),
        ("args", ["a", "x" * 131_072], "$.args[1]"),
        ("args", ["a", "é" * 65_536], "$.args[1]"),
        ("env", {"A=B": "a"}, "$.env['A=B']"),
        ("env", {"A": "x" * 131_070}, "$.env['A']"),
        ("env", {"X": 1}, "$.env.X"),
        ("working_dir", "tmp", "$.working_dir"),
        ("user", "a b", "$.user"),
        ("labels", {"kakuri.dev/x": "a"}, "$.labels['kakuri.dev/x']"),
        ("labels", {"team": "a b"}, "$.labels.team"),
        ("restart_policy", "sometimes", "$.restart_policy"),
        ("pull", "often", "$.pull"),
        ("max_restarts", -1, "$.max_restarts"),
    ],
)
async def test_invalid_optional_field_is_a_fault_with_its_path(field, value, path):
    async with api(Status("wl-1", State.PENDING)) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD | {field: value})
        assert (status, [error["path"] for error in body["errors"]]) == (400, [path])
        assert call.asked == []


@pytest.mark.parametrize(
    "fields",
    [
        {"args": ["a"] * 40_000},
        {"env": {f"a.b-{n}(x)": "v" for n in range(10_000)}},
        {"env": {"A": "x" * 120_000, "B": "é" * 60_000}},
        {"command": ["/bin/sh", "-c", "# ünï" * 15_000]},
    ],
)
async def test_document_of_240_kb_is_sent_to_the_agent_complete(fields):
    async with api(Status("wl-1", State.PENDING)) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD | fields)
        assert (status, body) == (201, WORKLOAD | fields)
        (request,) = call.asked
        for name, value in fields.items():
            asked = getattr(request.workload, name)
            assert (asked if isinstance(value, dict) else list(asked)) == value


async def test_document_over_the_limit_is_413_and_names_both_sizes():
    async with api(Status("wl-1", State.PENDING)) as call:
        env = {f"V{n}": "x" * 1000 for n in range(270)}
        status, body, _ = await call("POST", "/workloads", WORKLOAD | {"env": env})
        assert (status, body["code"]) == (413, "too_large")
        assert "at most 262144 bytes in its compact encoding, got at least 27" in body["detail"]
        assert call.asked == []


async def test_syntax_error_has_its_line():
    async with api(Status("wl-1", State.PENDING)) as call:
        status, body, _ = await call("POST", "/workloads", b'{"id":\n nope}')
        assert status == 400
        assert "line 2" in body["detail"]


def node(**handlers):
    return Node(
        "1", "cri", simulated=False, workloads=0, runtime_handlers=handlers or None,
        features=[*FEATURES],
    )  # fmt: skip


async def test_workload_of_a_class_that_the_node_lacks_is_400_with_the_classes():
    async with api(node(machine="qemu", plain="runc")) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD | {"runtime_class": "other"})
        assert (status, body["errors"]) == (400, [
            {"path": "$.runtime_class", "message": "expected 'machine' or 'plain', got 'other'"}
        ])  # fmt: skip
        assert call.asked == [DescribeNode()]


async def test_workload_of_another_class_on_a_node_without_handlers_is_400():
    async with api(node()) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD | {"runtime_class": "runc"})
        message = "expected 'edera-zone', got 'runc'"
        assert (status, body["errors"]) == (400, [{"path": "$.runtime_class", "message": message}])


async def test_workload_of_a_class_that_the_node_has_is_submitted_and_the_class_remembered():
    def answer(request):
        if isinstance(request, DescribeNode):
            return node(machine="qemu")
        return Status("wl-1", State.PENDING)

    async with api(answer) as call:
        for _ in range(2):
            status, _, _ = await call("POST", "/workloads", WORKLOAD | {"runtime_class": "machine"})
            assert status == 201
        kinds = [type(request) for request in call.asked]
        assert kinds == [DescribeNode, StartWorkload, StartWorkload]


async def test_workload_of_a_class_that_the_agent_has_lost_is_400():
    def answer(request):
        if isinstance(request, DescribeNode):
            return node(machine="qemu")
        return ErrorReply(ErrorCode.BAD_REQUEST, "expected runtime class machine", id="wl-1")

    async with api(answer) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD)
        assert (status, body["errors"][0]["path"]) == (400, "$.runtime_class")
        assert [type(request) for request in call.asked] == [StartWorkload, DescribeNode]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("application/merge-patch+json", 201),
        ("application/x-www-form-urlencoded", 201),
        ("text/plain", 201),
        ("Application/JSON ;charset=utf-8", 201),
        ("application/octet-stream", 201),
        ("TEXT/HTML; charset=utf-8", 415),
        ("application/pdf", 415),
        ("application/atom+xml", 415),
        ("text/javascript", 415),
        ("application/json, image/png", 415),
        ("image/png", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
async def test_content_type_that_cannot_be_json_is_415(content_type, expected):
    async with api(Status("wl-1", State.PENDING)) as call:
        assert (await call("POST", "/workloads", WORKLOAD, content_type=content_type))[
            0
        ] == expected


async def test_compressed_content_is_415():
    async with api(Status("wl-1", State.PENDING)) as call:
        assert (await call("POST", "/workloads", WORKLOAD, content_encoding="gzip"))[0] == 415
        assert (await call("POST", "/workloads", WORKLOAD, content_encoding="identity"))[0] == 201


async def test_readyz_with_an_unexpected_reply_is_503():
    async with api(Status("wl-1", State.PENDING)) as call:
        status, body, headers = await call("GET", "/readyz")
        assert (status, body["code"], headers.get("retry-after")) == (503, "unexpected_reply", "1")


async def test_list_returns_a_page_of_workloads():
    page = WorkloadList(
        [Status("a", State.RUNNING), Status("b", State.FAILED, "Error", None, 3)], "b"
    )
    async with api(page) as call:
        status, body, _ = await call("GET", "/workloads?limit=2&after=0&state=running")
        assert status == 200
        assert body == {
            "workloads": [
                {"id": "a", "state": "running"},
                {"id": "b", "state": "failed", "reason": "Error", "exit_code": 3},
            ],
            "next": "b",
        }
        assert call.asked == [ListWorkloads(State.RUNNING, "0", 2)]


@pytest.mark.parametrize("query", ["label=a/team=b", "label=a%2Fteam%3Db"])
async def test_list_with_a_label_asks_the_agent_for_it(query):
    async with api(WorkloadList([])) as call:
        assert (await call("GET", f"/workloads?{query}"))[0] == 200
        assert call.asked == [ListWorkloads(label="a/team=b")]


async def test_history_returns_the_transitions_of_a_workload():
    history = History(
        "wl-1",
        [
            Transition(1795453445.0, State.PENDING),
            Transition(1795453446.5, State.FAILED, "Error", "m", 3, 1),
        ],
    )
    async with api(history) as call:
        status, body, _ = await call("GET", "/workloads/wl-1/history")
        assert (status, call.asked) == (200, [GetHistory("wl-1")])
        assert body == {
            "id": "wl-1",
            "transitions": [
                {"at": "2026-11-23T17:04:05.000000Z", "state": "pending"},
                {
                    "at": "2026-11-23T17:04:06.500000Z",
                    "state": "failed",
                    "reason": "Error",
                    "message": "m",
                    "exit_code": 3,
                    "restarts": 1,
                },
            ],
        }


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1&limit=2",
        "state=Runing",
        "colour=red",
        "limit=+1",
        "label=team",
        "label=team%3Da+b",
    ],
)
async def test_invalid_query_of_a_list_is_400(query):
    async with api(WorkloadList([], None)) as call:
        status, body, _ = await call("GET", f"/workloads?{query}")
        assert (status, body["code"]) == (400, "bad_request"), body


async def test_invalid_id_is_404_without_a_request_to_the_agent():
    async with api(Status("wl-1", State.PENDING)) as call:
        for path in ("A", "-", "a%2Fb", "x" * 64):
            for method in ("GET", "DELETE"):
                assert (await call(method, f"/workloads/{path}"))[0] == 404
            assert (await call("GET", f"/workloads/{path}/log"))[0] == 404
            assert (await call("GET", f"/workloads/{path}/history"))[0] == 404
        assert call.asked == []


async def test_delete_is_202_with_the_last_state():
    async with api(Status("wl-1", State.RUNNING)) as call:
        status, body, _ = await call("DELETE", "/workloads/wl-1")
        assert (status, body) == (202, {"id": "wl-1", "state": "running"})
        assert call.asked == [RemoveWorkload("wl-1", with_version=True)]


async def test_readyz_asks_the_agent_and_healthz_does_not():
    async with api(Node("1", "simulated", simulated=True, workloads=0)) as call:
        assert (await call("GET", "/healthz"))[0] == 200
        assert call.asked == []
        status, _, _ = await call("GET", "/readyz")
        assert (status, call.asked) == (200, [DescribeNode()])


async def test_unreachable_agent_is_503_with_retry_after():
    nobody = Endpoint.parse("127.0.0.1:1")
    async with control_plane_service(ANY_PORT, nobody, 5.0) as endpoint, Client() as client:
        call = Api(client, endpoint, [])
        for method, path, document in (
            ("POST", "/workloads", WORKLOAD),
            ("GET", "/workloads/a", None),
            ("GET", "/readyz", None),
        ):
            status, body, headers = await call(method, path, document)
            assert (status, body["code"], headers.get("retry-after")) == (
                503,
                "agent_unreachable",
                "1",
            )


async def test_agent_without_a_reply_is_504():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        agent = Endpoint.parse(f"127.0.0.1:{silent.getsockname()[1]}")
        async with control_plane_service(ANY_PORT, agent, 0.1) as endpoint, Client() as client:
            status, body, _ = await Api(client, endpoint, [])("GET", "/workloads/a")
            assert (status, body["code"]) == (504, "agent_timeout")


async def test_request_of_a_page_of_another_site_reaches_no_handler():
    async with api(Status("wl-1", State.RUNNING)) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD, sec_fetch_site="cross-site")
        assert (status, body["code"], call.asked) == (403, "cross_site", [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/workloads/wl-1/stop"),
        ("POST", "/workloads/wl-1/start"),
        ("POST", "/workloads/wl-1/restart"),
        ("GET", "/nodes"),
        ("GET", "/nodes/a"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    ],
)
async def test_query_of_a_route_without_parameters_is_400_and_does_nothing(method, path):
    async with api(Status("wl-1", State.PENDING)) as call:
        document = {} if method == "POST" else None
        status, body, _ = await call(method, f"{path}?force=true&x=", document)
        assert (status, body["code"], body["detail"]) == (
            400,
            "bad_request",
            "the query has 2 faults",
        )
        message = "expected no parameters for this path and method"
        assert body["errors"] == [
            {"path": "query.force", "message": message},
            {"path": "query.x", "message": message},
        ]
        assert call.asked == []
        assert (await call(method, f"{path}?", document))[0] != 400


@pytest.mark.parametrize(
    ("path", "fault", "message"),
    [
        ("/workloads?state=Runing", "query.state",
         "expected one of 'pending', 'running', 'succeeded', 'failed', got 'Runing'"),
        ("/workloads?label=x", "query.label", "expected a label as key=value, got 'x'"),
        ("/workloads?limit=0", "query.limit", "expected an integer from 1 to 100, got 0"),
        ("/workloads?limit=1&limit=1", "query.limit", "expected one value, got several"),
        ("/workloads?limit=0&limit=x", "query.limit", "expected one value, got several"),
        ("/workloads?watch&watch", "query.watch",
         "expected one of 'limit', 'after', 'state', 'label', 'spec', 'removed', got 'watch'"),
        ("/workloads?lable=a=b", "query.lable",
         "expected one of 'limit', 'after', 'state', 'label', 'spec', 'removed', got 'lable'; did you mean 'label'?"),
        ("/workloads?watch", "query.watch",
         "expected one of 'limit', 'after', 'state', 'label', 'spec', 'removed', got 'watch'"),
        ("/workloads/a/log?tail=x", "query.tail", "expected an integer from 0 to 1000000, got 'x'"),
        ("/workloads/a/log?follow=maybe", "query.follow", "expected true or false, got 'maybe'"),
        ("/workloads/a/log?x=1", "query.x",
         ("expected one of 'tail', 'follow', 'timestamps', 'stream', 'since', 'attempt', 'format', "
         "'removed', got 'x'")),
        ("/workloads/a/log?stream=out", "query.stream",
         "expected one of 'stdout', 'stderr', got 'out'"),
        ("/workloads/a/log?since=1", "query.since",
         ("expected a time such as 2026-11-26T14:07:25Z or a duration such as 90s, 10m, 1h30m or "
         "2d, got '1'")),
    ],
)  # fmt: skip
async def test_fault_of_a_query_names_the_parameter(path, fault, message):
    async with api(WorkloadList([], None)) as call:
        status, body, _ = await call("GET", path)
        assert (status, body["detail"]) == (400, "the query has 1 fault")
        assert body["errors"] == [{"path": fault, "message": message}]


async def test_query_with_a_repeated_parameter_reports_the_other_faults_too():
    async with api(WorkloadList([], None)) as call:
        status, body, _ = await call("GET", "/workloads?limit=0&state=x&limit=2&watch&watch")
        assert (status, body["detail"]) == (400, "the query has 3 faults")
        assert [each["path"] for each in body["errors"]] == [
            "query.limit",
            "query.state",
            "query.watch",
        ]


@pytest.mark.parametrize("state", ["running", "Running", "RUNNING"])
async def test_state_in_a_query_may_be_written_in_any_case(state):
    async with api(WorkloadList([], None)) as call:
        assert (await call("GET", f"/workloads?state={state}"))[0] == 200
        assert call.asked == [ListWorkloads(State.RUNNING)]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("args", "--foo", 'expected a list of strings, got \'--foo\': write ["--foo"]'),
        ("command", "sh -c true", 'expected a list of strings, got \'sh -c true\': write ["sh", "-c", "true"]'),
        ("args", 'say "x"', "expected a list of strings, got 'say \"x\"'"),
        ("args", 5, "expected a list of strings, got 5"),
        ("args", {"a": "b"}, "expected a list of strings, got an object"),
    ],
)  # fmt: skip
async def test_command_given_as_a_string_gets_an_error_with_the_list_to_write(
    field, value, message
):
    async with api(Status("wl-1", State.PENDING)) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD | {field: value})
        assert (status, body["errors"]) == (400, [{"path": f"$.{field}", "message": message}])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/workloads/web/logs", "did you mean /workloads/web/log?"),
        ("/workloads/web/History", "did you mean /workloads/web/history?"),
        ("/workloads/", "did you mean /workloads?"),
        ("/workload/web", "did you mean /workloads/web?"),
        ("/health", "did you mean /healthz?"),
        ("/version", "the paths are /workloads, /workloads/:id, /workloads/:id/log, "),
        ("/v1/workloads", "did you mean /workloads?"),
        ("/workloads/web/exec", "did you mean /workloads/web?"),
        ("/workloads/a-long-name/resume", "did you mean /workloads/a-long-name?"),
        ("/node", "did you mean /nodes?"),
        ("/" + "x" * 5000, "the paths are /workloads, "),
    ],
)  # fmt: skip
async def test_unknown_path_is_404_with_a_similar_path(path, words):
    async with api(Status("wl-1", State.PENDING)) as call:
        status, body, _ = await call("GET", path)
        assert (status, body["code"]) == (404, "not_found")
        assert body["detail"].startswith(f"unknown path {path}; ")
        assert words in body["detail"]


async def test_readyz_reports_a_simulated_runtime():
    message = "nothing really runs: the runtime is simulated"
    node = Node("1", "simulated", simulated=True, workloads=0, message=message)
    async with api(node) as call:
        status, body, _ = await call("GET", "/readyz")
        assert (status, body) == (200, {"status": "ok", "simulated": True, "message": message})


async def test_readyz_of_a_real_node_has_only_the_status():
    async with api(Node("1", "sidecar", simulated=False, workloads=0)) as call:
        assert (await call("GET", "/readyz"))[:2] == (200, {"status": "ok"})


@pytest.mark.parametrize("reason", ["connection refused", None])
async def test_readyz_is_503_while_the_runtime_is_unavailable(reason):
    node = Node(
        "1", "sidecar", simulated=False, workloads=1, runtime_available=False, message=reason
    )
    async with api(node) as call:
        status, body, headers = await call("GET", "/readyz")
        assert (status, body["code"], headers["retry-after"]) == (503, "runtime_unavailable", "1")
        assert body["detail"] == (reason or "the container runtime does not answer")


DETAILED = Status(
    "wl-1",
    State.PENDING,
    "BackOff",
    desired=Desired.STOPPED,
    restart_at=1795453447.0,
    version=12,
    created_at=1795453445.0,
    changed_at=1795453446.0,
    workload=workload("wl-1"),
)


async def test_status_shows_what_is_desired_and_when_the_next_run_is_due():
    status = Status(
        "wl-1", State.PENDING, "BackOff", desired=Desired.REMOVED, restart_at=1795453447.0
    )
    async with api(status) as call:
        _, body, headers = await call("GET", "/workloads/wl-1")
        assert list(body.items()) == [
            ("id", "wl-1"),
            ("state", "pending"),
            ("reason", "BackOff"),
            ("desired", "removed"),
            ("restart_at", "2026-11-23T17:04:07.000000Z"),
        ]
        assert "etag" not in headers
        assert call.asked == [GetStatus("wl-1")]


@pytest.mark.parametrize("query", ["spec", "spec=true", "spec=1", "spec=TRUE"])
async def test_spec_shows_everything_with_the_version_as_entity_tag(query):
    async with api(DETAILED) as call:
        status, body, headers = await call("GET", f"/workloads/wl-1?{query}")
        assert (status, headers["etag"]) == (200, '"12"')
        assert list(body.items())[4:] == [
            ("restart_at", "2026-11-23T17:04:07.000000Z"),
            ("version", 12),
            ("created_at", "2026-11-23T17:04:05.000000Z"),
            ("changed_at", "2026-11-23T17:04:06.000000Z"),
            ("spec", WORKLOAD),
        ]
        assert call.asked == [GetStatus("wl-1", detail=True)]


async def test_spec_shows_how_the_run_is_isolated():
    isolation = Isolation(
        handler="edera", kernel="6.16.1", host_kernel="6.12.0", checked_at=1795453447.0
    )
    async with api(replace(DETAILED, isolation=isolation)) as call:
        _, body, _ = await call("GET", "/workloads/wl-1?spec")
        assert list(body["isolation"].items()) == [
            ("handler", "edera"),
            ("kernel", "6.16.1"),
            ("host_kernel", "6.12.0"),
            ("checked_at", "2026-11-23T17:04:07.000000Z"),
        ]


async def test_spec_shows_how_much_of_the_image_was_pulled():
    async with api(replace(DETAILED, pulled_bytes=2_100_000)) as call:
        _, body, _ = await call("GET", "/workloads/wl-1?spec")
        assert body["pulled_bytes"] == 2_100_000


async def test_head_with_spec_has_the_entity_tag_and_no_content():
    async with api(DETAILED) as call:
        response = await call.client.request("HEAD", f"http://{call.endpoint}/workloads/wl-1?spec")
        assert (response.status, response.body, response.headers["etag"]) == (200, b"", '"12"')


@pytest.mark.parametrize(("field", "expected"), [('"12"', 304), ('W/"12"', 304), ('"11"', 200)])
async def test_spec_that_the_client_has_is_304(field, expected):
    async with api(DETAILED) as call:
        response = await call.client.request(
            "GET",
            f"http://{call.endpoint}/workloads/wl-1?spec",
            headers={"If-None-Match": field},
        )
        assert (response.status, response.headers["etag"]) == (expected, '"12"')
        assert (response.body == b"") is (expected == 304)


@pytest.mark.parametrize(("field", "expected"), [('"12"', 200), ("*", 200), ('W/"12"', 412)])
async def test_spec_with_if_match_is_412_for_another_version(field, expected):
    async with api(DETAILED) as call:
        for query in ("?spec", ""):
            assert (await call("GET", f"/workloads/wl-1{query}", if_match=field))[0] == expected
            assert call.asked[-1].with_version or call.asked[-1].detail


async def test_status_with_an_if_match_that_is_not_valid_is_400():
    async with api(DETAILED) as call:
        status, body, _ = await call("GET", "/workloads/wl-1", if_match="12")
        assert (status, body["errors"][0]["path"]) == (400, "header.If-Match")


async def test_index_names_the_service_and_its_paths():
    async with api(DETAILED) as call:
        status, body, _ = await call("GET", "/")
        assert status == 200
        assert body == {
            "name": "kakuri-control-plane",
            "version": __version__,
            "workloads": "/workloads",
            "nodes": "/nodes",
            "events": "/events",
            "ready": "/readyz",
        }
        assert call.asked == []


async def test_list_with_spec_asks_for_details_and_shows_them():
    async with api(WorkloadList([DETAILED], "wl-1")) as call:
        _, body, _ = await call("GET", "/workloads?spec&limit=1")
        assert (body["workloads"][0]["spec"], body["next"]) == (WORKLOAD, "wl-1")
        assert call.asked == [ListWorkloads(limit=1, detail=True)]


REMOVED = Status(
    "wl-1",
    State.SUCCEEDED,
    exit_code=0,
    removed_at=1795453447.0,
    removal=Removal("5f0c", "9a3e", 0, "list"),
)
REMOVED_VIEW = {
    "id": "wl-1",
    "state": "succeeded",
    "exit_code": 0,
    "removed_at": "2026-11-23T17:04:07.000000Z",
    "removal": {"zone": "5f0c", "container": "9a3e", "log_bytes": 0, "verified_by": "list"},
}


async def test_removed_workload_is_read_with_its_receipt():
    async with api(REMOVED) as call:
        assert (await call("GET", "/workloads/wl-1?removed"))[:2] == (200, REMOVED_VIEW)
        await call("GET", "/workloads/wl-1?removed&spec")
        assert call.asked == [
            GetStatus("wl-1", removed=True),
            GetStatus("wl-1", detail=True, removed=True),
        ]


async def test_removed_workloads_are_listed():
    async with api(WorkloadList([REMOVED])) as call:
        status, body, _ = await call("GET", "/workloads?removed")
        assert (status, body) == (200, {"workloads": [REMOVED_VIEW]})
        assert call.asked == [ListWorkloads(removed=True)]


async def test_history_of_a_removed_workload_is_asked_for():
    async with api(History("wl-1", [])) as call:
        assert (await call("GET", "/workloads/wl-1/history?removed"))[0] == 200
        assert call.asked == [GetHistory("wl-1", removed=True)]
