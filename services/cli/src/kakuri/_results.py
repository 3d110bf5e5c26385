"""Verbs that act on several workloads: a result for each, and a question before."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from kakuri._exits import CommandError, Exit, UsageError
from kakuri._invocation import Invocation


def act_on_each(
    invocation: Invocation,
    ids: Iterable[str],
    act: Callable[[str], tuple[bytes, dict[str, Any], str]],
) -> int:
    """Act on each workload, and print the results; go on after one that failed.

    Args:
        invocation: Decides the form of the output.
        ids: The workloads, each once.
        act: Acts on one; returns the API's document, byte for byte and read, and a line of text.

    Returns:
        The exit code: that of the first failure, or 0.

    Raises:
        CommandError: The only workload failed.
    """
    ids = list(dict.fromkeys(ids))
    code: int = Exit.OK
    documents: list[tuple[bytes, dict[str, Any]]] = []
    for workload_id in ids:
        try:
            body, document, text = act(workload_id)
        except CommandError as error:
            if len(ids) == 1:
                raise
            code = code or error.exit_code
            invocation.note(f"error: {workload_id}: {error.message}", "red")
            continue
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
