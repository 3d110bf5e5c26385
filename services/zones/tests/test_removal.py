import pytest
from kakuri_cri import CallRefused, Runtime, api
from kakuri_tcp.testing import until
from kakuri_zones._reader import RuntimeReader
from kakuri_zones._removal import Objects, Remover
from kakuri_zones._settings import RetryTimes


@pytest.fixture
async def cri(runtime):
    async with Runtime(runtime.endpoint) as client:
        yield client


@pytest.fixture
async def remover(cri):
    remover = Remover(cri, RuntimeReader(cri), RetryTimes(first=0.01, longest=0.02))
    yield remover
    await remover.close()


async def make(cri):
    labels = {"kakuri.dev/managed-by": "kakuri", "kakuri.dev/workload-id": "z"}
    config = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="z"), labels=labels)
    return await cri.run_pod_sandbox(config, "edera")


async def test_removal_uses_the_kubelets_order_of_calls(cri, runtime, remover):
    sandbox_id = await make(cri)
    runtime.calls.clear()
    await remover.remove(Objects(frozenset({sandbox_id}), frozenset({"c"})))
    assert [call.method for call in runtime.calls.all] == [
        "StopPodSandbox", "RemoveContainer", "RemovePodSandbox",
    ]  # fmt: skip


async def test_removal_of_missing_objects_succeeds(remover, runtime):
    for method in ("StopPodSandbox", "RemoveContainer", "RemovePodSandbox"):
        runtime.faults.set(method, "error(NOT_FOUND: gone)")
    await remover.remove(Objects(frozenset({"s"}), frozenset({"c"})))


async def test_zone_removal_repeats_until_the_list_is_empty(cri, runtime, remover):
    await make(cri)
    assert await remover.remove_zone("z") is True
    assert runtime.sandboxes == []
    assert await remover.remove_zone("z") is True


async def test_removal_of_an_object_that_remains_raises_an_error(cri, remover, monkeypatch):
    sandbox_id = await make(cri)

    async def nothing(objects):
        return frozenset()

    monkeypatch.setattr(remover, "remove", nothing)
    with pytest.raises(CallRefused, match=f"'z' still has {sandbox_id}"):
        await remover.remove_zone("z")


async def test_background_removal_is_retried_until_it_succeeds(cri, runtime, remover):
    sandbox_id = await make(cri)
    runtime.faults.set("RemovePodSandbox", "3*error(UNKNOWN: busy)")
    objects = Objects(frozenset({sandbox_id}))
    remover.remove_later("z", objects, "a test")
    remover.remove_later("z", objects, "a test")
    remover.remove_later("z", Objects(), "a test")
    assert remover.zones == {"z"}
    await until(lambda: not remover.zones)
    assert runtime.sandboxes == []
    assert len(runtime.calls.of("RemovePodSandbox")) == 4


async def test_close_cancels_removals_in_the_background(cri, runtime, remover):
    sandbox_id = await make(cri)
    runtime.faults.set("RemovePodSandbox", "1000*error(UNKNOWN: busy)")
    remover.remove_later("z", Objects(frozenset({sandbox_id})), "a test")
    await runtime.calls.wait_for("RemovePodSandbox")
    await remover.close()
    assert len(runtime.sandboxes) == 1


async def test_zone_that_the_runtime_lists_but_does_not_have_is_removed(cri, runtime):
    reader = RuntimeReader(cri)
    remover = Remover(cri, reader, RetryTimes(first=0.001, longest=0.002))
    sandbox_id = await make(cri)
    runtime.faults.set("RemovePodSandbox", "5*error(NOT_FOUND: no container in it)")
    await remover.remove_zone("z")
    assert await reader.zone("z") is None
    assert runtime.sandbox("z").id == sandbox_id
    # After a restart, the runtime knows its objects, and the attempts in the background succeed.
    await until(lambda: not remover.zones)
    assert (runtime.sandboxes, reader.being_removed) == ([], set())
    await remover.close()


async def test_removal_fails_if_the_runtime_refuses_one_object(cri, runtime, remover):
    await make(cri)
    runtime.faults.set("RemovePodSandbox", "9*error(UNKNOWN: device busy)")
    with pytest.raises(CallRefused, match="device busy"):
        await remover.remove_zone("z")
