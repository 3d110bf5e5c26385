"""What the conformance suite of runtimes (critest) implies for a client, case by case."""

import asyncio

import pytest
from kakuri_cri import CallRefused, CallTimeout, NotFound, Runtime, api
from kakuri_cri.testing import FakeCri, FakeImage

STATES = api.ContainerState
CONFIG = api.PodSandboxConfig(
    metadata=api.PodSandboxMetadata(name="z", uid="u", namespace="n", attempt=1),
    hostname="z.example",
    dns_config=api.DNSConfig(servers=("10.0.0.1",), searches=("example",), options=("ndots:2",)),
    labels={"kakuri.dev/workload-id": "z"},
    annotations={"dev.edera/note": "ä"},
)


@pytest.fixture
async def fake():
    async with FakeCri(images={"web:1": "present"}) as runtime:
        yield runtime


@pytest.fixture
async def runtime(fake):
    async with Runtime(fake.endpoint) as client:
        yield client


def container_config(image="web:1"):
    return api.ContainerConfig(
        metadata=api.ContainerMetadata(name="main"),
        image=api.ImageSpec(image=image),
        labels={"a": "b"},
        annotations={"c": "d"},
    )


async def create(runtime, image="web:1"):
    sandbox = await runtime.run_pod_sandbox(CONFIG)
    return sandbox, await runtime.create_container(sandbox, container_config(image), CONFIG)


async def test_sandbox_has_what_it_was_configured_with(runtime, fake):
    sandbox = await runtime.run_pod_sandbox(CONFIG)
    assert fake.sandbox("z").config == CONFIG
    status = await runtime.pod_sandbox_status(sandbox)
    assert (status.metadata, status.labels, status.annotations) == (
        CONFIG.metadata, CONFIG.labels, CONFIG.annotations
    )  # fmt: skip
    assert status.state is api.PodSandboxState.SANDBOX_READY


async def test_container_is_created_until_it_is_started(runtime):
    _, container = await create(runtime)
    status = await runtime.container_status(container)
    assert status.state is STATES.CONTAINER_CREATED
    assert (status.labels, status.annotations) == ({"a": "b"}, {"c": "d"})
    await runtime.start_container(container)
    assert (await runtime.container_status(container)).state is STATES.CONTAINER_RUNNING


@pytest.mark.parametrize("state", ["created", "running", "stopped"])
async def test_container_is_removed_in_every_state(runtime, state):
    _, container = await create(runtime)
    if state != "created":
        await runtime.start_container(container)
    if state == "stopped":
        await runtime.stop_container(container, 1)
    await runtime.remove_container(container)
    with pytest.raises(NotFound):
        await runtime.container_status(container)


async def test_cleanup_calls_can_be_repeated_and_succeed_for_missing_objects(runtime):
    sandbox, container = await create(runtime)
    await runtime.start_container(container)
    for _ in range(2):
        await runtime.stop_container(container, 0)
        await runtime.stop_pod_sandbox(sandbox)
    for _ in range(2):
        await runtime.remove_container(container)
        await runtime.remove_pod_sandbox(sandbox)
        await runtime.remove_image("web:1")
    for name in ("none", sandbox, container):
        await runtime.stop_container(name, 0)
        await runtime.stop_pod_sandbox(name)


async def test_stop_of_a_missing_container_is_not_found_by_containerd_1_6(runtime, fake):
    fake.node.stops_missing = False
    with pytest.raises(NotFound):
        await runtime.stop_container("none", 0)


async def test_reason_of_an_out_of_memory_kill_is_read(runtime, fake):
    _, container = await create(runtime)
    await runtime.start_container(container)
    fake.exit(container, 137, "OOMKilled")
    status = await runtime.container_status(container)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    assert status.finished_at >= status.started_at > 0


async def test_command_that_runs_too_long_is_a_timeout(runtime, fake):
    _, container = await create(runtime)
    await runtime.start_container(container)
    fake.faults.set("ExecSync", "error(DEADLINE_EXCEEDED: timeout 1s exceeded)")
    with pytest.raises(CallTimeout, match="timeout 1s exceeded"):
        await runtime.exec_sync(container, ["sleep", "9"], 1)


async def test_output_of_a_command_is_bounded_by_the_size_of_a_response(fake):
    """The class of CVE-2022-31030, on the client's side."""
    output = FakeImage(state="present", commands={("yes",): (b"y\n" * (9 << 20), 0)})
    fake.images.set("web:1", output)
    async with Runtime(fake.endpoint) as runtime:
        _, container = await create(runtime)
        await runtime.start_container(container)
        with pytest.raises(CallRefused) as caught:
            await runtime.exec_sync(container, ["yes"], 5)
        assert caught.value.code == "RESOURCE_EXHAUSTED"
        assert (await runtime.version()).runtime_name == "fake"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("app:1", "docker.io/library/app:1"),
        ("app", "docker.io/library/app:latest"),
        (f"a.example/app@sha256:{'0' * 64}", f"a.example/app@sha256:{'0' * 64}"),
    ],
)
async def test_image_has_one_id_in_all_calls_from_pull_to_removal(runtime, name, full):
    assert await runtime.image_status(name) is None
    reference = await runtime.pull_image(name)
    assert await runtime.pull_image(name) == reference
    found = await runtime.image_status(name)
    assert (found.id, found.repo_tags) == (reference, (full,))
    assert reference in {image.id for image in await runtime.list_images()}
    _, container = await create(runtime, reference)
    assert (await runtime.container_status(container)).image_ref == reference
    (listed,) = await runtime.list_containers({})
    assert listed.image_ref == reference
    await asyncio.gather(*[runtime.remove_image(reference) for _ in range(4)])
    assert await runtime.image_status(name) is None
    assert reference not in {image.id for image in await runtime.list_images()}


async def test_pull_beyond_its_deadline_is_a_timeout_and_can_be_repeated(runtime, fake):
    fake.images.set("slow", FakeImage(state="hanging"))
    with pytest.raises(CallTimeout):
        await runtime.pull_image("slow", 0.05)
    fake.images.set("slow", FakeImage())
    assert (await runtime.pull_image("slow")).startswith("sha256:")


async def test_runtime_reports_conditions_before_the_first_sandbox(runtime, fake):
    fake.node.conditions["NetworkReady"] = False
    result = await runtime.probe()
    assert result.api_version == "v1"
    assert result.is_ready
    network = result.conditions["NetworkReady"]
    assert (network.status, network.reason) == (False, "NetworkNotReady")
