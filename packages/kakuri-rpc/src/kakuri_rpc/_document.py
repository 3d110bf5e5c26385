"""Checks of the size of a workload's document, for control planes and agents."""

from kakuri_json import Fault, Limits, ValidationError, encode
from kakuri_workload import MAX_DOCUMENT_BYTES, MAX_STRING_BYTES, Workload, oversized_strings

from kakuri_rpc._errors import DocumentTooLarge

MAX_GROWTH = 6
"""Factor by which re-encoding can grow a document: a control character becomes `\\u001b`."""

MAX_OVERHEAD = 1024
"""Maximum number of bytes of a message that are not in the encoding of its workload: those of the
message around it, and of fields with their default values."""

LIMITS = Limits(max_depth=5)
"""Limits for decoding requests. A message, a workload and its labels are three levels. Deeper
values are rejected where they begin, because decoding 1 MiB of them would take 0.4 s."""


def check_received(document: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> None:
    """Reject a document that is too large to be a workload within the limit, without decoding it.

    Decoding takes up to 0.1 ms of the event loop per kilobyte, and a line can have 1 MiB.

    Args:
        document: A workload as received, or a message with one.
        limit: Maximum size of the workload's compact encoding in bytes.

    Raises:
        DocumentTooLarge: The encoding has more than `limit` bytes, regardless of the content.
    """
    if len(document) <= limit + MAX_OVERHEAD:
        return
    size = len(document) - sum(map(document.count, (b" ", b"\n", b"\t", b"\r", rb"\/")))
    # An escape of six bytes stands for a character of at least one byte.
    size -= 5 * document.count(rb"\u")
    if size > limit + MAX_OVERHEAD:
        raise DocumentTooLarge(size - MAX_OVERHEAD, limit, is_exact=False)


def check_document(
    workload: Workload, received: int, *, limit: int = MAX_DOCUMENT_BYTES, path: str = "$"
) -> None:
    """Check that a workload and its strings are not too large.

    The size of the compact encoding counts, so whitespace and the sender's escapes don't matter.
    The check costs nothing if the received document is small.

    Args:
        workload: The decoded workload.
        received: Size in bytes of the document that it was decoded from.
        limit: Maximum size of the compact encoding in bytes.
        path: The path of the workload in the message, with which the paths of faults begin.

    Raises:
        DocumentTooLarge: The encoding has more than `limit` bytes.
        kakuri_json.ValidationError: An argument, a variable or a path is longer than Linux accepts.
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
