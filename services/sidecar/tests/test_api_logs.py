import asyncio

import pytest
from kakuri_json import decode
from kakuri_sidecar import _api_logs as sidecar_api
from kakuri_workload import DEFAULT_LOG_BYTES, LogEvent, LogGrown, LogsWatched, read_records


async def test_log_has_what_the_container_wrote(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"one\n")
    runtime.write("z", b"two \xff\n", "stderr")
    answer = await sidecar.get("/zones/z/log")
    assert answer.status == 200
    assert answer.headers.get("content-type") == "text/plain; charset=utf-8"
    assert answer.body == b"one\ntwo \xff\n"


@pytest.mark.parametrize(
    ("lines", "content"), [(0, b""), (1, b"3\n"), (2, b"2\n3\n"), (9, b"1\n2\n3\n")]
)
async def test_log_with_tail_returns_the_last_lines(runtime, sidecar, lines, content):
    await sidecar.post()
    runtime.write("z", b"1\n2\n3\n")
    assert (await sidecar.get(f"/zones/z/log?tail={lines}")).body == content


async def test_followed_log_ends_when_the_zone_ends(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"before\n")
    read = b""
    async with sidecar.client.stream("GET", "/zones/z/log?follow&tail=1") as response:
        async for piece in response:
            read += piece
            if read == b"before\n":
                runtime.write("z", b"after\n")
                runtime.exit("z", 0)
    assert read == b"before\nafter\n"


async def test_followed_log_ends_when_the_zone_is_removed(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"x\n")
    async with sidecar.client.stream("GET", "/zones/z/log?follow") as response:
        pieces = aiter(response)
        await anext(pieces)
        assert await sidecar.delete() == 204
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)


async def test_log_is_read_in_parts_with_cursors(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"12345\n67890\n")
    first = await sidecar.get("/zones/z/log?limit=6")
    assert (first.body, first.headers.get("kakuri-log-ended")) == (b"12345\n", "false")
    after = first.headers.get("kakuri-log-next")
    second = await sidecar.get(f"/zones/z/log?after={after}")
    assert second.body == b"67890\n"
    after = second.headers.get("kakuri-log-next")
    waiting = asyncio.create_task(sidecar.get(f"/zones/z/log?after={after}&wait=30"))
    runtime.write("z", b"more\n")
    third = await waiting
    assert third.body == b"more\n"
    runtime.exit("z", 0)
    await sidecar.until_state("succeeded")
    after = third.headers.get("kakuri-log-next")
    last = await sidecar.get(f"/zones/z/log?after={after}&wait=30")
    assert (last.body, last.headers.get("kakuri-log-ended")) == (b"", "true")


async def test_gap_in_a_log_is_reported(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"x\n")
    gap = await sidecar.get("/zones/z/log?after=0.0.999999")
    assert gap.headers.get("kakuri-log-gap") == "true"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/zones/nope/log", 404),
        ("/zones/nope/log?limit=1", 404),
        ("/zones/NO/log", 404),
        ("/zones/z/log?after=nonsense", 400),
        ("/zones/z/log?limit=0", 400),
        ("/zones/z/log?limit=1048577", 400),
        ("/zones/z/log?limit=1048576", 200),
        ("/zones/z/log?limit=1", 200),
        ("/zones/z/log?wait=0", 200),
        ("/zones/z/log?wait=-1", 400),
        ("/zones/z/log?tail=1000000", 200),
        ("/zones/z/log?tail=1000001", 400),
        ("/zones/z/log?tail=-1", 400),
        ("/zones/z/log?wait=31", 400),
        ("/zones/z/log?tail=x", 400),
        ("/zones/z/log?what", 400),
    ],
)
async def test_invalid_requests_have_their_status(sidecar, target, status):
    await sidecar.post()
    assert (await sidecar.get(target)).status == status


async def bounded(sidecar, query=""):
    """Read a log in bounded parts of 7 bytes; yield each."""
    after = ""
    while True:
        answer = await sidecar.get(f"/zones/z/log?bounded&limit=7{after}{query}")
        assert answer.status == 200
        yield answer.body
        if answer.headers.get("kakuri-log-ended") == "true":
            return
        after = f"&after={answer.headers.get('kakuri-log-next')}"


async def test_bounded_reads_end_where_the_log_ended_at_the_first_of_them(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"one\ntwo\nthree\n")
    read = b""
    async for piece in bounded(sidecar):
        read += piece
        runtime.write("z", b"written while it is read\n" * 100)
    assert read == b"one\ntwo\nthree\n"


async def test_log_that_is_not_followed_ends_though_it_grows_as_it_is_read(runtime, sidecar):
    await sidecar.post()
    line = b"x" * 1000 + b"\n"
    runtime.write("z", line * 1000)
    read = b""
    async with sidecar.client.stream("GET", "/zones/z/log") as response:
        async for piece in response:
            read += piece
            runtime.write("z", b"later\n" * 1000)
    assert read == line * 1000


async def test_growing_logs_are_reported_on_one_stream(runtime, sidecar):
    for name in ("a", "b"):
        await sidecar.post(name)
    await sidecar.until_state("running", "b")
    events = log_events(sidecar)
    assert await anext(events) == LogsWatched()
    runtime.write("b", b"message\n")
    assert await until_grown(events) == "b"
    runtime.write("a", b"message\n")
    while await until_grown(events) != "a":
        pass
    await events.aclose()


async def test_logs_without_watch_is_400_and_with_watch_has_heartbeats(sidecar):
    events = log_events(sidecar)
    assert [await anext(events) for _ in range(3)] == [LogsWatched()] * 3
    await events.aclose()
    assert (await sidecar.get("/logs")).status == 400


async def log_events(sidecar):
    async with sidecar.client.stream("GET", "/logs?watch") as response:
        assert response.status == 200
        rest = b""
        async for piece in response:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield decode(line, type=LogEvent)


async def until_grown(events):
    async with asyncio.timeout(10):
        while not isinstance(event := await anext(events), LogGrown):
            pass
    return event.id


async def records(sidecar, query):
    """Return the contents of the selected records, with their streams."""
    answer = await sidecar.get(f"/zones/z/log?records&{query}")
    assert answer.status == 200, answer.body
    assert int(answer.headers.get("kakuri-log-examined")) >= 0
    return [(each.stream, each.content) for each in read_records(answer.body)]


async def test_records_are_selected_by_stream_time_and_attempt(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"one\n")
    runtime.write("z", b"two \xff\n", "stderr")
    assert await records(sidecar, "limit=65536") == [("stdout", b"one"), ("stderr", b"two \xff")]
    assert await records(sidecar, "stream=stderr") == [("stderr", b"two \xff")]
    assert await records(sidecar, "since=9999-01-01T00:00:00.000000000Z") == []
    assert await records(sidecar, "attempt=1") == []
    assert len(await records(sidecar, "attempt=0&bounded")) == 2


async def test_tail_of_records_is_found_by_reading_on_from_the_cursor(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"1\n2\n3\n")
    runtime.write("z", b"error\n", "stderr")
    search = await sidecar.get("/zones/z/log?records&stream=stdout&tail=2")
    assert (search.body, search.headers.get("kakuri-log-ended")) == (b"", "false")
    assert int(search.headers.get("kakuri-log-examined")) > 0
    after = search.headers.get("kakuri-log-next")
    assert await records(sidecar, f"stream=stdout&after={after}") == [
        ("stdout", b"2"),
        ("stdout", b"3"),
    ]


async def test_log_of_an_earlier_attempt_ends_while_the_next_one_runs(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"first\n")
    runtime.exit("z", 1)
    await sidecar.until_state("failed")
    await sidecar.post(attempt=1)
    runtime.write("z", b"second\n")
    target = "/zones/z/log?records&limit=65536&attempt="
    ended = {}
    for attempt in (0, 1, 2):
        answer = await sidecar.get(f"{target}{attempt}")
        ended[attempt] = answer.headers.get("kakuri-log-ended")
    assert ended == {0: "true", 1: "false", 2: "false"}


@pytest.mark.parametrize(
    "query", ["stream=stdout", "attempt=0", "since=2026-11-26T14:00:00.000000000Z"]
)
async def test_selection_of_records_without_records_is_400(sidecar, query):
    await sidecar.post()
    assert (await sidecar.get(f"/zones/z/log?{query}")).status == 400


@pytest.mark.parametrize("query", ["stream=stdin", "attempt=-1", "since=now", "since=2026-11-26"])
async def test_invalid_selection_of_records_is_400(sidecar, query):
    await sidecar.post()
    assert (await sidecar.get(f"/zones/z/log?records&{query}")).status == 400


@pytest.mark.parametrize(
    ("query", "is_part"),
    [
        ("", False), ("tail=1", False), ("tail=1&follow=false", False), ("bounded=false", False),
        ("limit=9", True), ("wait=30", True), ("wait=0", True), ("after=", True),
        ("bounded", True), ("records", True),
    ],
)  # fmt: skip
async def test_each_parameter_for_programs_asks_for_one_part(runtime, sidecar, query, is_part):
    await sidecar.post()
    runtime.write("z", b"x\n")
    answer = await sidecar.get(f"/zones/z/log?{query}")
    assert answer.status == 200
    assert ("kakuri-log-next" in answer.headers) == is_part
    assert ("kakuri-log-ended" in answer.headers) == is_part
    assert ("kakuri-log-examined" in answer.headers) == is_part
    assert "kakuri-log-gap" not in answer.headers


@pytest.mark.parametrize(("lines", "is_early"), [(9, False), (20_000, True)])
async def test_part_of_short_lines_that_ends_early_reports_the_examined_bytes(
    runtime, sidecar, lines, is_early
):
    await sidecar.post()
    runtime.write("z", b"\n" * lines)
    answer = await sidecar.get("/zones/z/log?limit=65536&after=")
    assert (len(answer.body) < lines) == is_early
    assert (int(answer.headers.get("kakuri-log-examined")) > 0) == is_early


async def test_part_of_a_log_has_64_kib_by_default(runtime, sidecar):
    await sidecar.post()
    runtime.write("z", b"x" * 99 + b"\n")
    seen = {}
    real = sidecar_api.LogRequest

    def recorded(*arguments):
        seen["arguments"] = arguments
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sidecar_api, "LogRequest", recorded)
        await sidecar.get("/zones/z/log?bounded")
        assert seen["arguments"] == (None, None, DEFAULT_LOG_BYTES, 0, True, None)
        await sidecar.get("/zones/z/log?limit=9&wait=1&tail=3")
        assert seen["arguments"] == (3, None, 9, 1, False, None)
    assert DEFAULT_LOG_BYTES == 65_536
