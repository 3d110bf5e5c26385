import asyncio

import pytest
from kakuri_cri import CallRefused, GrpcChannel, Runtime, api
from kakuri_protobuf import encode
from kakuri_workload import MAX_SPEC_BYTES, PullPolicy, RestartPolicy
from kakuri_workload.testing import zone_spec
from kakuri_zones import _labels as labels
from kakuri_zones._images import NodeImage
from kakuri_zones._names import named
from kakuri_zones._reader import MAX_ZONE_READS, RuntimeReader
from kakuri_zones._zone_config import zone_config
from kakuri_zones.logs import LogLocation

SPEC = zone_spec("z", image="app:1", memory_mb=64, cpu_millicores=500)


@pytest.fixture
async def cri(runtime):
    async with Runtime(runtime.endpoint) as client:
        yield client


async def make(cri, spec=SPEC, *, start=True, cri_attempt=0):
    image = NodeImage(await cri.pull_image(spec.workload.image, 10))
    config = zone_config(spec, labels.spec_hash(spec), image, LogLocation("", ""), cgroup_parent="")
    sandbox = named(config.sandbox, cri_attempt)
    sandbox_id = await cri.run_pod_sandbox(sandbox, "edera")
    container_id = await cri.create_container(
        sandbox_id, named(config.container, cri_attempt), sandbox
    )
    if start:
        await cri.start_container(container_id)
    return sandbox_id, container_id


async def test_list_has_only_objects_with_labels_of_kakuri(cri, runtime):
    other = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="theirs"))
    await cri.run_pod_sandbox(other, "")
    await make(cri)
    assert list(await RuntimeReader(cri).all()) == ["z"]


async def test_status_that_cannot_have_changed_is_requested_once(cri, runtime):
    await make(cri)
    reader = RuntimeReader(cri)
    first = await reader.all()
    runtime.calls.clear()
    assert await reader.all() == first
    assert [call.method for call in runtime.calls.all] == ["ListPodSandbox", "ListContainers"]


async def test_zone_returns_the_objects_of_one_zone(cri, runtime):
    await make(cri)
    await make(cri, zone_spec("other", image="app:1", memory_mb=64, cpu_millicores=500))
    reader = RuntimeReader(cri)
    observed = await reader.zone("z")
    assert [each.zone_id for each in observed.containers] == ["z"]
    assert await reader.zone("nope") is None


async def test_objects_being_removed_are_left_out_by_default(cri):
    sandbox_id, container_id = await make(cri)
    reader = RuntimeReader(cri)
    reader.being_removed |= {sandbox_id, container_id}
    assert await reader.zone("z") is None
    assert await reader.all() == {}
    assert await reader.zone("z", including_removed=True) is not None


async def test_status_of_a_killed_container_is_requested_a_few_times(cri, runtime):
    await make(cri)
    runtime.exit("z", 137)
    reader = RuntimeReader(cri)
    for _ in range(10):
        await reader.all()
    assert len(runtime.calls.of("ContainerStatus")) == 4


async def test_object_removed_between_two_calls_is_left_out(cri, runtime):
    await make(cri)
    runtime.faults.set("ContainerStatus", "error(NOT_FOUND: gone)")
    runtime.faults.set("PodSandboxStatus", "error(NOT_FOUND: gone)")
    observed = await RuntimeReader(cri).zone("z")
    assert observed.containers == ()
    assert observed.sandboxes[0].address is None


async def test_list_over_the_size_limit_is_requested_by_zone(cri, runtime):
    await make(cri)
    await make(cri, zone_spec("other", image="app:1", memory_mb=64, cpu_millicores=500))
    runtime.faults.set("ListContainers", "error(RESOURCE_EXHAUSTED: larger than max)")
    assert sorted(await RuntimeReader(cri).all()) == ["other", "z"]
    runtime.faults.set("ListContainers", "error(UNKNOWN: no)")
    with pytest.raises(CallRefused):
        await RuntimeReader(cri).all()


async def test_specs_are_not_in_the_list_of_sandboxes(cri, runtime):
    await make(
        cri,
        zone_spec("z", image="app:1", memory_mb=64, cpu_millicores=500, args=("x" * 4000,) * 50),
    )
    (listed,) = await cri.list_pod_sandboxes(labels.OURS)
    assert len(encode(listed)) < 1000


LARGE_ENV = {f"VARIABLE_{number}": "x" * 1000 for number in range(200)}


async def large_zones(cri, runtime, count):
    """Create zones whose containers together exceed one answer of the runtime."""
    for number in range(count):
        await make(
            cri,
            zone_spec(f"z{number}", image="app:1", memory_mb=64, cpu_millicores=500, env=LARGE_ENV),
        )


def small_answers(runtime):
    """Return a client that accepts answers of 4 MiB: 21 zones exceed it instead of 85."""
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
        reported = await reader.all()
        runtime.calls.clear()
        assert await reader.all() == reported
        assert len(runtime.calls.of("ListContainers")) == 2
        assert sum(observed.container.has_ended for observed in reported.values()) == 20


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
    later = zone_spec("z", image="app:1", memory_mb=64, cpu_millicores=500, attempt=2)
    await make(cri, later, cri_attempt=1)
    reader = RuntimeReader(cri)
    assert await reader.spec("z") == later
    assert await reader.spec("nope") is None


async def test_spec_keeps_the_restart_policy_of_its_workload(cri):
    spec = zone_spec("z", restart_policy=RestartPolicy.ALWAYS, max_restarts=3)
    await make(cri, spec)
    assert await RuntimeReader(cri).spec("z") == spec


async def test_spec_that_the_release_before_wrote_is_read_without_a_restart_policy(cri, runtime):
    await make(cri)
    runtime.container("z").config.annotations[labels.SPEC] = (
        '{"id":"z","image":"app:1","memory_mb":64,"cpu_millicores":500,"args":["a"],'
        '"labels":{"team":"x"},"attempt":7,"pull":"never"}'
    )
    assert await RuntimeReader(cri).spec("z") == zone_spec(
        "z",
        7,
        image="app:1",
        memory_mb=64,
        args=("a",),
        labels={"team": "x"},
        pull=PullPolicy.NEVER,
    )


@pytest.mark.parametrize("annotation", ["", "[]", "{}", '{"image":1}', '{"workload":[]}'])
async def test_spec_that_cannot_be_read_is_ignored(cri, runtime, annotation):
    await make(cri)
    runtime.container("z").config.annotations[labels.SPEC] = annotation
    assert await RuntimeReader(cri).spec("z") is None


async def test_spec_of_another_zone_is_ignored(cri, runtime):
    await make(cri)
    other = zone_spec("other", image="app:1", memory_mb=64, cpu_millicores=500)
    runtime.container("z").config.annotations.update(labels.container_annotations(other))
    assert await RuntimeReader(cri).spec("z") is None


async def test_spec_that_is_too_large_is_ignored(cri, runtime):
    await make(cri)
    annotations = runtime.container("z").config.annotations
    annotations[labels.SPEC] += " " * MAX_SPEC_BYTES
    assert await RuntimeReader(cri).spec("z") is None


@pytest.mark.parametrize("zone_id", ["", "x" * 100_000, "../z", "a\x1b[2J\u202e\n", "A"])
async def test_object_whose_label_is_not_a_valid_zone_id_is_ignored(cri, runtime, zone_id):
    await make(cri)
    await make(cri, zone_spec("bad", image="app:1", memory_mb=64, cpu_millicores=500))
    for labelled in (runtime.sandbox("bad"), runtime.container("bad")):
        labelled.config.labels[labels.WORKLOAD_ID] = zone_id
    assert list(await RuntimeReader(cri).all()) == ["z"]


@pytest.mark.parametrize(
    ("label", "attempt"),
    [("7", 7), ("999999999", 999_999_999), ("2147483648", 0), ("9999999999", 0), ("-1", 0)],
)
async def test_invalid_attempt_in_a_label_counts_as_none(cri, runtime, label, attempt):
    await make(cri)
    for labelled in (runtime.sandbox("z"), runtime.container("z")):
        labelled.config.labels[labels.ATTEMPT] = label
    observed = await RuntimeReader(cri).zone("z")
    assert (observed.sandbox.attempt, observed.container.attempt) == (attempt, attempt)


async def test_spec_with_unknown_fields_is_ignored(cri, runtime):
    await make(cri)
    runtime.container("z").config.annotations[labels.SPEC] = '{"id":"z","new":1}'
    assert await RuntimeReader(cri).spec("z") is None


class CountingRuntime:
    """A runtime without objects, which knows how many lists were requested at the same time."""

    def __init__(self):
        self.open = self.most = 0

    async def list_pod_sandboxes(self, *_):
        return await self.list()

    async def list_containers(self, *_, timeout):
        return await self.list()

    async def list(self):
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        return []


async def test_zones_read_together_wait_for_their_turn():
    cri = CountingRuntime()
    reader = RuntimeReader(cri)
    await asyncio.gather(*(reader.zone(f"z{number}") for number in range(10 * MAX_ZONE_READS)))
    assert cri.most == 2 * MAX_ZONE_READS
