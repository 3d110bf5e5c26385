"""The client for asyncio: requests, streamed responses, and a pool of connections."""

from importlib import import_module

from kakuri_http._limits import Timeouts
from kakuri_http._messages import ReceivedResponse
from kakuri_http._url import encode_query, percent_encode

TYPE_CHECKING = False  # typing.TYPE_CHECKING without importing typing
if TYPE_CHECKING:
    from kakuri_http.client._client import Client, StreamedResponse
    from kakuri_http.client._pool_limits import PoolLimits

__all__ = [
    "Client",
    "PoolLimits",
    "ReceivedResponse",
    "StreamedResponse",
    "Timeouts",
    "encode_query",
    "percent_encode",
]

# Imported on first use: this package also contains the blocking client, which needs no asyncio.
_HOMES = {"Client": "_client", "PoolLimits": "_pool_limits", "StreamedResponse": "_client"}


if not TYPE_CHECKING:  # hidden: with it, type checkers accept any name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
