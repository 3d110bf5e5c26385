"""Details of a status, requests that expect a version, and dry runs."""

from inspect import isawaitable

import pytest
from kakuri_agent import Agent, Capacity
from kakuri_json import encode
from kakuri_registry import WorkloadRegistry
from kakuri_rpc import (
    MAX_DETAIL_BYTES,
    MAX_DIFFERENCES,
    MAX_PATH_LENGTH,
    DescribeNode,
    Desired,
    ErrorCode,
    GetHistory,
    GetStatus,
    ListWorkloads,
    ReadLog,
    RemoveWorkload,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
)
from kakuri_workload import (
    ImageState,
    ImageStatus,
    Isolation,
    PullPolicy,
    RestartPolicy,
    WorkloadState,
)
from kakuri_workload.testing import workload

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState


async def test_status_with_details_has_everything_that_is_known(
    agent, runtime, registry, until_idle
):
    agent.handle(StartWorkload(workload(args=("a",))))
    runtime.change(RUNNING, address="10.0.0.2")
    await until_idle()
    status = agent.handle(GetStatus("wl-1", detail=True))
    assert status == Status(
        "wl-1",
        State.RUNNING,
        address="10.0.0.2",
        version=registry.get("wl-1").version,
        created_at=7.0,
        changed_at=7.0,
        workload=workload(args=("a",)),
    )


async def test_status_of_an_ended_workload_has_the_error_of_its_removal(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(FAILED, reason="Error", message="out of disk")
    await until_idle()
    runtime.end_failures["wl-1"] = "RemovePodSandbox: busy"
    status = agent.handle(GetStatus("wl-1"))
    message = "out of disk; its zone can't be stopped or removed: RemovePodSandbox: busy"
    assert (status.reason, status.message) == ("Error", message)
    for request in (StopWorkload("wl-1"), RemoveWorkload("wl-1")):
        assert agent.handle(request).message == message


async def test_long_message_of_an_ended_workload_leaves_room_for_the_error(
    agent, runtime, until_idle
):
    agent.handle(StartWorkload(workload()))
    runtime.change(FAILED, reason="Error", message="x" * 4096)
    await until_idle()
    runtime.end_failures["wl-1"] = "RemovePodSandbox: busy"
    message = agent.handle(GetStatus("wl-1")).message
    assert message.startswith("xxx")
    assert message.endswith("; its zone can't be stopped or removed: RemovePodSandbox: busy")


async def test_status_with_details_has_the_isolation_of_the_current_run(agent, runtime, until_idle):
    isolation = Isolation(handler="edera", checked_at=7.5)
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.change(RUNNING, isolation=isolation)
    await until_idle()
    assert agent.handle(GetStatus("wl-1", detail=True)).isolation == isolation
    assert agent.handle(GetStatus("wl-1")).isolation is None
    reply = agent.handle(ListWorkloads(detail=True))
    page = reply() if callable(reply) else reply
    assert page.workloads[0].isolation == isolation
    runtime.change(FAILED, reason="Error", exit_code=1, isolation=isolation)
    await until_idle()
    assert agent.handle(GetStatus("wl-1", detail=True)).isolation is None


async def test_status_with_details_has_the_pulled_bytes_of_the_current_attempt(
    agent, runtime, until_idle
):
    agent.handle(StartWorkload(workload(restart_policy=RestartPolicy.ALWAYS)))
    runtime.change(PENDING, reason="Pulling", pulled_bytes=2_100_000)
    await until_idle()
    assert agent.handle(GetStatus("wl-1", detail=True)).pulled_bytes == 2_100_000
    assert agent.handle(GetStatus("wl-1")).pulled_bytes is None
    runtime.change(FAILED, reason="Error", exit_code=1, pulled_bytes=2_100_000)
    await until_idle()
    assert agent.handle(GetStatus("wl-1", detail=True)).pulled_bytes is None


@pytest.mark.parametrize("fields", [{}, {"env": {"A": "1"}, "labels": {"a": "b"}, "args": ("x",)}])
async def test_workload_in_a_status_with_details_is_written_as_it_was_submitted(agent, fields):
    submitted = encode(workload(**fields))
    agent.handle(StartWorkload(workload(**fields)))
    assert submitted in encode(agent.handle(GetStatus("wl-1", detail=True)))
    assert submitted in encode(agent.handle(ListWorkloads(detail=True)))


async def test_status_without_details_is_as_short_as_in_the_contract(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    assert encode(agent.handle(GetStatus("wl-1"))) == (
        b'{"type":"Status","id":"wl-1","state":"Running"}'
    )


async def test_status_while_a_workload_is_to_end_has_its_desired_state(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    for request, desired in [
        (StopWorkload("wl-1"), Desired.STOPPED),
        (RestartWorkload("wl-1"), Desired.RESTARTED),
        (RemoveWorkload("wl-1"), Desired.REMOVED),
    ]:
        assert agent.handle(request).desired is desired
        assert agent.handle(GetStatus("wl-1")).desired is desired
        (listed,) = agent.handle(ListWorkloads()).workloads
        assert listed.desired is desired


@pytest.mark.parametrize(
    "request_of", [StopWorkload, RemoveWorkload, RestartWorkload, RerunWorkload]
)
async def test_request_that_expects_another_version_changes_nothing(
    agent, runtime, registry, until_idle, request_of
):
    agent.handle(StartWorkload(workload()))
    runtime.change(FAILED, reason="Error")
    await until_idle()
    before = registry.get("wl-1")
    reply = agent.handle(request_of("wl-1", expected_version=before.version + 1))
    assert (reply.code, reply.version, reply.id) == (
        ErrorCode.VERSION_MISMATCH,
        before.version,
        "wl-1",
    )
    assert reply.message == (
        f"expected version {before.version + 1} of workload 'wl-1', got {before.version}"
    )
    assert registry.get("wl-1") is before
    reply = agent.handle(request_of("wl-1", expected_version=before.version))
    assert isinstance(reply, Status)


async def test_reply_has_the_version_if_the_request_asks_for_it(
    agent, runtime, registry, until_idle
):
    request = StartWorkload(workload(), with_version=True)
    assert agent.handle(request).version == registry.get("wl-1").version
    assert agent.handle(request).version == registry.get("wl-1").version
    runtime.change(RUNNING)
    await until_idle()
    for change in (StopWorkload, RestartWorkload, RerunWorkload, RemoveWorkload):
        reply = agent.handle(change("wl-1", with_version=True))
        assert reply.version == registry.get("wl-1").version
    status = agent.handle(GetStatus("wl-1", with_version=True))
    assert (status.version, status.workload) == (registry.get("wl-1").version, None)


async def test_conflict_of_specifications_names_the_paths_that_differ(agent):
    agent.handle(StartWorkload(workload(env={"A": "1", "B": "1"}, args=("x", "y"))))
    other = workload(
        env={"A": "secret", "C": "1", "B": "1"}, args=("x", "z"), command=("c",), memory_mb=1
    )
    reply = agent.handle(StartWorkload(other))
    assert reply.differences == [
        "$.args[1]",
        "$.command",
        "$.env['A']",
        "$.env['C']",
        "$.memory_mb",
    ]
    assert "secret" not in encode(reply).decode()


async def test_differences_of_a_conflict_are_bounded(agent):
    agent.handle(StartWorkload(workload()))
    names = {f"{number:0>5}{'n' * 100_000}"[:1000]: "v" for number in range(200)}
    reply = agent.handle(StartWorkload(workload(env=names)))
    assert len(reply.differences) == MAX_DIFFERENCES
    assert max(map(len, reply.differences)) == MAX_PATH_LENGTH


async def test_conflict_with_a_removal_has_no_differences(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    agent.handle(RemoveWorkload("wl-1"))
    await until_idle()
    reply = agent.handle(StartWorkload(workload(memory_mb=1)))
    assert (reply.code, reply.differences) == (ErrorCode.CONFLICT, [])


async def test_dry_run_of_a_new_workload_registers_and_reserves_nothing(
    agent, registry, capacity, runtime, until_idle
):
    runtime.image = ImageStatus(ImageState.PRESENT, f"sha256:{'a' * 64}")
    given = workload(pull=PullPolicy.NEVER)
    reply = await agent.handle(StartWorkload(given, dry_run=True))
    assert reply == Status("wl-1", State.PENDING, image=runtime.image)
    assert runtime.checked == (given.image, PullPolicy.NEVER)
    runtime.image = None  # the runtime does not answer
    reply = await agent.handle(StartWorkload(given, dry_run=True))
    assert reply == Status("wl-1", State.PENDING)
    await until_idle()
    assert (len(registry), capacity.memory_mb_used, runtime.commands) == (0, 0, [])


async def test_dry_run_of_a_known_workload_returns_its_status(agent, runtime, until_idle):
    agent.handle(StartWorkload(workload()))
    runtime.change(RUNNING)
    await until_idle()
    reply = agent.handle(StartWorkload(workload(), dry_run=True))
    assert reply == Status("wl-1", State.RUNNING, existing=True)


async def test_dry_run_gets_the_error_of_a_start(registry, writer, runtime):
    agent = Agent(registry, writer, runtime, Capacity(memory_mb=1000))
    agent.handle(StartWorkload(workload("a")))
    cases = [
        (workload("a", memory_mb=1), ErrorCode.CONFLICT),
        (workload("b", runtime_class="other"), ErrorCode.BAD_REQUEST),
        (workload("b", memory_mb=500), ErrorCode.CAPACITY),
        (workload("b", memory_mb=5000), ErrorCode.NEVER_FITS),
    ]
    for given, code in cases:
        checked = agent.handle(StartWorkload(given, dry_run=True))
        assert checked.code is code
        assert checked == agent.handle(StartWorkload(given))
    agent.close()


async def test_dry_run_with_a_full_registry_is_capacity(writer, runtime, agent, registry):
    for name in ("a", "b", "c"):
        agent.handle(StartWorkload(workload(name)))
    reply = agent.handle(StartWorkload(workload("d"), dry_run=True))
    assert reply == agent.handle(StartWorkload(workload("d")))


async def test_list_with_details_ends_before_it_is_too_large(writer, runtime, monkeypatch):
    registry = WorkloadRegistry()
    agent = Agent(registry, writer, runtime)
    for number in range(10):
        large = workload(f"w{number}", env={"A": "x" * 120_000})
        registry.register(large, now=1.0)
    seen, after = [], ""
    while True:
        reply = agent.handle(ListWorkloads(after=after, detail=True))
        assert len(encode(reply)) <= MAX_DETAIL_BYTES + 1024
        seen += [status.workload.id for status in reply.workloads]
        if reply.next is None:
            break
        after = reply.next
    assert seen == [f"w{number}" for number in range(10)]
    agent.close()


async def test_list_with_details_has_one_workload_at_least(agent, registry, monkeypatch):
    registry.register(workload("a", env={"A": "x" * 120_000, "B": "\x01" * 100_000}), now=1.0)
    registry.register(workload("b"), now=1.0)
    reply = agent.handle(ListWorkloads(detail=True))
    assert ([status.id for status in reply.workloads], reply.next) == (["a"], "a")


async def test_removed_workload_that_is_not_known_is_not_found(agent):
    agent.handle(StartWorkload(workload()))
    for request in (GetStatus, GetHistory, ReadLog):
        reply = agent.handle(request("wl-1", removed=True))
        reply = await reply if isawaitable(reply) else reply
        assert (reply.code, reply.message) == (
            ErrorCode.NOT_FOUND,
            "no removed workload 'wl-1'",
        )
    assert agent.handle(ListWorkloads(removed=True)).workloads == []


async def test_node_has_its_name_its_store_and_the_index_of_its_latest_event(
    registry, writer, runtime
):
    agent = Agent(registry, writer, runtime, name="n1", store="sqlite", clock=lambda: 5.0)
    agent.handle(StartWorkload(workload()))
    node = agent.handle(DescribeNode())
    assert (node.name, node.store, node.started_at) == ("n1", "sqlite", 5.0)
    assert node.event_index == registry.version == 2  # the start of the agent is the first one
    assert node.features == ["trace"]
    agent.close()
