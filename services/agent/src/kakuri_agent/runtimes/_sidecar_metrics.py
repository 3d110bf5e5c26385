"""Reading the metrics of a sidecar: families in lines of JSON, of which each may be a part."""

from kakuri_http import Client, HTTPError, Timeouts
from kakuri_json import JSONError, decode
from kakuri_tcp import LineDecoder, LineError
from kakuri_workload.metrics import MetricFamily

from kakuri_agent.runtimes._protocol import RuntimeFault

MAX_LINE = 1 << 20
"""Bytes of a line; a sidecar's have at most half of that."""

MAX_BYTES = 64 << 20
"""Bytes of all lines: 100,000 zones take less."""

TIMEOUT = 10.0
"""Seconds that a sidecar may take for its answer."""

_TIMEOUTS = Timeouts(read=TIMEOUT, total=TIMEOUT)
_OK = 200


async def read_families(client: Client) -> list[MetricFamily]:
    """Return the families that a sidecar reports.

    Raises:
        RuntimeFault: The sidecar does not answer, or has no metrics.
    """
    decoder = LineDecoder(limit=MAX_LINE)
    families: list[MetricFamily] = []
    size = 0
    try:
        async with client.stream("GET", "/metrics", timeouts=_TIMEOUTS) as response:
            if response.status != _OK:
                raise RuntimeFault(f"no metrics: the sidecar answered {response.status}")
            async for piece in response:
                size += len(piece)
                if size > MAX_BYTES:
                    raise RuntimeFault(f"no metrics: the sidecar sent more than {MAX_BYTES} bytes")
                decoder.receive_data(piece)
                while (line := decoder.next_line()) is not None:
                    families.append(_family(line))
    except HTTPError as error:
        raise RuntimeFault(f"no metrics of the sidecar: {error}") from error
    except (LineError, JSONError) as error:
        raise RuntimeFault(f"the sidecar's metrics: {str(error).partition(chr(10))[0]}") from error
    return families


def _family(line: bytes) -> MetricFamily:
    family = decode(line, type=MetricFamily)
    for fault in family.faults():
        raise RuntimeFault(f"the sidecar's metrics: {fault}")
    return family
