"""Generate parts of docs/design/http2-and-grpc.md from the code.

    python -m tools.http2_pages

The parts are a dump of two CRI calls, frame by frame, and the diagram of a stream's states. A test
fails if the page is out of date. Needs all members in the environment.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any, cast

from kakuri_cri import api
from kakuri_grpc import Keepalive, Limits, Server, ServerCall
from kakuri_grpc._driver import ChannelDriver
from kakuri_http2 import ErrorCode, _frames
from kakuri_http2._states import LOCAL_END, RECEIVE, Fault, Input, StreamState
from kakuri_http2.hpack import Decoder
from kakuri_http2.hpack._decoder import read_integer
from kakuri_protobuf import encode, inspect

from tools.members import ROOT

PAGE = ROOT / "docs/design/http2-and-grpc.md"

_BLOCK = re.compile(
    r"(<!-- (?P<name>[a-z-]+): made by tools/http2_pages\.py -->\n).*?(<!-- end -->)", re.DOTALL
)
_TYPES = (
    "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
    "WINDOW_UPDATE", "CONTINUATION",
)  # fmt: skip
_SETTINGS = {
    1: "HEADER_TABLE_SIZE", 2: "ENABLE_PUSH", 3: "MAX_CONCURRENT_STREAMS",
    4: "INITIAL_WINDOW_SIZE", 5: "MAX_FRAME_SIZE", 6: "MAX_HEADER_LIST_SIZE",
}  # fmt: skip
_FLAGS = {0x1: "END_STREAM", 0x4: "END_HEADERS"}


def main() -> None:
    """Update the page."""
    PAGE.write_text(regenerated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def regenerated(page: str) -> str:
    """Return the page with its generated parts updated."""
    parts = {"wire": wire(), "states": states()}
    return _BLOCK.sub(lambda match: match[1] + parts[match["name"]] + match[3], page)


# A call on the wire.


def wire() -> str:
    """Return a dump of what client and server write during two calls of Version."""
    lines: list[str] = []
    decoders = {"client": Decoder(), "server": Decoder()}
    for sender, data in asyncio.run(_recorded()):
        lines += [f"── {sender} writes {len(data)} bytes ".ljust(78, "─"), ""]
        for title, piece, notes in _pieces(data, decoders[sender]):
            lines += [title, *_hex_dump(piece), *(f"      {note}" for note in notes), ""]
    return "```text\n" + "\n".join(lines).rstrip() + "\n```\n"


class _End:
    """One end of a connection in memory; it writes to the other end's driver."""

    def __init__(self, name: str, log: list[tuple[str, bytes]]) -> None:
        self._name, self._log = name, log
        self.other: Any = None
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self._log.append((self._name, data))
        asyncio.get_running_loop().call_soon(self.other.data_received, data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


async def _recorded() -> list[tuple[str, bytes]]:
    """Return all writes of two calls of Version, with who wrote."""
    answer = api.VersionResponse(
        version="0.1.0",
        runtime_name="containerd",
        runtime_version="1.6.20",
        runtime_api_version="v1",
    )

    async def version(_request: api.VersionRequest, _call: ServerCall) -> api.VersionResponse:
        return answer

    log: list[tuple[str, bytes]] = []
    server = Server()
    server.add(api.RuntimeService.Version, version)
    client_end, server_end = _End("client", log), _End("server", log)
    client = ChannelDriver(b"localhost", b"http", Limits().http2, Keepalive(interval=None))
    server_driver = server._new_connection().driver  # noqa: SLF001 - without a socket
    client_end.other, server_end.other = server_driver, client
    client.connection_made(cast("asyncio.Transport", client_end))
    server_driver.connection_made(cast("asyncio.Transport", server_end))
    await client.ready()
    content = encode(api.VersionRequest(version="v1"))
    content = b"\0" + len(content).to_bytes(4, "big") + content
    deadline = asyncio.get_running_loop().time() + 2.0
    for _ in range(2):
        path = api.RuntimeService.Version.path
        call = client.call(path, (), content, 1 << 20, 2.0, deadline)
        await call.finished
        assert call.message() == encode(answer)
        client.end_call(call)
    for driver in (client, server_driver):
        driver.connection_lost(None)
    return log


def _pieces(data: bytes, decoder: Decoder) -> Iterator[tuple[str, bytes, list[str]]]:
    """Yield the title, the bytes and the explanation of each part of a write."""
    if data.startswith(_frames.PREFACE):
        yield "connection preface", _frames.PREFACE, []
        data = data[len(_frames.PREFACE) :]
    while data:
        length_and_kind, flags, stream = _frames.HEAD.unpack_from(data)
        length, kind = length_and_kind >> 8, length_and_kind & 0xFF
        payload = data[9 : 9 + length]
        names = [name for flag, name in _FLAGS.items() if flags & flag]
        if kind in (_frames.SETTINGS, _frames.PING):
            names = ["ACK"] if flags & _frames.ACK else []
        title = f"{_TYPES[kind]}, stream {stream}, {length} bytes"
        yield (
            title + "".join(f", {name}" for name in names),
            data[: 9 + length],
            _explained(kind, payload, decoder),
        )
        data = data[9 + length :]


def _explained(kind: int, payload: bytes, decoder: Decoder) -> list[str]:
    if kind == _frames.SETTINGS:
        return [
            f"{payload[start : start + 6].hex(' ')}   {_SETTINGS[payload[start + 1]]}"
            f" = {int.from_bytes(payload[start + 2 : start + 6], 'big'):,}"
            for start in range(0, len(payload), 6)
        ]
    if kind == _frames.WINDOW_UPDATE:
        return [f"{payload.hex(' ')}   {int.from_bytes(payload, 'big'):,} bytes more"]
    if kind == _frames.HEADERS:
        return [*_fields(payload, decoder)]
    if kind == _frames.DATA:
        length = int.from_bytes(payload[1:5], "big")
        lines = [f"{payload[:5].hex(' ')}   not compressed, {length} bytes follow"]
        return lines + [f"   {line}" for line in inspect(payload[5:]).splitlines()]
    if kind == _frames.GOAWAY:
        code = ErrorCode(int.from_bytes(payload[4:8], "big"))
        return [f"last stream {int.from_bytes(payload[:4], 'big')}, {code.name}"]
    return []


def _fields(block: bytes, decoder: Decoder) -> Iterator[str]:
    """Yield a line for each field of a block: its bytes, how it is encoded, and its meaning."""
    position = 0
    while position < len(block):
        end, form = _representation(block, position)
        piece = block[position:end]
        ((name, value),) = decoder.decode(piece)
        shown = piece.hex(" ") if len(piece) <= 8 else f"{piece[:6].hex(' ')} … ({len(piece)})"
        yield f"{shown:<24} {form:<8} {name.decode()}: {value.decode()}"
        position = end


def _representation(block: bytes, position: int) -> tuple[int, str]:
    """Return where a field's representation ends, and of which form it is (RFC 7541 section 6)."""
    first = block[position]
    bits, form = (
        (7, "indexed") if first & 0x80 else (6, "indexes") if first & 0x40 else (4, "literal")
    )
    index, position = _integer(block, position, bits)
    if form != "indexed":
        for _ in range(1 if index else 2):
            length, position = _integer(block, position, 7)
            position += length
    return position, form


def _integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    value = block[position] & most
    if value < most:
        return value, position + 1
    return read_integer(block, position + 1, value)


def _hex_dump(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{start:04x}  {row.hex(' '):<47}  {text}"


# The states of a stream.


def states() -> str:
    """Return the state table of a stream as a Mermaid diagram, and its refusals as a table."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for state in StreamState:
        lines.append(f'    state "{state.value}" as {state.name}')
    lines += ["    [*] --> IDLE", "    IDLE --> OPEN: send HEADERS"]
    for state, outcomes in RECEIVE.items():
        for what, outcome in outcomes.items():
            if isinstance(outcome, StreamState) and outcome is not state:
                lines.append(f"    {state.name} --> {outcome.name}: recv {what.value}")
        if state in LOCAL_END:
            lines.append(f"    {state.name} --> {LOCAL_END[state].name}: send END_STREAM")
        if any(outcome is StreamState.RESET_REMOTE for outcome in outcomes.values()):
            lines.append(f"    {state.name} --> RESET_LOCAL: send RST_STREAM")
    lines += ["```", ""]
    inputs = [what for what in Input if what is not Input.END_STREAM]
    lines.append(
        "| a frame that comes in state | " + " | ".join(one.value for one in inputs) + " |"
    )
    lines.append("| --- |" + " --- |" * len(inputs))
    for state, outcomes in RECEIVE.items():
        cells = [_cell(outcomes[what]) for what in inputs]
        lines.append(f"| {state.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(outcome: StreamState | tuple[Fault, ErrorCode]) -> str:
    if isinstance(outcome, StreamState):
        return "accepted"
    fault, code = outcome
    return fault.value if fault is Fault.IGNORED else f"{fault.value} {code.name}"


if __name__ == "__main__":
    main()
