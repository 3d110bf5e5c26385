"""Requests that no well-behaved client sends."""

import socket
import subprocess

import pytest

from .processes import DEADLINE, curl, nc

BODY = b'{"id":"test-1","image":"nginx","runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":5}'
POST = (
    b"POST /workloads HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
)
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
CURL_EMPTY_REPLY, CURL_RECEIVE_ERROR = 52, 56
CLOSE = b"Connection: close\r\n\r\n"


def exchange(port, *pieces):
    """Send pieces as separate segments, and return everything until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_request_in_single_bytes_is_answered(control_plane):
    whole = POST + GET + CLOSE
    answer = exchange(control_plane.port, *(bytes([byte]) for byte in whole))
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")


def test_two_requests_in_one_write_are_answered_in_order(control_plane):
    answer = exchange(control_plane.port, POST + POST + GET + CLOSE)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"201", b"200", b"200"]


def test_client_that_disconnects_within_a_request_affects_no_other_client(control_plane, url):
    for end in (10, 70, len(POST) - 1, len(POST)):
        with socket.create_connection(
            ("127.0.0.1", control_plane.port), timeout=DEADLINE
        ) as client:
            client.sendall(POST[:end])
    assert curl(f"{url}/healthz").status == 200


def test_input_that_is_not_http_is_400_and_closes_the_connection(control_plane):
    assert exchange(control_plane.port, b"hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert b"HTTP/1.1 505 " in exchange(control_plane.port, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n")


def test_http_1_0_request_is_answered_and_its_connection_closed(control_plane):
    answer = exchange(control_plane.port, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_agent_answers_requests_with_faults_after_the_first_one(agent):
    lines = [
        '{"type":"GetStatus","id":"wl-1"}\r',
        "{}",
        '{"type":"Nope"}',
        '{"type":1}',
        "42",
        '{"type":"GetStatus","id":"wl-2"}',
    ]
    first, *faulty, last = nc(agent.port, "\n".join(lines) + "\n").splitlines()
    assert '"id":"wl-1","code":"not_found"' in first
    assert '"id":"wl-2","code":"not_found"' in last
    assert len(faulty) == 4
    assert all(reply.startswith('{"type":"Error","code":"bad_request"') for reply in faulty)


@pytest.mark.parametrize("first", ["{}", "{nonsense", '{"type":"Nope"}'])
def test_agent_ends_a_connection_that_does_not_begin_with_a_request(agent, first):
    (reply,) = nc(agent.port, f'{first}\n{{"type":"DescribeNode"}}\n').splitlines()
    assert reply.startswith('{"type":"Error","code":"bad_request"')


def test_agent_ends_a_connection_at_a_line_that_is_not_json(agent):
    replies = nc(agent.port, '{"type":"DescribeNode"}\nnonsense\n{"type":"DescribeNode"}\n')
    node, error = replies.splitlines()
    assert node.startswith('{"type":"Node"')
    assert error.startswith('{"type":"Error","code":"bad_request"')


def test_agent_ends_a_connection_at_a_line_over_the_limit(agent):
    answer = exchange(agent.port, b"{" + b"x" * (1024 * 1024))
    assert answer.startswith(b'{"type":"Error",')
    assert answer.endswith(b"\n")
    assert answer.count(b"\n") == 1


def test_agent_closes_an_http_request_unread(agent):
    start = '{"type":"StartWorkload","workload":' + BODY.decode() + "}"
    command = [
        "curl",
        "-sS",
        "-m",
        "10",
        "--data-binary",
        f"\n{start}\n",
        f"127.0.0.1:{agent.port}",
    ]
    posted = subprocess.run(command, capture_output=True, text=True, check=False)
    assert posted.returncode in {CURL_EMPTY_REPLY, CURL_RECEIVE_ERROR}, posted.stderr
    assert posted.stdout == ""
    reply = nc(agent.port, '{"type":"GetStatus","id":"test-1"}\n')
    assert '"code":"not_found"' in reply


def test_simulated_node_reports_that_nothing_really_runs(agent):
    reply = nc(agent.port, '{"type":"DescribeNode"}\n')
    assert '"runtime":"simulated","simulated":true' in reply
    assert "nothing really runs" in reply
    agent.await_log("nothing really runs")
