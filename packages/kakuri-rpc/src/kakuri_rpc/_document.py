"""Checks of the size of a workload's document, for both ends that receive one."""

from kakuri_json import Fault, Limits, ValidationError, encode
from kakuri_workload import MAX_DOCUMENT_BYTES, MAX_STRING_BYTES, Workload, oversized_strings

from kakuri_rpc._errors import DocumentTooLarge

MAX_GROWTH = 6
"""Bytes of the encoding for one byte as received: a control character becomes `\\u001b`."""

MAX_OVERHEAD = 1024
"""Maximum number of bytes of a message that are not in the encoding of its workload: those of the
message around it, and of fields with their default values."""

LIMITS = Limits(max_depth=5)
"""For decoding requests. A message, a workload and its labels are three levels; deeper values are
refused where they begin, because decoding 1 MiB of them would take 0.4 s."""


def check_received(document: bytes, *, limit: int = MAX_DOCUMENT_BYTES) -> None:
    """Refuse a document that can't be a workload within the limit, without decoding it.

    Decoding costs the event loop up to 0.1 ms for each kilobyte, and a line may have 1 MiB.

    Args:
        document: A workload as received, or a message with one.
        limit: Bytes that the compact encoding of the workload may have.

    Raises:
        DocumentTooLarge: The encoding has more than `limit` bytes, whatever the document contains.
    """
    if len(document) <= limit + MAX_OVERHEAD:
        return
    size = len(document) - sum(map(document.count, (b" ", b"\n", b"\t", b"\r", rb"\/")))
    # Six bytes of an escape stand for a character of one byte at least.
    size -= 5 * document.count(rb"\u")
    if size > limit + MAX_OVERHEAD:
        raise DocumentTooLarge(size - MAX_OVERHEAD, limit, is_exact=False)


def check_document(
    workload: Workload, received: int, *, limit: int = MAX_DOCUMENT_BYTES, path: str = "$"
) -> None:
    """Check that a workload and its strings are not too large.

    The compact encoding counts, so whitespace and the sender's way of escaping don't matter. The
    check costs nothing for a document that is small as received.

    Args:
        workload: The decoded workload.
        received: Bytes of the text that it was decoded from.
        limit: Bytes that the compact encoding may have.
        path: The workload's place in the message; the paths of faults begin with it.

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
