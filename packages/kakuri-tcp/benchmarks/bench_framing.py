"""Compares the framing alone, lines from chunks without sockets, with other implementations."""

import asyncio
import sys
import time

from kakuri_tcp import LineDecoder

LINE = b'{"type":"GetStatus","id":"wl-123"}\n'
LONG = b"x" * 1_000_000 + b"\n"
STREAMS = {
    "short lines, 64 KiB reads": (LINE * 200_000, 65_536),
    "short lines, 100-byte reads": (LINE * 50_000, 100),
    "one line of 1 MB, 1 KiB reads": (LONG, 1_024),
    "one line of 1 MB, 16-byte reads": (LONG, 16),
}


def with_decoder(chunks):
    decoder = LineDecoder()
    count = 0
    for chunk in chunks:
        decoder.receive_data(chunk)
        while decoder.next_line() is not None:
            count += 1
    return count


def with_stream_reader(chunks):
    """Asyncio's streams, fed ahead: no wait, no socket, only their buffer and readline()."""

    async def read():
        count = 0
        reader = asyncio.StreamReader(limit=2_000_000)
        for chunk in chunks:
            reader.feed_data(chunk)
            while b"\n" in reader._buffer:
                await reader.readline()
                count += 1
        return count

    return asyncio.run(read())


def with_growing_bytes(chunks):
    """What one writes first: a bytes object that grows, searched from its beginning."""
    buffer = b""
    count = 0
    for chunk in chunks:
        buffer += chunk
        while (end := buffer.find(b"\n")) >= 0:
            buffer = buffer[end + 1 :]
            count += 1
    return count


WAYS = {
    "LineDecoder": with_decoder,
    "StreamReader": with_stream_reader,
    "bytes += data": with_growing_bytes,
}


def main():
    print(f"python {sys.version.split()[0]}")
    for name, (stream, size) in STREAMS.items():
        chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
        expected = stream.count(b"\n")
        for way, decode in WAYS.items():
            began = time.perf_counter()
            assert decode(chunks) == expected
            elapsed = time.perf_counter() - began
            print(
                f"{name:32} {way:14} {len(stream) / elapsed / 1e6:8.1f} MB/s"
                f" {elapsed / expected * 1e6:12.2f} us a line"
            )


if __name__ == "__main__":
    main()
