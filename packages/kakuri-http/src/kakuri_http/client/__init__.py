"""The client for asyncio: requests, streamed responses, and a pool of connections."""

from kakuri_http.client._client import Client, StreamedResponse

__all__ = ["Client", "StreamedResponse"]
