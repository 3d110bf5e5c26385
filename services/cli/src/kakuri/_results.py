"""Verbs that act on several workloads: a result for each, and a question before."""

import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from kakuri._exits import CommandError, Exit, UsageError
from kakuri._invocation import Invocation
from kakuri._text import joined_ids

if TYPE_CHECKING:
    from kakuri._client import API

MAX_CONCURRENT = 16
"""Maximum workloads that a verb acts on at a time, since each may take its whole grace period."""

_UNSENT = "unreachable"
"""Code of an error after which no request was sent."""
_UNREACHABLE = (_UNSENT, "agent_unreachable")
"""Codes of errors that requests about other workloads would get as well."""

T = TypeVar("T")


class Result(NamedTuple):
    """What an action on one workload shows, in each form of the output.

    Attributes:
        body: The document as the API sent it. Of several workloads, `document` is printed instead.
        document: The same, decoded.
        text: The line of text.
    """

    body: bytes
    document: dict[str, Any]
    text: str


def act_on_each(
    invocation: Invocation,
    api: "API",
    ids: Iterable[str],
    act: Callable[["API", str], Result],
) -> int:
    """Act on each workload, several at a time, and print the results in the order of the ids.

    A failure does not stop the others, unless the control plane or its agent can't be reached. Then
    the workloads that were not begun are reported in one line.

    Args:
        invocation: Decides the form of the output.
        api: The control plane.
        ids: The workloads.
        act: Acts on one with a client that no other thread uses.

    Returns:
        The exit code: that of the first failure, or 0.

    Raises:
        CommandError: The only workload failed.
    """
    ids = list(dict.fromkeys(ids))
    batch = _Batch(api, act, _UNREACHABLE)
    return _print_results(invocation, batch(ids), is_alone=len(ids) == 1)


def act_quietly_on_each(
    invocation: Invocation, api: "API", ids: Sequence[str], act: Callable[["API", str], None]
) -> int:
    """Act on each workload as `act_on_each` does, but print only failures.

    Args:
        invocation: Where they are printed.
        api: The control plane.
        ids: The workloads, each once.
        act: Acts on one with a client that no other thread uses.

    Returns:
        The exit code: that of the first failure, or 0.
    """

    def succeed(client: "API", workload_id: str) -> str:
        act(client, workload_id)
        return "done"  # None would mean that it was not begun

    failures = Failures(invocation)
    for workload_id, result in _Batch(api, succeed, _UNREACHABLE)(list(ids)):
        if not isinstance(result, str):
            failures.add(workload_id, result)
    return failures.complete()


def act_in_groups(
    invocation: Invocation,
    api: "API",
    groups: Sequence[list[str]],
    act: Callable[["API", str], Result],
) -> int:
    """Act on groups of workloads, each begun after all of the group before have succeeded.

    A failure prevents the beginning of any other workload. The output has the form of several
    results, even for one.

    Args:
        invocation: Decides the form of the output.
        api: The control plane.
        groups: The workloads, each once.
        act: Acts on one with a client that no other thread uses.

    Returns:
        The exit code: that of the first failure, or 0.
    """
    results = chain.from_iterable(map(_Batch(api, act, None), groups))
    return _print_results(invocation, results, is_alone=False)


def _print_results(
    invocation: Invocation,
    results: Iterable[tuple[str, Result | CommandError | None]],
    *,
    is_alone: bool,
) -> int:
    """Print results as they come, or all at once as JSON; return the exit code."""
    failures = Failures(invocation)
    collected: list[Result] = []
    try:
        for workload_id, result in results:
            if isinstance(result, CommandError) and is_alone:
                raise result
            if not isinstance(result, Result):
                failures.add(workload_id, result)
                continue
            if invocation.is_name:
                invocation.out(workload_id)
            elif invocation.format == "jsonl":
                invocation.out_value(result.document)
            elif invocation.format == "json":
                collected.append(result)
            else:
                invocation.out(f"{workload_id}  {result.text}")
    finally:  # also after Ctrl-C: what was done is printed
        if invocation.format == "json":
            if not is_alone:
                invocation.out_value([result.document for result in collected])
            elif collected:
                invocation.out_document(collected[0].body)
    return failures.complete()


class Failures:
    """Reports each failure at once, but an unreachable control plane only the first time."""

    def __init__(self, invocation: Invocation) -> None:
        """Create a report without failures."""
        self._invocation = invocation
        self._code: int = Exit.OK
        self._skipped: list[str] = []
        self._is_unreachable = False

    def add(self, workload_id: str, error: CommandError | None) -> None:
        """Report the error about a workload; None if it was not begun because of an earlier one."""
        if error is None:
            self._skipped.append(workload_id)
            return
        self._code = self._code or error.exit_code
        if error.code != _UNSENT:
            self._invocation.error(error.message, error.code, error.document, workload_id)
            return
        self._skipped.append(workload_id)
        if not self._is_unreachable:
            self._invocation.error(error.message, error.code)
        self._is_unreachable = True

    def complete(self) -> int:
        """Report the skipped workloads; return the exit code of the first failure, or 0."""
        if self._skipped:
            count = len(self._skipped)
            subject = "1 workload was" if count == 1 else f"{count} workloads were"
            message = f"{subject} skipped: {joined_ids(self._skipped)}"
            self._invocation.error(message, "skipped")
        return self._code


def results_of(api: "API", ids: Iterable[str], act: Callable[["API", str], T]) -> list[T]:
    """Return the results of an action on each workload, several at a time, in the order of the ids.

    Args:
        api: The control plane.
        ids: The workloads, each once.
        act: Acts on one with a client that no other thread uses.

    Raises:
        CommandError: An action failed; no more were begun.
    """
    results: list[Any] = []
    for _, result in _Batch(api, act, None)(list(ids)):
        if isinstance(result, CommandError):
            raise result
        results.append(result)
    return results


class _Batch(Generic[T]):
    """Acts on workloads, up to a failure after which no more are begun."""

    def __init__(
        self,
        api: "API",
        act: Callable[["API", str], T],
        stop_codes: Container[str] | None,
    ) -> None:
        """Create a batch; `stop_codes` are the codes of such failures, None if all are."""
        self._api = api
        self._act = act
        self._stop_codes = stop_codes
        self._has_stopped = False

    def __call__(self, ids: list[str]) -> Iterator[tuple[str, T | CommandError | None]]:
        """Yield each workload with its result or error, or None if it was not begun, in order."""
        if len(ids) == 1:
            yield ids[0], self._result(self._api, ids[0])
            return
        import queue  # noqa: PLC0415 (only for several)

        from kakuri._threads import start_thread  # noqa: PLC0415 (only for several)

        results: dict[str, queue.SimpleQueue[Any]] = {each: queue.SimpleQueue() for each in ids}
        waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threads = min(MAX_CONCURRENT, len(ids))
        for each in (*ids, *(None for _ in range(threads))):  # None ends a thread
            waiting.put(each)

        def work(client: "API") -> None:
            with client:
                for workload_id in iter(waiting.get, None):
                    try:
                        results[workload_id].put(self._result(client, workload_id))
                    except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
                        results[workload_id].put(error)

        for started in range(threads):
            try:
                start_thread(work, self._api.clone())
            except CommandError:
                if not started:
                    raise
                break  # fewer threads do the same, only later
        for workload_id in ids:
            result = results[workload_id].get()
            if isinstance(result, BaseException) and not isinstance(result, CommandError):
                raise result
            yield workload_id, result

    def _result(self, client: "API", workload_id: str) -> T | CommandError | None:
        if self._has_stopped:
            return None
        try:
            return self._act(client, workload_id)
        except CommandError as error:
            if self._stop_codes is None or error.code in self._stop_codes:
                self._has_stopped = True
            return error


def confirm(question: str, option: str) -> None:
    """Ask a question on the terminal; return if the answer is yes.

    Args:
        question: The question, which names the control plane.
        option: The option that answers it in advance.

    Raises:
        UsageError: There is no terminal to ask on.
        CommandError: The answer is not yes.
    """
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError(f"{question} There is no terminal to ask on: add {option}")
    sys.stdout.flush()
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("not confirmed, nothing was done", Exit.NO, code="declined")
