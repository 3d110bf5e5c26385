"""The checks of `doctor` that use the API: the control plane and its node."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from kakuri._check import FAIL, OK, SKIP, WARN, Check, skipped
from kakuri._exits import CommandError
from kakuri._invocation import Invocation
from kakuri._text import cores, printable, size, span

if TYPE_CHECKING:
    from kakuri._client import API, Response

MAX_SKEW_SECONDS = 5.0
"""Difference of clocks above which times of both ends can't be compared."""

_NEARLY_FULL = 0.9
_STORE_REASONS = ("StoreFailed", "RegistrationFailed")


def checks(
    invocation: Invocation, *, is_run: bool, image: str, is_local: bool | None
) -> Iterator[Check]:
    """Yield the result of each check as soon as it is known.

    Args:
        invocation: Selects the control plane.
        is_run: Whether to start a workload.
        image: Its image.
        is_local: Whether to check this machine; None to do so if the host is on it.

    Raises:
        UsageError: The configuration of this command is not valid.
    """
    from kakuri._local_checks import is_this_machine, local_checks  # noqa: PLC0415
    from kakuri._trial import trial  # noqa: PLC0415

    target = invocation.target
    yield Check(OK, "configuration", f"{target.label}, from {target.source}")
    with invocation.api() as api:
        node: dict[str, Any] | None = None
        is_reached = False
        for check in _control_plane(api):
            is_reached = check.result in (OK, WARN)
            yield check
        if is_reached:
            node = _node(api)
        yield from _node_checks(api, node, is_reached=is_reached)
        if is_local or (is_local is None and is_this_machine(target.context.host)):
            yield from local_checks()
        if is_run:
            yield from trial(invocation, api, node, image)


def _control_plane(api: "API") -> Iterator[Check]:
    name = f"control plane {api.name}"
    began = time.monotonic()
    try:
        response = api.get("/healthz")
    except CommandError as error:
        advice = "is kakuri-control-plane running there? kakuri context show has the address"
        if error.code == "misdirected_request":
            advice = "start the control plane with --allowed-host and this name"
        elif error.code == "forbidden_user":
            advice = "restart the control plane with --allow-user YOUR_NAME, or run this as root"
        elif _is_denied(error):
            advice = "restart the control plane with --listen-group YOUR_GROUP, or run this as root"
        yield Check(FAIL, name, error.message.partition("\n")[0], advice)
        return
    yield Check(OK, name, f"answers in {span(time.monotonic() - began)}")
    yield _clock(response)


def _is_denied(error: BaseException | None) -> bool:
    """Return whether the mode of a Unix socket, or of a directory above it, keeps this user out."""
    while error is not None and type(error) is not PermissionError:
        error = error.__cause__
    return error is not None


def _clock(response: "Response") -> Check:
    """Compare this machine's clock with the response's Date, which has whole seconds."""
    date = response.headers.get("date")
    if date is None:
        return Check(SKIP, "clocks", "the response has no Date")
    try:
        skew = time.time() - parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return Check(SKIP, "clocks", "the response has no valid Date")
    if abs(skew) > MAX_SKEW_SECONDS:
        detail = f"this machine's clock differs by {span(abs(skew))} from the control plane's"
        return Check(WARN, "clocks", detail, "synchronize both clocks (chrony, systemd-timesyncd)")
    return Check(OK, "clocks", "agree to within a second or two")


def _node(api: "API") -> dict[str, Any] | None:
    try:
        nodes: list[dict[str, Any]] = api.get("/nodes").document["nodes"]
    except CommandError:
        return None
    return nodes[0] if nodes else None


def _node_checks(api: "API", node: dict[str, Any] | None, *, is_reached: bool) -> Iterator[Check]:
    if not is_reached:
        yield from skipped("needs the control plane", "agent", "runtime", "capacity")
        return
    reason = _agent_fault(api, node)
    if reason is not None or node is None:
        advice = (
            "is kakuri-agent running, and do its options admit the control plane: "
            "--listen-group for a socket, --allow-user for a port?"
        )
        yield Check(FAIL, "agent", printable(str(reason)), advice)
        yield from skipped("needs the agent", "runtime", "capacity")
        return
    yield _agent(node)
    if node.get("reason") in _STORE_REASONS:
        advice = "docs/operations.md, When the disk is full, and the log of the agent"
        yield Check(FAIL, "store", printable(str(node.get("message"))), advice)
        node = {**node, "message": None}
    if node.get("state") != "ready" and node.get("runtime") is None:
        yield from skipped("needs the agent", "runtime", "capacity")
        return
    yield from _runtime(node)
    yield _capacity(node)


def _agent_fault(api: "API", node: dict[str, Any] | None) -> str | None:
    """Return why the agent does not answer; None if it does.

    A node whose agent has stopped answering is listed with its last description, so the list alone
    does not show whether the agent or its runtime is unavailable.
    """
    node = node or {}
    is_described = node.get("version") is not None
    if is_described and node.get("state") == "ready":
        return None
    if not is_described and node.get("message") is not None:
        return str(node["message"])
    try:
        api.get("/readyz")
    except CommandError as error:
        is_runtime = is_described and error.code == "runtime_unavailable"
        return None if is_runtime else error.message.partition("\n")[0]
    return None if is_described else "the control plane has no description of it"


def _agent(node: dict[str, Any]) -> Check:
    detail = f"{node['version']}, {node.get('workloads', 0)} workloads"
    if "event_index" in node:
        detail += f", event index {node['event_index']}"
    if node.get("store") == "memory":
        advice = "workloads do not survive a restart of the agent: use --store sqlite"
        return Check(WARN, f"agent {node['name']}", f"{detail}, store memory", advice)
    if node.get("store"):
        detail += f", store {node['store']}"
    return Check(OK, f"agent {node['name']}", detail)


def _runtime(node: dict[str, Any]) -> Iterator[Check]:
    message = printable(str(node.get("message") or ""))
    if node.get("simulated"):
        advice = "start the agent with --runtime sidecar or cri: docs/operations.md"
        yield Check(FAIL, "runtime", "simulated: nothing really runs", advice)
        return
    name = f"runtime {node.get('runtime', '')}".strip()
    if not node.get("runtime_available", True):
        yield Check(FAIL, name, message or "it does not answer",
                    "docs/operations.md, and the log of the sidecar or the agent")  # fmt: skip
        return
    yield Check(WARN if message else OK, name, message or "answers")
    handlers = node.get("handlers")
    if not handlers:
        yield Check(SKIP, "handlers", "the node does not report its handlers")
        return
    for runtime_class, handler in handlers.items():
        weak = handler in ("", "runc", "crun")
        detail = f"{runtime_class} → {handler or 'the default handler'}"
        if weak:
            yield Check(WARN, "isolation", f"{detail} shares the node's kernel",
                        "for real isolation, configure Edera, Kata or gVisor")  # fmt: skip
        else:
            yield Check(OK, "isolation", detail)


def _capacity(node: dict[str, Any]) -> Check:
    if node.get("memory_mb") is None and node.get("cpu_millicores") is None:
        return Check(WARN, "capacity", "the node has no limit",
                     "set the agent's memory-mb and cpu-millicores")  # fmt: skip
    parts, is_full = [], False
    for name, key, show in (("memory", "memory_mb", size), ("cpu", "cpu_millicores", cores)):
        if node.get(key) is not None:
            total, used = node[key], node.get(f"{key}_used", 0)
            is_full = is_full or used > _NEARLY_FULL * total
            parts.append(f"{name} {show(total - used)} of {show(total)}")
    detail = f"free: {', '.join(parts)}"
    if is_full:
        return Check(WARN, "capacity", detail, "more than 90 % is reserved: kakuri ps")
    return Check(OK, "capacity", detail)
