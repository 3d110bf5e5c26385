import asyncio
from dataclasses import replace

import pytest
from kakuri_agent import NoLog, Outcome, SimulatedRuntime, read_script
from kakuri_workload import LogChunk, LogRequest, LogSelection, WorkloadState

from .recording_runtime import spec

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState


class Queue:
    """An observer that records the states at each notification."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.reports = asyncio.Queue()
        runtime.attach(self)

    def zone_changed(self, zone_id):
        self.reports.put_nowait(self.runtime.status(zone_id))

    def zone_removed(self, zone_id, remains):
        self.reports.put_nowait(zone_id)

    def zones_listed(self):
        assert self.runtime.is_listed

    async def states(self, count):
        return [(await self.reports.get()) for _ in range(count)]


@pytest.fixture
async def make():
    made = []

    def make_one(**outcome):
        runtime = SimulatedRuntime([Outcome(**({"start_delay": 0} | outcome))])
        made.append(runtime)
        return runtime, Queue(runtime)

    yield make_one
    for runtime in made:
        await runtime.close()


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ({}, [(RUNNING, None, None)]),
        ({"run_time": 0}, [(RUNNING, None, None), (SUCCEEDED, None, 0)]),
        ({"run_time": 0, "exit_code": 3}, [(RUNNING, None, None), (FAILED, "Error", 3)]),
        (
            {"run_time": 0.001, "exit_code": 137, "failure": "OOMKilled"},
            [(RUNNING, None, None), (FAILED, "OOMKilled", 137)],
        ),
        ({"run_time": 0, "failure": "ImagePullFailed"}, [(FAILED, "ImagePullFailed", None)]),
    ],
)
async def test_outcome_determines_the_states_of_a_zone(make, outcome, expected):
    runtime, queue = make(**outcome)
    runtime.start(spec())
    reports = await queue.states(len(expected))
    assert [(report.state, report.reason, report.exit_code) for report in reports] == expected
    assert all(report.container_id == "simulated-wl-1-0" for report in reports)


async def test_stop_ends_a_zone_and_remove_removes_it(make):
    runtime, queue = make()
    runtime.start(spec())
    await queue.states(1)
    runtime.stop("wl-1", 10)
    runtime.stop("wl-1", 10)
    runtime.remove("wl-1", 10)
    stopped, gone = await queue.states(2)
    assert (stopped.state, stopped.reason, stopped.exit_code) == (SUCCEEDED, "Stopped", 0)
    assert gone == "wl-1"
    assert queue.reports.empty()


async def test_stop_before_the_start_delay_is_a_failure(make):
    runtime, queue = make(start_delay=1000)
    runtime.start(spec())
    runtime.stop("wl-1", 10)
    (report,) = await queue.states(1)
    assert (report.state, report.reason) == (FAILED, "Stopped")


async def test_stop_of_an_unknown_zone_adds_it_as_failed(make):
    runtime, queue = make()
    runtime.stop("wl-1", 1)
    runtime.start(spec())
    (report,) = await queue.states(1)
    assert (report.state, report.reason) == (FAILED, "Stopped")
    runtime.stop("wl-1", 1)
    assert queue.reports.empty()


async def test_second_start_of_the_same_attempt_has_no_effect(make):
    runtime, queue = make(run_time=0)
    runtime.start(spec())
    runtime.start(spec())
    assert [report.state for report in await queue.states(2)] == [RUNNING, SUCCEEDED]
    assert queue.reports.empty()


async def test_end_of_an_earlier_attempt_does_not_end_the_next_one(make):
    runtime, queue = make(run_time=1000)
    runtime.start(spec())
    earlier = runtime._timers["wl-1"]
    runtime.start(replace(spec(), attempt=1))
    assert earlier.cancelled()
    assert [report.attempt for report in await queue.states(2)] == [0, 1]
    runtime.stop("wl-1", 10)
    assert runtime._timers == {}


async def test_repeated_remove_is_reported_again(make):
    runtime, queue = make()
    runtime.remove("wl-1", 10)
    assert await queue.states(1) == ["wl-1"]


async def test_first_matching_outcome_applies(make):
    runtime = SimulatedRuntime([Outcome("job:*", 0, 0), Outcome("*", 0, 0, failure="No")])
    queue = Queue(runtime)
    runtime.start(spec(image="job:1"))
    assert [report.state for report in await queue.states(2)] == [RUNNING, SUCCEEDED]


async def test_closed_runtime_notifies_no_observer(make):
    runtime, queue = make(start_delay=1000)
    runtime.start(spec())
    await runtime.close()
    runtime.stop("wl-1", 1)
    runtime.remove("wl-1", 10)
    assert queue.reports.empty()


def test_read_script_reports_all_faults(tmp_path):
    script = tmp_path / "script.toml"
    script.write_text('[[outcome]]\nimage = "job:*"\nrun_time = 2\nexit_code = 3\n')
    assert read_script(script) == [Outcome("job:*", 0, 2, 3)]
    script.write_text('[[outcome]]\nrun_time = -1\nexit_code = "3"\nfail = 1\n')
    with pytest.raises(ValueError, match="outcome") as caught:
        read_script(script)
    for path in ("$.outcome[0].run_time", "$.outcome[0].exit_code", "$.outcome[0].fail"):
        assert path in str(caught.value)


async def test_next_attempt_runs_again(make):
    runtime, queue = make(run_time=0)
    runtime.start(spec())
    await queue.states(2)
    runtime.start(replace(spec(), attempt=1))
    first, second = await queue.states(2)
    assert (first.state, first.attempt, second.state) == (RUNNING, 1, SUCCEEDED)


async def test_log_of_an_unknown_zone_raises_no_log(make):
    runtime, queue = make(run_time=0)
    with pytest.raises(NoLog):
        await runtime.read_log("wl-1", LogRequest())
    runtime.start(spec())
    assert not (await runtime.read_log("wl-1", LogRequest())).has_ended
    await queue.states(2)
    assert await runtime.read_log("wl-1", LogRequest()) == LogChunk(b"", "0", has_ended=True)


@pytest.mark.parametrize("end", ["itself", "stop", "next attempt"])
async def test_reader_of_a_log_is_answered_as_soon_as_its_attempt_ends(make, end):
    runtime, queue = make(run_time=0.01 if end == "itself" else None)
    runtime.start(spec())
    records = LogSelection(attempt=0)
    reading = asyncio.create_task(runtime.read_log("wl-1", LogRequest(wait=3600, records=records)))
    await queue.states(1)
    await asyncio.sleep(0)  # until it waits
    if end == "stop":
        runtime.stop("wl-1", 10)
    elif end == "next attempt":
        runtime.start(replace(spec(), attempt=1))
    assert await reading == LogChunk(b"", "0", has_ended=True)


async def test_reader_of_a_log_is_answered_when_its_zone_is_removed(make):
    runtime, queue = make()
    runtime.start(spec())
    reading = asyncio.create_task(runtime.read_log("wl-1", LogRequest(wait=3600)))
    await queue.states(1)
    await asyncio.sleep(0)  # until it waits
    runtime.remove("wl-1", 0)
    with pytest.raises(NoLog):
        await reading


async def test_reader_of_a_log_that_does_not_end_is_answered_in_time(make):
    runtime, _ = make()
    runtime.start(spec())
    assert await runtime.read_log("wl-1", LogRequest(wait=0.001)) == LogChunk(
        b"", "0", has_ended=False
    )
