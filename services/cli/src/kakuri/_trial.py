"""The trial of `doctor --run`: start a workload, read its output, and remove it."""

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kakuri._check import FAIL, OK, SKIP, WARN, Check, skipped
from kakuri._documents import end_text, has_ended, receipt_text
from kakuri._exits import CommandError, NotFound
from kakuri._invocation import Invocation
from kakuri._lifecycle import await_state
from kakuri._local_checks import is_this_machine
from kakuri._remove import delete
from kakuri._run import generated_name, submit
from kakuri._text import printable, span

if TYPE_CHECKING:
    from kakuri._client import API

TRIAL_SECONDS = 180.0
"""Seconds for pulling the image and running the command."""

_MARK = "kakuri-trial"
_SCRIPT = f"echo {_MARK} $(uname -r)"
_START, _OUTPUT, _KERNEL, _REMOVAL = "start a workload", "its output", "its kernel", "remove it"
"""The names of the steps."""


def trial(
    invocation: Invocation, api: "API", node: dict[str, Any] | None, image: str
) -> Iterator[Check]:
    """Yield the result of each step, and always remove the workload.

    Args:
        invocation: Where a repeated submission is reported.
        api: The control plane.
        node: The node; None if it is unknown.
        image: An image with `sh` and `uname`.
    """
    if node is None:
        yield from skipped("needs the agent", _START, _OUTPUT, _KERNEL, _REMOVAL)
        return
    document = {
        "id": f"doctor-{generated_name('trial')}",
        "image": image,
        "memory_mb": 64,
        "cpu_millicores": 100,
        "command": ["sh", "-c"],
        "args": [_SCRIPT],
    }
    workload_id = str(document["id"])
    try:
        yield from _run(invocation, api, node, document)
    finally:
        removal = _remove(api, workload_id)
    yield removal


def _run(
    invocation: Invocation, api: "API", node: dict[str, Any], document: dict[str, Any]
) -> Iterator[Check]:
    """Yield the result of each step before the removal."""
    began = time.monotonic()
    try:
        response = submit(invocation, api, document)
        # A simulated command runs until it is stopped.
        is_done = _has_begun if node.get("simulated") else _status_has_ended
        response = await_state(api, document["id"], response, is_done, TRIAL_SECONDS)
    except CommandError as error:
        yield Check(FAIL, _START, error.message.partition("\n")[0])
        yield from skipped("it did not run", _OUTPUT, _KERNEL)
        return
    workload = response.document
    took = span(time.monotonic() - began)
    if workload["state"] not in ("running", "succeeded"):
        detail = end_text(workload)
        if workload.get("message"):
            detail += f": {printable(str(workload['message']))}"
        advice = "kakuri run with the same image shows each step of its start"
        yield Check(FAIL, _START, detail, advice)
        yield from skipped("it did not succeed", _OUTPUT, _KERNEL)
        return
    is_running = workload["state"] == "running"
    text = f"is running after {took}, simulated" if is_running else f"ran and ended after {took}"
    yield Check(OK, _START, f"{document['image']} {text}")
    if node.get("simulated"):
        yield from skipped("the runtime is simulated", _OUTPUT, _KERNEL)
    else:
        yield from _output_checks(api, document["id"])


def _status_has_ended(document: dict[str, Any]) -> bool:
    return "state" in document and has_ended(document)


def _has_begun(document: dict[str, Any]) -> bool:
    return document.get("state") == "running" or _status_has_ended(document)


def _output_checks(api: "API", workload_id: str) -> Iterator[Check]:
    """Check the output of the command, which names the kernel of its zone."""
    try:
        text = api.get(f"/workloads/{workload_id}/log").body.decode(errors="replace")
    except CommandError as error:
        yield Check(FAIL, _OUTPUT, error.message)
        yield Check(SKIP, _KERNEL, "needs its output")
        return
    mark, _, found = text.strip().partition(" ")
    if mark != _MARK:
        yield Check(FAIL, _OUTPUT, f"expected {_MARK!r} in its log, got {printable(text[:80])!r}")
        yield Check(SKIP, _KERNEL, "needs its output")
        return
    yield Check(OK, _OUTPUT, "arrived")
    ours = os.uname().release
    if not is_this_machine(api.target.context.host):
        yield Check(OK, _KERNEL, f"{printable(found)}; the node's own is not known here")
    elif found == ours:
        advice = "the workload shares the host's kernel: it is a container, not a zone"
        yield Check(WARN, _KERNEL, f"{printable(found)}, the same as this machine's", advice)
    else:
        yield Check(OK, _KERNEL, f"{printable(found)}; this machine has {ours}")


def _remove(api: "API", workload_id: str) -> Check:
    try:
        response = delete(api, workload_id, grace=0)
    except NotFound:
        return Check(SKIP, _REMOVAL, "there is nothing to remove")
    except CommandError as error:
        return Check(
            FAIL, _REMOVAL, error.message.partition("\n")[0], f"kakuri rm -f {workload_id}"
        )
    return Check(OK, _REMOVAL, receipt_text(response.document))
