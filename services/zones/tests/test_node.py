import asyncio
import copy
import pickle

import pytest
import structlog
from kakuri_cri import CallRefused, CallTimeout, CriError, RuntimeUnavailable
from kakuri_workload import LogGrown, LogRequest, LogsWatched
from kakuri_workload import WorkloadState as State
from kakuri_zones import (
    LogCursorError,
    NodeLocked,
    StartFailed,
    UnknownLog,
    UnknownRuntimeClass,
    UnknownZone,
    ZoneConflict,
    _lock,
    error_code,
)


async def test_start_with_unknown_runtime_class_raises_unknown_runtime_class(runtime, node):
    with pytest.raises(UnknownRuntimeClass, match="expected 'edera-zone', got 'other'"):
        await node.zones.start(node.spec(runtime_class="other"))
    assert runtime.calls.of("ImageStatus") == []
    assert node.zones.runtime_classes == {"edera-zone"}


async def test_start_raises_what_its_check_raises_and_starts_nothing(runtime, node):
    def check():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await node.zones.start(node.spec(), check)
    assert runtime.calls.of("RunPodSandbox") == []


async def test_start_continues_when_its_caller_is_cancelled(runtime, node):
    runtime.faults.set("RunPodSandbox", "delay(50)")
    start = asyncio.create_task(node.zones.start(node.spec()))
    await runtime.calls.wait_for("RunPodSandbox")
    start.cancel()
    assert (await node.until_state("running")).id == "z"


@pytest.mark.parametrize("zone_id", ["NO", "", "../z", "a" * 10_000])
async def test_operation_with_an_invalid_zone_id_raises_unknown_zone(node, zone_id):
    for operation in (
        node.zones.stop(zone_id, 1),
        node.zones.remove(zone_id, 1),
        node.zones.zone(zone_id),
        node.zones.read_log(zone_id),
        node.zones.stream_log(zone_id),
    ):
        with pytest.raises(UnknownZone):
            await operation


async def test_list_before_the_runtime_was_listed_raises_runtime_unavailable(runtime, run):
    runtime.faults.set("ListPodSandbox", "delay(60000)")
    async with run(is_seen=False) as node:
        with pytest.raises(RuntimeUnavailable, match=r"^ListPodSandbox: not listed yet$"):
            node.zones.zones()


async def test_list_before_the_runtime_was_listed_raises_the_error_of_its_outage(runtime, run):
    runtime.faults.set("ListPodSandbox", "100000*error(UNAVAILABLE: no)")
    async with run(is_seen=False) as node:
        async for event in node.events():
            if event.message == "ListPodSandbox: no":
                break
        with pytest.raises(RuntimeUnavailable, match=r"^ListPodSandbox: no$") as caught:
            node.zones.zones()
    assert caught.value.call == "ListPodSandbox"


async def test_zone_has_its_spec_while_the_runtime_answers(runtime, node):
    await node.start(env={"A": "b"})
    assert (await node.zones.zone("z")).spec == node.spec(env={"A": "b"})
    await runtime.crash()
    zone = await node.zones.zone("z")
    assert (zone.spec, zone.state) == (None, State.RUNNING)
    with pytest.raises(UnknownZone):
        await node.zones.zone("other")


async def test_events_end_with_end_streams(node):
    events = node.events()
    await anext(events)
    node.zones.end_streams()
    async with asyncio.timeout(10):
        async for _ in events:
            pass


async def test_events_end_when_the_node_ends(run):
    async with run() as node:
        events, logs = node.events(), node.zones.log_events()
        await anext(events)
        await anext(logs)
    async for _ in events:
        pass
    async for _ in logs:
        pass


async def test_second_node_on_the_same_log_directory_raises_node_locked(runtime, run, node):
    await node.start()
    with pytest.raises(NodeLocked):
        async with run():
            pass
    assert (await node.zone()).state is State.RUNNING


async def test_log_directory_that_is_deleted_stays_locked(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_lock, "RENEW_SECONDS", 0.001)
    async with run():
        with structlog.testing.capture_logs() as lines:
            (tmp_path / "logs").rmdir()
            async with asyncio.timeout(10):
                while not any("locked again" in line["event"] for line in lines):  # noqa: ASYNC110 (a log)
                    await asyncio.sleep(0.001)
        with pytest.raises(NodeLocked):
            async with run():
                pass


async def test_next_node_on_the_same_log_directory_takes_over(run):
    for _ in range(2):
        async with run():
            pass


# Logs


async def test_log_is_read_in_parts_with_a_cursor(runtime, node):
    await node.start()
    runtime.write("z", b"12345\n67890\n")
    first = await node.zones.read_log("z", LogRequest(limit=6))
    assert (first.data, first.has_ended, first.has_gap) == (b"12345\n", False, False)
    waiting = asyncio.create_task(node.zones.read_log("z", LogRequest(after=first.next, wait=30)))
    assert (await waiting).data == b"67890\n"
    runtime.exit("z", 0)
    await node.until_state("succeeded")
    last = await node.zones.read_log("z", LogRequest(after=(await waiting).next, wait=30))
    assert (last.data, last.has_ended) == (b"", True)


async def test_log_read_with_wait_returns_what_is_written_meanwhile(runtime, node):
    await node.start()
    end = (await node.zones.read_log("z", LogRequest(tail=0))).next
    waiting = asyncio.create_task(node.zones.read_log("z", LogRequest(after=end, wait=30)))
    runtime.write("z", b"more\n")
    assert (await waiting).data == b"more\n"


async def test_tail_of_a_log_begins_at_its_last_lines_unless_a_cursor_is_given(runtime, node):
    await node.start()
    runtime.write("z", b"1\n2\n3\n")
    assert (await node.zones.read_log("z", LogRequest(tail=2))).data == b"2\n3\n"
    start = (await node.zones.read_log("z", LogRequest(limit=2))).next
    assert (await node.zones.read_log("z", LogRequest(tail=1, after=start))).data == b"2\n3\n"
    assert await node.log(tail=1) == b"3\n"


async def test_bounded_read_ends_where_the_log_ended_at_the_first_read(runtime, node):
    await node.start()
    runtime.write("z", b"1\n2\n")
    first = await node.zones.read_log("z", LogRequest(bounded=True, limit=2))
    runtime.write("z", b"3\n")
    second = await node.zones.read_log("z", LogRequest(bounded=True, after=first.next))
    assert (second.data, second.has_ended) == (b"2\n", True)


async def test_followed_log_ends_with_the_zone(runtime, node):
    await node.start()
    runtime.write("z", b"before\n")
    content = await node.zones.stream_log("z", follow=True)
    assert await anext(content) == b"before\n"
    runtime.write("z", b"after\n")
    runtime.exit("z", 0)
    assert b"".join([each async for each in content]) == b"after\n"


async def test_log_of_a_zone_without_one_is_unknown(node):
    with pytest.raises(UnknownLog):
        await node.zones.read_log("nope")
    with pytest.raises(UnknownLog):
        await node.zones.stream_log("nope")


async def test_log_read_after_a_text_that_is_not_a_cursor_raises_log_cursor_error(node):
    await node.start()
    with pytest.raises(LogCursorError):
        await node.zones.read_log("z", LogRequest(after="nonsense"))


async def test_growing_log_is_reported(runtime, node):
    await node.start()
    events = node.zones.log_events()
    assert await anext(events) == LogsWatched()
    runtime.write("z", b"message\n")
    async with asyncio.timeout(10):
        while await anext(events) != LogGrown("z"):
            pass
    await events.aclose()


# Errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZoneConflict("x"), "conflict"),
        (UnknownZone("x"), "not_found"),
        (UnknownLog("z"), "not_found"),
        (LogCursorError("x"), "bad_request"),
        (StartFailed("StartError", "x"), "StartError"),
        (CallTimeout("Version", "x"), "RuntimeUnavailable"),
        (CallRefused("Version", "x"), "RuntimeError"),
        (CriError("Version", "x"), "RuntimeError"),
    ],
)
def test_error_has_the_code_of_its_kind(error, code):
    assert error_code(error) == code


def test_error_is_copied_and_pickled_with_its_fields():
    error = StartFailed("ImagePullFailed", "no such image")
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(same), str(same), same.reason) == (StartFailed, str(error), error.reason)
