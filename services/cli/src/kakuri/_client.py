"""Requests to the control plane, and the exit codes for its responses."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

from kakuri_http import (
    ClientError,
    ConnectFailed,
    InvalidURL,
    Limits,
    ProtocolError,
    ReceivedResponse,
    Timeouts,
    TooManyRedirects,
    UntrustedServer,
)
from kakuri_http.blocking import BlockingClient, BlockingStreamedResponse
from kakuri_tcp import EndpointError, TLSSettingsError

from kakuri._contexts import Target, expanded
from kakuri._credentials import authorization
from kakuri._exits import CommandError, Exit, NotFound, Unreachable, UsageError
from kakuri._schemas import BAD_RESPONSE, PROBLEM, Document, read_document, schema_of
from kakuri._text import printable

RESPONSE_SECONDS = 30.0
"""Seconds within which a response is expected, besides the time that a request asks to wait."""

MAX_RESPONSE = 64 << 20
"""Maximum bytes of a response that is not a stream: a hundred workloads of the largest size."""

JSON_CONTENT = {"Content-Type": "application/json"}
"""The field of a request with a JSON document."""

Params = Iterable[tuple[str, str]]

_EXITS = {
    409: Exit.CONFLICT,
    410: Exit.NOT_FOUND,
    412: Exit.CONFLICT,
    422: Exit.NO_ROOM,
}
_CODES = {"capacity": Exit.NO_ROOM, "never_fits": Exit.NO_ROOM}
_UNKNOWN_OUTCOME_CODES = {"agent_unreachable", "agent_timeout"}
_REDIRECT, _NOT_MODIFIED = 300, 304
_ERROR, _UNAUTHORIZED, _NOT_FOUND, _SERVER_ERROR = 400, 401, 404, 500

_ID = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
"""WORKLOAD_ID of kakuri_workload, whose import takes too long here."""

_OUTCOME_UNKNOWN = "it is not known whether the request was carried out"


def path_of(workload_id: str, rest: str = "") -> str:
    """Return the path of a workload, followed by `rest`.

    Raises:
        NotFound: No workload can have this id. An empty one, or `..`, would change the path.
    """
    if not re.fullmatch(_ID, workload_id):
        raise NotFound(printable(f"no workload '{workload_id}'"))
    return f"/workloads/{workload_id}{rest}"


class APIProblem(CommandError):
    """A response of the API that is an error.

    Attributes:
        status: The HTTP status.
        problem: The problem document (RFC 9457); empty if the response has none.
    """

    def __init__(
        self,
        message: str,
        exit_code: Exit,
        *,
        code: str,
        status: int,
        problem: dict[str, Any],
        document: bytes | None,
    ) -> None:
        super().__init__(message, exit_code, code=code, document=document)
        self.status = status
        self.problem = problem


def _exit_of(status: int) -> Exit:
    return _EXITS.get(status, Exit.UNREACHABLE if status >= _SERVER_ERROR else Exit.USAGE)


def _problem_of(body: bytes) -> dict[str, Any]:
    try:
        return read_document(body, "the response", PROBLEM)
    except Unreachable:
        return {}  # from a proxy, for example; the status is enough


def _message(
    problem: Mapping[str, Any], response: Any, code: str, token_file: str | None, *, is_write: bool
) -> str:
    text = str(problem.get("detail") or f"HTTP {response.status} {response.reason}".strip())
    if response.status == _UNAUTHORIZED and not problem:
        text += (
            f": a proxy does not accept the token of {token_file}"
            if token_file
            else ": a proxy asks for credentials; kakuri context add has --token-file"
        )
    if code == "forbidden_user" and "--allow-user" not in text:
        text += "; start the control plane with --allow-user to admit this user"
    lines = [printable(text)]
    errors = problem.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            lines.append(printable(f"  {error.get('path')}: {error.get('message')}"))
    if response.status >= _SERVER_ERROR and problem.get("trace"):
        lines.append(printable(f"  trace {problem['trace']}"))  # to search for in the daemons' logs
    is_from_proxy = response.status >= _SERVER_ERROR and not problem
    if is_write and (is_from_proxy or code in _UNKNOWN_OUTCOME_CODES):
        lines.append(_OUTCOME_UNKNOWN)
    return "\n".join(lines)


class Response:
    """A response that is not an error.

    Attributes:
        status: The HTTP status.
        body: The content, byte for byte.
        headers: The fields.
    """

    def __init__(self, response: ReceivedResponse, schema: dict[str, Any]) -> None:
        self.status = response.status
        self.body = response.body
        self.headers = response.headers
        self._schema = schema
        self._document: Document | None = None

    @property
    def document(self) -> Document:
        """The JSON object in the body. Raises Unreachable if it does not match the API."""
        if self._document is None:
            self._document = read_document(self.body, "the response", self._schema)
        return self._document


def check_id(response: Response, expected: str) -> None:
    """Raise Unreachable unless a response is about this workload."""
    found = response.document["id"]
    if found != expected:
        message = f"the response: $.id: expected {expected}, got {found}"
        raise Unreachable(message, code=BAD_RESPONSE)


def raise_file_limit() -> None:
    """Raise the soft limit on open files to the hard limit: each client needs a connection."""
    import resource  # noqa: PLC0415 (only for several connections)

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):  # some systems allow less than this
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class API:
    """A client of one control plane; a context manager that closes its connection.

    Use it in one thread only; `clone` returns a client for another thread.
    """

    def __init__(self, target: Target, timeouts: Timeouts | None = None) -> None:
        """Create a client; it connects with the first request.

        Args:
            target: The control plane, and what a client needs to connect.
            timeouts: Timeouts of every request; None to derive them from each request's wait.

        Raises:
            UsageError: The token can't be sent, as `authorization` raises it, or the socket's path
                is not valid.
        """
        self.target = target
        self._timeouts = timeouts
        self._date: str | None = None  # of the latest stream
        context = target.context
        is_unix = context.host.startswith("unix:")
        self._prefix = "" if is_unix else context.host
        self._headers = authorization(context)
        tls = None
        if context.ca and context.host.startswith("https:"):
            from kakuri_tcp import ClientTLS  # noqa: PLC0415 (only for https)

            tls = ClientTLS(ca=expanded(context.ca))
        endpoint = context.host if is_unix else None
        try:
            self._client = BlockingClient(
                endpoint,
                tls=tls,
                limits=Limits(body=MAX_RESPONSE),
                trusted_uids=target.trusted_uids(),
            )
        except EndpointError as error:
            raise UsageError(f"{target.source}: {error}") from error

    def clone(self) -> "API":
        """Return another client of the same control plane, for another thread."""
        return API(self.target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    @property
    def name(self) -> str:
        """The name of the server in messages."""
        return self.target.context.host.removeprefix("http://")

    def stream_began_at(self) -> float:
        """Return when the latest stream began, by the server's clock (its Date).

        If there is no valid Date, return the time of this machine.
        """
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 (few verbs need it)

        try:
            return parsedate_to_datetime(self._date or "").timestamp()
        except (ValueError, OverflowError):
            return time.time()

    def get(self, path: str, params: Params = (), *, wait: float = 0.0) -> Response:
        """Send a GET request; raise what `request` raises."""
        return self.request("GET", path, params=params, wait=wait)

    def pages(self, params: Params) -> Iterator[Response]:
        """Yield the pages of a list of workloads.

        Args:
            params: The query.

        Raises:
            Unreachable: A page repeats or precedes the one before it.
        """
        after = ""
        while True:
            response = self.get("/workloads", [*params, *([("after", after)] if after else [])])
            yield response
            following = response.document.get("next", "")
            if not following:
                return
            if following <= after:
                message = f"the response: $.next: expected an id after {after}, got {following}"
                raise Unreachable(message, code=BAD_RESPONSE)
            after = following

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params = (),
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> Response:
        """Send a request and return its response.

        Args:
            method: The method.
            path: The path, with percent-encoded segments.
            params: The query.
            body: The content.
            headers: Further fields.
            wait: Seconds for which the request asks the server to wait.

        Raises:
            APIProblem: The response is an error.
            NotFound: It is 404.
            Unreachable: There was no response, or it is a redirect, which only a proxy sends.
        """
        seconds, params = RESPONSE_SECONDS + wait, list(params)
        with self._translated(method):
            response = self._client.request(
                method,
                self._prefix + path,
                body=body,
                headers={**self._headers, **(headers or {})},
                params=params,
                timeouts=self._timeouts or Timeouts(read=seconds, total=seconds + RESPONSE_SECONDS),
            )
        if not _is_success(response.status):
            raise self._refusal(method, response, response.body)
        return Response(response, schema_of(method, path, params))

    @contextmanager
    def stream(
        self,
        path: str,
        params: Params = (),
        *,
        silence: float | None = None,
        content_type: str | None = None,
    ) -> Iterator[BlockingStreamedResponse]:
        """Send a GET request and yield its response, whose content is read piece by piece.

        Args:
            path: The path.
            params: The query.
            silence: Seconds without content after which the connection counts as broken.
            content_type: The media type that the response must have; None for any.

        Raises:
            APIProblem: The response is an error.
            Unreachable: There was no response, it has another media type, or the connection broke
                before its end.
        """
        timeouts = Timeouts(read=silence, total=None)
        with self._translated("GET"), self._client.stream(
            "GET", self._prefix + path, params=list(params), headers=self._headers,
            timeouts=timeouts,
        ) as response:  # fmt: skip
            if not _is_success(response.status):
                raise self._refusal("GET", response, response.read())
            self._date = response.headers.get("date")
            if content_type is not None:
                _check_content_type(response, content_type)
            yield response

    def _refusal(
        self, method: str, response: ReceivedResponse | BlockingStreamedResponse, body: bytes
    ) -> CommandError:
        if response.status < _ERROR:
            location = response.headers.get("location") or "nowhere"
            message = (
                f"the response: expected no redirect, got HTTP {response.status} to {location}"
            )
            return Unreachable(printable(message), code=BAD_RESPONSE)
        problem = _problem_of(body)
        code = str(problem.get("code", ""))
        is_write = method not in ("GET", "HEAD")
        token_file = self.target.context.token_file
        message = _message(problem, response, code, token_file, is_write=is_write)
        document = body if problem else None
        exit_code = _CODES.get(code) or _exit_of(response.status)
        if response.status == _NOT_FOUND:
            return NotFound(message, document=document)
        if exit_code == Exit.UNREACHABLE:
            return Unreachable(message, code=code, document=document)
        return APIProblem(
            message,
            exit_code,
            code=code,
            status=response.status,
            problem=problem,
            document=document,
        )

    @contextmanager
    def _translated(self, method: str) -> Iterator[None]:
        """Raise errors of the connection as errors of the command line."""
        try:
            yield
        except (InvalidURL, TLSSettingsError) as error:
            raise UsageError(str(error)) from error
        except ConnectFailed as error:
            hint = f" (from {self.target.source})"
            if self.target.source == "default":
                hint = "; kakuri up starts a control plane, --host names another one"
            if isinstance(error, UntrustedServer):
                hint = (
                    "; if the control plane runs as this user, name it: "
                    "kakuri context add --server-user"
                )
            message = str(error).replace("tls://", "https://", 1)  # as the user wrote it
            raise Unreachable(f"{message}{hint}", code="unreachable") from error
        except (ClientError, ProtocolError) as error:
            message = str(error)
            if method not in ("GET", "HEAD") and not isinstance(error, TooManyRedirects):
                message = f"{message}: {_OUTCOME_UNKNOWN}"
            raise Unreachable(message, code="no_answer") from error


def _check_content_type(response: BlockingStreamedResponse, expected: str) -> None:
    """Raise Unreachable for another media type, as a server that is not a control plane sends."""
    found = response.headers.get("content-type") or "none"
    if found.partition(";")[0].strip().lower() != expected:
        message = f"the response: expected the Content-Type {expected}, got {printable(found)}"
        raise Unreachable(message, code=BAD_RESPONSE)


def _is_success(status: int) -> bool:
    return status < _REDIRECT or status == _NOT_MODIFIED
