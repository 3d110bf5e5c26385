"""Workloads as the API describes them: what is read from a document, and how it is shown."""

import time
from collections.abc import Mapping
from typing import Any

from kakuri._text import age, byte_count, printable, seconds_of

Document = Mapping[str, Any]

ENDED = ("succeeded", "failed")


def has_ended(workload: Document) -> bool:
    """Return whether a workload has ended and is not started again."""
    return workload["state"] in ENDED and not workload.get("restart_at")


def spec_of(workload: Document) -> Document:
    """Return the specification of a workload; empty if the response has none."""
    spec: Document = workload.get("spec") or {}
    return spec


def reason_text(workload: Document) -> str:
    """Return a short text of why a workload is in its state.

    Examples: `Pulling`, `BackOff 23s`, `Error, exit 3`, `being removed`.
    """
    reason = printable(str(workload.get("reason", "")))
    if reason == "BackOff" and (restart_at := workload.get("restart_at")):
        reason += f" {age(seconds_of(restart_at) - time.time())}"
    parts = [reason] if reason else []
    exit_code = workload.get("exit_code")
    if exit_code is not None and workload["state"] in ENDED and (exit_code or not reason):
        parts.append(f"exit {exit_code}")
    desired = workload.get("desired")
    if desired:
        parts.append(f"being {printable(str(desired))}")
    return ", ".join(parts)


def end_text(workload: Document) -> str:
    """Return how a workload ended: `exit code 3 (Error), 2 restarts`."""
    exit_code, reason = workload.get("exit_code"), workload.get("reason")
    text = "succeeded" if workload["state"] == "succeeded" else "failed"
    if exit_code is not None:
        text = f"exit code {exit_code}"
        if reason:
            text += f" ({printable(str(reason))})"
    elif reason:
        text += f" ({printable(str(reason))})"
    if restarts := workload.get("restarts"):
        text += f", {restarts} restart{'s' if restarts != 1 else ''}"
    return text


def why_text(workload: Document) -> str:
    """Return state, reason and message in one line: `failed, ImagePullFailed: … not found`."""
    text = str(workload["state"])
    if workload.get("reason"):
        text += f", {printable(str(workload['reason']))}"
    if workload.get("message"):
        text += f": {printable(str(workload['message']))}"
    return text


def receipt_text(document: Document) -> str:
    """Return a receipt as text: `removed: zone 5f0c…, container 9a3e…, log gone (…)`."""
    receipt = document.get("removal") or document.get("removed")
    if not isinstance(receipt, Mapping):
        return "removed"
    parts = [f"{name} {_short(str(receipt[name]))}" for name in ("zone", "container")
             if receipt.get(name)]  # fmt: skip
    log_bytes = receipt.get("log_bytes")
    if log_bytes == 0:
        parts.append("log")
    text = f"removed: {', '.join(parts)} gone" if parts else "removed"
    if checked := receipt.get("verified_by"):
        text += f" ({_PROOFS.get(checked, f'checked by {printable(str(checked))}')})"
    if log_bytes:
        text += f"; {byte_count(int(log_bytes))} of its log remain"
    return text


_PROOFS = {
    "list": "no longer in the runtime's list",
    "simulated": "simulated: there was nothing real",
}


def _short(identifier: str) -> str:
    return printable(identifier) if len(identifier) <= 12 else f"{printable(identifier[:8])}…"
