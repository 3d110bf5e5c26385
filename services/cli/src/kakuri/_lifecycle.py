"""The verbs `stop`, `start` and `restart`."""

import time
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

import click

from kakuri._documents import end_text, has_ended, why_text
from kakuri._exits import CommandError, Exit
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._options import IDS, IF_VERSION, grace_option
from kakuri._results import Result, act_on_each
from kakuri._text import span

if TYPE_CHECKING:
    from kakuri._client import API, Response

STOP_MARGIN_SECONDS = 60.0
"""Seconds after the grace period within which a stop is expected to be complete."""

_NO_WAIT = click.option("--no-wait", is_flag=True,
                        help="Return without waiting until they have ended.")  # fmt: skip


@click.command(cls=Verb)
@IDS
@grace_option()
@_NO_WAIT
@IF_VERSION
@click.pass_obj
def stop(
    invocation: Invocation, *, ids: tuple[str, ...], grace: float, no_wait: bool,
    if_version: int | None,
) -> int:  # fmt: skip
    """Stop workloads. Their logs, exit codes and histories are kept; `start` runs them again.

    Exits with 124 if that takes more than a minute longer than the grace period.
    """
    with invocation.api() as api:

        def act(api: "API", workload_id: str) -> Result:
            response = post(api, workload_id, "stop", grace=grace, version=if_version)
            if not no_wait:
                response = await_state(
                    api, workload_id, response, has_ended, grace + STOP_MARGIN_SECONDS
                )
            document = response.document
            text = f"stopped: {end_text(document)}" if has_ended(document) else "stopping"
            return Result(response.body, document, text)

        return act_on_each(invocation, api, ids, act)


@click.command(cls=Verb)
@IDS
@IF_VERSION
@click.pass_obj
def start(invocation: Invocation, *, ids: tuple[str, ...], if_version: int | None) -> int:
    """Run workloads again that have ended or were stopped; their logs continue."""
    with invocation.api() as api:

        def act(api: "API", workload_id: str) -> Result:
            response = post(api, workload_id, "start", version=if_version)
            document = response.document
            is_new = response.status == 202
            text = "started" if is_new else f"nothing to do: {why_text(document)}"
            return Result(response.body, document, text)

        return act_on_each(invocation, api, ids, act)


@click.command(cls=Verb)
@IDS
@grace_option()
@IF_VERSION
@click.pass_obj
def restart(
    invocation: Invocation, *, ids: tuple[str, ...], grace: float, if_version: int | None
) -> int:
    """Stop workloads and run them again; their logs continue."""
    with invocation.api() as api:

        def act(api: "API", workload_id: str) -> Result:
            response = post(api, workload_id, "restart", grace=grace, version=if_version)
            return Result(response.body, response.document, "restarting")

        return act_on_each(invocation, api, ids, act)


def post(
    api: "API",
    workload_id: str,
    action: str,
    *,
    grace: float | None = None,
    version: int | None = None,
) -> "Response":
    """Request a stop, a start or a restart; raise what `API.request` raises."""
    from kakuri_json import encode  # noqa: PLC0415 (not for --help)

    from kakuri._client import path_of  # noqa: PLC0415

    return api.request(
        "POST",
        path_of(workload_id, f"/{action}"),
        body=b"" if grace is None else encode({"grace_seconds": ceil(grace)}),
        headers=None if version is None else {"If-Match": f'"{version}"'},
        wait=grace or 0.0,
    )


def await_state(
    api: "API",
    workload_id: str,
    response: "Response",
    is_reached: Callable[[dict[str, Any]], bool],
    seconds: float,
) -> "Response":
    """Return the first response in which a workload has reached a state.

    Args:
        api: The control plane.
        workload_id: The workload.
        response: The latest response about it.
        is_reached: Whether a document shows the state.
        seconds: How long to wait.

    Raises:
        CommandError: The time passed.
    """
    from kakuri._client import path_of  # noqa: PLC0415 (not for --help)
    from kakuri._watch import PAUSE_SECONDS  # noqa: PLC0415 (not for --help)

    deadline = time.monotonic() + seconds
    version: str | None = None
    while not is_reached(response.document):
        left = deadline - time.monotonic()
        if left <= 0:
            raise CommandError(
                f"after {span(seconds)}, still {why_text(response.document)}",
                Exit.TIMEOUT,
                code="timeout",
            )
        params = [("spec", "true")]
        if version is not None:
            params += [("wait", str(max(1, min(30, int(left))))), ("after", version)]
        response = api.get(path_of(workload_id), params, wait=30)
        newest = str(response.document["version"])
        if newest == version:
            time.sleep(PAUSE_SECONDS)
        version = newest
    return response
