"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

import asyncio
from typing import assert_type

from kakuri_tcp import (
    ClientTLS,
    Connection,
    ConnectionFault,
    Counters,
    Endpoint,
    ForbiddenUser,
    HandlerFailed,
    LineClient,
    LineClientLimits,
    LineDecoder,
    LineError,
    LineServerLimits,
    LocalAccess,
    Server,
    ServerLimits,
    ServerTLS,
    blocking,
    connect,
    listen,
    listen_lines,
)
from kakuri_tcp.testing import FaultProxy, Faults, MemoryTransport, pair


class Echo(Connection):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def data_received(self, data: bytes) -> None:
        self.made_progress = True
        self.write(data)

    def closed(self, fault: ConnectionFault | None) -> None:
        print(self.name, fault)


def fault_reply(fault: LineError | HandlerFailed | ForbiddenUser) -> bytes | None:
    return str(fault).encode() if isinstance(fault, LineError) else None


async def later(line: bytes) -> bytes:
    await asyncio.sleep(1)
    return line


async def endpoints_are_values_or_text() -> None:
    assert_type(Endpoint.parse("127.0.0.1:0"), Endpoint)
    assert_type(Endpoint.tcp("::1", 80).is_loopback, bool)
    assert_type(await listen_lines("127.0.0.1:0", later), Server)
    server = await listen_lines(
        Endpoint.unix("/run/x.sock"),
        bytes.upper,
        limits=LineServerLimits(line=100),
        on_fault=fault_reply,
        first_byte=b"{",
        local_access=LocalAccess(mode=0o660, group="wheel"),
    )
    assert_type(server.endpoint, Endpoint)
    assert_type(server.counters, Counters)
    assert_type(await server.drain(5), int)


async def requests_are_bytes() -> None:
    async with LineClient("tls://example.com:443", tls=ClientTLS(ca="ca.pem")) as client:
        assert_type(client, LineClient)
        assert_type(await client.request(b"hello"), bytes)
        assert_type(await client.request(b"hello", timeout=1), bytes)
    limits = LineClientLimits(requests_in_flight=1)
    LineClient(Endpoint.parse("127.0.0.1:1"), limits=limits, trusted_uids=[0])


async def connections_have_the_type_of_the_factory() -> None:
    tls = ServerTLS(certificate="cert.pem")
    async with await listen("tls://[::]:443", Connection, limits=ServerLimits(), tls=tls):
        pass
    connection = await connect("127.0.0.1:80", lambda: Echo("a"))
    assert_type(connection, Echo)
    assert_type(connection.name, str)
    connection.close_lingering()


def lines_come_out_of_the_decoder() -> None:
    decoder = LineDecoder(limit=10)
    decoder.receive_data(b"a\n")
    assert_type(decoder.next_line(), bytes | None)


def blocking_sockets() -> None:
    with blocking.Server("127.0.0.1:0", timeout=1) as server, server.accept() as accepted:
        assert_type(accepted, blocking.Connection)
        assert_type(accepted.reader().read_line(), bytes | None)
    with blocking.connect("127.0.0.1:80") as connection:
        assert_type(connection.receive(), bytes)


async def tools_for_tests() -> None:
    assert_type(pair(Echo("a"), Echo("b")), tuple[MemoryTransport, MemoryTransport])
    async with FaultProxy("127.0.0.1:80", Faults(latency=1)) as proxy:
        assert_type(proxy.endpoint, Endpoint)
