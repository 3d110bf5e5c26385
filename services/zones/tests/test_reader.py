import pytest
from kakuri_cri import CallRefused, GrpcChannel, Runtime, api
from kakuri_protobuf import encode
from kakuri_registry import ZoneSpec
from kakuri_zones import _labels as labels
from kakuri_zones._images import NodeImage
from kakuri_zones._reader import RuntimeReader
from kakuri_zones._zone_config import ZoneConfig
from kakuri_zones.logs import LogLocation

SPEC = ZoneSpec("z", "app:1", 64, 500)


@pytest.fixture
async def cri(runtime):
    async with Runtime(runtime.endpoint) as client:
        yield client


async def make(cri, spec=SPEC, *, start=True, cri_attempt=0):
    image = NodeImage(await cri.pull_image(spec.image, 10))
    config = ZoneConfig(spec, labels.spec_hash(spec), image, LogLocation("", ""), "")
    sandbox = config.sandbox(cri_attempt)
    sandbox_id = await cri.run_pod_sandbox(sandbox, "edera")
    container_id = await cri.create_container(sandbox_id, config.container(cri_attempt), sandbox)
    if start:
        await cri.start_container(container_id)
    return sandbox_id, container_id


async def test_only_what_is_ours_is_seen(cri, runtime):
    other = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="theirs"))
    await cri.run_pod_sandbox(other, "")
    await make(cri)
    assert list(await RuntimeReader(cri).all()) == ["z"]


async def test_nothing_is_asked_twice_that_can_not_have_changed(cri, runtime):
    await make(cri)
    reader = RuntimeReader(cri)
    first = await reader.all()
    runtime.calls.clear()
    assert await reader.all() == first
    assert [call.method for call in runtime.calls.all] == ["ListPodSandbox", "ListContainers"]


async def test_one_zone_alone(cri, runtime):
    await make(cri)
    await make(cri, ZoneSpec("other", "app:1", 64, 500))
    reader = RuntimeReader(cri)
    observed = await reader.zone("z")
    assert [each.zone_id for each in observed.containers] == ["z"]
    assert await reader.zone("nope") is None


async def test_what_is_hidden_is_left_out_unless_wanted(cri):
    sandbox_id, container_id = await make(cri)
    reader = RuntimeReader(cri)
    reader.being_removed |= {sandbox_id, container_id}
    assert await reader.zone("z") is None
    assert await reader.all() == {}
    assert await reader.zone("z", including_removed=True) is not None


async def test_a_killed_one_is_asked_about_a_few_times(cri, runtime):
    await make(cri)
    runtime.exit("z", 137)
    reader = RuntimeReader(cri)
    for _ in range(10):
        await reader.all()
    assert len(runtime.calls.of("ContainerStatus")) == 4


async def test_what_goes_away_between_two_calls_is_left_out(cri, runtime):
    await make(cri)
    runtime.faults.set("ContainerStatus", "error(NOT_FOUND: gone)")
    runtime.faults.set("PodSandboxStatus", "error(NOT_FOUND: gone)")
    observed = await RuntimeReader(cri).zone("z")
    assert observed.containers == ()
    assert observed.sandboxes[0].address is None


async def test_a_list_that_is_too_long_is_asked_for_in_parts(cri, runtime):
    await make(cri)
    await make(cri, ZoneSpec("other", "app:1", 64, 500))
    runtime.faults.set("ListContainers", "error(RESOURCE_EXHAUSTED: larger than max)")
    assert sorted(await RuntimeReader(cri).all()) == ["other", "z"]
    runtime.faults.set("ListContainers", "error(UNKNOWN: no)")
    with pytest.raises(CallRefused):
        await RuntimeReader(cri).all()


async def test_long_specs_fill_no_list_of_sandboxes(cri, runtime):
    await make(cri, ZoneSpec("z", "app:1", 64, 500, args=("x" * 4000,) * 50))
    (listed,) = await cri.list_pod_sandboxes(labels.OURS)
    assert len(encode(listed)) < 1000


LARGE_ENV = {f"VARIABLE_{number}": "x" * 1000 for number in range(200)}


async def large_zones(cri, runtime, count):
    """Make zones whose containers together exceed one answer of the runtime."""
    for number in range(count):
        await make(cri, ZoneSpec(f"z{number}", "app:1", 64, 500, env=LARGE_ENV))


def small_answers(runtime):
    """Return a client whose answers are 4 MiB at most: a refusal needs 21 zones instead of 85."""
    return Runtime(GrpcChannel(runtime.endpoint, max_received=4 * 2**20))


async def test_refused_list_is_replaced_by_a_list_for_each_zone(runtime):
    async with small_answers(runtime) as cri:
        await large_zones(cri, runtime, 22)
        reader = RuntimeReader(cri)
        first = await reader.all()
        assert len(first) == 22
        runtime.calls.clear()
        assert await reader.all() == first
        assert len(runtime.calls.of("ListContainers")) == 22


async def test_list_by_zone_skips_zones_that_have_ended(runtime):
    async with small_answers(runtime) as cri:
        await large_zones(cri, runtime, 22)
        reader = RuntimeReader(cri)
        await reader.all()
        for number in range(20):
            runtime.exit(f"z{number}", 0)
            await cri.stop_pod_sandbox(runtime.sandbox(f"z{number}").id)
        told = await reader.all()
        runtime.calls.clear()
        assert await reader.all() == told
        assert len(runtime.calls.of("ListContainers")) == 2
        assert sum(observed.container.has_ended for observed in told.values()) == 20


async def test_list_by_zone_becomes_one_call_again_once_it_fits_one_answer(runtime):
    async with small_answers(runtime) as cri:
        await large_zones(cri, runtime, 22)
        reader = RuntimeReader(cri)
        await reader.all()
        for number in range(10):
            await cri.remove_pod_sandbox(runtime.sandbox(f"z{number}").id)
        await reader.all()
        runtime.calls.clear()
        assert len(await reader.all()) == 12
        assert len(runtime.calls.of("ListContainers")) == 1


async def test_list_by_zone_includes_containers_that_outlive_their_sandbox(runtime):
    async with small_answers(runtime) as cri:
        await large_zones(cri, runtime, 22)
        reader = RuntimeReader(cri)
        await reader.all()
        runtime._runtime.sandboxes.pop(runtime.sandbox("z3").id)
        assert (await reader.all())["z3"].is_lost


async def test_refused_lists_are_freed_without_the_garbage_collector(runtime, uncollected):
    async with small_answers(runtime) as cri:
        await large_zones(cri, runtime, 22)
        reader = RuntimeReader(cri)
        await reader.all()
        with uncollected() as kept:
            for _ in range(5):
                with pytest.raises(CallRefused):
                    await cri.list_containers(labels.OURS)
                await reader.all()
            found = [each for each in kept() if isinstance(each, api.Container | BaseException)]
        assert found == []


async def test_spec_is_that_of_the_latest_container(cri):
    await make(cri)
    later = ZoneSpec("z", "app:1", 64, 500, attempt=2)
    await make(cri, later, cri_attempt=1)
    reader = RuntimeReader(cri)
    assert await reader.spec("z") == later
    assert await reader.spec("nope") is None


async def test_spec_with_unknown_fields_is_ignored(cri, runtime):
    await make(cri)
    runtime.container("z").config.annotations[labels.SPEC] = '{"id":"z","new":1}'
    assert await RuntimeReader(cri).spec("z") is None
