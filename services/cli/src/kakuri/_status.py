"""The verb `status`: one screen about one workload, with the reason for its state."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from kakuri._documents import ENDED, Document, receipt_text, spec_of
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._options import ID, REMOVED
from kakuri._tables import STATE_COLORS
from kakuri._text import age, clock, cores_text, printable, seconds_of, size

if TYPE_CHECKING:
    from kakuri._client import API

LAST_STEPS, LAST_LINES = 5, 5
_TITLE = 10
_ADVICE = {
    "ImagePullFailed": "is the name of the image right, and may the node pull it? "
    "kakuri history {id} has the registry's responses",
    "OOMKilled": "it needs more memory than {memory}: run it with a higher -m",
    "StartError": "its container could not start: the message above has the cause, often a "
    "command that the image lacks",
    "BackOff": "its runs keep ending: the message above has the cause, or kakuri logs {id}",
    "RuntimeUnavailable": "the node's container runtime does not answer: kakuri doctor",
    "StopFailed": "check on the node whether the process or its shim hangs; the agent keeps trying",
    "Error": "kakuri logs {id}; kakuri start {id} runs it again",
    "ZoneLost": "the zone ended before its container: kakuri doctor",
    "Stopped": "kakuri start {id} runs it again",
}


@click.command(cls=Verb)
@ID
@REMOVED
@click.pass_obj
def status(invocation: Invocation, *, id: str, removed: bool) -> None:  # noqa: A002
    """Show one workload: its state and the reason, its limits, its latest steps and lines."""
    from kakuri._nodes import first_node, warn_if_simulated  # noqa: PLC0415 (not for --help)
    from kakuri._tombstones import get_kept  # noqa: PLC0415

    with invocation.api() as api:
        response = get_kept(invocation, api, id, "", (("spec", "true"),), is_removed=removed)
        document = response.document
        if invocation.is_json:
            invocation.out_document(response.body)
            return
        if invocation.is_name:
            invocation.out(id)
            return
        node = first_node(api)
        more = [("removed", "true")] if "removed_at" in document else []
        steps = api.get(f"/workloads/{id}/history", more).document["transitions"]
        for line in screen(invocation, document, node, steps, _last_lines(api, id, more)):
            invocation.out(line)
    warn_if_simulated(invocation, node)


def _last_lines(api: "API", workload_id: str, more: list[tuple[str, str]]) -> list[str] | None:
    """Return the end of the log; None if it can't be read."""
    from kakuri._exits import CommandError  # noqa: PLC0415 (not for --help)

    try:
        response = api.get(f"/workloads/{workload_id}/log", [("tail", str(LAST_LINES)), *more])
    except CommandError:
        return None
    return response.body.decode(errors="replace").splitlines()


def screen(
    invocation: Invocation,
    document: Document,
    node: Document,
    steps: list[dict[str, Any]],
    lines: list[str] | None,
) -> list[str]:
    """Return the lines of the screen.

    Args:
        invocation: Decides whether to use colour.
        document: The workload, with its specification.
        node: Its node; empty if it is unknown.
        steps: Its history.
        lines: The end of its log; None if it can't be read.
    """
    shown = [_headline(invocation, document, node, steps)]
    if document.get("message"):
        shown.append(f"  {printable(document['message'])}")
    rows = [*_spec_rows(document, node), *_run_rows(document), ("steps", _steps_text(steps))]
    shown += [f"  {title:<{_TITLE}}{text}" for title, text in rows if text]
    if lines is None:
        shown.append(f"  {'log':<{_TITLE}}can't be read now")
    elif lines:
        shown.append(f"  {'log':<{_TITLE}}the last {len(lines)} lines")
        shown += [f"    {printable(line)}" for line in lines]
    advice = _ADVICE.get(document.get("reason", ""))
    is_removed = "removed_at" in document or document.get("desired") == "removed"
    if advice and (not is_removed or document["state"] not in ENDED):
        memory = size(spec_of(document).get("memory_mb", 0))
        text = advice.format(id=document["id"], memory=memory)
        shown.append(f"  {'try':<{_TITLE}}{text}")
    return shown


def _headline(
    invocation: Invocation, document: Document, node: Document, steps: list[dict[str, Any]]
) -> str:
    state = document["state"]
    parts = [document["id"], invocation.styled(state, STATE_COLORS.get(state))]
    if document.get("reason"):
        parts.append(printable(document["reason"]))
    if document.get("exit_code") is not None and state in ENDED:
        parts.append(f"exit code {document['exit_code']}")
    if document.get("desired"):
        parts.append(f"(is being {document['desired']})")
    moment = document.get("removed_at") or (
        steps[-1]["at"] if steps else document.get("changed_at")
    )
    when = ""
    if moment:
        when = f"{age(time.time() - seconds_of(moment))} ago" if sys.stdout.isatty() else moment
    on_node = f"on {node['name']}" if node.get("name") else ""
    parts.append(" ".join(part for part in (when, on_node) if part))
    return "  ".join(part for part in parts if part)


def _spec_rows(document: Document, node: Document) -> list[tuple[str, str]]:
    spec = spec_of(document)
    if not spec:
        return []
    digest = document.get("image_digest")
    runtime_class = spec.get("runtime_class", "")
    handler = (node.get("handlers") or {}).get(runtime_class)
    command = [*spec.get("command", ()), *spec.get("args", ())]
    labels = spec.get("labels", {})
    return [
        ("image", printable(spec["image"]) + (f" → {digest}" if digest else "")),
        ("command", " ".join(_quoted(part) for part in command)),
        ("limits", f"{size(spec['memory_mb'])}, {cores_text(spec['cpu_millicores'])}"),
        ("class", f"{runtime_class} → handler {handler}" if handler else runtime_class),
        ("user", spec.get("user", "")),
        ("labels", ", ".join(printable(f"{key}={value}") for key, value in labels.items())),
        ("restart", _policy_text(spec, document)),
    ]


def _policy_text(spec: Document, document: Document) -> str:
    policy: str = spec.get("restart_policy", "never")
    if policy == "never":
        return policy
    most = spec.get("max_restarts", 100)
    text = f"{policy}, at most {most} time{'s' if most != 1 else ''} in a row"
    if document.get("restarts"):
        text += f", {document['restarts']} so far"
    if restart_at := document.get("restart_at"):
        text += f", next in {age(max(0.0, seconds_of(restart_at) - time.time()))}"
    return text


def _run_rows(document: Document) -> list[tuple[str, str]]:
    started, ended = document.get("started_at"), document.get("ended_at")
    run = started or ""
    if started and ended:
        run = f"{started} to {ended}"
    isolation = document.get("isolation") or {}
    evidence = ", ".join(f"{key} {printable(str(value))}" for key, value in isolation.items())
    rows = [("address", document.get("address", "")), ("ran", run), ("isolation", evidence)]
    if "version" in document:
        rows.append(("version", str(document["version"])))
    if "removed_at" in document:
        rows.append(("removed", f"{document['removed_at']}  {receipt_text(document)}"))
    return rows


def _steps_text(steps: list[dict[str, Any]]) -> str:
    texts = []
    for step in steps[-LAST_STEPS:]:
        text = f"{clock(step['at'])} {step['state']}"
        if step.get("reason"):
            text += f" {printable(step['reason'])}"
        if step.get("count"):
            text += f" {step['count']}×"
        texts.append(text)
    return " · ".join(texts)


def _quoted(text: str) -> str:
    import shlex  # noqa: PLC0415 (only where there is a command)

    return shlex.quote(printable(text))
