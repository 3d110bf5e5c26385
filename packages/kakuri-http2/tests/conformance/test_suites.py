"""The public suites for HPACK, frames and clients, from the directory that KAKURI_CORPORA names."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hpack import Decoder as OtherDecoder
from kakuri_http2 import (
    ClientConnection,
    ConnectionEnded,
    Data,
    ErrorCode,
    HPACKError,
    LimitExceeded,
    Limits,
    Request,
    Response,
    ServerConnection,
    StreamReset,
    Trailers,
)
from kakuri_http2.hpack import Decoder, Encoder
from kakuri_http2.hpack._decoder import read_integer

from ..wire import (  # noqa: TID252 - a module of these tests
    CUTS,
    FLAGS,
    PREFACE,
    TYPES,
    block,
    feed,
    frame,
    read,
    settings,
)

DIRECTORY = Path(os.environ["KAKURI_CORPORA"])
STORIES = sorted((DIRECTORY / "hpack-stories").glob("*/story_*.json"))
FRAMES = sorted((DIRECTORY / "http2-frames").glob("*/*.json"))
SCENARIOS = json.loads((DIRECTORY / "http2-client/scenarios.json").read_text())


def vectors(name: str) -> list[Any]:
    return json.loads((DIRECTORY / f"hpack-vectors/{name}.json").read_text())


def test_suite_has_all_cases():
    assert len(STORIES) == 132
    assert len(FRAMES) == 23
    assert len(SCENARIOS) == 86
    assert [len(vectors(name)) for name in ("integers", "sequences", "negative", "bombs")] == [
        8, 9, 14, 1,
    ]  # fmt: skip


# HPACK.


@pytest.mark.parametrize("path", STORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_hpack_story_is_decoded_and_its_fields_are_read_back_by_another_library(path):
    decoder, encoder, other, size = Decoder(), Encoder(), OtherDecoder(), 4096
    for case in json.loads(path.read_text())["cases"]:
        if case.get("header_table_size", size) not in (size, None):
            size = case["header_table_size"]
            decoder.allow_table_size(size)
        fields = [(k.encode(), v.encode()) for one in case["headers"] for k, v in one.items()]
        assert list(decoder.decode(bytes.fromhex(case["wire"]))) == fields
        assert other.decode(encoder.encode(fields), raw=True) == fields


@pytest.mark.parametrize("case", vectors("integers"), ids=lambda case: case["name"])
def test_hpack_integer_is_encoded_and_decoded(case):
    data = bytes.fromhex(case["hex"])
    mask = (1 << case["prefix_bits"]) - 1
    value = data[0] & mask
    if value == mask:
        value, position = read_integer(data, 1, value)
        assert position == len(data)
    assert value == case["value"]


@pytest.mark.parametrize("case", vectors("sequences"), ids=lambda case: case["name"])
def test_hpack_sequence_is_decoded(case):
    decoder = Decoder(table_size=case["initial_max_table_size"])
    for one in case["blocks"]:
        fields = decoder.decode(bytes.fromhex(one["hex"]))
        assert [[name.decode(), value.decode()] for name, value in fields] == one["headers"]
        assert decoder.table.size == one["dynamic_table_size_after"]


@pytest.mark.parametrize("case", vectors("negative"), ids=lambda case: case["name"])
def test_hpack_block_that_is_not_valid_raises_hpack_error(case):
    with pytest.raises(HPACKError):
        Decoder(table_size=case["max_table_size"]).decode(bytes.fromhex(case["hex"]))


# Frames.


@pytest.mark.parametrize("path", FRAMES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_frame_of_the_suite_is_read(path):
    """Valid frames are read on an open stream; faulty ones end the stream or the connection."""
    case = json.loads(path.read_text())
    data = bytes.fromhex(case["wire"])
    connection = ServerConnection(Limits(stream_window=1 << 20))
    head = block((":method", "POST"), (":scheme", "http"), (":path", "/"))
    connection.receive_data(PREFACE + settings())
    for number in (1, 3, 5):
        connection.receive_data(frame("HEADERS", FLAGS["END_HEADERS"], number, head))
    connection.receive_data(data)
    codes = {
        int.from_bytes(one.payload[4:8] if one.kind == TYPES["GOAWAY"] else one.payload[:4], "big")
        for one in read(connection.data_to_send())
        if one.kind in (TYPES["GOAWAY"], TYPES["RST_STREAM"])
    }
    if case["error"]:
        assert codes & set(case["error"])
    elif case["frame"]["type"] in (4, 6, 7, 8):
        assert not connection.is_over or codes  # such a frame may still break the protocol here


# Clients.

CALL = Request(
    b"POST", b"/test/Call", authority=b"localhost",
    fields=((b"content-type", b"application/grpc"), (b"te", b"trailers")),
)  # fmt: skip


def written(one: dict[str, Any], stream: int) -> bytes:
    """Return the bytes of a frame as a scenario describes it."""
    match one["type"]:
        case "raw" | "instead_of_preface":
            return bytes.fromhex(one["hex"])
        case "repeat":
            return written(one["frame"], stream) * one["count"]
        case "header_block":
            name, value = one["header"]
            data = block((":status", "200"), *[(name, value)] * one["headers_count"])
            pieces = [data[start : start + 16_384] for start in range(0, len(data), 16_384)]
            return frame("HEADERS", 0, stream, pieces[0]) + b"".join(
                frame("CONTINUATION", FLAGS["END_HEADERS"] * (piece is pieces[-1]), stream, piece)
                for piece in pieces[1:]
            )
        case "note" | "tcp_close":
            return b""
    flags = sum(FLAGS[name] for name in one["flags"])
    number = stream if one["stream"] == "req" else one["stream"]
    if "headers" in one:
        payload = block(*map(tuple, one["headers"]))
    elif "length" in one:
        payload = bytes(one["length"])
    else:
        payload = bytes.fromhex(one["payload_hex"])
    return frame(one["type"], flags, number, payload)


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: case["name"])
def test_client_scenario_ends_as_the_suite_expects(case, cuts):
    connection = ClientConnection()
    kinds = {one["type"] for one in case["server_sends"]}
    if "instead_of_preface" not in kinds:
        connection.receive_data(settings())
    stream = connection.send(CALL)
    connection.send(Data(stream, b"\0\0\0\0\0", end=True))
    sent = connection.data_to_send()
    data = b"".join(written(one, stream) for one in case["server_sends"])
    if len(data) > 500_000 and cuts == "bytes":
        cuts = "random"  # a flood in single bytes takes seconds and shows nothing more
    events = feed(connection, data, cuts)
    if "tcp_close" in kinds:
        connection.receive_eof()
        while (event := connection.next_event()) is not None:
            events.append(event)
    answers = list(read(sent)) + list(read(connection.data_to_send()))
    judge(case["expect"], connection, stream, events, answers)


def judge(expect: dict[str, Any], connection: Any, stream: int, events: Any, answers: Any) -> None:
    """Check what a client did against what a scenario expects of it."""
    resets = {
        ErrorCode(int.from_bytes(one.payload, "big")).name
        for one in answers
        if one.kind == TYPES["RST_STREAM"]
    }
    aways = {
        ErrorCode(int.from_bytes(one.payload[4:8], "big")).name
        for one in answers
        if one.kind == TYPES["GOAWAY"]
    }
    acknowledged = {one.kind: one.payload for one in answers if one.flags & FLAGS["ACK"]}
    ended = [one for one in events if isinstance(one, StreamReset) and one.stream == stream]
    is_whole = any(
        isinstance(one, Trailers) or (isinstance(one, (Response, Data)) and one.end)
        for one in events
    )
    match expect["kind"]:
        case "handshake" | "settings_ack":
            assert TYPES["SETTINGS"] in acknowledged
            assert not connection.is_over
        case "ping_ack":
            payload = acknowledged[TYPES["PING"]]
            assert payload.hex() == expect.get("payload_hex", payload.hex())
        case "connection_error":
            assert aways & set(expect["codes"])
            assert connection.is_over
        case "stream_error" | "error":
            assert (aways | resets) & set(expect["codes"])
        case "tcp_close":
            assert connection.is_over
        case "limit":
            last = events[-1]
            assert isinstance(last, ConnectionEnded)
            assert isinstance(last.error, LimitExceeded)
        case "call_does_not_succeed":
            assert ended or not is_whole
        case "call_succeeds":
            assert not ended
            assert not connection.is_over
        case "call_fails":
            # Whether it fails is for gRPC to say; here it ends, is reset, or continues.
            assert ended or is_whole or connection.open_streams
        case other:
            raise AssertionError(other)
