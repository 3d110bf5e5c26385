"""Checks the size of a workload's document, at whichever end it is received."""

from kakuri_json import Fault, Limits, ValidationError, encode
from kakuri_workload import MAX_DOCUMENT_BYTES, MAX_STRING_BYTES, Workload, oversized_strings

from kakuri_rpc._errors import DocumentTooLarge

MAX_GROWTH = 6
"""Bytes of the encoding for one byte as received: a control character becomes `\\u001b`."""

MAX_AROUND = 1024
"""Bytes as received that the encoding of a workload does not have: a message around it, and fields
with the value that they have anyway."""

LIMITS = Limits(max_depth=5)
"""For reading requests. A message, a workload and its labels are three levels; values nested deeper
are refused where they begin, since reading them costs the event loop 0.4 s for 1 MiB."""


def check_received(document: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> None:
    """Refuse what cannot be a workload within the limit, without reading it.

    Reading costs the event loop up to 0.1 ms for each kilobyte, and a line may have 1 MiB.

    Args:
        document: A workload as received, or a message with one.
        limit: Bytes that the compact encoding of the workload may have.

    Raises:
        DocumentTooLarge: The encoding has more than `limit` bytes, whatever the document says.

    """
    if len(document) <= limit + MAX_AROUND:
        return
    size = len(document) - sum(map(document.count, (b" ", b"\n", b"\t", b"\r", rb"\/")))
    # Six bytes of an escape stand for a character of one byte at least.
    size -= 5 * document.count(rb"\u")
    if size > limit + MAX_AROUND:
        raise DocumentTooLarge(size - MAX_AROUND, limit, is_exact=False)


def check_document(
    workload: Workload, received: int, *, limit: int = MAX_DOCUMENT_BYTES, path: str = "$"
) -> None:
    """Check that a workload and its strings are not too large.

    What counts is the compact encoding, so whitespace and the sender's way of escaping don't
    matter. Costs nothing for a document that is small as received.

    Args:
        workload: The workload as decoded.
        received: Bytes of the text that it was decoded from.
        limit: Bytes that the compact encoding may have.
        path: Where the workload stands in what was received; faults are named from there.

    Raises:
        DocumentTooLarge: The encoding has more than `limit` bytes.
        kakuri_json.ValidationError: An argument, a variable or a path is longer than Linux takes.

    """
    if received * MAX_GROWTH > limit and (size := len(encode(workload))) > limit:
        raise DocumentTooLarge(size, limit)
    if received > MAX_STRING_BYTES or workload.working_dir is not None:
        faults = tuple(
            Fault(path + place.removeprefix("$"), message)
            for place, message in oversized_strings(workload)
        )
        if faults:
            raise ValidationError(faults)
