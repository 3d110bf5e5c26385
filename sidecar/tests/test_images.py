import asyncio

import pytest
from kakuri_sidecar._cri import CriClient
from kakuri_sidecar._errors import RuntimeUnavailable, StartFailed
from kakuri_sidecar._images import Images, PullLimits
from kakuri_sidecar.testing import FakeImage
from kakuri_tcp.testing import until


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def cri(runtime):
    async with CriClient(runtime.endpoint) as client:
        yield client


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def images(cri, clock):
    limits = PullLimits(
        timeout=20, stall_timeout=30, first_backoff=10, max_backoff=40, look_interval=0.005
    )
    pulls = Images(cri, limits, clock, received_by=lambda path: None)
    yield pulls
    await pulls.close()


def ignore(words):
    pass


async def fails(images, image="app:1"):
    with pytest.raises(StartFailed) as failure:
        await images.ensure(image, ignore)
    assert failure.value.reason == "ImagePullFailed"
    return str(failure.value)


async def test_an_image_that_is_there_is_not_pulled(runtime, images):
    runtime.images.set("app:1", FakeImage(state="present"))
    assert (await images.ensure("app:1", ignore)).startswith("sha256:")
    assert runtime.calls.of("PullImage") == []


async def test_waiters_share_a_pull(runtime, images):
    runtime.faults.set("PullImage", "delay(50)")
    refs = await asyncio.gather(*(images.ensure("app:1", ignore) for _ in range(5)))
    assert len(set(refs)) == 1
    assert len(runtime.calls.of("PullImage")) == 1


async def test_no_tag_is_the_tag_latest(runtime, images):
    runtime.images.set("host:5000/app:latest", FakeImage())
    names = ["host:5000/app", "host:5000/app:latest"]
    refs = await asyncio.gather(*(images.ensure(name, ignore) for name in names))
    assert len(set(refs)) == 1
    assert len(runtime.calls.of("PullImage")) == 1


async def test_different_images_are_pulled_at_the_same_time(runtime, images):
    runtime.images.set("slow:1", FakeImage(state="hanging"))
    slow = asyncio.create_task(images.ensure("slow:1", ignore))
    await runtime.calls.wait_for("PullImage")
    await images.ensure("app:1", ignore)
    slow.cancel()
    await asyncio.wait({slow})


async def test_the_registrys_words_are_told(runtime, images):
    runtime.images.set("app:1", FakeImage(state="missing"))
    assert 'failed to resolve reference "docker.io/library/app:1"' in await fails(images)


async def test_a_failed_pull_is_not_repeated_at_once(runtime, images, clock):
    runtime.images.set("app:1", FakeImage(state="missing"))
    first = await fails(images)
    again = await fails(images)
    assert again == f"{first} (the next try is possible in 10 s)"
    assert len(runtime.calls.of("PullImage")) == 1
    for pause in (10, 20, 40, 40):
        clock.now += pause - 1
        asked = len(runtime.calls.of("PullImage"))
        await fails(images)
        assert len(runtime.calls.of("PullImage")) == asked
        clock.now += 1
        await fails(images)
        assert len(runtime.calls.of("PullImage")) == asked + 1


async def test_the_pause_is_short_again_after_a_long_time(runtime, images, clock):
    runtime.images.set("app:1", FakeImage(state="missing"))
    for _ in range(4):
        await fails(images)
        clock.now += 40
    clock.now += 1000
    await fails(images)
    assert "in 10 s" in await fails(images)


async def test_an_image_that_came_otherwise_counts_at_once(runtime, images):
    runtime.images.set("app:1", FakeImage(state="missing"))
    await fails(images)
    runtime.images.set("app:1", FakeImage(state="present"))
    await images.ensure("app:1", ignore)


async def test_failures_are_forgotten_beyond_a_number(runtime, images, monkeypatch):
    monkeypatch.setattr("kakuri_sidecar._images.MAX_FAILURES", 2)
    for name in ("a:1", "b:1", "c:1"):
        runtime.images.set(name, FakeImage(state="missing"))
        await fails(images, name)
    assert "next try" not in await fails(images, "a:1")
    assert "next try" in await fails(images, "c:1")


async def test_a_pull_has_a_deadline(runtime, cri, clock):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    images = Images(cri, PullLimits(timeout=0.05, stall_timeout=0, look_interval=0.01), clock)
    assert "not done within 0.05 s" in await fails(images)


async def test_a_pull_that_does_not_get_on_is_ended(runtime, images, clock):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    pull = asyncio.create_task(fails(images))
    await runtime.calls.wait_for("ImageFsInfo")
    clock.now += 29
    asked = len(runtime.calls.of("ImageFsInfo"))
    await runtime.calls.wait_for("ImageFsInfo", asked + 2)
    assert not pull.done()
    clock.now += 1
    assert "no progress for 30 s" in await pull
    await until(lambda: runtime.calls.of("PullImage")[0].code != "OK")


async def test_progress_keeps_a_pull_alive_and_is_told(runtime, images, clock):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    told = []
    pull = asyncio.create_task(images.ensure("app:1", told.append))
    for _ in range(4):
        await runtime.calls.wait_for("ImageFsInfo", len(runtime.calls.of("ImageFsInfo")) + 2)
        clock.now += 20
        runtime.images.used_bytes += 5_000_000
    await until(lambda: told[-1] == "pulling app:1 for 80 s, about 20.0 MB so far")
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull


async def test_without_figures_only_the_deadline_counts_as_long_as_it_is_short(
    runtime, images, clock
):
    runtime.unimplemented.add("ImageFsInfo")
    runtime.faults.set("PullImage", "delay(50)")
    await images.ensure("app:1", ignore)


async def test_a_pull_that_nobody_waits_for_is_cancelled(runtime, images):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    first, second = (asyncio.create_task(images.ensure("app:1", ignore)) for _ in range(2))
    await runtime.calls.wait_for("ImageStatus", 2)
    await runtime.calls.wait_for("ImageFsInfo")
    first.cancel()
    await asyncio.wait({first})
    await runtime.calls.wait_for("ImageFsInfo", len(runtime.calls.of("ImageFsInfo")) + 2)
    second.cancel()
    await asyncio.wait({second})
    runtime.images.set("app:1", FakeImage())
    await images.ensure("app:1", ignore)
    assert len(runtime.calls.of("PullImage")) == 2


async def test_silence_of_the_runtime_is_no_failure_of_the_image(runtime, images):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    pull = asyncio.create_task(images.ensure("app:1", ignore))
    await runtime.calls.wait_for("PullImage")
    await runtime.crash()
    with pytest.raises(RuntimeUnavailable):
        await pull


async def test_a_registry_that_is_unavailable_is_one(runtime, images):
    runtime.faults.set("PullImage", "error(UNAVAILABLE: registry answered 503)")
    assert "registry answered 503" in await fails(images)
    assert "next try" in await fails(images)
