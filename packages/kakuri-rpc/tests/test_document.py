"""The budget of a workload's document, in its compact encoding."""

import asyncio

import pytest
from kakuri_json import ValidationError, encode
from kakuri_rpc import (
    AgentClient,
    AgentError,
    DocumentTooLarge,
    ErrorCode,
    State,
    Status,
    check_document,
    check_received,
    serve,
)
from kakuri_tcp import Endpoint
from kakuri_workload import MAX_DOCUMENT_BYTES, MAX_SPEC_BYTES, ZoneSpec
from kakuri_workload.testing import workload

ANY_PORT = Endpoint.parse("127.0.0.1:0")


def filled(size, text="x"):
    """Return a workload whose encoding has exactly `size` bytes."""
    room = size - len(encode(workload(env={"A": "", "B": "", "C": ""})))
    pieces = [text * (room // 3 // (len(encode(text)) - 2))] * 2
    rest = room - sum(len(encode(piece)) - 2 for piece in pieces)
    made = workload(env=dict(zip("ABC", [*pieces, "x" * rest], strict=True)))
    assert len(encode(made)) == size
    return made


@pytest.mark.parametrize("text", ["x", "é", "\x1b", '"'])
def test_document_of_the_largest_size_is_accepted_and_one_byte_more_is_too_large(text):
    largest = filled(MAX_DOCUMENT_BYTES, text)
    check_document(largest, len(encode(largest)))
    larger = filled(MAX_DOCUMENT_BYTES + 1, text)
    with pytest.raises(DocumentTooLarge, match=r"at most 262144 bytes .* got 262145 bytes"):
        check_document(larger, len(encode(larger)))


def test_whitespace_of_a_document_does_not_count():
    check_document(workload(), 10 * MAX_DOCUMENT_BYTES)


def test_document_that_grows_when_it_is_encoded_is_measured_as_encoded():
    document = workload(env={"A": "\x1b" * 50_000})
    with pytest.raises(DocumentTooLarge):
        check_document(document, 50_100)


def test_argument_too_long_for_linux_is_a_fault_with_its_path():
    document = workload(args=("a", "x" * 131_072))
    with pytest.raises(ValidationError) as failure:
        check_document(document, len(encode(document)))
    assert [fault.path for fault in failure.value.faults] == ["$.args[1]"]


def test_path_of_a_fault_begins_at_the_workload():
    document = workload(env={"A": "x" * 131_072})
    with pytest.raises(ValidationError) as failure:
        check_document(document, len(encode(document)), path="$.workload")
    assert [fault.path for fault in failure.value.faults] == ["$.workload.env['A']"]


def test_long_working_directory_is_found_in_a_small_document():
    document = workload(working_dir="/" + "é" * 4000)
    with pytest.raises(ValidationError):
        check_document(document, len(encode(document)))


def test_spec_of_the_largest_workload_fits_the_sidecar_limit():
    spec = ZoneSpec(filled(MAX_DOCUMENT_BYTES), attempt=2**31 - 1)
    assert len(encode(spec)) <= MAX_SPEC_BYTES


async def test_server_accepts_the_largest_document_and_refuses_a_larger_one():
    taken = []

    def handle(request):
        taken.append(request.workload)
        return Status("wl-1", State.PENDING)

    server = await serve(ANY_PORT, handle)
    client = AgentClient(server.endpoint)
    try:
        largest = filled(MAX_DOCUMENT_BYTES, "\x1b")
        await client.start_workload(largest)
        with pytest.raises(AgentError) as refusal:
            await client.start_workload(filled(MAX_DOCUMENT_BYTES + 1))
        assert refusal.value.code is ErrorCode.TOO_LARGE
        assert taken == [largest]
    finally:
        await client.close()
        await server.close()


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("text", ["x", "é", "\x1b", '"', "/", " "])
def test_largest_document_is_decoded_with_any_escapes_and_spaces(text, spaced):
    document = encode(filled(MAX_DOCUMENT_BYTES, text))
    if spaced:
        document = document.replace(b",", b" ,\r\n\t")
    check_received(document)
    check_received(document.replace(b"/", rb"\/").replace(b"x", rb"\u0078"))
    check_received(b'{"type":"StartWorkload","workload":%b}' % document)


@pytest.mark.parametrize("limit", [1024, MAX_DOCUMENT_BYTES])
def test_document_that_cannot_fit_the_limit_raises_document_too_large_without_decoding(limit):
    with pytest.raises(
        DocumentTooLarge, match=f"at most {limit} bytes .* got at least {limit + 1}"
    ):
        check_received(b"{" * (limit + 1025), limit=limit)
    check_received(b"{" * (limit + 1024), limit=limit)


async def test_line_that_cannot_fit_the_limit_closes_its_connection():
    async with await serve(ANY_PORT, lambda _: Status("wl-1", State.PENDING)) as server:
        reader, writer = await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
        writer.write(b'{"type":"DescribeNode"}\n{"' + b"x" * 300_000 + b"\n")
        assert (await reader.readline()).startswith(b'{"type":"Status"')
        assert (await reader.readline()).startswith(b'{"type":"Error","code":"too_large"')
        assert await reader.read() == b""
        writer.close()


async def test_values_nested_deeper_than_any_request_are_rejected_where_they_begin():
    line = b'{"type":"GetStatus","id":' + b"[" * 9 + b"," * 2000 + b"\n"
    async with await serve(ANY_PORT, lambda _: Status("wl-1", State.PENDING)) as server:
        reader, writer = await asyncio.open_connection(server.endpoint.host, server.endpoint.port)
        writer.write(line)
        assert b"at most 5 levels of nesting" in await reader.readline()
        writer.close()


async def test_server_with_a_lower_limit_refuses_a_larger_document():
    server = await serve(ANY_PORT, lambda _: Status("wl-1", State.PENDING), max_document=1024)
    client = AgentClient(server.endpoint)
    try:
        await client.start_workload(workload())
        with pytest.raises(AgentError, match="at most 1024 bytes"):
            await client.start_workload(filled(1025))
    finally:
        await client.close()
        await server.close()


async def test_argument_too_long_for_linux_is_a_bad_request():
    server = await serve(ANY_PORT, lambda _: Status("wl-1", State.PENDING))
    client = AgentClient(server.endpoint)
    try:
        with pytest.raises(AgentError, match=r"\$\.workload\.args\[1\]: expected an") as refusal:
            await client.start_workload(workload(args=("a", "x" * 131_072)))
        assert refusal.value.code is ErrorCode.BAD_REQUEST
    finally:
        await client.close()
        await server.close()
