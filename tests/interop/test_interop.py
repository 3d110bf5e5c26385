"""gRPC's standard cases, between each client and server of which one is ours."""

import asyncio
import subprocess
from contextlib import AsyncExitStack

import kakuri_protobuf as kp
import pytest
import pytest_asyncio

from tools import go

from . import clients, servers
from .clients import CANCELLED, DEADLINE_EXCEEDED, CallFailed
from .service import (
    DUPLEX,
    EMPTY,
    INITIAL,
    INPUT,
    NO_METHOD,
    NO_SERVICE,
    OUTPUT,
    TRAILING,
    UNARY,
    EchoStatus,
    Empty,
    InputRequest,
    OutputRequest,
    Payload,
    Response,
    ResponseParameters,
    SimpleRequest,
    response,
)

REQUEST_SIZES = (27_182, 8, 1_828, 45_904)
RESPONSE_SIZES = (31_415, 9, 2_653, 58_979)
UNKNOWN, UNIMPLEMENTED = 2, 12

PAIRS = [
    (clients.Ours, servers.ours),
    (clients.Ours, servers.grpcio),
    (clients.Ours, servers.grpclib),
    *([(clients.Ours, servers.go)] if go.is_available() else []),
    (clients.Grpcio, servers.ours),
    (clients.Grpclib, servers.ours),
]


@pytest.fixture(scope="session")
def go_server(tmp_path_factory):
    """Return the program of the server in Go."""
    source = servers.__file__.replace("servers.py", "server.go")
    return go.build(source, tmp_path_factory.mktemp("go") / "server")


@pytest_asyncio.fixture(
    params=PAIRS, ids=lambda pair: f"{pair[0].__name__.lower()}-{pair[1].__name__}"
)
async def client(request, tmp_path):
    make, serve = request.param
    path = tmp_path / "s"
    more = [request.getfixturevalue("go_server")] if serve is servers.go else []
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        await stack.enter_async_context(serve(path, *more))
        opened = make(path)
        stack.push_async_callback(opened.close)
        yield opened


async def streamed(client, request, **arguments):
    """Return the first answer to a request over a stream."""
    async with client.stream(DUPLEX, **arguments) as call:
        await call.send(request, end=True)
        return await call.receive()


async def test_empty_unary_call_is_answered(client):
    assert await client.unary(EMPTY, Empty()) == Empty()


async def test_large_unary_call_is_answered(client):
    request = SimpleRequest(response_size=314_159, payload=Payload(body=bytes(271_828)))
    assert await client.unary(UNARY, request) == response(314_159)


async def test_client_stream_is_answered_with_its_size(client):
    async with client.stream(INPUT) as call:
        for size in REQUEST_SIZES:
            await call.send(InputRequest(payload=Payload(body=bytes(size))))
        await call.end()
        answer = await call.receive()
        assert answer.aggregated_payload_size == 74_922
        assert await call.receive() is None


async def test_server_stream_has_the_sizes_that_were_asked_for(client):
    parameters = tuple(ResponseParameters(size=size) for size in RESPONSE_SIZES)
    async with client.stream(OUTPUT) as call:
        await call.send(OutputRequest(response_parameters=parameters), end=True)
        for size in RESPONSE_SIZES:
            assert await call.receive() == response(size)
        assert await call.receive() is None


async def test_ping_pong_stream_answers_each_message(client):
    async with client.stream(DUPLEX) as call:
        for asked, sent in zip(RESPONSE_SIZES, REQUEST_SIZES, strict=True):
            await call.send(
                OutputRequest(
                    response_parameters=(ResponseParameters(size=asked),),
                    payload=Payload(body=bytes(sent)),
                )
            )
            assert await call.receive() == response(asked)
        await call.end()
        assert await call.receive() is None


async def test_empty_stream_ends_with_ok(client):
    async with client.stream(DUPLEX) as call:
        await call.end()
        assert await call.receive() is None


async def test_call_cancelled_after_its_begin_is_cancelled(client):
    async with client.stream(INPUT) as call:
        await call.send(InputRequest(payload=Payload(body=b"a")))
        await call.cancel()
        with pytest.raises(CallFailed) as caught:
            await call.receive()
        assert caught.value.code == CANCELLED
    assert await client.unary(EMPTY, Empty()) == Empty()


async def test_call_cancelled_after_its_first_response_is_cancelled(client):
    async with client.stream(DUPLEX) as call:
        await call.send(OutputRequest(response_parameters=(ResponseParameters(size=31_415),)))
        assert await call.receive() == response(31_415)
        await call.cancel()
        with pytest.raises(CallFailed) as caught:
            await call.receive()
        assert caught.value.code == CANCELLED
    assert await client.unary(EMPTY, Empty()) == Empty()


async def test_call_to_a_sleeping_server_exceeds_its_deadline(client):
    slow = ResponseParameters(size=1, interval_us=30_000_000)
    request = OutputRequest(response_parameters=(slow,))
    with pytest.raises(CallFailed) as caught:
        await streamed(client, request, timeout=0.05)
    assert caught.value.code == DEADLINE_EXCEEDED
    assert await client.unary(EMPTY, Empty()) == Empty()


@pytest.mark.parametrize(
    "message",
    ["test status message", "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"],
    ids=["status_code_and_message", "special_status_message"],
)
async def test_status_and_its_message_arrive_unchanged(client, message):
    status = EchoStatus(code=UNKNOWN, message=message)
    with pytest.raises(CallFailed) as caught:
        await client.unary(UNARY, SimpleRequest(response_status=status))
    assert (caught.value.code, caught.value.message) == (UNKNOWN, message)
    with pytest.raises(CallFailed) as caught:
        await streamed(client, OutputRequest(response_status=status))
    assert (caught.value.code, caught.value.message) == (UNKNOWN, message)


@pytest.mark.parametrize("method", [NO_METHOD, NO_SERVICE], ids=["method", "service"])
async def test_unknown_method_and_service_are_unimplemented(client, method):
    with pytest.raises(CallFailed) as caught:
        await client.unary(method, Empty())
    assert caught.value.code == UNIMPLEMENTED


async def test_custom_metadata_is_echoed(client):
    metadata = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))
    for method, request in (
        (UNARY, SimpleRequest(response_size=1)),
        (DUPLEX, OutputRequest(response_parameters=(ResponseParameters(size=1),))),
    ):
        async with client.stream(method, metadata=metadata) as call:
            await call.send(request, end=True)
            assert await call.receive() == response(1)
            assert await call.receive() is None
            assert dict(call.metadata)[INITIAL] == "test_initial_metadata_value"
            assert dict(call.trailers)[TRAILING] == b"\xab\xab\xab"


async def test_curl_with_a_message_framed_by_hand_is_answered(tmp_path):
    path = tmp_path / "s"
    request = kp.encode(SimpleRequest(response_size=10))
    (tmp_path / "request").write_bytes(b"\0" + len(request).to_bytes(4, "big") + request)
    command = [
        "curl", "-sS", "--http2-prior-knowledge", "--max-time", "10", "--unix-socket", path,
        "-H", "content-type: application/grpc", "-H", "te: trailers",
        "--data-binary", f"@{tmp_path}/request", "-D", tmp_path / "head",
        f"http://localhost{UNARY.path}",
    ]  # fmt: skip
    async with servers.ours(path):
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        content, _ = await process.communicate()
    assert process.returncode == 0
    assert kp.decode(content[5:], type=Response) == response(10)
    assert int.from_bytes(content[1:5], "big") == len(content) - 5
    head = (tmp_path / "head").read_text()
    assert head.startswith("HTTP/2 200")
    assert "content-type: application/grpc" in head
    assert "grpc-status: 0" in head
