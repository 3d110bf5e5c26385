"""The trial of `doctor --run`: start a workload, read its output, and remove it."""

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kakuri._check import FAIL, OK, SKIP, WARN, Check
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
_STEPS = ("start a workload", "its output", "its kernel", "remove it")


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
        for name in _STEPS:
            yield Check(SKIP, name, "needs the agent")
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
    began = time.monotonic()
    started, output, kernel, _ = _STEPS
    try:
        response = submit(invocation, api, document)
        # A simulated command runs until it is stopped.
        is_done = _has_begun if node.get("simulated") else _status_has_ended
        response = await_state(api, document["id"], response, is_done, TRIAL_SECONDS)
    except CommandError as error:
        yield Check(FAIL, started, error.message.partition("\n")[0])
        yield Check(SKIP, output, "it did not run")
        yield Check(SKIP, kernel, "it did not run")
        return
    ended = response.document
    took = span(time.monotonic() - began)
    if ended["state"] == "running":
        yield Check(OK, started, f"{document['image']} is running after {took}, simulated")
        yield Check(SKIP, output, "the runtime is simulated")
        yield Check(SKIP, kernel, "the runtime is simulated")
        return
    if ended["state"] != "succeeded":
        message = printable(str(ended.get("message") or ""))
        yield Check(FAIL, started, f"{end_text(ended)}: {message}" if message else end_text(ended),
                    "kakuri run with the same image shows each step of its start")  # fmt: skip
        yield Check(SKIP, output, "it did not succeed")
        yield Check(SKIP, kernel, "it did not succeed")
        return
    yield Check(OK, started, f"{document['image']} ran and ended after {took}")
    if node.get("simulated"):
        yield Check(SKIP, output, "the runtime is simulated")
        yield Check(SKIP, kernel, "the runtime is simulated")
        return
    yield from _output(api, document["id"])


def _status_has_ended(document: dict[str, Any]) -> bool:
    return "state" in document and has_ended(document)


def _has_begun(document: dict[str, Any]) -> bool:
    return document.get("state") == "running" or _status_has_ended(document)


def _output(api: "API", workload_id: str) -> Iterator[Check]:
    _, output, kernel, _ = _STEPS
    try:
        text = api.get(f"/workloads/{workload_id}/log").body.decode(errors="replace")
    except CommandError as error:
        yield Check(FAIL, output, error.message)
        yield Check(SKIP, kernel, "needs its output")
        return
    mark, _, found = text.strip().partition(" ")
    if mark != _MARK:
        yield Check(FAIL, output, f"expected {_MARK!r} in its log, got {printable(text[:80])!r}")
        yield Check(SKIP, kernel, "needs its output")
        return
    yield Check(OK, output, "arrived")
    ours = os.uname().release
    if not is_this_machine(api.target.context.host):
        yield Check(OK, kernel, f"{printable(found)}; the node's own is not known here")
    elif found == ours:
        advice = "the workload shares the host's kernel: it is a container, not a zone"
        yield Check(WARN, kernel, f"{printable(found)}, the same as this machine's", advice)
    else:
        yield Check(OK, kernel, f"{printable(found)}; this machine has {ours}")


def _remove(api: "API", workload_id: str) -> Check:
    name = _STEPS[-1]
    try:
        response = delete(api, workload_id, grace=0)
    except NotFound:
        return Check(SKIP, name, "there is nothing to remove")
    except CommandError as error:
        return Check(FAIL, name, error.message.partition("\n")[0], f"kakuri rm -f {workload_id}")
    return Check(OK, name, receipt_text(response.document))
