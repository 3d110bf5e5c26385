"""The small vectors of gRPC, and what a call makes of the frames of a scripted server."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from kakuri_grpc import Channel, MessageTooLarge, Method, StatusCode, StatusError
from kakuri_grpc._framing import MessageReader
from kakuri_grpc._metadata import (
    decode_message,
    decode_metadata,
    decode_timeout,
    encode_message,
    encode_metadata,
    encode_timeout,
)
from kakuri_http2 import ConnectionEnded, ServerConnection
from kakuri_http2 import Request as Head
from kakuri_http2._frames import frame, header_frames
from kakuri_http2.hpack import Encoder

from ..echo_service import EchoRequest, EchoResponse  # noqa: TID252 - a module of these tests

DIRECTORY = Path(os.environ["KAKURI_CORPORA"])
VECTORS = json.loads((DIRECTORY / "grpc/vectors.json").read_text())
SCENARIOS = [
    one
    for one in json.loads((DIRECTORY / "http2-client/scenarios.json").read_text())
    if one["name"].startswith("grpc ")
]
CALL = Method("/test.Echo/Unary", EchoRequest, EchoResponse)
TYPES = {"DATA": 0, "HEADERS": 1, "RST_STREAM": 3, "SETTINGS": 4, "PING": 6, "GOAWAY": 7}
FLAGS = {"END_STREAM": 1, "ACK": 1, "END_HEADERS": 4}


def test_suite_has_all_cases():
    assert len(VECTORS) == 47
    assert len(SCENARIOS) >= 27


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_vector_has_the_expected_result(case):
    match case["kind"]:
        case "grpc-message-decode":
            text = decode_message(case["input"].encode())
            assert text == case.get("output", text)
            assert text or not case["input"]
        case "grpc-message-encode":
            assert encode_message(case["input"]).decode() == case["output"]
        case "grpc-timeout-parse" if case["valid"]:
            milliseconds = decode_timeout(case["input"].encode()) * 1000
            assert int(milliseconds + 1e-9) == case["milliseconds_floor"]
        case "grpc-timeout-parse":
            with pytest.raises(ValueError, match="digits"):
                decode_timeout(case["input"].encode())
        case "grpc-timeout-format":
            assert decode_timeout(encode_timeout(case["seconds"])) >= case["seconds"] * (1 - 1e-9)
        case "grpc-frame-decode":
            check_frames(case)
        case "grpc-metadata-key" if case["valid"]:
            encode_metadata(((case["input"], "x"),))
        case "grpc-metadata-key":
            with pytest.raises(ValueError, match=r"expected a (metadata )?name"):
                encode_metadata(((case["input"], "x"),))
        case "grpc-bin-metadata-decode":
            values = [value for _, value in decode_metadata(((b"a-bin", case["input"].encode()),))]
            assert "|".join(value.hex() for value in values) == case["output_hex"]
        case "grpc-status-code":
            assert StatusCode(case["number"]).name == case["name"].rpartition(" ")[2]
        case other:
            raise AssertionError(other)


def check_frames(case: dict[str, Any]) -> None:
    reader, messages = MessageReader(4 << 20), []
    reader.feed(bytes.fromhex(case["hex"]))
    try:
        while (message := reader.next_message()) is not None:
            messages.append(message.hex())
    except MessageTooLarge:
        assert case["error"] == "RESOURCE_EXHAUSTED"
        return
    assert messages == case["messages_hex"]
    assert (case["error"] == "incomplete") is not reader.is_empty


def written(one: dict[str, Any], stream: int, encoder: Encoder) -> bytes:
    """Return the bytes of a frame as a scenario describes it."""
    flags = sum(FLAGS[name] for name in one["flags"])
    if "headers" in one:
        fields = tuple((name.encode(), value.encode()) for name, value in one["headers"])
        return header_frames(encoder.encode(fields), stream, flags & ~4, 16_384)
    if one.get("grpc_message"):
        payload = bytes(one["length"])
    elif one.get("grpc_message_half"):
        payload = b"\0" + (2 * one["length"]).to_bytes(4, "big") + bytes(one["length"] - 5)
    elif "length" in one:
        payload = bytes(one["length"])
    else:
        payload = bytes.fromhex(one["payload_hex"])
    return frame(TYPES[one["type"]], flags, stream if one["stream"] == "req" else 0, payload)


class ScriptedServer(asyncio.Protocol):
    """Responds to the first call on a connection with the frames of a scenario."""

    def __init__(self, case: dict[str, Any]) -> None:
        self._case = case
        self._core = ServerConnection()
        self._encoder = Encoder()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._case.setdefault("transports", []).append(transport)

    def data_received(self, data: bytes) -> None:
        self._core.receive_data(data)
        self._transport.write(self._core.data_to_send())
        while (event := self._core.next_event()) is not None:
            if isinstance(event, ConnectionEnded):
                self._transport.close()
            if isinstance(event, Head):
                for one in self._case["server_sends"]:
                    if one["type"] == "tcp_close":
                        self._transport.abort()
                    elif one["type"] != "note":
                        self._transport.write(written(one, event.stream, self._encoder))
                if self._case["name"] == "grpc max_streams":
                    done = ((b":status", b"200"), (b"content-type", b"application/grpc"))
                    ok = ((b"grpc-status", b"0"),)
                    self._transport.write(
                        header_frames(self._encoder.encode(done), event.stream, 0, 16_384)
                        + frame(0, 0, event.stream, bytes(5))
                        + header_frames(self._encoder.encode(ok), event.stream, 1, 16_384)
                    )


@pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: case["name"])
async def test_call_ends_with_the_status_of_the_scenario(case, tmp_path):
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: ScriptedServer(case), str(tmp_path / "s"))
    expect = case["expect"]
    async with Channel(f"unix:{tmp_path}/s") as channel:
        calls = 10 if case["name"] == "grpc max_streams" else 1
        results = await asyncio.gather(
            *[channel.call(CALL, EchoRequest(), timeout=5) for _ in range(calls)],
            return_exceptions=True,
        )
    server.close()
    await server.wait_closed()
    for transport in case.pop("transports"):
        transport.abort()
    await asyncio.sleep(0)
    if expect["kind"] == "call_succeeds":
        assert results == [EchoResponse()] * calls
        return
    (error,) = results
    if isinstance(error, MessageTooLarge):
        assert expect["grpc_status"] == "RESOURCE_EXHAUSTED"
        return
    assert isinstance(error, StatusError), error
    allowed = {expect.get("grpc_status", error.code.name)}
    if case["why"] == "INTERNAL is also fine":
        allowed.add("INTERNAL")
    assert error.code.name in allowed
    assert error.message == expect.get("grpc_message", error.message)
