"""Checks the size of a workload's document, at whichever end it is received."""

from kakuri_json import Fault, StructureError, encode
from kakuri_registry import MAX_DOCUMENT_BYTES, MAX_STRING_BYTES, Workload, oversized_strings

from kakuri_rpc._errors import DocumentTooLarge

MAX_GROWTH = 6
"""Bytes of the encoding for one byte as received: a control character becomes `\\u001b`."""


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
        kakuri_json.StructureError: An argument, a variable or a path is longer than Linux takes.

    """
    if received * MAX_GROWTH > limit and (size := len(encode(workload))) > limit:
        raise DocumentTooLarge(size, limit)
    if received > MAX_STRING_BYTES or workload.working_dir is not None:
        faults = tuple(
            Fault(path + place.removeprefix("$"), message)
            for place, message in oversized_strings(workload)
        )
        if faults:
            raise StructureError(faults)
