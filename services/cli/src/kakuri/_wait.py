"""The verb `wait`, which gives up as soon as its condition can no longer be met."""

import queue
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kakuri._documents import ENDED, Document, end_text, has_ended, why_text
from kakuri._exits import CommandError, Exit, NotFound
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._options import IDS, SECONDS
from kakuri._text import joined_ids, span
from kakuri._threads import start_thread

if TYPE_CHECKING:
    from kakuri._client import API

CONDITIONS = ("running", "ended", "removed")
CHECK_SECONDS = 5.0
"""Timeout of the single check of each workload with `--timeout 0`."""

_CONDITION_VERBS = {"running": "start running", "ended": "end"}


class Verdict(NamedTuple):
    """Whether a workload meets a condition or can no longer meet it, and why."""

    is_fulfilled: bool
    text: str


@click.command(cls=Verb)
@IDS
@click.option("--for", "condition", type=click.Choice(CONDITIONS, case_sensitive=False),
              default="ended", show_default=True, help="What to wait for.")  # fmt: skip
@click.option(
    "--timeout",
    type=SECONDS,
    metavar="SECONDS",
    help="Give up after this time: exit 124; 0 checks once.",
)
@click.option("--exit-code", is_flag=True, help="Exit with the workload's own exit code.")
@click.pass_obj
def wait(
    invocation: Invocation,
    *,
    ids: tuple[str, ...],
    condition: str,
    timeout: float | None,
    exit_code: bool,
) -> int:
    """Wait until all workloads run, have ended, or are removed.

    Exits with 1 as soon as one of them can no longer do so, and prints the reason.
    """
    from kakuri._client import raise_file_limit  # noqa: PLC0415 (not for --help)

    if exit_code and (condition != "ended" or len(set(ids)) > 1):
        raise click.UsageError("--exit-code needs --for ended and one workload")
    with invocation.api() as api:
        raise_file_limit()
        for workload_id, document, verdict in _verdicts(invocation, api, ids, condition, timeout):
            _report(invocation, condition, workload_id, document, verdict)
            if not verdict.is_fulfilled:
                return Exit.NO
            if exit_code and document is not None:
                return own_exit_code(document)
    return Exit.OK


def own_exit_code(document: Document) -> int:
    """Return the exit code of a workload that has ended; NOT_RUN if its command never ran."""
    code: int | None = document.get("exit_code")
    if code is not None:
        return code
    return Exit.OK if document["state"] == "succeeded" else Exit.NOT_RUN


def verdict_of(condition: str, document: Document | None) -> Verdict | None:
    """Return whether a workload meets a condition or no longer can; None while it still may.

    Args:
        condition: One of CONDITIONS.
        document: The workload, or what is kept of it; None if there is nothing.
    """
    is_gone = document is None or "removed_at" in document
    if condition == "removed":
        return Verdict(is_fulfilled=True, text="removed") if is_gone else None
    if document is None:
        return Verdict(is_fulfilled=False, text="it was removed")
    if condition == "ended":
        if is_gone or has_ended(document):
            return Verdict(is_fulfilled=document["state"] in ENDED, text=end_text(document))
        return None
    if is_gone:
        return Verdict(is_fulfilled=False, text="it was removed")
    if document.get("desired") in ("stopped", "removed"):
        return Verdict(is_fulfilled=False, text=f"it is being {document['desired']}")
    if document["state"] == "running":
        return Verdict(is_fulfilled=True, text="running")
    if has_ended(document):
        return Verdict(is_fulfilled=False, text=why_text(document))
    return None


def _report(
    invocation: Invocation,
    condition: str,
    workload_id: str,
    document: Document | None,
    verdict: Verdict,
) -> None:
    if invocation.is_json:
        fields = {key: value for key, value in (document or {}).items() if key != "spec"}
        invocation.out_value({"id": workload_id, **fields, "fulfilled": verdict.is_fulfilled})
    elif not verdict.is_fulfilled:
        invocation.note(
            f"{workload_id} can no longer {_CONDITION_VERBS[condition]}: {verdict.text}", "red"
        )
    elif invocation.is_name:
        invocation.out(workload_id)
    else:
        invocation.out(f"{workload_id}  {verdict.text}")


def _verdicts(
    invocation: Invocation, api: "API", ids: tuple[str, ...], condition: str, timeout: float | None
) -> Iterator[tuple[str, dict[str, Any] | None, Verdict]]:
    """Yield each workload with its verdict, in the order in which the verdicts are known."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiting = dict.fromkeys(ids)
    unanswered: dict[str, None] = {}  # those asked about that have not been answered yet
    deadline = None if timeout is None else time.monotonic() + (timeout or CHECK_SECONDS)
    for workload_id in waiting:
        if deadline is None or time.monotonic() < deadline:
            start_thread(_follow, invocation, api.clone(), workload_id, condition, results)
            unanswered[workload_id] = None
    unasked = len(waiting) - len(unanswered)
    while waiting:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if timeout == 0 and not unanswered:
            left = 0.0  # each was checked once
        try:
            result = results.get(timeout=left)
        except queue.Empty:
            text = f"{joined_ids(list(waiting))}: "
            text += (
                f"still not {condition} after {span(timeout)}" if timeout else f"not {condition}"
            )
            if unanswered:
                text += f"; {api.name} has not responded"
                if len(unanswered) < len(waiting):
                    text += f" about {joined_ids(list(unanswered))}"
            if unasked:
                text += f"; there was no time to ask about {unasked} of them"
            raise CommandError(text, Exit.TIMEOUT, code="timeout") from None
        if isinstance(result, BaseException):
            raise result
        workload_id, _, verdict = result
        unanswered.pop(workload_id, None)
        if verdict is not None:
            del waiting[workload_id]
            yield result


def _follow(
    invocation: Invocation,
    api: "API",
    workload_id: str,
    condition: str,
    results: "queue.SimpleQueue[Any]",
) -> None:
    """Put each state of a workload into the results, until there is a verdict or an error."""
    from kakuri._tombstones import removed_document  # noqa: PLC0415 (not for --help)
    from kakuri._watch import changes  # noqa: PLC0415 (not for --help)

    try:
        with api:
            try:
                for document in changes(invocation, api, workload_id):
                    found = document
                    if found is None and condition != "removed":
                        found = removed_document(api, workload_id)
                    verdict = verdict_of(condition, found)
                    results.put((workload_id, found, verdict))
                    if verdict is not None:
                        return
            except NotFound:
                found = removed_document(api, workload_id)
                if found is None and condition != "removed":
                    raise
                verdict = verdict_of(condition, found)
                assert verdict is not None  # a removed workload has ended
                results.put((workload_id, found, verdict))
    except BaseException as error:  # noqa: BLE001 (it is raised in the main thread)
        results.put(error)
