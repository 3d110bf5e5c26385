"""Faults of a document in one line, for a message or a log."""

from kakuri_json import JSONError, StructureError


def one_line(error: JSONError) -> str:
    """Give all faults with their paths, or the one of the syntax without its excerpt."""
    if isinstance(error, StructureError):
        return "; ".join(f"{fault.path}: {fault.message}" for fault in error.faults)
    return str(error).partition("\n")[0]
