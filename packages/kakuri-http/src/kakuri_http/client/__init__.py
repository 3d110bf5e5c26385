"""The client for asyncio: requests, streamed responses, and a pool of connections."""

from kakuri_http._limits import PoolLimits, Timeouts
from kakuri_http._messages import ReceivedResponse
from kakuri_http._url import encode_query, percent_encode
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
