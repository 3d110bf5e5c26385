"""What a submitted workload may leave out, dry runs, and answers that concern its specification."""

import pytest
from kakuri_rpc import DescribeNode, ErrorCode, ErrorReply, Node, StartWorkload, State, Status
from kakuri_workload import ImageState, ImageStatus

from .fake_agent import WORKLOAD, api

SHORT = {"id": "wl-1", "image": "nginx:latest"}
DEFAULTS = {"runtime_class": "edera-zone", "memory_mb": 512, "cpu_millicores": 1000}


def node(**changes):
    fields = {"version": "1", "runtime": "cri", "simulated": False, "workloads": 0}
    return Node(**(fields | changes))


def agent(started=None, **described):
    """Return an agent's replies to a start and to DescribeNode."""

    def reply(request):
        if isinstance(request, DescribeNode):
            return node(**described)
        return started or Status(request.workload.id, State.PENDING)

    return reply


async def test_post_of_id_and_image_alone_starts_a_workload_with_defaults_and_shows_them():
    async with api(agent(runtime_handlers={"edera-zone": "edera"})) as call:
        status, body, headers = await call("POST", "/workloads", SHORT)
        assert (status, body) == (201, SHORT | DEFAULTS)
        assert list(body) == list(WORKLOAD)
        assert headers["location"] == "/workloads/wl-1"
        assert call.asked[-1].workload.cpu_millicores == 1000


@pytest.mark.parametrize("omitted", ["runtime_class", "memory_mb", "cpu_millicores"])
async def test_post_without_one_field_has_the_default_of_that_field_alone(omitted):
    given = WORKLOAD | {"labels": {"team": "a"}, "env": {omitted: "1"}}
    async with api(agent(simulated=True)) as call:
        document = {name: value for name, value in given.items() if name != omitted}
        status, body, _ = await call("POST", "/workloads", document)
        assert (status, body) == (201, given | {omitted: DEFAULTS[omitted]})


async def test_default_class_is_the_only_one_of_the_node_and_remembered():
    async with api(agent(runtime_handlers={"gvisor": "runsc"})) as call:
        for _ in range(2):
            body = (await call("POST", "/workloads", SHORT))[1]
            assert body["runtime_class"] == "gvisor"
        kinds = [type(request) for request in call.asked]
        assert kinds == [DescribeNode, StartWorkload, StartWorkload]


async def test_default_class_of_a_node_with_several_is_ederas():
    handlers = {"a": "a", "edera-zone": "edera", "z": "z"}
    async with api(agent(runtime_handlers=handlers)) as call:
        assert (await call("POST", "/workloads", SHORT))[1]["runtime_class"] == "edera-zone"


async def test_post_without_a_class_on_a_node_with_others_is_400_with_the_classes():
    async with api(agent(runtime_handlers={"a": "a", "z": "z"})) as call:
        status, body, _ = await call("POST", "/workloads", SHORT)
        fault = {"path": "$.runtime_class", "message": "expected 'a' or 'z', got nothing"}
        assert (status, body["errors"]) == (400, [fault])


async def test_default_class_is_not_remembered_before_the_runtime_reported_its_handlers():
    reported = {}

    def reply(request):
        if isinstance(request, DescribeNode):
            return node(runtime_handlers=reported or None)
        return Status("wl-1", State.PENDING)

    async with api(reply) as call:
        assert (await call("POST", "/workloads", SHORT))[1]["runtime_class"] == "edera-zone"
        reported["gvisor"] = "runsc"
        assert (await call("POST", "/workloads", SHORT))[1]["runtime_class"] == "gvisor"


async def test_default_class_that_the_agent_has_lost_is_replaced_by_its_current_one():
    classes = ["machine"]

    def reply(request):
        if isinstance(request, DescribeNode):
            return node(runtime_handlers={classes[0]: "handler"})
        if request.workload.runtime_class != classes[0]:
            return ErrorReply(ErrorCode.BAD_REQUEST, "expected runtime class gvisor", id="wl-1")
        return Status("wl-1", State.PENDING)

    async with api(reply) as call:
        assert (await call("POST", "/workloads", SHORT))[1]["runtime_class"] == "machine"
        classes[0] = "gvisor"
        _, body, headers = await call("POST", "/workloads", SHORT)
        assert body["runtime_class"] == "gvisor"
        _, *starts = filter(None, call.traces)
        assert starts == [headers["traceparent"].split("-")[1]] * 2
        assert (await call("POST", "/workloads", WORKLOAD))[0] == 400


async def test_missing_image_is_400_and_defaults_cause_no_fault():
    async with api(agent()) as call:
        status, body, _ = await call("POST", "/workloads", {"id": "a", "memory_mb": 0})
        assert (status, [each["path"] for each in body["errors"]]) == (
            400,
            ["$.memory_mb", "$.image"],
        )
        assert call.asked == []


@pytest.mark.parametrize("field", ["id", "runtime_class"])
async def test_empty_text_of_what_may_be_left_out_is_400(field):
    async with api(agent()) as call:
        document = {"image": "nginx", "id": "a"} | {field: ""}
        status, body, _ = await call("POST", "/workloads", document, idempotency_key="k")
        assert (status, [each["path"] for each in body["errors"]]) == (400, [f"$.{field}"])


async def test_post_without_id_and_key_is_400_and_names_the_key():
    async with api(agent()) as call:
        status, body, _ = await call("POST", "/workloads", {"image": "nginx"})
        (fault,) = body["errors"]
        assert (status, fault["path"]) == (400, "$.id")
        assert fault["message"].endswith(
            ", got nothing, and no Idempotency-Key from which to make one"
        )
        assert call.asked == []


async def test_post_with_a_key_gets_the_same_id_each_time():
    async with api(agent(simulated=True)) as call:
        for _ in range(2):
            status, body, headers = await call(
                "POST", "/workloads", {"image": "ghcr.io/acme/web_app:1"}, idempotency_key="order 7"
            )
            assert status == 201
            assert body["id"] == "web-app-b7ej7cxbso"
            assert headers["location"] == f"/workloads/{body['id']}"
        other = await call("POST", "/workloads", {"image": "nginx"}, idempotency_key="order 8")
        assert other[1]["id"] != body["id"]


async def test_complete_document_without_id_may_have_a_key_too():
    without_id = {name: value for name, value in WORKLOAD.items() if name != "id"}
    async with api(agent()) as call:
        named = without_id | {"env": {"id": "x"}}
        status, body, _ = await call("POST", "/workloads", named, idempotency_key="k")
        assert (status, body["id"][:6], body["env"]) == (201, "nginx-", {"id": "x"})


@pytest.mark.parametrize("document", [WORKLOAD, SHORT])
async def test_key_beside_an_id_is_ignored_even_if_it_is_invalid(document):
    async with api(agent(simulated=True)) as call:
        status, body, _ = await call("POST", "/workloads", document, idempotency_key="k" * 300)
        assert (status, body["id"]) == (201, "wl-1")


async def test_invalid_key_without_an_id_is_400_with_the_name_of_the_field():
    async with api(agent()) as call:
        status, body, _ = await call(
            "POST", "/workloads", {"image": "nginx"}, idempotency_key="k" * 256
        )
        assert (status, body["code"]) == (400, "bad_request")
        assert [each["path"] for each in body["errors"]] == ["header.Idempotency-Key"]
        assert call.asked == []


@pytest.mark.parametrize(("existing", "change"), [(False, "create"), (True, "none")])
async def test_dry_run_returns_the_change_and_the_complete_workload(existing, change):
    async with api(agent(Status("wl-1", State.PENDING, existing=existing), simulated=True)) as call:
        status, body, headers = await call("POST", "/workloads?dry_run", SHORT)
        assert (status, list(body)) == (200, ["dry_run", "change", "workload"])
        assert body == {"dry_run": True, "change": change, "workload": SHORT | DEFAULTS}
        assert "location" not in headers
        assert call.asked[-1].dry_run is True


async def test_dry_run_shows_what_the_agent_found_out_about_the_image():
    digest = f"sha256:{'a' * 64}"
    image = ImageStatus(ImageState.PRESENT, digest)
    async with api(Status("wl-1", State.PENDING, image=image)) as call:
        _, body, _ = await call("POST", "/workloads?dry_run", WORKLOAD)
    assert list(body) == ["dry_run", "change", "workload", "image"]
    assert body["image"] == {"state": "present", "digest": digest}


@pytest.mark.parametrize("query", ["dry_run=false", "dry_run=0"])
async def test_dry_run_that_is_off_starts_the_workload(query):
    async with api(agent()) as call:
        assert (await call("POST", f"/workloads?{query}", WORKLOAD))[0] == 201
        assert call.asked[-1].dry_run is False


async def test_dry_run_of_what_a_post_would_refuse_is_the_same_error():
    async with api(agent(ErrorReply(ErrorCode.CAPACITY, "full", id="wl-1"))) as call:
        status, body, _ = await call("POST", "/workloads?dry_run=true", WORKLOAD)
        assert (status, body["code"]) == (503, "capacity")


async def test_unknown_parameter_of_a_post_is_400_and_starts_nothing():
    async with api(agent()) as call:
        status, body, _ = await call("POST", "/workloads?dryrun=true", WORKLOAD)
        message = "expected one of 'dry_run', got 'dryrun'; did you mean 'dry_run'?"
        assert (status, body["errors"]) == (400, [{"path": "query.dryrun", "message": message}])
        assert call.asked == []


async def test_post_of_a_finished_workload_answers_how_it_ended():
    ended = Status("wl-1", State.FAILED, "Error", exit_code=3, existing=True)
    async with api(agent(ended)) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD)
        assert status == 200
        assert body == WORKLOAD | {
            "state": "failed", "reason": "Error", "exit_code": 3, "existing": True,
        }  # fmt: skip


async def test_conflict_lists_the_paths_that_differ_without_their_values():
    paths = ["$.image", "$.env['A']"]
    reply = ErrorReply(ErrorCode.CONFLICT, "another", id="wl-1", differences=paths)
    async with api(agent(reply)) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD)
        assert (status, body["code"]) == (409, "conflict")
        assert body["errors"] == [
            {"path": path, "message": "differs from the existing workload"} for path in paths
        ]


async def test_workload_that_never_fits_is_422_with_the_figures_of_the_node():
    refused = ErrorReply(ErrorCode.NEVER_FITS, "too much", id="wl-1")
    async with api(agent(refused, memory_mb=256, cpu_millicores=500)) as call:
        status, body, headers = await call("POST", "/workloads", WORKLOAD)
        assert (status, body["code"], body["detail"]) == (422, "never_fits", "too much")
        assert body["errors"] == [
            {"path": "$.memory_mb", "message": "expected at most 256, got 512"}
        ]
        assert "retry-after" not in headers


async def test_workload_that_never_fits_is_422_even_if_the_node_does_not_say_more():
    def reply(request):
        if isinstance(request, DescribeNode):
            return ErrorReply(ErrorCode.INTERNAL, "broken")
        return ErrorReply(ErrorCode.NEVER_FITS, "too much", id="wl-1")

    async with api(reply) as call:
        status, body, _ = await call("POST", "/workloads", WORKLOAD)
        assert (status, body["detail"], "errors" in body) == (422, "too much", False)


async def test_error_that_concerns_no_class_is_passed_on_without_another_start():
    async with api(agent(ErrorReply(ErrorCode.CONFLICT, "another", id="wl-1"))) as call:
        assert (await call("POST", "/workloads", SHORT))[0] == 409
        assert [type(request) for request in call.asked] == [DescribeNode, StartWorkload]


async def test_response_to_a_repeated_submission_follows_the_agents_replies():
    replies = [
        Status("wl-1", State.PENDING),
        *[Status("wl-1", State.PENDING, existing=True)] * 3,
        *[Status("wl-1", State.RUNNING, existing=True)] * 3,
        Status("wl-1", State.PENDING),  # it was removed in between
    ]
    states = []
    async with api(lambda _: replies[len(states)]) as call:
        for _ in replies:
            status, body, headers = await call("POST", "/workloads", WORKLOAD)
            assert headers["location"] == "/workloads/wl-1"
            states.append((status, body.pop("state", None)))
            body.pop("existing", None)
            assert body == WORKLOAD
        assert len(set(call.traces)) == len(replies)
        assert {request.workload.id for request in call.asked} == {"wl-1"}
    assert states == [(201, None), *[(200, "pending")] * 3, *[(200, "running")] * 3, (201, None)]


async def test_repeated_submission_that_the_agent_refuses_or_only_checks_changes_nothing():
    conflict = ErrorReply(ErrorCode.CONFLICT, "it differs", id="wl-1")
    replies = [Status("wl-1", State.PENDING, existing=True)] * 3 + [conflict]
    async with api(lambda request: replies[-1] if request.dry_run else replies.pop(0)) as call:
        for _ in range(3):
            assert (await call("POST", "/workloads", WORKLOAD))[0] == 200
        assert (await call("POST", "/workloads?dry_run", WORKLOAD))[0] == 409
        assert call.asked[-1].dry_run
        assert (await call("POST", "/workloads", WORKLOAD))[0] == 409


async def test_repeated_submission_whose_class_the_node_has_lost_is_checked_again():
    classes = ["edera-zone"]

    def reply(request):
        if isinstance(request, DescribeNode):
            return node(runtime_handlers=dict.fromkeys(classes, "handler"))
        if request.workload.runtime_class not in classes:
            return ErrorReply(ErrorCode.BAD_REQUEST, "expected runtime class gvisor", id="wl-1")
        return Status("wl-1", State.RUNNING, existing=True)

    async with api(reply) as call:
        for _ in range(3):
            assert (await call("POST", "/workloads", WORKLOAD))[0] == 200
        classes[0] = "gvisor"
        for _ in range(2):
            status, body, _ = await call("POST", "/workloads", WORKLOAD)
            assert (status, body["errors"][0]["path"]) == (400, "$.runtime_class")
        assert isinstance(call.asked[-1], DescribeNode)
