import pytest
from kakuri_registry import ZoneSpec
from kakuri_sidecar import _cri_api_pb2 as api
from kakuri_sidecar import _labels as labels
from kakuri_sidecar._cri import CriClient
from kakuri_sidecar._errors import CallRefused
from kakuri_sidecar._inspector import Inspector
from kakuri_sidecar._zone_config import container_config, sandbox_config

SPEC = ZoneSpec("z", "app:1", 64, 500)


@pytest.fixture
async def cri(runtime):
    async with CriClient(runtime.endpoint) as client:
        yield client


async def make(cri, spec=SPEC, *, start=True):
    sandbox = sandbox_config(spec, cri_attempt=0, cgroup_parent="", log_directory="")
    sandbox_id = await cri.run_pod_sandbox(sandbox, "edera")
    image = await cri.pull_image(spec.image, 10)
    config = container_config(spec, cri_attempt=0, image_ref=image, log_path="")
    container_id = await cri.create_container(sandbox_id, config, sandbox)
    if start:
        await cri.start_container(container_id)
    return sandbox_id, container_id


async def test_only_what_is_ours_is_seen(cri, runtime):
    other = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="theirs"))
    await cri.run_pod_sandbox(other, "")
    await make(cri)
    assert list(await Inspector(cri).all()) == ["z"]


async def test_nothing_is_asked_twice_that_can_not_have_changed(cri, runtime):
    await make(cri)
    inspector = Inspector(cri)
    first = await inspector.all()
    runtime.calls.clear()
    assert await inspector.all() == first
    assert [call.method for call in runtime.calls.all] == ["ListPodSandbox", "ListContainers"]


async def test_one_zone_alone(cri, runtime):
    await make(cri)
    await make(cri, ZoneSpec("other", "app:1", 64, 500))
    inspector = Inspector(cri)
    facts = await inspector.zone("z")
    assert [each.zone_id for each in facts.containers] == ["z"]
    assert await inspector.zone("nope") is None


async def test_what_is_hidden_is_left_out_unless_wanted(cri):
    sandbox_id, container_id = await make(cri)
    inspector = Inspector(cri)
    inspector.hidden |= {sandbox_id, container_id}
    assert await inspector.zone("z") is None
    assert await inspector.all() == {}
    assert await inspector.zone("z", with_hidden=True) is not None


async def test_a_killed_one_is_asked_about_a_few_times(cri, runtime):
    await make(cri)
    runtime.exit("z", 137)
    inspector = Inspector(cri)
    for _ in range(10):
        await inspector.all()
    assert len(runtime.calls.of("ContainerStatus")) == 4


async def test_what_goes_away_between_two_calls_is_left_out(cri, runtime):
    await make(cri)
    runtime.faults.set("ContainerStatus", "error(NOT_FOUND: gone)")
    runtime.faults.set("PodSandboxStatus", "error(NOT_FOUND: gone)")
    facts = await Inspector(cri).zone("z")
    assert facts.containers == ()
    assert facts.sandboxes[0].address is None


async def test_a_list_that_is_too_long_is_asked_for_in_parts(cri, runtime):
    await make(cri)
    await make(cri, ZoneSpec("other", "app:1", 64, 500))
    runtime.faults.set("ListContainers", "error(RESOURCE_EXHAUSTED: larger than max)")
    assert sorted(await Inspector(cri).all()) == ["other", "z"]
    runtime.faults.set("ListContainers", "error(UNKNOWN: no)")
    with pytest.raises(CallRefused):
        await Inspector(cri).all()


async def test_long_specs_fill_no_list_of_sandboxes(cri, runtime):
    await make(cri, ZoneSpec("z", "app:1", 64, 500, args=("x" * 4000,) * 50))
    (listed,) = await cri.list_pod_sandboxes(labels.OURS)
    assert listed.ByteSize() < 1000
