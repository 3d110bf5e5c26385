"""HPACK, the compression of header fields (RFC 7541)."""

from kakuri_http2.hpack._decoder import Decoder
from kakuri_http2.hpack._encoder import Encoder
from kakuri_http2.hpack._table import Field, NeverIndexed

__all__ = ["Decoder", "Encoder", "Field", "NeverIndexed"]
