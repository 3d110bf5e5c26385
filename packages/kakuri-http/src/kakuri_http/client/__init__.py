"""The client for asyncio: requests, streamed responses, and a pool of connections."""

from importlib import import_module

from kakuri_http._limits import PoolLimits, Timeouts
from kakuri_http._messages import ReceivedResponse
from kakuri_http._url import encode_query, percent_encode

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from kakuri_http.client._client import Client, StreamedResponse

__all__ = [
    "Client",
    "PoolLimits",
    "ReceivedResponse",
    "StreamedResponse",
    "Timeouts",
    "encode_query",
    "percent_encode",
]


if not TYPE_CHECKING:  # with a __getattr__, type checkers accept every name

    def __getattr__(name: str) -> object:
        # The blocking client is in this package as well, and does without an event loop.
        if name not in ("Client", "StreamedResponse"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}._client"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
