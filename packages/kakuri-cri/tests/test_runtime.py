"""The calls of the client: what they send, what they return, and how long they may take."""

import asyncio
import math
import re
import threading
from asyncio import CancelledError
from contextlib import aclosing
from dataclasses import fields

import pytest
from kakuri_cri import (
    CallRefused,
    CallTimeout,
    CallUnanswered,
    CriError,
    Runtime,
    RuntimeUnavailable,
    Timeouts,
    Unimplemented,
    api,
)
from kakuri_protobuf import EncodeError, Method
from kakuri_tcp import EndpointError

from .scripted_channel import ScriptedChannel, error

CONFIG = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="z", uid="u", namespace="n"))


async def test_run_pod_sandbox_returns_the_id():
    channel = ScriptedChannel(RunPodSandbox=api.RunPodSandboxResponse(pod_sandbox_id="s1"))
    assert await Runtime(channel).run_pod_sandbox(CONFIG, handler="edera") == "s1"
    sent = channel.request(api.RunPodSandboxRequest)
    assert sent == api.RunPodSandboxRequest(config=CONFIG, runtime_handler="edera")


async def test_create_container_sends_both_configurations():
    channel = ScriptedChannel(CreateContainer=api.CreateContainerResponse(container_id="c1"))
    config = api.ContainerConfig(metadata=api.ContainerMetadata(name="main"))
    assert await Runtime(channel).create_container("s1", config, CONFIG) == "c1"
    sent = channel.request(api.CreateContainerRequest)
    assert (sent.pod_sandbox_id, sent.config, sent.sandbox_config) == ("s1", config, CONFIG)


MANY = tuple(api.Container(id=f"{number:064}") for number in range(2500))


@pytest.fixture
def busy():
    """Return a function that keeps a runtime's thread busy, and the event that ends this."""
    event = threading.Event()

    def keep_busy(runtime):
        runtime._codec._executor.submit(event.wait, 10)
        return runtime

    yield keep_busy, event
    event.set()


async def is_waiting(task):
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_large_response_is_decoded_in_a_thread(busy):
    keep_busy, event = busy
    channel = ScriptedChannel(ListContainers=api.ListContainersResponse(containers=MANY))
    call = asyncio.create_task(keep_busy(Runtime(channel)).list_containers({}))
    assert await is_waiting(call)
    event.set()
    assert await call == list(MANY)


async def test_timeout_of_a_call_includes_decoding_the_response(busy):
    keep_busy, _ = busy
    calls = []
    channel = ScriptedChannel(ListContainers=api.ListContainersResponse(containers=MANY))
    runtime = Runtime(channel, on_call=lambda name, _, status: calls.append((name, status)))
    with pytest.raises(
        CallTimeout, match="ListContainers: the deadline passed before the response"
    ):
        await keep_busy(runtime).list_containers({}, timeout=0.01)
    assert calls == [("ListContainers", "DEADLINE_EXCEEDED")]


async def test_large_part_of_a_streamed_list_is_decoded_in_a_thread(busy):
    keep_busy, event = busy
    responses = [api.StreamContainersResponse(containers=part) for part in (MANY[:1], MANY)]
    runtime = keep_busy(Runtime(ScriptedChannel(StreamContainers=responses)))
    containers = runtime.containers()
    assert await anext(containers) == MANY[0]

    async def listed():
        return [one async for one in containers]

    call = asyncio.create_task(listed())
    assert await is_waiting(call)
    event.set()
    assert await call == [*MANY]


async def test_read_of_a_large_event_that_is_cancelled_cancels_the_call(busy):
    keep_busy, event = busy
    large = api.ContainerEventResponse(container_id="c" * 200_000)
    channel = ScriptedChannel(GetContainerEvents=[large, large])
    events = keep_busy(Runtime(channel)).events()
    read = asyncio.create_task(anext(events))
    assert await is_waiting(read)
    read.cancel()
    with pytest.raises(CancelledError):
        await read
    event.set()
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_request_of_wrong_type_raises_type_error_and_is_not_sent():
    channel = ScriptedChannel()
    runtime = Runtime(channel)
    service = api.RuntimeService
    with pytest.raises(TypeError, match="class StopContainerRequest, got VersionRequest"):
        await runtime.call(service.StopContainer, api.VersionRequest(), timeout=1)
    with pytest.raises(TypeError, match="class GetEventsRequest, got None"):
        runtime.stream(service.GetContainerEvents, None, timeout=1)
    assert channel.calls == []


TOO_LARGE = "an integer too large for a float"


@pytest.mark.parametrize(
    ("timeout", "error", "got"),
    [
        ("5", TypeError, "'5'"),
        (True, TypeError, "True"),
        (math.nan, ValueError, "NaN"),
        (10**400, ValueError, TOO_LARGE),
    ],
)
async def test_timeout_of_a_call_that_is_not_seconds_raises_type_or_value_error(
    timeout, error, got
):
    channel = ScriptedChannel()
    runtime = Runtime(channel)
    message = f"^expected seconds or None as timeout, got {got}$"
    with pytest.raises(error, match=message):
        await runtime.version(timeout)
    with pytest.raises(error, match=message):
        runtime.stream(
            api.RuntimeService.GetContainerEvents, api.GetEventsRequest(), timeout=timeout
        )
    assert channel.calls == []


async def test_seconds_that_the_runtime_waits_have_to_be_a_number():
    channel = ScriptedChannel()
    runtime = Runtime(channel)
    with pytest.raises(ValueError, match=f"^expected seconds as grace_seconds, got {TOO_LARGE}$"):
        await runtime.stop_container("c", 10**400)
    for call in (
        runtime.exec_sync("c", ["true"], 10**400),
        runtime.checkpoint_container("c", "/c.tar", 10**400),
    ):
        with pytest.raises(ValueError, match=f"seconds as timeout_seconds, got {TOO_LARGE}$"):
            await call
    assert channel.calls == []


async def test_timeout_of_zero_is_not_the_default():
    channel = ScriptedChannel()
    await Runtime(channel).version(0.0)
    assert channel.calls[0][2] == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda runtime: runtime.run_pod_sandbox(CONFIG),
        lambda runtime: runtime.create_container("s", api.ContainerConfig(), CONFIG),
        lambda runtime: runtime.pull_image("app:1"),
        lambda runtime: runtime.pod_sandbox_status("s"),
        lambda runtime: runtime.container_status("c"),
    ],
)
async def test_response_without_its_required_field_raises_call_unanswered(call):
    with pytest.raises(CallUnanswered, match="the response has no"):
        await call(Runtime(ScriptedChannel()))


async def test_list_containers_selects_by_labels_and_sandbox():
    found = (api.Container(id="a"), api.Container(id="b"))
    channel = ScriptedChannel(ListContainers=api.ListContainersResponse(containers=found))
    assert await Runtime(channel).list_containers({"k": "v"}, sandbox_id="s") == list(found)
    selected = channel.request(api.ListContainersRequest).filter
    assert selected == api.ContainerFilter(label_selector={"k": "v"}, pod_sandbox_id="s")


async def test_image_status_of_absent_image_is_none():
    assert await Runtime(ScriptedChannel()).image_status("app:1") is None


RESOURCES = api.LinuxContainerResources(cpu_quota=50_000, cpu_period=100_000)
TIMEOUTS = Timeouts(usual=7.0, run_pod_sandbox=9.0)


@pytest.mark.parametrize(
    ("call", "seconds"),
    [
        (lambda runtime: runtime.version(), 7.0),
        (lambda runtime: runtime.version(2.0), 2.0),
        (lambda runtime: runtime.status(), 7.0),
        (lambda runtime: runtime.runtime_config(), 7.0),
        (lambda runtime: runtime.run_pod_sandbox(CONFIG), 9.0),
        (lambda runtime: runtime.stop_pod_sandbox("s"), 7.0),
        (lambda runtime: runtime.remove_pod_sandbox("s"), 7.0),
        (lambda runtime: runtime.pod_sandbox_status("s"), 7.0),
        (lambda runtime: runtime.list_pod_sandboxes({}), 7.0),
        (lambda runtime: runtime.create_container("s", api.ContainerConfig(), CONFIG), 7.0),
        (lambda runtime: runtime.start_container("c"), 7.0),
        (lambda runtime: runtime.stop_container("c", 30), 37.0),
        (lambda runtime: runtime.remove_container("c"), 7.0),
        (lambda runtime: runtime.container_status("c", 1.0), 1.0),
        (lambda runtime: runtime.list_containers({}), 7.0),
        (lambda runtime: runtime.reopen_container_log("c"), 7.0),
        (lambda runtime: runtime.image_status("i"), 7.0),
        (lambda runtime: runtime.image_info("i"), 7.0),
        (lambda runtime: runtime.list_images(), 7.0),
        (lambda runtime: runtime.remove_image("i"), 7.0),
        (lambda runtime: runtime.pull_image("i"), None),
        (lambda runtime: runtime.pull_image("i", 60.0), 60.0),
        (lambda runtime: runtime.image_fs_info(), 7.0),
        (lambda runtime: runtime.fs_info(), 7.0),
        (lambda runtime: runtime.exec_sync("c", ["ls"], 5), 12.0),
        (lambda runtime: runtime.exec_sync("c", ["ls"], 0), None),
        (lambda runtime: runtime.exec(api.ExecRequest()), 7.0),
        (lambda runtime: runtime.attach(api.AttachRequest()), 7.0),
        (lambda runtime: runtime.port_forward("s", [80]), 7.0),
        (lambda runtime: runtime.update_container_resources("c", RESOURCES), 7.0),
        (lambda runtime: runtime.update_pod_sandbox_resources("s"), 7.0),
        (lambda runtime: runtime.update_runtime_config("10.0.0.0/8"), 7.0),
        (lambda runtime: runtime.checkpoint_container("c", "/tmp/c.tar", 3), 10.0),
        (lambda runtime: runtime.checkpoint_pod(api.CheckpointPodRequest()), 7.0),
        (lambda runtime: runtime.restore_pod(api.RestorePodRequest()), 9.0),
        (lambda runtime: runtime.container_stats("c"), 7.0),
        (lambda runtime: runtime.list_container_stats({}), 7.0),
        (lambda runtime: runtime.pod_sandbox_stats("s"), 7.0),
        (lambda runtime: runtime.list_pod_sandbox_stats({}), 7.0),
        (lambda runtime: runtime.list_metric_descriptors(), 7.0),
        (lambda runtime: runtime.list_pod_sandbox_metrics(), 7.0),
    ],
)
async def test_call_has_its_deadline(call, seconds):
    channel = ScriptedChannel()
    try:
        await call(Runtime(channel, timeouts=TIMEOUTS))
    except CriError as unanswered:
        assert "the response has no" in str(unanswered)  # noqa: PT017
    ((_, _, timeout),) = channel.calls
    assert timeout == seconds


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        (lambda runtime: runtime.status(), api.StatusRequest()),
        (lambda runtime: runtime.status(verbose=True), api.StatusRequest(verbose=True)),
        (
            lambda runtime: runtime.image_status("i"),
            api.ImageStatusRequest(image=api.ImageSpec(image="i")),
        ),
        (
            lambda runtime: runtime.image_info("i"),
            api.ImageStatusRequest(image=api.ImageSpec(image="i"), verbose=True),
        ),
        (
            lambda runtime: runtime.checkpoint_container("c", "/tmp/c.tar"),
            api.CheckpointContainerRequest(container_id="c", location="/tmp/c.tar"),
        ),
        (
            lambda runtime: runtime.checkpoint_container("c", "/tmp/c.tar", 3),
            api.CheckpointContainerRequest(container_id="c", location="/tmp/c.tar", timeout=3),
        ),
        (
            lambda runtime: runtime.update_container_resources(
                "c", RESOURCES, annotations={"a": "b"}
            ),
            api.UpdateContainerResourcesRequest(
                container_id="c", linux=RESOURCES, annotations={"a": "b"}
            ),
        ),
        (
            lambda runtime: runtime.exec_sync("c", ["ls"], 5),
            api.ExecSyncRequest(container_id="c", cmd=("ls",), timeout=5),
        ),
    ],
)
async def test_call_sends_its_arguments_and_no_others(call, request_):
    channel = ScriptedChannel()
    await call(Runtime(channel))
    assert channel.request(type(request_)) == request_


def test_every_call_of_the_protocol_has_a_method():
    """The methods that stream lists are used by generators, which have other names."""
    own = {"GetContainerEvents": "events"}
    streamed = {
        "StreamPodSandboxes": "pod_sandboxes",
        "StreamContainers": "containers",
        "StreamContainerStats": "stats_of_containers",
        "StreamPodSandboxStats": "stats_of_pod_sandboxes",
        "StreamPodSandboxMetrics": "metrics_of_pod_sandboxes",
        "StreamImages": "images",
        "ListPodSandbox": "list_pod_sandboxes",
    }
    for service in (api.RuntimeService, api.ImageService):
        for name, method in vars(service).items():
            if isinstance(method, Method):
                snake = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
                assert callable(getattr(Runtime, (own | streamed).get(name, snake)))


async def test_update_container_resources_sends_limits_and_annotations():
    channel = ScriptedChannel()
    await Runtime(channel).update_container_resources("c", RESOURCES, annotations={"a": "b"})
    assert channel.request(api.UpdateContainerResourcesRequest) == (
        api.UpdateContainerResourcesRequest(
            container_id="c", linux=RESOURCES, annotations={"a": "b"}
        )
    )


async def test_pull_sends_credentials_and_sandbox():
    channel = ScriptedChannel(PullImage=api.PullImageResponse(image_ref="sha256:1"))
    auth = api.AuthConfig(username="u", password="p")
    assert await Runtime(channel).pull_image("a", auth=auth, sandbox_config=CONFIG) == "sha256:1"
    sent = channel.request(api.PullImageRequest)
    assert (sent.image.image, sent.auth, sent.sandbox_config) == ("a", auth, CONFIG)


async def test_restored_pod_lists_its_containers():
    restored = api.RestorePodResponse(
        pod_sandbox_id="s", restored_containers=(api.RestoredContainer(name="n", container_id="c"),)
    )
    runtime = Runtime(ScriptedChannel(RestorePod=restored))
    assert await runtime.restore_pod(api.RestorePodRequest()) == restored


async def test_stats_distinguish_a_measured_zero_from_an_absent_value():
    cpu = api.CpuUsage(usage_core_nano_seconds=api.UInt64Value())
    stats = api.ContainerStats(cpu=cpu)
    runtime = Runtime(ScriptedChannel(ContainerStats=api.ContainerStatsResponse(stats=stats)))
    received = await runtime.container_stats("c")
    assert received.cpu.usage_core_nano_seconds == api.UInt64Value(value=0)
    assert received.cpu.usage_nano_cores is None


async def test_request_with_a_value_out_of_range_is_an_encode_error():
    with pytest.raises(EncodeError, match="timeout"):
        await Runtime(ScriptedChannel()).stop_container("c", 1 << 64)


# Lists that may be streamed.


async def all_of(generator):
    async with aclosing(generator) as items:
        return [item async for item in items]


LISTS = {
    "containers": (
        "StreamContainers",
        [
            api.StreamContainersResponse(containers=(api.Container(id="a"),)),
            api.StreamContainersResponse(containers=(api.Container(id="b"), api.Container(id="c"))),
        ],
        "ListContainers",
        api.ListContainersResponse(containers=tuple(api.Container(id=name) for name in "abc")),
    ),
    "pod_sandboxes": (
        "StreamPodSandboxes",
        [api.StreamPodSandboxesResponse(pod_sandboxes=(api.PodSandbox(id="a"),))],
        "ListPodSandbox",
        api.ListPodSandboxResponse(items=(api.PodSandbox(id="a"),)),
    ),
    "images": (
        "StreamImages",
        [api.StreamImagesResponse(images=(api.Image(id="a"),))],
        "ListImages",
        api.ListImagesResponse(images=(api.Image(id="a"),)),
    ),
    "stats_of_containers": (
        "StreamContainerStats",
        [api.StreamContainerStatsResponse(container_stats=(api.ContainerStats(),))],
        "ListContainerStats",
        api.ListContainerStatsResponse(stats=(api.ContainerStats(),)),
    ),
    "stats_of_pod_sandboxes": (
        "StreamPodSandboxStats",
        [api.StreamPodSandboxStatsResponse(pod_sandbox_stats=(api.PodSandboxStats(),))],
        "ListPodSandboxStats",
        api.ListPodSandboxStatsResponse(stats=(api.PodSandboxStats(),)),
    ),
    "metrics_of_pod_sandboxes": (
        "StreamPodSandboxMetrics",
        [api.StreamPodSandboxMetricsResponse(pod_sandbox_metrics=(api.PodSandboxMetrics(),))],
        "ListPodSandboxMetrics",
        api.ListPodSandboxMetricsResponse(pod_metrics=(api.PodSandboxMetrics(),)),
    ),
}


@pytest.mark.parametrize("name", LISTS)
async def test_list_is_streamed_by_a_runtime_that_can(name):
    stream, responses, _, whole = LISTS[name]
    channel = ScriptedChannel(**{stream: responses})
    (expected,) = (getattr(whole, field.name) for field in fields(whole))
    assert tuple(await all_of(getattr(Runtime(channel), name)())) == expected
    assert [call for call, _, _ in channel.calls] == [stream]


@pytest.mark.parametrize("name", LISTS)
async def test_list_of_a_runtime_without_streams_comes_in_one_response(name):
    stream, _, plain, whole = LISTS[name]
    channel = ScriptedChannel(**{stream: [error("UNIMPLEMENTED")], plain: whole})
    runtime = Runtime(channel)
    (expected,) = (getattr(whole, field.name) for field in fields(whole))
    for _ in range(2):
        assert tuple(await all_of(getattr(runtime, name)())) == expected
    assert [call for call, _, _ in channel.calls] == [stream, plain, plain]


async def test_streamed_list_that_breaks_off_is_an_error():
    responses = [api.StreamImagesResponse(images=(api.Image(id="a"),)), error("UNAVAILABLE")]
    with pytest.raises(RuntimeUnavailable):
        await all_of(Runtime(ScriptedChannel(StreamImages=responses)).images())


async def test_seconds_since_silence_counts_from_the_last_unavailable_call():
    channel = ScriptedChannel(Status=error("UNAVAILABLE"), ListImages=error("NOT_FOUND"))
    runtime = Runtime(channel)
    assert runtime.seconds_since_silence == math.inf
    with pytest.raises(CriError):
        await runtime.list_images()
    assert runtime.seconds_since_silence == math.inf
    with pytest.raises(RuntimeUnavailable):
        await runtime.status()
    assert 0 <= runtime.seconds_since_silence < 60


async def test_probe_describes_the_runtime():
    ready = api.RuntimeCondition(type="RuntimeReady", status=True)
    features = api.RuntimeHandlerFeatures(user_namespaces=True)
    channel = ScriptedChannel(
        Version=api.VersionResponse(
            runtime_name="containerd", runtime_version="v2.1", runtime_api_version="v1"
        ),
        Status=api.StatusResponse(
            status=api.RuntimeStatus(conditions=(ready,)),
            runtime_handlers=(
                api.RuntimeHandler(),
                api.RuntimeHandler(name="edera", features=features),
            ),
        ),
        RuntimeConfig=api.RuntimeConfigResponse(
            linux=api.LinuxRuntimeConfiguration(cgroup_driver=api.CgroupDriver.CGROUPFS)
        ),
    )
    result = await Runtime(channel).probe(3.0)
    assert (result.name, result.version, result.api_version) == ("containerd", "v2.1", "v1")
    assert result.handlers == {"": api.RuntimeHandlerFeatures(), "edera": features}
    assert result.has_handler("edera")
    assert result.has_handler("runc") is False
    assert result.is_ready
    assert result.features is None
    assert result.cgroup_driver is api.CgroupDriver.CGROUPFS
    assert [(name, timeout) for name, _, timeout in channel.calls] == [
        ("Version", 3.0), ("Status", 3.0), ("RuntimeConfig", 3.0)
    ]  # fmt: skip


async def test_probe_of_an_old_runtime_reports_unsupported_calls_as_unknown():
    channel = ScriptedChannel(
        Version=api.VersionResponse(runtime_name="containerd", runtime_api_version="v1"),
        RuntimeConfig=error("UNIMPLEMENTED", "unknown method RuntimeConfig"),
    )
    result = await Runtime(channel).probe()
    assert result.handlers is None
    assert result.has_handler("edera") is None
    assert result.cgroup_driver is None
    assert not result.is_ready


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (api.VersionResponse(runtime_name="x", runtime_api_version="v1alpha2"), Unimplemented),
        (api.VersionResponse(runtime_name="x"), Unimplemented),
        (api.VersionResponse(runtime_api_version="v1"), CallUnanswered),
    ],
)
async def test_probe_refuses_a_runtime_that_does_not_speak_this_protocol(response, kind):
    with pytest.raises(kind) as caught:
        await Runtime(ScriptedChannel(Version=response)).probe()
    assert type(caught.value) is kind


def test_credentials_are_not_printed():
    auth = api.AuthConfig(
        username="u", password="s1", auth="s2", identity_token="s3", registry_token="s4"
    )
    assert repr(auth) == "AuthConfig(username='u', server_address='')"


async def test_probe_of_a_starting_runtime_is_unavailable():
    starting = error("UNIMPLEMENTED", "unknown service runtime.v1.RuntimeService")
    with pytest.raises(RuntimeUnavailable):
        await Runtime(ScriptedChannel(Version=starting)).probe()


async def test_events_end_as_the_runtime_ends_them():
    sent = [api.ContainerEventResponse(container_id=name) for name in "abc"]
    channel = ScriptedChannel(GetContainerEvents=sent)
    async with Runtime(channel).events() as events:
        assert [event async for event in events] == sent


async def test_events_raise_the_error_of_the_call():
    channel = ScriptedChannel(GetContainerEvents=[api.ContainerEventResponse(), error("CANCELLED")])
    events = Runtime(channel).events()
    assert await anext(events) == api.ContainerEventResponse()
    with pytest.raises(RuntimeUnavailable):
        await anext(events)


async def test_events_of_a_runtime_without_them_raise_unimplemented():
    channel = ScriptedChannel(GetContainerEvents=[error("UNIMPLEMENTED", "unknown method")])
    with pytest.raises(Unimplemented):
        await anext(Runtime(channel).events())


async def test_runtime_closes_its_channel():
    channel = ScriptedChannel()
    async with Runtime(channel) as runtime:
        assert repr(runtime) == "<Runtime <scripted>>"
    assert channel.is_closed


async def test_runtime_without_a_socket_is_unavailable(tmp_path):
    async with Runtime(f"unix:{tmp_path}/nope.sock") as runtime:
        assert repr(runtime) == f"<Runtime unix:{tmp_path}/nope.sock>"
        with pytest.raises(RuntimeUnavailable) as caught:
            await runtime.version()
    assert str(tmp_path) not in str(caught.value)
    assert "the runtime's socket" in str(caught.value)


def test_invalid_endpoint_raises_endpoint_error():
    with pytest.raises(EndpointError):
        Runtime("unix:relative.sock")


async def test_other_refusals_keep_their_code():
    channel = ScriptedChannel(StartContainer=error("FAILED_PRECONDITION", "no"))
    with pytest.raises(CallRefused) as caught:
        await Runtime(channel).start_container("c")
    assert caught.value.code == "FAILED_PRECONDITION"


async def test_calls_are_logged_with_their_time_and_failure(caplog):
    caplog.set_level("DEBUG", logger="kakuri_cri")
    runtime = Runtime(ScriptedChannel(Status=error("UNKNOWN", "no"), ListImages=CancelledError()))
    await runtime.version()
    with pytest.raises(CallRefused):
        await runtime.status()
    with pytest.raises(CancelledError):
        await runtime.list_images()
    patterns = (
        r"Version took \d+\.\d\d ms: OK",
        r"Status took \d+\.\d\d ms: UNKNOWN: no",
        r"ListImages took \d+\.\d\d ms: CANCELLED",
    )
    for record, pattern in zip(caplog.records, patterns, strict=True):
        assert re.fullmatch(pattern, record.getMessage())


async def test_on_call_receives_the_name_duration_and_status_of_each_call():
    calls = []
    channel = ScriptedChannel(
        Status=error("UNAVAILABLE", "no"), ListImages=CancelledError(), ImageFsInfo=b"\xff"
    )
    runtime = Runtime(channel, on_call=lambda *call: calls.append(call))
    await runtime.version()
    with pytest.raises(RuntimeUnavailable):
        await runtime.status()
    with pytest.raises(CancelledError):
        await runtime.list_images()
    with pytest.raises(CallUnanswered):
        await runtime.image_fs_info()
    assert [(name, status) for name, _, status in calls] == [
        ("Version", "OK"),
        ("Status", "UNAVAILABLE"),
        ("ListImages", "CANCELLED"),
        ("ImageFsInfo", "INTERNAL"),
    ]
    assert all(0 <= seconds < 60 for _, seconds, _ in calls)


SANDBOX_STATS = tuple(
    api.PodSandboxStats(attributes=api.PodSandboxAttributes(id=f"{number:064}"))
    for number in range(2500)
)
CONTAINER_STATS = tuple(
    api.ContainerStats(attributes=api.ContainerAttributes(id=f"{number:064}"))
    for number in range(2500)
)


@pytest.mark.parametrize("number", [0, 3, 2500])
async def test_visits_pass_each_item_of_a_list_in_order(number):
    sandboxes, containers = SANDBOX_STATS[:number], CONTAINER_STATS[:number]
    channel = ScriptedChannel(
        ListPodSandboxStats=api.ListPodSandboxStatsResponse(stats=sandboxes),
        ListContainerStats=api.ListContainerStatsResponse(stats=containers),
    )
    runtime, found = Runtime(channel), []
    await runtime.visit_pod_sandbox_stats({"a": "b"}, found.append)
    sent = channel.request(api.ListPodSandboxStatsRequest)
    assert sent.filter == api.PodSandboxStatsFilter(label_selector={"a": "b"})
    assert found == [*sandboxes]
    found.clear()
    await runtime.visit_container_stats({"a": "b"}, found.append)
    sent = channel.request(api.ListContainerStatsRequest)
    assert sent.filter == api.ContainerStatsFilter(label_selector={"a": "b"})
    assert found == [*containers]


async def test_visit_of_an_item_that_is_not_a_message_raises_call_unanswered():
    channel = ScriptedChannel(ListContainerStats=b"\x0a\x01\xff")
    with pytest.raises(CallUnanswered, match="not a valid ContainerStats"):
        await Runtime(channel).visit_container_stats({}, lambda stats: None)


async def test_large_list_is_visited_while_the_loop_serves_others():
    response = api.ListContainerStatsResponse(stats=CONTAINER_STATS)  # 175 KB
    runtime = Runtime(ScriptedChannel(ListContainerStats=response))
    found, turns = [], set()
    visit = asyncio.create_task(runtime.visit_container_stats({}, found.append))
    while not visit.done():
        await asyncio.sleep(0)
        turns.add(len(found))
    assert found == [*CONTAINER_STATS]
    assert len(turns) >= 4


async def test_close_ends_the_thread_that_decodes_large_responses():
    runtime = Runtime(ScriptedChannel(ListContainers=api.ListContainersResponse(containers=MANY)))
    await runtime.list_containers({})
    (thread,) = runtime._codec._executor._threads
    await runtime.close()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("timeouts", "error", "message"),
    [
        ({"usual": "5"}, TypeError, "expected seconds as usual, got '5'"),
        ({"run_pod_sandbox": None}, TypeError, "expected seconds as run_pod_sandbox, got None"),
        ({"usual": 0}, ValueError, "expected seconds above 0 as usual, got 0"),
        ({"usual": math.nan}, ValueError, "expected seconds as usual, got NaN"),
        ({"usual": 10**400}, ValueError, "expected seconds as usual, got an integer too large"),
    ],
)
def test_timeout_that_is_not_seconds_raises_type_or_value_error(timeouts, error, message):
    with pytest.raises(error, match=message):
        Timeouts(**timeouts)


def test_runtime_argument_of_wrong_type_raises_type_error():
    with pytest.raises(TypeError, match=r"expected Timeouts as timeouts, got 5"):
        Runtime(ScriptedChannel(), timeouts=5)
    with pytest.raises(TypeError, match="expected a function as on_call, got 'log'"):
        Runtime(ScriptedChannel(), on_call="log")
