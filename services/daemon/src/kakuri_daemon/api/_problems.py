"""Invalid documents and queries as problem details (RFC 9457)."""

from collections.abc import Iterable

from kakuri_http import Response, problem
from kakuri_json import Fault, JSONError, ValidationError

from kakuri_daemon.api._queries import QueryError


def document_problem(error: JSONError) -> Response:
    """Return 400 for a document that is not valid JSON or not what its type requires.

    Every fault of a document is listed under `errors` with its path, such as `$.memory_mb`.
    """
    if isinstance(error, ValidationError):
        return _faults_problem("document", error.faults)
    first_line = str(error).partition("\n")[0]  # without the excerpt and the caret below it
    return problem(400, code="bad_request", detail=first_line)


def query_problem(error: QueryError) -> Response:
    """Return 400 for an invalid query; every fault has its path, such as `query.limit`."""
    return _faults_problem("query", error.faults)


def _faults_problem(what: str, faults: Iterable[Fault]) -> Response:
    errors = [{"path": fault.path, "message": fault.message} for fault in faults]
    number = "1 fault" if len(errors) == 1 else f"{len(errors)} faults"
    return problem(400, code="bad_request", detail=f"the {what} has {number}", errors=errors)
