from contextlib import suppress

import pytest
from kakuri_cri import Runtime, RuntimeUnavailable, api
from kakuri_cri.testing import FakeCri, FakeImage
from kakuri_zones import _image_collection
from kakuri_zones._image_collection import DiskUse, ImageCollector, _is_any_of, disk_use
from kakuri_zones._images import Images
from kakuri_zones._settings import CollectionLimits
from structlog.testing import capture_logs

MEBIBYTE = 2**20
CAPACITY = 1000 * MEBIBYTE
OLD = 1000.0


class Node:
    """A runtime with images on a disk, a clock, and the collector under test."""

    def __init__(self, runtime, cri):
        self.runtime, self.cri = runtime, cri
        self.now = 0.0
        self.others = 0
        self.images = Images(cri, clock=lambda: self.now)

    def collector(self, **limits):
        return ImageCollector(
            self.cri,
            self.images,
            CollectionLimits(**limits),
            clock=lambda: self.now,
            disk=self.disk,
        )

    def disk(self, path):
        assert path == self.runtime.images.mountpoint
        return DiskUse(CAPACITY, CAPACITY - self.runtime.images.used_bytes - self.others)

    def add(self, *names, size=100 * MEBIBYTE, **fields):
        for name in names:
            self.runtime.images.set(name, FakeImage(state="present", size=size, **fields))

    @property
    def names(self):
        return [name.removeprefix("docker.io/library/") for name in self.runtime.images.names()]

    async def use(self, name):
        with self.images.holding() as hold:
            return await self.images.ensure(name, None, lambda message: None, hold)


@pytest.fixture
async def node():
    async with FakeCri(images={}) as runtime, Runtime(runtime.endpoint) as cri:
        while True:  # a busy machine may take longer than one attempt to connect
            with suppress(RuntimeUnavailable):
                await cri.version()
                break
        yield Node(runtime, cri)


async def collected(node, collector, after=OLD):
    """Collect twice: images are kept for a while after they were first seen."""
    await collector.collect()
    node.now += after
    await collector.collect()
    return node.names


async def test_nothing_is_removed_while_there_is_room(node):
    node.add("a:1", "b:1")
    assert await collected(node, node.collector()) == ["a:1", "b:1"]


async def test_least_recently_used_images_are_removed_until_the_disk_is_below_the_low_threshold(
    node,
):
    node.add("a:1", "b:1", "c:1", "d:1")
    collector = node.collector(high=85, low=60)
    await collector.collect()
    for name in ("c:1", "a:1", "d:1"):
        node.now += 10
        await node.use(name)
    node.others = 500 * MEBIBYTE  # 90 %
    node.now += OLD
    with capture_logs() as logs:
        await collector.collect()
    assert node.names == ["d:1"]
    removed = [each for each in logs if each["event"] == "image removed"]
    assert [each["image"] for each in removed] == [
        f"docker.io/library/{name}" for name in ("b:1", "c:1", "a:1")
    ]
    assert removed[0]["bytes"] == 100 * MEBIBYTE
    assert removed[0]["reason"] == "the disk is 90 % full"
    assert collector.problem is None


async def test_no_image_is_removed_while_disk_use_is_between_the_thresholds(node):
    node.add("a:1", "b:1")
    node.others = 640 * MEBIBYTE  # 84 %
    assert await collected(node, node.collector()) == ["a:1", "b:1"]


async def test_high_threshold_of_100_percent_turns_off_removal_for_lack_of_space(node):
    node.add("a:1")
    node.others = 900 * MEBIBYTE
    assert await collected(node, node.collector(high=100)) == ["a:1"]


async def test_image_of_a_container_is_never_removed(node, run):
    node.add("a:1", "used:1")
    node.others = 800 * MEBIBYTE
    async with run(cri=node.runtime.endpoint) as zones:
        await zones.start(image="used:1")
        collector = node.collector()
        assert await collected(node, collector) == ["used:1"]
        assert "removing images freed" in collector.problem
        await zones.stop()
        assert await collected(node, collector) == ["used:1"]
        await zones.remove()
        assert await collected(node, collector) == []


async def test_containers_are_listed_by_zone_when_the_whole_list_is_refused(node, run):
    node.add("a:1", "used:1")
    node.others = 800 * MEBIBYTE
    async with run(cri=node.runtime.endpoint) as zones:
        await zones.start(image="used:1")
    node.runtime.faults.set("ListContainers", "error(RESOURCE_EXHAUSTED: larger than max)")
    await node.collector(min_age=0).collect()
    assert node.names == ["used:1"]


async def test_image_of_a_start_in_progress_is_never_removed(node):
    node.add("a:1")
    node.others = 850 * MEBIBYTE
    collector = node.collector()
    await collector.collect()
    with node.images.holding() as hold:
        await node.images.ensure("a:1", None, lambda message: None, hold)
        node.now += OLD
        await collector.collect()
        assert node.names == ["a:1"]
    node.now += OLD
    await collector.collect()
    assert node.names == []


async def test_image_that_was_seen_first_a_moment_ago_is_kept(node):
    node.add("a:1")
    node.others = 850 * MEBIBYTE
    collector = node.collector(min_age=120)
    assert await collected(node, collector, after=119) == ["a:1"]
    node.now += 1
    await collector.collect()
    assert node.names == []


async def test_kept_pinned_and_sandbox_images_are_never_removed(node):
    node.add("keep:1", "keep:2", "latest-of:latest", "pause:3.6", "h:5000/keep:3")
    node.add("pinned:1", is_pinned=True)
    node.runtime.node.sandbox_image = "docker.io/library/pause:3.6"
    node.others = 600 * MEBIBYTE
    collector = node.collector(
        low=0, keep=("keep:1", "docker.io/library/latest-of", "h:5000/keep:3")
    )
    assert await collected(node, collector) == [
        "keep:1", "latest-of:latest", "pause:3.6", "pinned:1", "h:5000/keep:3",
    ]  # fmt: skip


async def test_image_unused_for_the_maximum_age_is_removed_while_the_disk_has_room(node):
    node.add("a:1", "b:1")
    collector = node.collector(max_age=3600)
    await collector.collect()
    node.now += 3000
    await node.use("b:1")
    node.now += 600
    await collector.collect()
    assert node.names == ["b:1"]


async def test_refused_removal_is_logged_and_the_next_image_is_tried(node):
    node.add("a:1", "b:1")
    node.others = 700 * MEBIBYTE
    node.runtime.faults.set("RemoveImage", "error(UNKNOWN: it is busy)")
    with capture_logs() as logs:
        assert await collected(node, node.collector()) == ["a:1"]
    assert [each["error"] for each in logs if each["event"] == "image not removed"] == [
        "RemoveImage: it is busy"
    ]


async def test_disk_whose_use_is_unknown_is_a_problem(node):
    collector = node.collector()
    collector._disk = lambda path: None
    await collector.collect()
    assert collector.problem == "can't read the disk usage of '/var/lib/fake/images'"


async def test_images_are_collected_when_the_runtime_does_not_report_the_sandbox_image(node):
    node.add("a:1")
    node.others = 850 * MEBIBYTE
    node.runtime.node.sandbox_image = ""
    assert await collected(node, node.collector()) == []


async def test_problem_is_a_condition_of_health(run, runtime):
    limits = CollectionLimits(interval=0.01, high=1)
    runtime.images.mountpoint = "/nowhere" + "x" * 10_000
    async with run(collection=limits) as node:
        await runtime.calls.wait_for("ImageFsInfo", 3)
        health = await node.zones.health()
        assert health.status == "ok"
        condition = health.conditions[-1]
        assert (condition.type, condition.status) == ("ImageRoom", False)
        assert condition.reason == "DiskFull"
        assert len(condition.message) == 1024


def test_disk_use_is_that_of_the_file_system(tmp_path):
    use = disk_use(str(tmp_path))
    assert 0 < use.available <= use.capacity
    assert disk_use("/nowhere/at/all") is None


class LookedUp(frozenset):
    """References that can only be looked up: iterating over thousands for each image is slow."""

    def __iter__(self):
        raise AssertionError("expected a lookup, got an iteration over the references")


@pytest.mark.parametrize(
    ("reference", "is_named"),
    [
        ("sha256:1", True),
        ("docker.io/library/app:1", True),
        ("library/app:1", True),
        ("app:1", True),
        ("docker.io/library/app@sha256:2", True),
        ("pp:1", False),
        ("app", False),
    ],
)
def test_image_is_looked_up_by_its_names_with_and_without_their_registry(reference, is_named):
    image = api.Image(
        id="sha256:1",
        repo_tags=("docker.io/library/app:1",),
        repo_digests=("docker.io/library/app@sha256:2",),
    )
    assert _is_any_of(image, LookedUp([reference, "other:1"])) is is_named


def test_name_of_many_slashes_is_looked_up_a_bounded_number_of_times():
    assert not _is_any_of(api.Image(id="/" * 1_000_000), LookedUp())


async def test_runtime_configuration_that_is_too_large_is_not_read(node, monkeypatch):
    monkeypatch.setattr(_image_collection, "MAX_INFO", 10)
    node.runtime.node.sandbox_image = "pause:3.6"
    node.add("pause:3.6")
    collector = node.collector(max_age=1.0, min_age=0.0)
    await collector.collect()
    node.now = OLD
    await collector.collect()
    assert node.runtime.images.statuses() == []
