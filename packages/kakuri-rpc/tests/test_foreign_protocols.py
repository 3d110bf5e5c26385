"""The agent's port fails closed: what is not its protocol from the first byte carries no request."""

import asyncio
import socket
import ssl
import struct
from contextlib import suppress

import pytest
from kakuri_rpc import AgentClient, State, Status, serve
from kakuri_tcp import Endpoint
from kakuri_workload import Workload

ANY_PORT = Endpoint.parse("127.0.0.1:0")
GET = b'{"type":"GetStatus","id":"a"}'
START = (
    b'{"type":"StartWorkload","workload":{"id":"pwned","image":"evil.example/x:1",'
    b'"runtime_class":"edera-zone","memory_mb":64,"cpu_millicores":100}}'
)
SMUGGLED = b"\n" + START + b"\n" + GET + b"\n"


def extension(kind, data):
    return struct.pack(">HH", kind, len(data)) + data


def client_hello(*extensions, session_id=b"S" * 32):
    """Build a TLS ClientHello (RFC 8446 section 4.1.2) in one record."""
    listed = b"".join(extensions)
    body = b"\x03\x03" + b"R" * 32 + bytes([len(session_id)]) + session_id
    body += b"\x00\x02\x13\x01" + b"\x01\x00" + struct.pack(">H", len(listed)) + listed
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def pre_shared_key(identity):
    offered = struct.pack(">H", len(identity)) + identity + b"\x00" * 4
    binder = b"\x20" + b"B" * 32
    lists = struct.pack(">H", len(offered)) + offered + struct.pack(">H", len(binder)) + binder
    return extension(0x29, lists)


def server_name(name):
    return extension(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name)


HEAD = b"Host: 127.0.0.1:9000\r\nContent-Length: 400\r\n\r\n"
PROTOCOLS = {
    # RFC 5077: the server of another site chose the ticket.
    "TLS session ticket": client_hello(extension(0x23, b"T" * 16 + SMUGGLED)),
    "TLS 1.3 pre-shared key": client_hello(pre_shared_key(b"T" * 16 + SMUGGLED)),
    "TLS server name": client_hello(server_name(SMUGGLED)),
    "TLS session id": client_hello(session_id=(b"\n" + GET)[:32]),
    "TLS early data": client_hello() + b"\x17\x03\x03\x01\x00" + SMUGGLED,
    "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15" + SMUGGLED,
    "HTTP POST": b"POST / HTTP/1.1\r\n" + HEAD + SMUGGLED,
    "HTTP method in lower case": b"post / HTTP/1.1\r\n" + HEAD + SMUGGLED,
    "HTTP method in mixed case": b"PoSt / hTtP/1.1\r\n" + HEAD + SMUGGLED,
    "HTTP after an empty line": b"\r\nPOST / HTTP/1.1\r\n" + HEAD + SMUGGLED,
    "HTTP 0.9": b"GET /\r\n" + SMUGGLED,
    "HTTP 0.9 with the request in its target": b"GET " + GET + b"\n",
    "HTTP with bare line feeds": b"POST / HTTP/1.1\nHost: a\n\n" + SMUGGLED,
    "HTTP with a method of symbols": b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\n" + HEAD + SMUGGLED,
    "HTTP PRI, HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "HTTP CONNECT": b"CONNECT 127.0.0.1:9000 HTTP/1.1\r\n\r\n" + SMUGGLED,
    "WebSocket frame": b"\x81\xfe\x01\x00\x00\x00\x00\x00" + SMUGGLED,
    "SSDP M-SEARCH": b"M-SEARCH * HTTP/1.1\r\nMAN: x\r\n\r\n" + SMUGGLED,
    "RTSP": b"DESCRIBE rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n" + SMUGGLED,
    "ICY": b"SOURCE /x ICE/1.0\r\n" + SMUGGLED,
    "SIP": b"INVITE sip:x@y SIP/2.0\r\nVia: z\r\n\r\n" + SMUGGLED,
    "SMTP": b"EHLO x\r\nMAIL FROM:<a>\r\nDATA\r\n" + SMUGGLED,
    "LMTP": b"LHLO x\r\n" + SMUGGLED,
    "POP3": b"USER a\r\n" + SMUGGLED,
    "IMAP literal": b"a1 LOGIN {300}\r\n" + SMUGGLED,
    "NNTP": b"POST\r\n" + SMUGGLED,
    "IRC": b"NICK a\r\nUSER a 0 * :" + SMUGGLED,
    "FTP": b"USER a\r\n" + SMUGGLED,
    "FTP EPRT": b"EPRT |1|127.0.0.1|9000|\r\n" + SMUGGLED,
    "Redis inline": b"PING\r\n" + SMUGGLED,
    "Redis array": b"*1\r\n$4\r\nPING\r\n" + SMUGGLED,
    "memcached": b"set a 0 0 300\r\n" + SMUGGLED,
    "memcached binary": b"\x80\x01" + b"\x00" * 22 + SMUGGLED,
    "gopher": b"/x" + SMUGGLED,
    "finger": b"\r\n" + SMUGGLED,
    "whois": b"example.com\r\n" + SMUGGLED,
    "SSH banner": b"SSH-2.0-x\r\n" + SMUGGLED,
    "Telnet negotiation": b"\xff\xfb\x18" + SMUGGLED,
    "STUN and TURN over TCP": b"\x00\x03\x00\x40\x21\x12\xa4\x42" + b"\x00" * 12 + SMUGGLED,
    "TURN channel data": b"\x40\x00\x01\x00" + SMUGGLED,
    "DNS over TCP": b"\x01\x00\x12\x34\x01\x00" + b"\x00" * 8 + SMUGGLED,
    "PROXY protocol 1": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + SMUGGLED,
    "PROXY protocol 2": b"\r\n\r\n\x00\r\nQUIT\n" + SMUGGLED,
    "SOCKS 4": b"\x04\x01\x00\x50\x01\x02\x03\x04" + SMUGGLED,
    "SOCKS 5": b"\x05\x01\x00" + SMUGGLED,
    "AMQP": b"AMQP\x00\x00\x09\x01" + SMUGGLED,
    "MQTT": b"\x10\x7f\x00\x04MQTT\x04" + SMUGGLED,
    "LDAP": b"\x30\x84\x00\x00\x01\x00" + SMUGGLED,
    "PostgreSQL startup": b"\x00\x00\x01\x00\x00\x03\x00\x00" + SMUGGLED,
    "MongoDB": b"\x00\x01\x00\x00" + b"\x00" * 12 + SMUGGLED,
    "JetDirect PJL": b"\x1b%-12345X@PJL\r\n" + SMUGGLED,
    "syslog": b"<13>1 - - - - - - " + SMUGGLED,
    "RESP3 map": b"%1\r\n" + SMUGGLED,
    "XML stream": b"<?xml version='1.0'?><stream:stream>" + SMUGGLED,
    "JSON array": b"[" + GET + b"]" + SMUGGLED,
    "JSON text sequence (RFC 7464)": b"\x1e" + GET + SMUGGLED,
    "JSON after a space": b" " + GET + SMUGGLED,
    "JSON after a line feed": SMUGGLED,
    "JSON after CR LF": b"\r\n" + GET + SMUGGLED,
    "JSON after a byte order mark": b"\xef\xbb\xbf" + GET + SMUGGLED,
    "JSON in UTF-16": b"\xff\xfe" + GET.decode().encode("utf-16-le") + SMUGGLED,
    "netstring": b"%d:" % len(GET) + GET + b"," + SMUGGLED,
    "LSP header": b"Content-Length: 30\r\n\r\n" + GET + SMUGGLED,
    "NUL": b"\x00" + SMUGGLED,
}

FIRST_LINES = {
    "JSON-RPC": b'{"jsonrpc":"2.0","method":"x","id":1}',
    "empty object": b"{}",
    "no JSON": b"{GET / HTTP/1.1",
    "template": b"{{config}}",
    "one fault of a field": b'{"type":"GetStatus","id":"A"}',
    "a reply": b'{"type":"Status","id":"a","state":"Running"}',
    "white space inside the line's end": GET + b" x",
    "two documents": GET + GET,
    "not UTF-8": b'{"type":"GetStatus","id":"\xff"}',
    "too deep": b'{"a":' + b"[" * 600 + b"]" * 600 + b"}",
    "a number beyond every limit": b'{"a":' + b"1" * 5000 + b"}",
}


class Agent:
    def __init__(self):
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        workload = getattr(request, "workload", request)
        return Status(workload.id, State.RUNNING)


async def converse(server, *pieces):
    """Send bytes over one connection and return all that came back until its end."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.settimeout(0)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(client, (server.endpoint.host, server.endpoint.port))
        received = b""
        with suppress(ConnectionError):
            for piece in pieces:
                await loop.sock_sendall(client, piece)
            client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while piece := await loop.sock_recv(client, 65536):
                received += piece
        return received


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_foreign_protocol_is_aborted_without_an_answer_and_starts_nothing(name):
    agent = Agent()
    async with await serve(ANY_PORT, agent) as server:
        data = PROTOCOLS[name]
        assert await converse(server, data) == b""
        assert await converse(server, data[:1], data[1:]) == b""
        assert await converse(server, GET + b"\n") == (
            b'{"type":"Status","id":"a","state":"Running"}\n'
        )
    assert len(agent.asked) == 1


@pytest.mark.parametrize("name", FIRST_LINES)
async def test_first_line_that_is_not_a_request_gets_one_error_and_closes_the_connection(name):
    agent = Agent()
    async with await serve(ANY_PORT, agent) as server:
        answer = await converse(server, FIRST_LINES[name] + SMUGGLED)
    assert answer.startswith(b'{"type":"Error","code":"bad_request","message":"')
    assert answer.count(b"\n") == 1
    assert agent.asked == []


async def test_first_line_that_is_not_a_request_gets_an_error_with_every_fault():
    async with await serve(ANY_PORT, Agent()) as server:
        answer = await converse(server, b'{"type":"StopWorkload","id":"A","grace_seconds":-1}\n')
    assert b"$.id" in answer
    assert b"$.grace_seconds" in answer


@pytest.mark.parametrize(
    "line", ['{"type":"GetStatus","id":"\u202e\x9b\x7f"}', '{"type":"GetStatus","id":"a","\u202e\x9b":1}', '{"\u202e\x9b']
)  # fmt: skip
async def test_error_that_quotes_the_line_is_printable(line):
    async with await serve(ANY_PORT, Agent()) as server:
        answer = (await converse(server, line.encode() + b"\n")).decode()
    assert answer.startswith('{"type":"Error"')
    assert answer.removesuffix("\n").isprintable()


async def test_later_line_with_invalid_fields_gets_every_fault_and_the_connection_continues():
    async with await serve(ANY_PORT, Agent()) as server:
        faulty = b'{"type":"StopWorkload","id":"A","grace_seconds":-1}'
        first, second, third = (
            await converse(server, GET + b"\n" + faulty + b"\n" + GET + b"\n")
        ).splitlines()
    assert first == third == b'{"type":"Status","id":"a","state":"Running"}'
    assert b"$.id" in second
    assert b"$.grace_seconds" in second


@pytest.mark.parametrize("broken", [b"nonsense", b"", b"{", GET[:-1], b"\xff", GET + b"\x00"])
async def test_later_line_that_is_not_json_gets_an_error_and_closes_the_connection(broken):
    agent = Agent()
    async with await serve(ANY_PORT, agent) as server:
        answer = await converse(server, GET + b"\n" + broken + SMUGGLED)
    first, last = answer.splitlines()
    assert first == b'{"type":"Status","id":"a","state":"Running"}'
    assert last.startswith(b'{"type":"Error","code":"bad_request"')
    assert len(agent.asked) == 1


async def test_tls_handshake_starts_nothing():
    agent = Agent()
    context = ssl.create_default_context()
    async with await serve(ANY_PORT, agent) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(
                server.endpoint.host, server.endpoint.port, ssl=context, server_hostname="a.example"
            )
    assert agent.asked == []


async def test_lines_typed_at_a_terminal_are_answered():
    async with await serve(ANY_PORT, Agent()) as server:
        answer = await converse(server, GET, b"\r\n", b'{"type":', b'"GetStatus","id":"b"}\n')
    assert answer == (
        b'{"type":"Status","id":"a","state":"Running"}\n'
        b'{"type":"Status","id":"b","state":"Running"}\n'
    )


async def test_client_of_the_protocol_is_answered():
    workload = Workload("wl-1", "nginx:latest", "edera-zone", 512, 500)
    async with await serve(ANY_PORT, Agent()) as server:
        client = AgentClient(server.endpoint)
        assert (await client.start_workload(workload)).id == "wl-1"
        assert (await client.get_status("wl-2")).id == "wl-2"
        await client.close()
