"""A stub of the agent: every workload whose status is asked for is pending.

Run it, and in another terminal: echo '{"type":"GetStatus","id":"wl-123"}' | nc localhost 9000
"""

import argparse
import asyncio
import re
import signal

from kakuri_tcp import Endpoint, HandlerFailed, LineError, listen_lines

GET_STATUS = re.compile(
    rb'\s*\{\s*"type"\s*:\s*"GetStatus"\s*,\s*"id"\s*:\s*"([a-z0-9-]{1,63})"\s*\}\s*'
)


def answer(line: bytes) -> bytes:
    """Answer one request line."""
    if request := GET_STATUS.fullmatch(line):
        return b'{"type":"Status","id":"%b","state":"Pending"}' % request[1]
    return b'{"type":"Error","code":"bad_request","message":"expected a GetStatus"}'


def fault_reply(error: LineError | HandlerFailed) -> bytes | None:
    """Return the last reply to an invalid line, without quotes of it."""
    if isinstance(error, HandlerFailed):
        return None
    return b'{"type":"Error","code":"bad_request","message":"%b"}' % str(error).encode()


async def main(endpoint: Endpoint) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with await listen_lines(endpoint, answer, on_fault=fault_reply) as server:
        print(f"listening on {server.endpoint}", flush=True)
        await stop.wait()
        await server.drain(5.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--listen", type=Endpoint.parse, default="localhost:9000", metavar="ENDPOINT"
    )
    asyncio.run(main(parser.parse_args().listen))
