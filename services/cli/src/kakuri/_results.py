"""Verbs that act on several workloads: a result for each, and a question before."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kakuri._exits import CommandError, Exit, UsageError
from kakuri._invocation import Invocation

if TYPE_CHECKING:
    from kakuri._client import API

MAX_CONCURRENT = 16
"""Maximum workloads that a verb acts on at a time, since each may take its whole grace period."""

Result = tuple[bytes, dict[str, Any], str]
"""The API's document as received, the same decoded, and a line of text about it."""


def act_on_each(
    invocation: Invocation, api: "API", ids: Iterable[str], act: Callable[["API", str], Result]
) -> int:
    """Act on each workload, several at a time, and print the results in the order of the ids.

    Go on after one that failed.

    Args:
        invocation: Decides the form of the output.
        api: The control plane.
        ids: The workloads, each once.
        act: Acts on one with a client that no other thread uses.

    Returns:
        The exit code: that of the first failure, or 0.

    Raises:
        CommandError: The only workload failed.
    """
    ids = list(dict.fromkeys(ids))
    code: int = Exit.OK
    documents: list[tuple[bytes, dict[str, Any]]] = []
    for workload_id, result in _results(api, ids, act):
        if isinstance(result, CommandError):
            code = code or result.exit_code
            invocation.error(result.message, result.code, result.document, workload_id)
            continue
        body, document, text = result
        if invocation.is_name:
            invocation.out(workload_id)
        elif invocation.format == "jsonl":
            invocation.out_value(document)
        elif invocation.format == "json":
            documents.append((body, document))
        else:
            invocation.out(f"{workload_id}  {text}")
    if invocation.format == "json":
        if len(ids) == 1:
            invocation.out_document(documents[0][0])
        else:
            invocation.out_value([document for _, document in documents])
    return code


def _results(
    api: "API", ids: list[str], act: Callable[["API", str], Result]
) -> Iterator[tuple[str, Result | CommandError]]:
    """Yield each workload with its result or error, in the order of the ids."""
    if len(ids) == 1:
        yield ids[0], act(api, ids[0])
        return
    import queue  # noqa: PLC0415 (only for several)
    import threading  # noqa: PLC0415

    results: dict[str, queue.SimpleQueue[Any]] = {each: queue.SimpleQueue() for each in ids}
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threads = min(MAX_CONCURRENT, len(ids))
    for each in (*ids, *(None for _ in range(threads))):  # None ends a thread
        waiting.put(each)

    def work(own: "API") -> None:
        with own:
            for workload_id in iter(waiting.get, None):
                try:
                    results[workload_id].put(act(own, workload_id))
                except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
                    results[workload_id].put(error)

    for _ in range(threads):
        threading.Thread(target=work, args=(api.clone(),), daemon=True).start()
    for workload_id in ids:
        result = results[workload_id].get()
        if isinstance(result, BaseException) and not isinstance(result, CommandError):
            raise result
        yield workload_id, result


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
