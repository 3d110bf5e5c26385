"""HPACK, the compression of header fields (RFC 7541)."""

from kakuri_http2.hpack._decoder import Decoder
from kakuri_http2.hpack._encoder import Encoder
from kakuri_http2.hpack._table import Field, NeverIndexed

__all__ = ["Decoder", "Encoder", "Field", "NeverIndexed"]

for _name in __all__:  # so that tracebacks show the public name
    _value = globals()[_name]
    if hasattr(_value, "__qualname__") and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
