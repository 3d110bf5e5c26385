import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kakuri_cri import api
from kakuri_cri.testing import FakeCri, FakeImage
from kakuri_grpc import Channel, DeadlineExceeded, StatusCode, StatusError
from kakuri_protobuf import Method

CONTRACTS = json.loads(Path(__file__).parent.joinpath("cases/call-contracts.json").read_bytes())
UNAVAILABLE = StatusCode.UNAVAILABLE
UNKNOWN = StatusCode.UNKNOWN
NOT_FOUND = StatusCode.NOT_FOUND
UNIMPLEMENTED = StatusCode.UNIMPLEMENTED

RUNTIME, IMAGES = api.RuntimeService, api.ImageService


class Stream:
    """A call that streams, read one message at a time."""

    def __init__(self, channel, method):
        self.channel = channel
        self.method = method
        self.call = None

    async def read(self):
        if self.call is None:
            self.call = await self.channel.stream(
                self.method, self.method.request(), timeout=None, wait_for_ready=True
            )
        return await self.call.receive()

    def cancel(self):
        self.call.cancel()


class Client:
    """Calls the fake with kakuri-grpc alone, whose errors show the status."""

    def __init__(self, channel):
        self.channel = channel

    async def ask(self, call, request=None, *, deadline=10, ready=True, **fields):
        return await self.channel.call(
            call, request or call.request(**fields), timeout=deadline, wait_for_ready=ready
        )

    def events(self):
        return Stream(self.channel, RUNTIME.GetContainerEvents)

    async def sandbox(self, config=None, handler="edera", **options):
        request = api.RunPodSandboxRequest(
            config=config or sandbox_config(), runtime_handler=handler
        )
        return (await self.ask(RUNTIME.RunPodSandbox, request, **options)).pod_sandbox_id

    async def container(self, sandbox, config=None, **options):
        request = api.CreateContainerRequest(
            pod_sandbox_id=sandbox,
            config=config or container_config(),
            sandbox_config=sandbox_config(),
        )
        return (await self.ask(RUNTIME.CreateContainer, request, **options)).container_id

    async def running(self):
        sandbox = await self.sandbox()
        container = await self.container(sandbox)
        await self.ask(RUNTIME.StartContainer, container_id=container)
        return sandbox, container

    async def status(self, container):
        return (await self.ask(RUNTIME.ContainerStatus, container_id=container)).status

    async def refused(self, call, code, match="", **options):
        with pytest.raises((StatusError, DeadlineExceeded)) as caught:
            await (self.ask(call, **options) if isinstance(call, Method) else call)
        if code is StatusCode.DEADLINE_EXCEEDED:
            assert isinstance(caught.value, DeadlineExceeded)
            return
        assert caught.value.code is code
        assert match in caught.value.message


async def drain(stream):
    while True:
        await stream.read()


def sandbox_config(name="zone", attempt=0, directory="", **labels):
    metadata = api.PodSandboxMetadata(name=name, uid=name, namespace="kakuri", attempt=attempt)
    return api.PodSandboxConfig(
        metadata=metadata, log_directory=directory, labels=labels, annotations={"a": "b"}
    )


def container_config(attempt=0, image="web:1", log_path="", **labels):
    metadata = api.ContainerMetadata(name="main", attempt=attempt)
    spec = api.ImageSpec(image=image)
    return api.ContainerConfig(
        metadata=metadata, image=spec, log_path=log_path, labels=labels, annotations={"c": "d"}
    )


@asynccontextmanager
async def client_of(path):
    async with Channel(f"unix:{path}") as channel:
        yield Client(channel)


@pytest.fixture
async def runtime():
    async with FakeCri(images={"web:1": "present"}) as runtime:
        yield runtime


@pytest.fixture
async def client(runtime):
    async with client_of(runtime.path) as client:
        yield client


# What the contracts say of each call


def known(name):
    return getattr(RUNTIME, name, None) or getattr(IMAGES, name, None)


def of_contract(key, value):
    cases = [known(case["name"]) for case in CONTRACTS if case[key] == value]
    found = [case for case in cases if case is not None]
    assert found
    return pytest.mark.parametrize("call", found, ids=lambda call: call.path.rpartition("/")[2])


def naming(call, sandbox, container):
    """Return the field by which a call names its object."""
    fields = call.request.__dataclass_fields__
    if "image" in fields:
        return {"image": api.ImageSpec(image=container)}
    return {"container_id": container} if "container_id" in fields else {"pod_sandbox_id": sandbox}


@of_contract("idempotent_by_contract", "yes")
async def test_idempotent_calls_can_be_repeated(client, call):
    await client.ask(call, **naming(call, "none", "none"))
    names = await client.running()
    for _ in range(3):
        await client.ask(call, **naming(call, *names))


@of_contract("effect", "creates")
async def test_create_calls_reserve_their_name(client, call):
    sandbox, _ = await client.running()
    again = client.sandbox() if call is RUNTIME.RunPodSandbox else client.container(sandbox)
    await client.refused(again, UNKNOWN, "is reserved for")
    await client.ask(RUNTIME.RemovePodSandbox, pod_sandbox_id=sandbox)
    await client.running()


@of_contract("effect", "none")
async def test_calls_without_effect_are_safe_to_repeat(client, runtime, call):
    sandbox, container = await client.running()
    before = repr(runtime)
    fields = call.request.__dataclass_fields__
    named = {"pod_sandbox_id", "container_id"} & set(fields)
    for _ in range(3):
        await client.ask(call, **(naming(call, sandbox, container) if named else {}))
    assert repr(runtime) == before


@of_contract("effect", "starts")
async def test_second_start_of_a_container_fails(client, call):
    _, container = await client.running()
    await client.refused(call, UNKNOWN, "CONTAINER_RUNNING", container_id=container)


@pytest.mark.parametrize("call", [RUNTIME.PodSandboxStatus, RUNTIME.ContainerStatus])
async def test_removed_object_is_not_found(client, call):
    await client.refused(call, NOT_FOUND, "not found", **naming(call, "none", "none"))
    names = await client.running()
    await client.ask(call, **naming(call, *names))
    await client.ask(RUNTIME.RemovePodSandbox, pod_sandbox_id=names[0])
    await client.refused(call, NOT_FOUND, "not found", **naming(call, *names))


@of_contract("effect", "fetches")
async def test_pull_can_be_repeated_and_returns_the_image_reference(client, call):
    image = api.ImageSpec(image="other")
    assert not (await client.ask(IMAGES.ImageStatus, image=image)).image
    first = await client.ask(call, image=image)
    assert await client.ask(call, image=image) == first
    status = await client.ask(IMAGES.ImageStatus, image=api.ImageSpec(image=first.image_ref))
    assert status.image.id == first.image_ref
    assert list(status.image.repo_tags) == ["docker.io/library/other:latest"]
    sandbox = await client.sandbox()
    container = await client.container(sandbox, container_config(image=first.image_ref))
    assert (await client.status(container)).image_ref == first.image_ref


async def test_removed_image_is_no_longer_listed(client):
    (image,) = (await client.ask(IMAGES.ListImages)).images
    assert list(image.repo_tags) == ["docker.io/library/web:1"]
    for _ in range(2):
        await client.ask(IMAGES.RemoveImage, image=api.ImageSpec(image=image.id))
    assert not (await client.ask(IMAGES.ListImages)).images


def test_every_contract_of_our_calls_is_tested():
    effects = {"creates", "stops", "removes", "starts", "fetches", "none", "stream", "runs"}
    assert {case["effect"] for case in CONTRACTS} == effects
    assert [case["name"] for case in CONTRACTS if known(case["name"]) is None] == []


# Sandboxes


async def test_sandbox_status_has_its_configuration(client):
    sandbox = await client.sandbox(sandbox_config(label="x"))
    status = (await client.ask(RUNTIME.PodSandboxStatus, pod_sandbox_id=sandbox)).status
    assert status.metadata == sandbox_config().metadata
    assert (dict(status.labels), dict(status.annotations)) == ({"label": "x"}, {"a": "b"})
    assert (status.state, status.runtime_handler) == (api.PodSandboxState.SANDBOX_READY, "edera")
    assert status.network.ip.startswith("10.88.0.")
    assert status.created_at > 0
    await client.ask(RUNTIME.StopPodSandbox, pod_sandbox_id=sandbox)
    status = (await client.ask(RUNTIME.PodSandboxStatus, pod_sandbox_id=sandbox)).status
    assert (status.state, status.network.ip) == (api.PodSandboxState.SANDBOX_NOTREADY, "")


async def test_sandbox_without_name_handler_or_network_fails_with_unknown(client, runtime):
    await client.refused(client.sandbox(api.PodSandboxConfig(hostname="x")), UNKNOWN, "metadata")
    await client.refused(client.sandbox(handler="other"), UNKNOWN, 'no runtime for "other"')
    runtime.node.conditions["NetworkReady"] = False
    await client.refused(client.sandbox(), UNKNOWN, "failed to setup network")
    runtime.node.conditions["NetworkReady"] = True
    await client.sandbox()


async def test_sandbox_with_sysctls_fails_if_the_node_accepts_none(client, runtime):
    runtime.node.accepts_sysctls = False
    linux = api.LinuxPodSandboxConfig(sysctls={"net.core.somaxconn": "1024"})
    config = replace(sandbox_config("z"), linux=linux)
    await client.refused(client.sandbox(config), UNKNOWN, "sysctls are not allowed: net.core")
    await client.sandbox(sandbox_config("z"))


async def test_sandboxes_are_listed_by_id_labels_and_state(client):
    one = await client.sandbox(sandbox_config("one", x="1", y="2"))
    two = await client.sandbox(sandbox_config("two", x="1"))
    await client.ask(RUNTIME.StopPodSandbox, pod_sandbox_id=two)
    expected = [
        ({}, {one, two}),
        ({"id": one}, {one}),
        ({"label_selector": {"x": "1"}}, {one, two}),
        ({"label_selector": {"x": "1", "y": "2"}}, {one}),
        ({"label_selector": {"x": "2"}}, set()),
        ({"state": api.PodSandboxStateValue(state=api.PodSandboxState.SANDBOX_READY)}, {one}),
        ({"state": api.PodSandboxStateValue(state=api.PodSandboxState.SANDBOX_NOTREADY)}, {two}),
    ]
    for fields, found in expected:
        response = await client.ask(RUNTIME.ListPodSandbox, filter=api.PodSandboxFilter(**fields))
        assert {item.id for item in response.items} == found


async def test_containers_are_listed_by_id_sandbox_labels_and_state(client):
    one = await client.sandbox(sandbox_config("one"))
    two = await client.sandbox(sandbox_config("two"))
    first = await client.container(one, container_config(x="1"))
    second = await client.container(two, container_config(x="2"))
    await client.ask(RUNTIME.StartContainer, container_id=second)
    expected = [
        ({}, {first, second}),
        ({"id": first}, {first}),
        ({"pod_sandbox_id": two}, {second}),
        ({"label_selector": {"x": "1"}}, {first}),
        ({"state": api.ContainerStateValue(state=api.ContainerState.CONTAINER_CREATED)}, {first}),
        ({"state": api.ContainerStateValue(state=api.ContainerState.CONTAINER_RUNNING)}, {second}),
    ]
    for fields, found in expected:
        response = await client.ask(RUNTIME.ListContainers, filter=api.ContainerFilter(**fields))
        assert {item.id for item in response.containers} == found


# Containers


async def test_container_goes_from_created_to_running_to_exited(client, runtime):
    sandbox = await client.sandbox()
    container = await client.container(sandbox, container_config(label="x"))
    status = await client.status(container)
    assert (status.state, status.started_at) == (api.ContainerState.CONTAINER_CREATED, 0)
    assert (dict(status.labels), dict(status.annotations)) == ({"label": "x"}, {"c": "d"})
    await client.ask(RUNTIME.StartContainer, container_id=container)
    status = await client.status(container)
    assert (status.state, status.finished_at) == (api.ContainerState.CONTAINER_RUNNING, 0)
    runtime.exit("zone", 3)
    runtime.exit("zone", 4)
    status = await client.status(container)
    assert (status.state, status.exit_code, status.reason) == (
        api.ContainerState.CONTAINER_EXITED,
        3,
        "Error",
    )
    assert status.created_at <= status.started_at <= status.finished_at


@pytest.mark.parametrize(
    ("exit_", "expected"),
    [
        ((), (0, "Completed", "")),
        ((137, "OOMKilled"), (137, "OOMKilled", "")),
        ((0, "OOMKilled", "a child"), (0, "OOMKilled", "a child")),
    ],
)
async def test_container_ends_with_the_exit_code_of_the_test(client, runtime, exit_, expected):
    _, container = await client.running()
    runtime.exit(container, *exit_)
    status = await client.status(container)
    assert (status.exit_code, status.reason, status.message) == expected


async def test_create_container_without_ready_sandbox_or_image_fails_with_the_code_of_containerd(
    client, runtime
):
    await client.refused(client.container("none"), NOT_FOUND, "not found")
    sandbox = await client.sandbox()
    other = client.container(sandbox, container_config(image="other"))
    await client.refused(other, NOT_FOUND, "failed to resolve image")
    await client.refused(
        client.container(sandbox, api.ContainerConfig(log_path="x")), UNKNOWN, "metadata"
    )
    request = api.CreateContainerRequest(pod_sandbox_id=sandbox, config=container_config())
    await client.refused(client.ask(RUNTIME.CreateContainer, request), UNKNOWN, "sandbox config")
    container = await client.container(sandbox)
    runtime.lose_sandbox("zone")
    await client.refused(RUNTIME.StartContainer, UNKNOWN, "not running", container_id=container)
    await client.refused(client.container(sandbox, container_config(1)), UNKNOWN, "is not running")


async def test_start_of_a_missing_program_ends_the_container_with_start_error(client, runtime):
    runtime.images.set("web:1", FakeImage(state="present", start_error='exec: "x": not found'))
    sandbox = await client.sandbox()
    container = await client.container(sandbox)
    await client.refused(RUNTIME.StartContainer, UNKNOWN, 'exec: "x"', container_id=container)
    status = await client.status(container)
    assert (status.state, status.exit_code) == (api.ContainerState.CONTAINER_EXITED, 128)
    assert status.reason == "StartError"


async def test_container_of_an_image_with_an_exit_code_ends_at_once(client, runtime, tmp_path):
    runtime.images.set("web:1", FakeImage(state="present", output=b"done\n", exit_code=0))
    sandbox = await client.sandbox(sandbox_config(directory=str(tmp_path)))
    container = await client.container(sandbox, container_config(log_path="0.log"))
    await client.ask(RUNTIME.StartContainer, container_id=container)
    status = await client.status(container)
    assert (status.state, status.reason) == (api.ContainerState.CONTAINER_EXITED, "Completed")
    assert status.log_path == str(tmp_path / "0.log")
    assert (tmp_path / "0.log").read_bytes().endswith(b"Z stdout F done\n")


@pytest.mark.parametrize(("on_term", "timeout", "code"), [(143, 5, 143), (0, 5, 0), (143, 0, 137)])
async def test_stopped_container_ends_with_its_stop_code(client, runtime, on_term, timeout, code):
    runtime.images.set("web:1", FakeImage(state="present", on_term=on_term))
    _, container = await client.running()
    await client.ask(RUNTIME.StopContainer, container_id=container, timeout=timeout)
    assert (await client.status(container)).exit_code == code


async def test_container_that_ignores_sigterm_is_killed(client, runtime):
    runtime.images.set("web:1", FakeImage(state="present", on_term=None))
    _, container = await client.running()
    await client.ask(RUNTIME.StopContainer, container_id=container, timeout=1)
    assert (await client.status(container)).exit_code == 137


async def test_stop_of_a_missing_container_fails_if_the_runtime_is_so_configured(client, runtime):
    runtime.node.stops_missing = False
    await client.refused(RUNTIME.StopContainer, NOT_FOUND, "not found", container_id="none")
    _, container = await client.running()
    for _ in range(2):
        await client.ask(RUNTIME.StopContainer, container_id=container)


async def test_container_that_ends_during_a_stop_keeps_its_own_exit_code(client, runtime):
    runtime.images.set("web:1", FakeImage(state="present", on_term=None))
    _, container = await client.running()
    request = api.StopContainerRequest(container_id=container, timeout=3600)
    stopping = asyncio.ensure_future(client.ask(RUNTIME.StopContainer, request))
    await runtime.calls.wait_for("StopContainer")
    runtime.exit(container, 7)
    await stopping
    assert (await client.status(container)).exit_code == 7


async def test_running_container_is_killed_with_its_sandbox(client, runtime):
    sandbox, container = await client.running()
    await client.ask(RUNTIME.StopPodSandbox, pod_sandbox_id=sandbox)
    assert (await client.status(container)).exit_code == 137
    await client.ask(RUNTIME.RemovePodSandbox, pod_sandbox_id=sandbox)
    assert repr(runtime) == "<FakeCri up sandboxes=0 containers=0>"


async def test_lost_sandbox_leaves_its_container_running(client, runtime):
    sandbox, container = await client.running()
    runtime.lose_sandbox("zone")
    status = (await client.ask(RUNTIME.PodSandboxStatus, pod_sandbox_id=sandbox)).status
    assert status.state == api.PodSandboxState.SANDBOX_NOTREADY
    assert (await client.status(container)).state == api.ContainerState.CONTAINER_RUNNING


# Logs


async def test_log_is_written_in_the_format_of_containerd(client, runtime, tmp_path):
    sandbox = await client.sandbox(sandbox_config(directory=str(tmp_path)))
    container = await client.container(sandbox, container_config(log_path="0.log"))
    await client.ask(RUNTIME.StartContainer, container_id=container)
    runtime.write("zone", b"one\ntw")
    runtime.write("zone", b"error\n", "stderr")
    runtime.write("zone", b"o\n" + b"x" * 40_000 + b"\nrest")
    runtime.write("zone", b"y" * 20_000)
    runtime.exit("zone")
    lines = (tmp_path / "0.log").read_bytes().splitlines()
    said = [tuple(line.split(b" ", 3)[1:]) for line in lines]
    assert said == [
        (b"stdout", b"F", b"one"),
        (b"stderr", b"F", b"error"),
        (b"stdout", b"F", b"two"),
        (b"stdout", b"P", b"x" * 16384),
        (b"stdout", b"P", b"x" * 16384),
        (b"stdout", b"F", b"x" * (40_000 - 2 * 16384)),
        (b"stdout", b"P", b"rest" + b"y" * 16380),
        (b"stdout", b"P", b"y" * 3620),
    ]


async def test_log_is_reopened_while_the_container_runs(client, runtime, tmp_path):
    sandbox = await client.sandbox(sandbox_config(directory=str(tmp_path)))
    container = await client.container(sandbox, container_config(log_path="0.log"))
    reopen = RUNTIME.ReopenContainerLog
    await client.refused(reopen, UNKNOWN, "is not running", container_id=container)
    await client.ask(RUNTIME.StartContainer, container_id=container)
    (tmp_path / "0.log").rename(tmp_path / "0.log.0")
    runtime.write("zone", b"old\nhalf")
    await client.ask(reopen, container_id=container)
    runtime.write("zone", b"new\n")
    runtime.exit("zone")
    assert (tmp_path / "0.log.0").read_bytes().count(b"\n") == 2
    assert (tmp_path / "0.log").read_bytes().endswith(b"stdout F new\n")
    await client.refused(reopen, UNKNOWN, "is not running", container_id=container)
    await client.refused(reopen, NOT_FOUND, "not found", container_id="none")


async def test_log_without_a_directory_fails_the_start(client, runtime, tmp_path):
    config = sandbox_config(directory=str(tmp_path / "none"))
    container = await client.container(
        await client.sandbox(config), container_config(log_path="0.log")
    )
    await client.refused(RUNTIME.StartContainer, UNKNOWN, "loggers", container_id=container)


async def test_container_without_a_log_path_writes_none(client, runtime):
    await client.running()
    with pytest.raises(LookupError, match="expected a container with a log, got 'zone'"):
        runtime.write("zone", b"x")
    await client.ask(RUNTIME.ReopenContainerLog, container_id=runtime.container("zone").id)


# Images


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1", "docker.io/library/nginx:1"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("host:5000/app", "host:5000/app:latest"),
        ("a.example/app@sha256:" + "0" * 64, "a.example/app@sha256:" + "0" * 64),
    ],
)
async def test_image_without_a_registry_has_its_full_name(client, name, full):
    await client.ask(IMAGES.PullImage, image=api.ImageSpec(image=name))
    status = await client.ask(IMAGES.ImageStatus, image=api.ImageSpec(image=full))
    assert list(status.image.repo_tags) == [full]


async def test_pull_of_a_missing_image_is_not_found(client, runtime):
    runtime.images.set("gone", FakeImage(state="missing"))
    image = api.ImageSpec(image="gone")
    await client.refused(IMAGES.PullImage, NOT_FOUND, "failed to pull", image=image)


async def test_pull_that_hangs_ends_with_its_caller(client, runtime):
    runtime.images.set("slow", FakeImage(state="hanging"))
    pull = asyncio.ensure_future(client.ask(IMAGES.PullImage, image=api.ImageSpec(image="slow")))
    await runtime.calls.wait_for("PullImage")
    before = (await client.ask(IMAGES.ImageFsInfo)).image_filesystems[0].used_bytes.value
    runtime.images.used_bytes += 5
    after = (await client.ask(IMAGES.ImageFsInfo)).image_filesystems[0].used_bytes.value
    assert after == before + 5
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert runtime.calls.of("PullImage")[0].code is None


def test_image_with_an_unknown_state_raises_value_error():
    with pytest.raises(ValueError, match=r"expected one of present, .*, got 'there'"):
        FakeCri(images={"x": "there"})


# Version and status


async def test_runtime_reports_versions_conditions_and_handlers(client, runtime):
    version = await client.ask(RUNTIME.Version)
    assert (version.runtime_name, version.runtime_api_version) == ("fake", "v1")
    status = await client.ask(RUNTIME.Status)
    assert {one.type: one.status for one in status.status.conditions} == runtime.node.conditions
    assert [handler.name for handler in status.runtime_handlers] == ["", "edera"]
    runtime.node.lists_handlers = False
    assert not (await client.ask(RUNTIME.Status)).runtime_handlers
    config = await client.ask(RUNTIME.RuntimeConfig)
    assert config.linux.cgroup_driver == api.CgroupDriver.CGROUPFS


async def test_optional_calls_may_be_missing():
    missing = ["RuntimeConfig", "GetContainerEvents"]
    async with FakeCri(unimplemented=missing) as runtime, client_of(runtime.path) as client:
        await client.refused(RUNTIME.RuntimeConfig, UNIMPLEMENTED)
        await client.refused(client.events().read(), UNIMPLEMENTED)


# Events


async def test_events_are_kept_for_the_first_listener(client, runtime):
    _, container = await client.running()
    runtime.exit(container)
    stream = client.events()
    events = [await stream.read() for _ in range(5)]
    kinds = [event.container_event_type for event in events]
    assert kinds == [
        api.ContainerEventType.CONTAINER_CREATED_EVENT,
        api.ContainerEventType.CONTAINER_STARTED_EVENT,
        api.ContainerEventType.CONTAINER_CREATED_EVENT,
        api.ContainerEventType.CONTAINER_STARTED_EVENT,
        api.ContainerEventType.CONTAINER_STOPPED_EVENT,
    ]
    assert events[0].container_id == events[0].pod_sandbox_status.id
    assert events[-1].containers_statuses[0].state == api.ContainerState.CONTAINER_EXITED
    assert runtime.listeners == 1
    await client.ask(RUNTIME.RemoveContainer, container_id=container)
    assert (
        await stream.read()
    ).container_event_type == api.ContainerEventType.CONTAINER_DELETED_EVENT
    stream.cancel()


async def test_events_break_off_after_a_fault(client, runtime):
    await client.running()
    runtime.faults.set("GetContainerEvents", "error(INTERNAL)->finish-then-error(UNAVAILABLE)")
    await client.refused(client.events().read(), StatusCode.INTERNAL)
    stream = client.events()
    await stream.read()
    await client.refused(stream.read(), UNAVAILABLE)


# Faults


async def test_error_fault_carries_out_nothing(client, runtime):
    runtime.faults.set("RunPodSandbox", "2*error(UNAVAILABLE: try later)->error(ABORTED)")
    for _ in range(2):
        await client.refused(client.sandbox(), UNAVAILABLE, "try later")
    await client.refused(client.sandbox(), StatusCode.ABORTED)
    assert runtime.sandboxes == []
    await client.sandbox()
    codes = [call.code for call in runtime.calls.of("RunPodSandbox")]
    assert codes == ["UNAVAILABLE", "UNAVAILABLE", "ABORTED", "OK"]


async def test_finish_fault_carries_out_the_call_and_loses_the_response(client, runtime):
    runtime.faults.set("RunPodSandbox", "finish-then-error(DEADLINE_EXCEEDED)")
    await client.refused(client.sandbox(), StatusCode.DEADLINE_EXCEEDED)
    await client.refused(client.sandbox(), UNKNOWN, "is reserved for")
    assert len(runtime.sandboxes) == 1


async def test_close_fault_breaks_the_connection(client, runtime):
    runtime.faults.set("RunPodSandbox", "close->finish-then-close")
    await client.refused(client.sandbox(), UNAVAILABLE)
    assert runtime.sandboxes == []
    await client.refused(client.sandbox(), UNAVAILABLE)
    assert len(runtime.sandboxes) == 1
    stream = client.events()
    await stream.read()
    await runtime.break_connections()
    await client.refused(drain(stream), UNAVAILABLE)


async def test_slow_call_continues_when_it_was_cancelled(client, runtime):
    runtime.faults.set("RunPodSandbox", "delay(1500)")
    slow = asyncio.ensure_future(client.sandbox())
    await runtime.calls.wait_for("RunPodSandbox")
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    await client.refused(client.sandbox(), UNKNOWN, "is reserved for")
    assert runtime.sandboxes == []
    stream = client.events()
    event = await stream.read()
    stream.cancel()
    assert [event.container_id] == [sandbox.id for sandbox in runtime.sandboxes]


async def test_name_of_a_sandbox_that_failed_is_free_again(client, runtime):
    runtime.node.conditions["NetworkReady"] = False
    runtime.faults.set("RunPodSandbox", "delay(1)")
    await client.refused(client.sandbox(), UNKNOWN, "network")
    runtime.node.conditions["NetworkReady"] = True
    await client.sandbox()


# Crashes and restarts


async def test_crashed_runtime_leaves_containers_running(client, runtime):
    _, container = await client.running()
    stream = client.events()
    await stream.read()
    await runtime.crash()
    assert repr(runtime) == "<FakeCri down sandboxes=1 containers=1>"
    assert runtime.path.is_socket()
    await client.refused(RUNTIME.Version, UNAVAILABLE, ready=False)
    runtime.exit(container, 5)
    await runtime.restart()
    assert (await client.status(container)).exit_code == 5


async def test_crashed_runtime_ends_calls_under_way(client, runtime):
    runtime.faults.set("RunPodSandbox", "delay(3600000)")
    slow = asyncio.ensure_future(client.sandbox())
    await runtime.calls.wait_for("RunPodSandbox")
    await runtime.crash()
    await client.refused(slow, UNAVAILABLE)
    await runtime.restart()
    await client.sandbox()


async def test_reboot_ends_all_containers(client, runtime):
    sandbox, container = await client.running()
    await runtime.restart("dead")
    status = await client.status(container)
    assert (status.state, status.exit_code, status.reason) == (2, 255, "Unknown")
    status = (await client.ask(RUNTIME.PodSandboxStatus, pod_sandbox_id=sandbox)).status
    assert status.state == api.PodSandboxState.SANDBOX_NOTREADY


async def test_runtime_restarted_without_its_state_has_no_objects(client, runtime, tmp_path):
    sandbox = await client.sandbox(sandbox_config(directory=str(tmp_path)))
    container = await client.container(sandbox, container_config(log_path="0.log"))
    await client.ask(RUNTIME.StartContainer, container_id=container)
    await runtime.restart("lost")
    await client.refused(RUNTIME.ContainerStatus, NOT_FOUND, container_id=container)
    assert not (await client.ask(RUNTIME.ListPodSandbox)).items
    await client.running()


# What a test can observe


async def test_calls_are_recorded(client, runtime):
    await client.running()
    methods = [call.method for call in runtime.calls.all]
    assert methods == ["RunPodSandbox", "CreateContainer", "StartContainer"]
    assert repr(runtime.calls) == f"<Calls {methods}>"
    call = runtime.calls.of("RunPodSandbox")[0]
    assert call.request.config.metadata.name == "zone"
    assert call.code == "OK"
    runtime.calls.clear()
    assert runtime.calls.all == []
    with pytest.raises(TimeoutError):
        await runtime.calls.wait_for("Version", timeout=0.01)


async def test_objects_are_found_by_name_or_id(client, runtime):
    sandbox, container = await client.running()
    assert runtime.sandbox("zone").id == runtime.sandbox(sandbox).id == sandbox
    for name in ("zone", sandbox, container):
        assert runtime.container(name).id == container
    for find in (runtime.sandbox, runtime.container):
        with pytest.raises(LookupError, match="got 'none'"):
            find("none")


async def test_closed_runtime_removes_its_directory(tmp_path):
    async with FakeCri() as runtime:
        path = runtime.path
        assert runtime.endpoint.path == str(path)
        await runtime.crash()
    assert not path.parent.exists()
    async with FakeCri(tmp_path / "s"):
        assert (tmp_path / "s").is_socket()
    assert list(tmp_path.iterdir()) == []


async def test_removal_of_a_running_container_kills_it_first(client, runtime):
    _, container = await client.running()
    stream = client.events()
    for _ in range(4):
        await stream.read()
    await client.ask(RUNTIME.RemoveContainer, container_id=container)
    stopped, deleted = await stream.read(), await stream.read()
    stream.cancel()
    kinds = api.ContainerEventType
    assert stopped.container_event_type is kinds.CONTAINER_STOPPED_EVENT
    assert stopped.containers_statuses[0].exit_code == 137
    assert deleted.container_event_type is kinds.CONTAINER_DELETED_EVENT


async def test_container_is_not_created_in_a_sandbox_that_was_removed_meanwhile(client, runtime):
    sandbox = await client.sandbox()
    runtime.faults.set("CreateContainer", "delay(1000)")
    creating = asyncio.ensure_future(client.container(sandbox))
    await runtime.calls.wait_for("CreateContainer")
    await client.ask(RUNTIME.RemovePodSandbox, pod_sandbox_id=sandbox)
    await client.refused(creating, NOT_FOUND, "not found")
    await client.running()


async def test_pulled_and_removed_image_changes_the_bytes_that_images_take(client, runtime):
    runtime.images.set("app:1", FakeImage(size=7))
    before = runtime.images.used_bytes
    image = api.ImageSpec(image="app:1")
    for _ in range(2):
        await client.ask(IMAGES.PullImage, image=image)
        assert runtime.images.used_bytes == before + 7
    await client.ask(IMAGES.RemoveImage, image=image)
    assert runtime.images.used_bytes == before


async def test_delay_fault_delays_every_call(client, runtime):
    """Each call awaits the delay before it acts: none returns."""
    for name in runtime._behaviours():
        service = RUNTIME if hasattr(RUNTIME, name) else IMAGES
        runtime.faults.set(name, "delay(3600000)")
        call = asyncio.ensure_future(client.ask(getattr(service, name), deadline=None))
        await runtime.calls.wait_for(name)
        for _ in range(3):  # a response that does not wait overtakes these
            await client.refused(RUNTIME.ListMetricDescriptors, UNIMPLEMENTED)
        done = call.done()
        if done and isinstance(call.exception(), StatusError):
            assert name in {"RunPodSandbox", "CreateContainer", "StartContainer"}  # refused at once
            continue
        assert not done
        call.cancel()
        await asyncio.wait([call])
