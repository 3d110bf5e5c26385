"""When a log that is not followed is at its end, and the figures of logs and large documents."""

import pytest
from kakuri_control_plane import _admission, _logs, _queries
from kakuri_control_plane._logs import MAX_SHORT_PIECES, SHORT_PIECE, _current
from kakuri_rpc import MAX_LOG_DATA, Log


class Pieces:
    """A log without end, whose pieces have the sizes of a list over and over."""

    def __init__(self, *sizes, ends_after=None):
        self.sizes = sizes
        self.ends_after = ends_after
        self.reads = 0
        self.is_closed = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        self.is_closed = True

    @property
    def has_ended(self):
        return self.reads == self.ends_after

    async def read(self):
        size = self.sizes[self.reads % len(self.sizes)]
        self.reads += 1
        return Log(bytes(size), str(self.reads), ended=False)


async def sizes_of(log):
    return [len(piece) async for piece in _current(log, await log.read())]


@pytest.mark.parametrize("size", [1, SHORT_PIECE - 1])
async def test_log_whose_agent_reports_no_end_ends_after_256_short_pieces(size):
    log = Pieces(size)
    assert await sizes_of(log) == [size] * MAX_SHORT_PIECES
    assert log.is_closed


async def test_piece_of_half_the_largest_size_is_not_short():
    log = Pieces(SHORT_PIECE, 1)
    assert len(await sizes_of(log)) == 2 * MAX_SHORT_PIECES
    assert await sizes_of(Pieces(SHORT_PIECE, ends_after=300)) == [SHORT_PIECE] * 300


async def test_log_ends_with_a_piece_without_data():
    assert await sizes_of(Pieces(5, 7, 0)) == [5, 7]
    assert await sizes_of(Pieces(0)) == []


def test_constants_of_the_control_plane_are_the_documented_ones():
    assert (_logs.WAIT_SECONDS, _logs.PAUSE_SECONDS, _logs.RETURN_SECONDS) == (30.0, 0.25, 20.0)
    assert (SHORT_PIECE, MAX_SHORT_PIECES) == (MAX_LOG_DATA // 2, 256)
    assert (_logs.FAR_FROM_END, _queries.MAX_WAIT_SECONDS) == (65_536, 60)
    assert (_admission.LARGE_DOCUMENT, _admission.MAX_IN_PROGRESS) == (16_384, 4)
    assert (_admission.MAX_WAITING, _admission.TURNS_BETWEEN) == (64, 4)
