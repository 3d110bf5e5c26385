"""A real TLS client whose session ticket a hostile server chose, pointed at the agent's port."""

import base64
import socket
import subprocess
import time

import pytest

from .processes import DEADLINE, nc

SMUGGLED = (
    b'\n{"type":"StartWorkload","workload":{"id":"pwned","image":"evil.example/x",'
    b'"runtime_class":"edera-zone","memory_mb":9,"cpu_millicores":9}}\n'
)
BEGIN, END = "-----BEGIN SSL SESSION PARAMETERS-----", "-----END SSL SESSION PARAMETERS-----"
TICKET = b"\xaa\x81"
"""The tag of the ticket in OpenSSL's encoding of a session: [10], a length of one byte."""


def openssl(*arguments, directory, check=True):
    """Run openssl in a directory; its own names of sockets are to be short."""
    done = subprocess.run(
        ["openssl", *arguments],
        cwd=directory, input=b"", capture_output=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stderr


@pytest.fixture
def session(tmp_path):
    """Get a session from a TLS 1.2 server, and put a ticket of the attacker's choice into it."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=a.example",
            "-keyout", "key.pem", "-out", "certificate.pem", directory=tmp_path)  # fmt: skip
    server = subprocess.Popen(
        ["openssl", "s_server", "-unix", "socket", "-tls1_2", "-quiet",
         "-key", "key.pem", "-cert", "certificate.pem"],
        cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + DEADLINE
        taken = tmp_path / "session.pem"
        while not taken.exists():  # it may not listen yet
            assert time.monotonic() < deadline
            assert server.poll() is None
            openssl("s_client", "-unix", "socket", "-tls1_2", "-sess_out", taken.name,
                    directory=tmp_path, check=False)  # fmt: skip
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
    encoded = bytearray(base64.b64decode("".join(taken.read_text().splitlines()[1:-1])))
    start = encoded.index(TICKET) + 6  # the tag, a length, and an OCTET STRING with its own
    encoded[start : start + len(SMUGGLED)] = SMUGGLED
    poisoned = tmp_path / "poisoned.pem"
    poisoned.write_text(f"{BEGIN}\n{base64.encodebytes(encoded).decode()}{END}\n")
    return poisoned


def test_session_ticket_that_carries_a_request_starts_nothing(session, agent):
    hello = ("s_client", "-tls1_2", "-sess_in", session.name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = subprocess.Popen(
            ["openssl", *hello, "-connect", f"127.0.0.1:{listener.getsockname()[1]}"],
            cwd=session.parent,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        listener.settimeout(DEADLINE)
        with listener.accept()[0] as connection:
            connection.settimeout(DEADLINE)
            assert SMUGGLED in connection.recv(65536)  # the client does send it
        client.wait(DEADLINE)
    openssl(*hello, "-connect", agent.address, directory=session.parent, check=False)
    reply = nc(agent.port, '{"type":"GetStatus","id":"pwned"}\n')
    assert '"code":"not_found"' in reply
