"""curl reads logs through a control plane from a scripted agent."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from kakuri_control_plane import _logs, control_plane_service
from kakuri_rpc import ErrorCode, ErrorReply, Log, serve
from kakuri_tcp import Endpoint

ANY_PORT = Endpoint.parse("127.0.0.1:0")
CUT_OFF = {18, 56}  # CURLE_PARTIAL_FILE; CURLE_RECV_ERROR, as the connection is reset


@asynccontextmanager
async def control_plane(answer):
    async with (
        await serve(ANY_PORT, answer) as agent,
        control_plane_service(ANY_PORT, agent.endpoint) as endpoint,
    ):
        yield f"http://{endpoint}/workloads/wl-1/log"


async def curl(*arguments):
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec("curl", "-sN", *arguments, stdout=pipe)


@pytest.mark.parametrize("query", ["?tail=5", "?follow"])
async def test_log_arrives_with_every_byte_that_was_written(query):
    everything = bytes(range(256)) * 1024
    pieces = [everything[start : start + 65_536] for start in range(0, len(everything), 65_536)]

    def answer(request):
        index = int(request.after or 0)
        return Log(pieces[index], str(index + 1), ended=index == len(pieces) - 1)

    async with control_plane(answer) as url:
        reader = await curl(url + query)
        assert (await reader.communicate())[0] == everything
        assert reader.returncode == 0


async def test_followed_log_delivers_each_line_when_it_is_written():
    written = asyncio.Queue()

    async def wait():
        return await written.get()

    def answer(request):
        return wait() if request.wait_seconds else Log(b"first\n", "x", ended=False)

    async with control_plane(answer) as url:
        reader = await curl(f"{url}?follow")
        assert await reader.stdout.readline() == b"first\n"
        written.put_nowait(Log(b"second\n", "y", ended=False))
        assert await reader.stdout.readline() == b"second\n"
        written.put_nowait(Log(b"", "y", ended=True))
        assert await reader.wait() == 0


async def test_log_that_is_cut_off_does_not_end_as_a_complete_one(monkeypatch):
    monkeypatch.setattr(_logs, "RETURN_SECONDS", 0.1)  # instead of twenty seconds

    def answer(request):
        if request.wait_seconds:
            return ErrorReply(ErrorCode.RUNTIME, "the log is damaged")
        return Log(b"first\n", "x", ended=False)

    async with control_plane(answer) as url:
        reader = await curl(f"{url}?follow")
        assert (await reader.communicate())[0] == b"first\n"
        assert reader.returncode in CUT_OFF


async def test_control_plane_that_stops_cuts_off_followed_logs():
    waits = asyncio.Event()

    async def wait():
        waits.set()
        await asyncio.Event().wait()

    def answer(request):
        return wait() if request.wait_seconds else Log(b"first\n", "x", ended=False)

    async with control_plane(answer) as url:
        reader = await curl(f"{url}?follow")
        assert await reader.stdout.readline() == b"first\n"
        await waits.wait()
    assert await reader.wait() in CUT_OFF
