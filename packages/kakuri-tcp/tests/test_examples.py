import subprocess
import sys
from pathlib import Path

import pytest
from kakuri_tcp import Endpoint
from kakuri_tcp.blocking import connect

STUB = Path(__file__).parents[1] / "examples/stub_agent.py"


@pytest.fixture(scope="module")
def stub():
    """Run the stub agent and yield its endpoint, which it prints when it is ready."""
    command = [sys.executable, str(STUB), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Endpoint.parse(process.stdout.readline().removeprefix("listening on ").strip())
        process.terminate()
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (
            b'{"type":"GetStatus","id":"wl-123"}\n',
            b'{"type":"Status","id":"wl-123","state":"Pending"}\n',
        ),
        (
            b'{ "type" : "GetStatus", "id" : "a" }\r\n{"type":"GetStatus","id":"b"}\n',
            b"".join(
                b'{"type":"Status","id":"%b","state":"Pending"}\n' % name for name in (b"a", b"b")
            ),
        ),
        (
            b"hello\n",
            b'{"type":"Error","code":"bad_request","message":"expected a GetStatus"}\n',
        ),
        (
            b'{"type":"GetSta',
            b'{"type":"Error","code":"bad_request","message":"%b"}\n'
            % b"expected a line feed, got the end of the stream after 15 bytes",
        ),
    ],
)
def test_example_stub_agent_answers(stub, sent, received):
    with connect(stub, timeout=10) as connection:
        connection.send(sent)
        connection.send_eof()
        assert b"".join(line + b"\n" for line in connection.reader()) == received
