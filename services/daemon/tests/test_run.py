import signal
import socket
import subprocess
import sys

import pytest
from kakuri_daemon import DaemonError, run
from kakuri_tcp import Endpoint, listen_lines

DAEMON = """
import gc
from contextlib import asynccontextmanager
from kakuri_daemon import configure_logs, run
from kakuri_tcp import Endpoint, listen_lines

@asynccontextmanager
async def service():
    async with await listen_lines(Endpoint.parse("127.0.0.1:0"), lambda line: line) as server:
        yield server.endpoint
    print("drained", gc.get_threshold()[0], flush=True)

configure_logs()
run(service)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_ends_when_it_is_told(number):
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        line = process.stdout.readline()
        host, port = line.removeprefix("listening on ").strip().rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(b"hello\n")
            assert client.recv(100) == b"hello\n"
        process.send_signal(number)
        assert process.stdout.read() == "drained 50000\n"
        assert process.wait(10) == 0


def test_an_address_that_is_taken_is_a_daemon_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = Endpoint.parse(f"127.0.0.1:{taken.getsockname()[1]}")

        class Service:
            async def __aenter__(self):
                self.server = await listen_lines(endpoint, lambda line: line)

            async def __aexit__(self, *_):
                raise AssertionError("it never listened")

        with pytest.raises(DaemonError, match="in use"):
            run(Service)
