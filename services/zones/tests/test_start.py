import asyncio
import itertools
from itertools import groupby

import pytest
from kakuri_cri import Timeouts
from kakuri_cri.testing import FakeImage
from kakuri_json import encode
from kakuri_tcp.testing import until
from kakuri_workload import RestartPolicy, ZoneChanged
from kakuri_workload import WorkloadState as State
from kakuri_zones._labels import spec_hash
from kakuri_zones._settings import PullLimits

SHORT = {"timeouts": Timeouts(usual=0.3, run_pod_sandbox=0.3)}


def has_no_objects(runtime):
    return not runtime.sandboxes and not runtime.containers


async def test_started_zone_is_reported_as_running(runtime, node):
    is_new, zone = await node.start(command=("/bin/app",))
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert zone.pod_sandbox_id == runtime.sandbox("z").id
    assert zone.container_id == runtime.container("z").id
    assert zone.address == runtime.sandbox("z").ip
    assert zone.started_at == runtime.container("z").started_at / 10**9
    assert (zone.spec, zone.spec_hash) == (None, spec_hash(node.spec(command=("/bin/app",))))
    assert zone.ended_at is None
    assert await node.zone() == zone
    calls = [call.method for call in runtime.calls.all]
    order = ["PullImage", "RunPodSandbox", "CreateContainer", "StartContainer"]
    assert [method for method in calls if method in order] == order


async def test_each_step_of_a_start_is_reported_with_its_objects(runtime, node):
    for method in ("PullImage", "RunPodSandbox", "CreateContainer", "StartContainer"):
        runtime.faults.set(method, "delay(50)")
    reported = []

    async def watch():
        async for event in node.events():
            if isinstance(event, ZoneChanged):
                zone = event.zone
                reported.append((zone.reason, bool(zone.pod_sandbox_id), bool(zone.container_id)))

    watching = asyncio.ensure_future(watch())
    await node.start()
    await until(lambda: (None, True, True) in reported)
    watching.cancel()
    # The pull reports its progress, so its step comes several times.
    assert [step for step, _ in groupby(reported) if step != (None, False, False)] == [
        ("Pulling", False, False),
        ("CreatingSandbox", False, False),
        ("CreatingContainer", True, False),
        ("Starting", True, True),
        (None, True, True),
    ]


async def test_container_uses_the_image_id_of_the_runtime(runtime, node):
    await node.start("a")
    await node.start("b")
    refs = [call.request.config.image for call in runtime.calls.of("CreateContainer")]
    assert refs[0].image == refs[1].image
    assert refs[0].image.startswith("sha256:")
    assert refs[0].user_specified_image == "app:1"
    assert len(runtime.calls.of("PullImage")) == 1


async def test_repeated_start_creates_nothing(runtime, node):
    _, first = await node.start()
    assert await node.start() == (False, first)
    assert len(runtime.containers) == 1


async def test_ten_concurrent_starts_create_one_zone(runtime, node):
    answers = await asyncio.gather(*(node.start() for _ in range(10)))
    assert {zone.container_id for _, zone in answers} == {runtime.container("z").id}
    assert len(runtime.containers) == len(runtime.sandboxes) == 1


async def test_start_with_another_spec_is_a_conflict(runtime, node):
    await node.start()
    problem = await node.start(memory_mb=65)
    assert problem.code == "conflict"
    assert runtime.container("z").is_running


async def test_start_with_another_spec_than_the_start_in_progress_is_a_conflict(runtime, node):
    runtime.faults.set("RunPodSandbox", "delay(100)")
    first = asyncio.create_task(node.start())
    await runtime.calls.wait_for("RunPodSandbox")
    assert (await node.start(memory_mb=65)).code == "conflict"
    assert (await first)[0] is True


async def test_start_with_another_restart_policy_joins_the_start_in_progress(runtime, node):
    runtime.faults.set("RunPodSandbox", "delay(100)")
    first = asyncio.create_task(node.start())
    await runtime.calls.wait_for("RunPodSandbox")
    _, zone = await node.start(restart_policy=RestartPolicy.ALWAYS)
    assert (await first)[1] == zone
    assert await node.start(restart_policy=RestartPolicy.ALWAYS) == (False, zone)
    assert len(runtime.sandboxes) == 1


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("RunPodSandbox", "cni plugin not initialized"),
        ("CreateContainer", "no space left on device"),
        ("StartContainer", "exec: /nope: no such file"),
    ],
)
async def test_start_refused_by_the_runtime_leaves_nothing(
    runtime, node, tmp_path, method, message
):
    runtime.faults.set(method, f"error(UNKNOWN: {message})")
    problem = await node.start()
    assert problem.code == "StartError"
    assert message in problem.message
    assert has_no_objects(runtime)
    assert await node.zone() is None
    assert not (tmp_path / "logs" / "z").exists()
    assert (await node.start())[0] is True


async def test_start_of_a_missing_program_leaves_nothing(runtime, node):
    runtime.images.set("app:1", FakeImage(start_error='exec: "/nope": not found'))
    problem = await node.start()
    assert problem.code == "StartError"
    assert "/nope" in problem.message
    assert has_no_objects(runtime)


async def test_failed_start_is_reported_before_zone_gone(runtime, node):
    runtime.faults.set("RunPodSandbox", "error(UNKNOWN: no)")
    events = node.events()
    async for event in events:
        if type(event).__name__ == "ZonesListed":
            break
    await node.start()
    seen = []
    async for event in events:
        seen.append(event)
        if type(event).__name__ == "ZoneGone":
            break
    last = [each.zone for each in seen if type(each).__name__ == "ZoneChanged"][-1]
    assert (last.state, last.reason, last.message) == (State.FAILED, "StartError", "no")
    await events.aclose()


async def test_failed_rollback_continues_in_the_background(runtime, node):
    runtime.faults.set("StartContainer", "error(UNKNOWN: broken)")
    runtime.faults.set("RemovePodSandbox", "3*error(UNKNOWN: device busy)")
    problem = await node.start()
    assert problem.code == "StartError"
    assert await node.zone() is None  # objects being removed are not a zone
    await until(lambda: has_no_objects(runtime))


async def test_start_during_the_removal_of_a_failed_one_uses_another_name(runtime, node):
    runtime.faults.set("StartContainer", "error(UNKNOWN: broken)")
    runtime.faults.set("RemovePodSandbox", "1000*error(UNKNOWN: device busy)")
    await node.start()
    is_new, zone = await node.start()
    assert is_new
    assert [each.config.metadata.attempt for each in runtime.sandboxes] == [0, 1]
    runtime.faults.clear()
    await until(lambda: len(runtime.sandboxes) == 1)
    assert await node.zone() == zone


async def test_sandbox_run_by_another_handler_is_removed(runtime, node):
    runtime.faults.set("PodSandboxStatus", "1000*delay(50)")
    start = asyncio.create_task(node.start())
    await until(lambda: bool(runtime.sandboxes))
    runtime.sandbox("z").handler = "runc"
    problem = await start
    assert problem.code == "StartError"
    assert "'edera', got 'runc'" in problem.message
    assert runtime.calls.of("RunPodSandbox")[0].request.runtime_handler == "edera"
    assert runtime.calls.of("CreateContainer") == []
    assert has_no_objects(runtime)


async def test_names_of_a_faulty_runtime_are_cut_in_every_step_that_is_reported(
    runtime, node, monkeypatch
):
    numbers = itertools.count()
    monkeypatch.setattr("secrets.token_hex", lambda size: f"{next(numbers)}\x1b{'x' * 100_000}")
    for method in ("CreateContainer", "StartContainer"):
        runtime.faults.set(method, "delay(50)")
    reported = []

    async def watch():
        async for event in node.events():
            reported.append(event)

    watching = asyncio.ensure_future(watch())
    _, zone = await node.start()
    watching.cancel()
    assert (len(zone.pod_sandbox_id), len(zone.container_id)) == (256, 256)
    assert max(len(encode(event)) for event in reported) < 4096


async def test_name_of_another_handler_is_cut_in_the_error(runtime, node):
    runtime.faults.set("PodSandboxStatus", "1000*delay(50)")
    start = asyncio.create_task(node.start())
    await until(lambda: bool(runtime.sandboxes))
    runtime.sandbox("z").handler = "x" * 100_000
    assert len((await start).message) < 400


async def test_handler_that_the_runtime_lacks_fails_the_start(run):
    async with run(handlers={"edera-zone": "nope"}) as node:
        problem = await node.start()
        assert problem.code == "StartError"
        assert "nope" in problem.message


async def test_sandbox_created_after_the_deadline_is_adopted(runtime, run):
    async with run(**SHORT, orphan_grace=30) as node:
        runtime.faults.set("RunPodSandbox", "delay(700)")
        problem = await node.start()
        assert problem.code == "RuntimeUnavailable"
        await until(lambda: bool(runtime.sandboxes))
        assert (await node.until_state("pending")).reason == "CreatingContainer"
        is_new, zone = await node.start()
        assert (is_new, zone.pod_sandbox_id) == (True, runtime.sandboxes[0].id)
        assert len(runtime.sandboxes) == 1


async def test_reserved_sandbox_name_is_skipped(runtime, run):
    async with run(**SHORT) as node:
        runtime.faults.set("RunPodSandbox", "delay(1000)")
        assert (await node.start()).code == "RuntimeUnavailable"
        is_new, zone = await node.start()
        assert is_new
        assert runtime.sandbox(zone.pod_sandbox_id).config.metadata.attempt == 1
        await until(lambda: len(runtime.sandboxes) == 2)  # the first call succeeds late
        await until(lambda: len(runtime.sandboxes) == 1)  # and its sandbox is removed as an orphan
        assert await node.zone() == zone


async def test_container_created_after_the_deadline_is_adopted(runtime, run):
    async with run(**SHORT, orphan_grace=30) as node:
        runtime.faults.set("CreateContainer", "delay(700)")
        assert (await node.start()).code == "RuntimeUnavailable"
        await until(lambda: bool(runtime.containers))
        is_new, zone = await node.start()
        assert (is_new, zone.container_id) == (True, runtime.containers[0].id)
        assert len(runtime.containers) == len(runtime.sandboxes) == 1


async def test_reserved_container_name_is_skipped(runtime, run):
    async with run(**SHORT) as node:
        runtime.faults.set("CreateContainer", "delay(1000)")
        assert (await node.start()).code == "RuntimeUnavailable"
        is_new, zone = await node.start()
        assert is_new
        await until(lambda: len(runtime.containers) == 2)
        await until(lambda: len(runtime.containers) == 1)
        assert await node.zone() == zone


@pytest.mark.parametrize("method", ["RunPodSandbox", "CreateContainer", "StartContainer"])
@pytest.mark.parametrize("fault", ["finish-then-close", "finish-then-error(UNAVAILABLE)"])
async def test_object_whose_answer_was_lost_is_adopted_by_the_next_start(
    runtime, run, method, fault
):
    async with run(orphan_grace=30) as node:
        runtime.faults.set(method, fault)
        problem = await node.start()
        assert problem.code == "RuntimeUnavailable"

        async def started():
            while True:
                answer = await node.start()
                if isinstance(answer, tuple):
                    return answer[1]

        async with asyncio.timeout(10):
            zone = await started()
        assert zone.state is State.RUNNING
        assert len(runtime.containers) == len(runtime.sandboxes) == 1


async def test_start_that_completes_after_its_deadline_is_adopted(runtime, run):
    async with run() as node:
        runtime.faults.set("StartContainer", "finish-then-error(DEADLINE_EXCEEDED)")
        is_new, zone = await node.start()
        assert (is_new, zone.state) == (True, State.RUNNING)


@pytest.mark.parametrize("method", ["RunPodSandbox", "CreateContainer", "StartContainer"])
async def test_start_refused_right_after_an_outage_is_tried_again(runtime, node, method):
    await runtime.crash()
    assert (await node.start()).code == "RuntimeUnavailable"
    await runtime.restart()
    await node.until_listed()
    runtime.faults.set(method, "error(UNKNOWN: rename new-1 to 87: file exists)")
    is_new, zone = await node.start()
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert len(runtime.containers) == len(runtime.sandboxes) == 1
    await node.remove()
    runtime.faults.set(method, "2*error(UNKNOWN: no)")
    assert (await node.start()).code == "StartError"
    assert has_no_objects(runtime)


async def test_image_that_another_client_removes_during_a_start_is_pulled_again(runtime, node):
    runtime.faults.set("RunPodSandbox", "delay(50)")
    starting = asyncio.create_task(node.start())
    await runtime.calls.wait_for("RunPodSandbox")
    runtime.images.set("app:1", FakeImage())
    is_new, zone = await starting
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert len(runtime.calls.of("PullImage")) == 2
    assert len(runtime.containers) == len(runtime.sandboxes) == 1


SANDBOX_IMAGE = (
    'failed to get sandbox image "r.example/pause:1": failed to pull image "r.example/pause:1": '
    "failed to do request: dial tcp 10.0.0.2:443: connect: connection refused"
)
UNAVAILABLE = "received unexpected HTTP status: 503 Service Unavailable"
CRIO_SANDBOX_IMAGES = [
    f'creating pod sandbox with name "k8s_z_kakuri_1_0": {each}'
    for each in (
        "initializing source docker://r.example/pause:1: pinging container registry: i/o timeout",
        f"determining manifest MIME type for docker://r.example/pause:1: {UNAVAILABLE}",
        f"reading manifest sha256:0 in r.example/pause: {UNAVAILABLE}",
        f"copying system image from manifest list: reading blob sha256:0: {UNAVAILABLE}",
        'parsing image configuration: Get "https://cdn.example/0": dial tcp: i/o timeout',
        f"reading blob sha256:0: fetching blob: {UNAVAILABLE}",
        "writing blob: storing blob to file: happened during read: unexpected EOF",
    )
]


@pytest.mark.parametrize("refusal", [SANDBOX_IMAGE, *CRIO_SANDBOX_IMAGES])
async def test_transient_failure_of_the_sandbox_image_pull_is_retried(runtime, run, refusal):
    runtime.faults.set("RunPodSandbox", f"3*error(UNKNOWN: {refusal})")
    async with run(pulls=PullLimits(first_retry=0.001)) as node:
        is_new, zone = await node.start()
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert len(runtime.calls.of("RunPodSandbox")) == 4
    assert len(runtime.calls.of("PullImage")) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        'failed to reserve sandbox name "image-timeout-x_kakuri_1_0"',
        'creating pod sandbox with name "k8s_image-timeout-x_kakuri_1_0": writing blob: no space',
        'zone "image-timeout-x": failed to get sandbox image "r.example/pause:1": unauthorized',
    ],
)
async def test_id_of_a_zone_is_not_taken_for_a_failed_pull_of_the_sandbox_image(
    runtime, node, refusal
):
    runtime.faults.set("RunPodSandbox", f"error(UNKNOWN: {refusal})")
    assert (await node.start("image-timeout-x")).code == "StartError"
    assert len(runtime.calls.of("RunPodSandbox")) == 1


async def test_stop_while_the_sandbox_image_is_awaited_takes_effect_at_once(runtime, run):
    async with run(pulls=PullLimits(first_retry=30.0)) as node:
        runtime.faults.set("RunPodSandbox", f"error(UNKNOWN: {SANDBOX_IMAGE})")
        starting = asyncio.create_task(node.start())
        await until(lambda: "trying again in 30 s" in (shown(node) or ""))
        zone = await node.stop()
        assert (zone.state, zone.reason) == (State.FAILED, "Stopped")
        assert (await starting).code == "Stopped"
        assert len(runtime.calls.of("RunPodSandbox")) == 1


def shown(node):
    return next((each.message for each in node.zones.zones()), None)


async def test_sandbox_that_ends_before_its_container_is_started_is_replaced(runtime, node):
    runtime.faults.set("StartContainer", "delay(50)")
    starting = asyncio.create_task(node.start())
    await runtime.calls.wait_for("StartContainer")
    first = runtime.sandbox("z").id
    runtime.lose_sandbox("z")
    is_new, zone = await starting
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert zone.pod_sandbox_id != first
    assert len(runtime.containers) == len(runtime.sandboxes) == 1


async def test_image_with_missing_content_is_pulled_again(runtime, node):
    await node.start("other")
    runtime.faults.set("CreateContainer", "error(NOT_FOUND: content digest sha256:0: not found)")
    is_new, zone = await node.start()
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert len(runtime.calls.of("PullImage")) == 2


@pytest.mark.parametrize("call", ["PodSandboxStatus", "StartContainer"])
async def test_image_is_not_pulled_again_if_another_object_is_missing(runtime, node, call):
    runtime.faults.set(call, "error(NOT_FOUND: not found)")
    is_new, zone = await node.start()
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert len(runtime.calls.of("RunPodSandbox")) == 2
    assert len(runtime.calls.of("PullImage")) == 1


async def test_image_is_not_pulled_again_if_the_sandbox_of_its_container_is_missing(runtime, node):
    runtime.faults.set("PodSandboxStatus", "delay(50)")
    runtime.faults.set("CreateContainer", "error(NOT_FOUND: no sandbox)")
    starting = asyncio.create_task(node.start())
    await runtime.calls.wait_for("PodSandboxStatus")
    runtime.lose_sandbox("z")
    is_new, zone = await starting
    assert (is_new, zone.state) == (True, State.RUNNING)
    assert len(runtime.calls.of("PullImage")) == 1


async def test_adopted_sandbox_that_ends_before_its_container_is_started_is_replaced(runtime, run):
    async with run() as node:
        await node.start()
        runtime.exit("z", 3)
        await node.until_state("failed")
        first = runtime.sandbox("z").id
        runtime.faults.set("CreateContainer", "delay(50)")
        starting = asyncio.create_task(node.start(attempt=1))
        await runtime.calls.wait_for("CreateContainer", 2)
        runtime.lose_sandbox("z")
        is_new, zone = await starting
        assert (is_new, zone.state, zone.attempt) == (True, State.RUNNING, 1)
        assert zone.pod_sandbox_id != first


async def test_second_not_found_fails_the_start(runtime, node):
    runtime.faults.set("CreateContainer", "2*error(NOT_FOUND: no such image)")
    problem = await node.start()
    assert (problem.code, problem.message) == ("StartError", "no such image")
    assert has_no_objects(runtime)


async def test_unexpected_exception_during_a_start_leaves_nothing(runtime, node, monkeypatch):
    def fail(*args, **more):
        raise ZeroDivisionError

    monkeypatch.setattr("kakuri_zones._start.named", fail)
    with pytest.raises(ZeroDivisionError):
        await node.start()
    assert len(runtime.calls.of("RunPodSandbox")) == 1
    assert has_no_objects(runtime)


async def test_crash_of_the_runtime_during_run_pod_sandbox_leaves_one_zone_after_the_next_start(
    runtime, run
):
    async with run(orphan_grace=30) as node:
        runtime.faults.set("RunPodSandbox", "delay(60000)")
        start = asyncio.create_task(node.start())
        await runtime.calls.wait_for("RunPodSandbox")
        await runtime.crash()
        assert (await start).code == "RuntimeUnavailable"
        await runtime.restart()
        await node.until_listed()
        assert (await node.start())[0] is True
        assert len(runtime.containers) == len(runtime.sandboxes) == 1


async def test_sandbox_that_ended_before_its_container_is_replaced(runtime, run):
    async with run(orphan_grace=30) as node:
        runtime.faults.set("CreateContainer", "delay(60000)")
        start = asyncio.create_task(node.start())
        await runtime.calls.wait_for("CreateContainer")
        (unfinished,) = runtime.sandboxes
        await runtime.crash()
        assert (await start).code == "RuntimeUnavailable"
        await runtime.restart("dead")
        await node.until_listed()
        is_new, zone = await node.start()
        assert is_new
        assert zone.pod_sandbox_id != unfinished.id
        await until(lambda: len(runtime.sandboxes) == 1)


async def test_refusal_that_quotes_the_command_is_not_an_unavailable_runtime(runtime, node):
    message = 'exec: "unknown service runtime.v1.": not found'
    runtime.faults.set("StartContainer", f"error(UNKNOWN: {message})")
    problem = await node.start()
    assert problem.code == "StartError"
    assert has_no_objects(runtime)


async def test_reserved_sandbox_names_are_tried_ten_times(runtime, node):
    message = 'failed to reserve sandbox name "z": name "z" is reserved for "x"'
    runtime.faults.set("RunPodSandbox", f"1000*error(UNKNOWN: {message})")
    problem = await node.start()
    assert problem.code == "StartError"
    assert "is reserved" in problem.message
    assert len(runtime.calls.of("RunPodSandbox")) == 10


async def test_start_continues_when_its_caller_is_cancelled_before_the_sandbox_exists(
    runtime, node
):
    runtime.faults.set("RunPodSandbox", "delay(100)")
    start = asyncio.create_task(node.start())
    await runtime.calls.wait_for("RunPodSandbox")
    start.cancel()
    assert (await node.until_state("running")).container_id == runtime.container("z").id


async def test_container_that_ends_at_once_is_reported_as_ended(runtime, node):
    runtime.images.set("app:1", FakeImage(exit_code=0))
    is_new, zone = await node.start()
    assert (is_new, zone.state, zone.exit_code) == (True, State.SUCCEEDED, 0)


# Attempts


async def test_later_attempt_gets_a_container_in_the_same_sandbox(runtime, node):
    _, first = await node.start()
    runtime.exit("z", 3)
    await node.until_state("failed")
    is_new, second = await node.start(attempt=1)
    assert (is_new, second.state, second.attempt) == (True, State.RUNNING, 1)
    assert second.pod_sandbox_id == first.pod_sandbox_id
    assert second.container_id != first.container_id
    await until(lambda: len(runtime.containers) == 1)
    assert runtime.container("z").config.log_path == "1.log"
    assert await node.start(attempt=1) == (False, second)


async def test_later_attempt_gets_a_new_sandbox_if_the_earlier_one_has_ended(runtime, node):
    _, first = await node.start()
    await node.stop()
    is_new, second = await node.start(attempt=1)
    assert (is_new, second.attempt) == (True, 1)
    assert second.pod_sandbox_id != first.pod_sandbox_id
    await until(lambda: len(runtime.sandboxes) == len(runtime.containers) == 1)
    assert await node.zone() == second


async def test_lower_attempt_than_a_partially_created_one_is_a_conflict(runtime, run):
    async with run(orphan_grace=30) as node:
        runtime.faults.set("StartContainer", "close")
        assert (await node.start(attempt=1)).code == "RuntimeUnavailable"
        await node.until_listed()
        assert (await node.start(attempt=0)).code == "conflict"
        assert (await node.start(attempt=1))[0] in (True, False)


async def test_attempts_out_of_order_are_conflicts(runtime, node):
    await node.start(attempt=2)
    assert (await node.start(attempt=3)).code == "conflict"  # attempt 2 still runs
    assert (await node.start(attempt=1)).code == "conflict"
    runtime.exit("z", 1)
    assert (await node.start(attempt=1)).code == "conflict"
    assert (await node.start(attempt=3))[0] is True


async def test_failed_later_attempt_leaves_only_the_log(runtime, node, tmp_path):
    await node.start()
    runtime.exit("z", 1)
    await node.until_state("failed")
    runtime.faults.set("StartContainer", "error(UNKNOWN: broken)")
    assert (await node.start(attempt=1)).code == "StartError"
    assert has_no_objects(runtime)
    assert (tmp_path / "logs" / "z" / "0.log").exists()
    assert await node.remove() is None
    assert not (tmp_path / "logs" / "z").exists()


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/fd/8",
        "/proc",
        "//proc/self",
        "/tmp/../proc/1",
        "/./sys/fs",
        "/dev/fd/8",
        "proc/1",
    ],
)
async def test_image_whose_working_directory_leaves_the_zone_is_not_started(runtime, node, path):
    runtime.images.set("evil:1", FakeImage(working_dir=path))
    failure = await node.start(image="evil:1")
    assert failure.code == "StartError"
    assert "working directory" in failure.message
    assert has_no_objects(runtime)
    assert not runtime.calls.of("RunPodSandbox")
    # A working directory of the spec replaces that of the image.
    is_new, _ = await node.start(image="evil:1", working_dir="/tmp")
    assert is_new


@pytest.mark.parametrize("path", ["", "/", "/usr/src/app", "/srv/proc", "/procs", "/dev/shm"])
async def test_image_with_an_ordinary_working_directory_is_started(runtime, node, path):
    runtime.images.set("good:1", FakeImage(working_dir=path))
    is_new, _ = await node.start(image="good:1")
    assert is_new


async def test_image_with_an_oversized_configuration_is_not_started(runtime, node, monkeypatch):
    monkeypatch.setattr("kakuri_zones._images.MAX_INFO", 30)
    failure = await node.start()
    assert failure.code == "StartError"
    assert "configuration of at most 30 characters" in failure.message
    assert has_no_objects(runtime)


async def test_reserved_container_names_are_tried_ten_times(runtime, node):
    message = 'failed to reserve container name "z": name "z" is reserved for "x"'
    runtime.faults.set("CreateContainer", f"1000*error(UNKNOWN: {message})")
    failure = await node.start()
    assert failure.code == "StartError"
    assert "is reserved" in failure.message
    assert len(runtime.calls.of("CreateContainer")) == 10
    assert has_no_objects(runtime)


@pytest.mark.parametrize("method", ["RunPodSandbox", "CreateContainer", "StartContainer"])
async def test_start_that_exceeds_its_deadline_is_unavailable_and_can_be_repeated(
    runtime, node, method
):
    runtime.faults.set(method, "error(DEADLINE_EXCEEDED)")
    assert (await node.start()).code == "RuntimeUnavailable"
    assert (await node.start())[0] in (True, False)
    assert len(runtime.containers) == len(runtime.sandboxes) == 1
