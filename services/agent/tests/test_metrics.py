"""The pages of a node's metrics."""

import asyncio
from contextlib import closing
from itertools import pairwise

import pytest
from kakuri_agent import Capacity, RuntimeUnavailable, SimulatedRuntime, _metrics
from kakuri_agent._metrics import MAX_SNAPSHOTS, NodeMetrics
from kakuri_agent._node_metrics import RefusalMetrics, node_families
from kakuri_agent._store_metrics import StoreMetrics
from kakuri_registry import (
    MemoryStore,
    SQLiteStore,
    StoreFailed,
    StoreFull,
    StoreWriter,
    WorkloadRegistry,
)
from kakuri_rpc import ErrorCode, Metrics, ReadMetrics, StartWorkload
from kakuri_workload.metrics import gauge
from kakuri_workload.metrics import pages as _metric_pages
from kakuri_workload.testing import workload

OWN = gauge("kakuri_own", "", 1.0)


def zones(number):
    return gauge("kakuri_zone", "", {(f"wl-{each}",): each for each in range(number)}, ("workload",))  # fmt: skip


async def all_pages(metrics):
    pages = [await metrics.read(ReadMetrics())]
    while pages[-1].next is not None:
        pages.append(await metrics.read(ReadMetrics(pages[-1].next)))
    return pages


async def test_agent_reports_its_process_its_workloads_and_its_runtime(agent, runtime):
    runtime.families = [zones(2)]
    reply = await agent.handle(ReadMetrics())
    names = {family.name for family in reply.families}
    assert {"process_resident_memory_bytes", "kakuri_workloads", "kakuri_zone"} <= names
    assert reply.next is None


async def test_agent_reports_its_capacity_and_what_is_reserved(agent, capacity):
    capacity.memory_mb, capacity.cpu_millicores = 1000, None
    agent.handle(StartWorkload(workload(memory_mb=512, cpu_millicores=250)))
    found = {each.name: each.values for each in node_families(capacity, agent._registry)}
    assert found == {
        "kakuri_node_memory_bytes": [1000 * 2**20],
        "kakuri_node_memory_reserved_bytes": [512 * 2**20],
        "kakuri_node_cpu_cores": [],
        "kakuri_node_cpu_reserved_cores": [0.25],
        "kakuri_event_index": [agent._registry.journal.index],
    }


async def test_reconciled_workloads_are_measured(agent, until_idle):
    agent.handle(StartWorkload(workload()))
    await until_idle()
    durations, backlog = agent._reconciler.families()
    (sample,) = durations.samples
    assert sum(sample.buckets) >= 1
    assert backlog.values == [0]


async def test_writes_of_a_durable_store_are_measured(tmp_path):
    with closing(SQLiteStore(tmp_path / "kakuri.db", reserve=0)) as store:
        registry = WorkloadRegistry.load(store.load())
        async with StoreWriter(registry, store) as writer:
            metrics = StoreMetrics(writer, store)
            registry.register(workload(), now=1.0)
            await writer.flushed()
            metrics._written(1, 0.5, StoreFull("full"))
            metrics._written(1, 0.5, StoreFull("full"))
            metrics._written(1, 0.5, StoreFailed("broken"))
            writes, durations, batches, reserve = metrics.families()
    assert {each.labels: each.value for each in writes.samples} == {
        ("ok",): 1, ("full",): 2, ("failed",): 1
    }  # fmt: skip
    assert [sum(each.buckets) for each in (*durations.samples, *batches.samples)] == [4, 4]
    assert reserve.samples == ()  # the store was opened without one


async def test_store_in_memory_has_no_series(writer):
    families = StoreMetrics(writer, MemoryStore()).families()
    assert [each.samples for each in families] == [(), (), (), ()]


def test_refusals_are_counted_by_their_code():
    refusals = RefusalMetrics()
    for code in (ErrorCode.CAPACITY, ErrorCode.CAPACITY, ErrorCode.NOT_FOUND):
        refusals(code)
    (family,) = refusals.families()
    assert {each.labels: each.value for each in family.samples} == {
        ("capacity",): 2,
        ("not_found",): 1,
    }


async def test_simulated_runtime_has_no_metrics():
    assert await SimulatedRuntime().metrics() == []


async def test_series_of_many_zones_come_in_pages_each_on_one(runtime):
    runtime.families = [zones(2500), gauge("kakuri_last", "", 1.0)]
    metrics = NodeMetrics(runtime, [lambda: [OWN]])
    pages = await all_pages(metrics)
    assert [sum(map(len, page.families)) for page in pages] == [1000, 1000, 502]
    found = [sample for page in pages for each in page.families for sample in each.samples]
    assert found == [*OWN.samples, *zones(2500).samples, *gauge("kakuri_last", "", 1.0).samples]
    assert metrics._snapshots == {}


async def test_all_pages_have_the_values_of_one_moment(runtime):
    runtime.families = [zones(1500)]
    metrics = NodeMetrics(runtime, [])
    first = await metrics.read(ReadMetrics())
    runtime.families = []
    second = await metrics.read(ReadMetrics(first.next))
    assert sum(map(len, [*first.families, *second.families])) == 1500
    metrics.close()


async def test_series_of_a_failing_runtime_are_missing(runtime):
    async def fail():
        raise RuntimeUnavailable("no sidecar")

    runtime.metrics = fail
    assert await NodeMetrics(runtime, [lambda: [OWN]]).read(ReadMetrics()) == Metrics([OWN])


async def test_series_of_an_unresponsive_runtime_are_missing(runtime, monkeypatch):
    monkeypatch.setattr(_metrics, "RUNTIME_SECONDS", 0)
    runtime.metrics = asyncio.Event().wait
    assert await NodeMetrics(runtime, [lambda: [OWN]]).read(ReadMetrics()) == Metrics([OWN])


async def test_cursor_without_a_snapshot_is_compacted(runtime):
    runtime.families = [zones(2500)]
    metrics = NodeMetrics(runtime, [])
    first = await metrics.read(ReadMetrics())
    await metrics.read(ReadMetrics(first.next))
    for cursor in (first.next, "1.", "2.1", "x", "9" * 100, "\u00b9.1"):
        reply = await metrics.read(ReadMetrics(cursor))
        assert reply.code is ErrorCode.COMPACTED
    metrics.close()


async def test_snapshots_that_are_not_read_to_their_end_are_dropped(runtime):
    runtime.families = [zones(1500)]
    metrics = NodeMetrics(runtime, [])
    cursors = [(await metrics.read(ReadMetrics())).next for _ in range(MAX_SNAPSHOTS + 1)]
    assert len(metrics._snapshots) == MAX_SNAPSHOTS
    assert (await metrics.read(ReadMetrics(cursors[0]))).code is ErrorCode.COMPACTED
    assert isinstance(await metrics.read(ReadMetrics(cursors[1])), Metrics)
    for snapshot in list(metrics._snapshots.values()):
        snapshot.expiry._run()  # as its time comes
    assert metrics._snapshots == {}


class Reserve(MemoryStore):
    """A store on a disk, with a reserve, without one, or where a reserve is not kept."""

    is_nonblocking = False
    has_reserve = None


@pytest.mark.parametrize(("has_reserve", "values"), [(True, [1.0]), (False, [0.0]), (None, [])])
async def test_reserve_of_a_store_is_one_or_zero_or_has_no_series(
    writer, monkeypatch, has_reserve, values
):
    monkeypatch.setattr(Reserve, "has_reserve", has_reserve)
    *_, reserve = StoreMetrics(writer, Reserve()).families()
    assert reserve.values == values


@pytest.mark.parametrize(("error", "value"), [(StoreFull("full"), 0.0), (StoreFailed("io"), 1.0)])
async def test_reserve_counts_as_lost_as_soon_as_the_disk_is_full(
    writer, monkeypatch, error, value
):
    monkeypatch.setattr(Reserve, "has_reserve", True)
    monkeypatch.setattr(StoreWriter, "registration_error", error)
    *_, reserve = StoreMetrics(writer, Reserve()).families()
    assert reserve.values == [value]


async def test_writes_are_counted_in_buckets_that_double(writer):
    metrics = StoreMetrics(writer, Reserve())
    for changes in (1, 2, 3, 1024, 1025):
        metrics._written(changes, 0.25, None)
    _, durations, batches, _ = metrics.families()
    assert batches.bounds == tuple(2.0**power for power in range(11))
    assert batches.samples[0].buckets == (1, 1, 1, *[0] * 7, 1, 1)
    assert (batches.samples[0].value, durations.samples[0].value) == (2055.0, 1.25)


def test_capacity_is_in_bytes_and_cores_and_unlimited_ones_have_no_series(registry):
    for capacity, memory, cpu in (
        (Capacity(memory_mb=3, cpu_millicores=1500), [3.0 * 1024 * 1024], [1.5]),
        (Capacity(), [], []),
    ):
        found = {each.name: each.values for each in node_families(capacity, registry)}
        assert found == {
            "kakuri_node_memory_bytes": memory,
            "kakuri_node_memory_reserved_bytes": [0.0],
            "kakuri_node_cpu_cores": cpu,
            "kakuri_node_cpu_reserved_cores": [0.0],
            "kakuri_event_index": [float(registry.journal.index)],
        }


async def test_other_requests_are_answered_between_two_first_pages(monkeypatch):
    happened = []

    def pages(*args, **options):
        happened.append("page")
        return _metric_pages(*args, **options)

    async def answer_other_requests():
        while happened.count("page") < 3:
            happened.append("turn")
            await asyncio.sleep(0)

    monkeypatch.setattr(_metrics, "pages", pages)
    with closing(NodeMetrics(SimulatedRuntime(), [lambda: [OWN]])) as metrics:
        await asyncio.gather(
            answer_other_requests(), *(metrics.read(ReadMetrics()) for _ in range(3))
        )
    assert ("page", "page") not in pairwise(happened)


class SlowRuntime(SimulatedRuntime):
    """A runtime whose metrics wait for `answered`; their value is the number of the request."""

    def __init__(self):
        super().__init__()
        self.answered = asyncio.Event()
        self.requests = 0

    async def metrics(self):
        self.requests += 1
        number = self.requests
        await self.answered.wait()
        return [gauge("kakuri_request", "", float(number))]


async def turns(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_requests_at_the_same_time_share_the_values_of_one_moment():
    runtime, collected = SlowRuntime(), []

    def own_families():
        collected.append(OWN)
        return [OWN]

    with closing(NodeMetrics(runtime, [own_families])) as metrics:
        reads = [asyncio.create_task(metrics.read(ReadMetrics())) for _ in range(20)]
        await turns()
        runtime.answered.set()
        replies = await asyncio.gather(*reads)
        assert (runtime.requests, len(collected)) == (1, 1)
        assert replies == [Metrics([OWN, gauge("kakuri_request", "", 1.0)])] * 20
        later = await metrics.read(ReadMetrics())
        assert later == Metrics([OWN, gauge("kakuri_request", "", 2.0)])


async def test_request_that_is_cancelled_leaves_the_values_to_others():
    runtime = SlowRuntime()
    with closing(NodeMetrics(runtime, [])) as metrics:
        reads = [asyncio.create_task(metrics.read(ReadMetrics())) for _ in range(2)]
        await turns()
        reads[0].cancel()
        await turns()
        runtime.answered.set()
        assert await reads[1] == Metrics([gauge("kakuri_request", "", 1.0)])


async def test_close_cancels_reads_that_wait_for_values():
    metrics = NodeMetrics(SlowRuntime(), [])
    read = asyncio.create_task(metrics.read(ReadMetrics()))
    await turns()
    metrics.close()
    with pytest.raises(asyncio.CancelledError):
        await read
