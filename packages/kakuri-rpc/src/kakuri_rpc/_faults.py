"""Faults of a document in one line, for a message or a log."""

from kakuri_json import JSONError, ValidationError
from kakuri_workload import printable

from kakuri_rpc._words import MAX_ERROR_LENGTH


def one_line(error: JSONError) -> str:
    """Return all faults with their paths, or the one of the syntax without its excerpt.

    Faults quote the document, so the line is made printable, and cut at MAX_ERROR_LENGTH.
    """
    if isinstance(error, ValidationError):
        text = "; ".join(f"{fault.path}: {fault.message}" for fault in error.faults)
    else:
        text = str(error).partition("\n")[0]
    return printable(text, MAX_ERROR_LENGTH)
