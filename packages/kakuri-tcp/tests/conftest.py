import asyncio

import pytest
import uvloop
from kakuri_tcp import LineDecoder, LineError


def pytest_asyncio_loop_factories(config, item):
    """Run every asynchronous test on both event loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def decode():
    """Return a function that decodes chunks into lines, and returns the error at the end, if any."""

    def decode(chunks, *, eof=False, limit=8):
        decoder = LineDecoder(limit=limit)
        lines = []
        try:
            for chunk in chunks:
                decoder.receive_data(chunk)
                while (line := decoder.next_line()) is not None:
                    lines.append(line)
            if eof:
                decoder.receive_eof()
                assert decoder.next_line() is None
        except LineError as error:
            return lines, error
        return lines, None

    return decode
