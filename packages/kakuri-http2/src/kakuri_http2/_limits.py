"""Limits on what a peer can make this side store or do."""

from dataclasses import dataclass

from kakuri_http2._frames import MAX_FRAME_SIZE, MIN_FRAME_SIZE

LARGEST_WINDOW = (1 << 31) - 1
DEFAULT_WINDOW = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one connection. Ordinary peers stay far below the defaults.

    `settings_frames`, `idle_frames`, `peer_resets` and `own_resets` apply to the time between two
    calls of `Connection.start_interval`, which the drivers make every ten seconds.

    Attributes:
        stream_window: Bytes of unread content on one stream (SETTINGS_INITIAL_WINDOW_SIZE), at
            least 65,535. Default 4 MiB, so that a response of ordinary size arrives without waiting
            for credit.
        connection_window: The same for all streams together, at least 65,535. Default 16 MiB.
        concurrent_streams: Streams that the peer may have open (SETTINGS_MAX_CONCURRENT_STREAMS);
            others are refused. Default 100, the minimum that RFC 9113 recommends.
        frame_size: Bytes of a frame's payload (SETTINGS_MAX_FRAME_SIZE). Default 16 KiB, the
            minimum of the protocol.
        header_list: Bytes of one message's decoded fields, plus 32 for each
            (SETTINGS_MAX_HEADER_LIST_SIZE). Default 64 KiB. Limits how far a small block can expand
            (CVE-2016-6581). A larger message resets its stream; more than twice the limit ends the
            connection.
        header_table: Bytes of the table that the peer may use for its fields. Default 4096, as in
            HPACK.
        header_block: Bytes of one message's encoded fields in all its frames. Default 64 KiB.
        continuations: CONTINUATION frames of one message, including empty ones. Default 32, which
            at 16 KiB each hold eight times the largest block (VU#421644).
        settings: Entries in one SETTINGS frame. Default 32; seven are in use.
        settings_frames: SETTINGS frames without progress in between. Default 10 (CVE-2019-9515).
        unsent_control_frames: Unsent control frames that respond to the peer's frames:
            acknowledgements, resets, credit. Default 100: the connection to a peer that does not
            read them is closed (CVE-2019-9512).
        idle_frames: Frames without progress in between: PING, PRIORITY, unknown types, frames of
            closed streams. Default 1000 (CVE-2019-9513).
        empty_frames: Consecutive DATA frames without content and without END_STREAM. Default 100
            (CVE-2019-9518).
        interim_responses: 1xx responses to one request. Default 10.
        peer_resets: Streams that the peer resets, minus those that it completes. Default 200
            (CVE-2023-44487).
        own_resets: Streams that this side has to reset, minus those that complete. Default 1000
            (RUSTSEC-2024-0003, CVE-2025-8671).
    """

    stream_window: int = 4 << 20
    connection_window: int = 16 << 20
    concurrent_streams: int = 100
    frame_size: int = MIN_FRAME_SIZE
    header_list: int = 64 << 10
    header_table: int = 4096
    header_block: int = 64 << 10
    continuations: int = 32
    settings: int = 32
    settings_frames: int = 10
    unsent_control_frames: int = 100
    idle_frames: int = 1000
    empty_frames: int = 100
    interim_responses: int = 10
    peer_resets: int = 200
    own_resets: int = 1000

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"expected an integer as {name}, got {value!r}")
            low, high = _RANGES.get(name, (0, LARGEST_WINDOW))
            if not low <= value <= high:
                raise ValueError(f"expected {name} from {low} to {high}, got {value}")


_RANGES = {
    "stream_window": (DEFAULT_WINDOW, LARGEST_WINDOW),
    "connection_window": (DEFAULT_WINDOW, LARGEST_WINDOW),
    "frame_size": (MIN_FRAME_SIZE, MAX_FRAME_SIZE),
}
