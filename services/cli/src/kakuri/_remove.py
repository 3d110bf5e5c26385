"""The verb `rm`."""

import time
from math import ceil
from typing import TYPE_CHECKING

import click

from kakuri._documents import ENDED, receipt_text, why_text
from kakuri._exits import CommandError, Exit, NotFound
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._lifecycle import STOP_MARGIN_SECONDS
from kakuri._options import IDS, IF_VERSION, grace_option
from kakuri._results import Result, act_on_each, confirm, results_of
from kakuri._text import joined_ids, span

if TYPE_CHECKING:
    from kakuri._client import API, Response

MAX_WAIT_SECONDS = 60.0
"""Seconds that one request may wait for a removal; the API allows no more."""


@click.command(cls=Verb)
@IDS
@click.option("-f", "--force", is_flag=True,
              help="Remove running workloads without asking, and ignore unknown ids.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@grace_option()
@click.option("--no-wait", is_flag=True, help="Return without waiting until they are removed.")
@IF_VERSION
@click.pass_obj
def rm(
    invocation: Invocation,
    *,
    ids: tuple[str, ...],
    force: bool,
    yes: bool,
    grace: float,
    no_wait: bool,
    if_version: int | None,
) -> int:
    """Stop and remove workloads, and print proof that they are gone.

    Exit code, history and the end of the log of a removed workload are kept for a while:
    `status`, `history` and `logs` still show them. Exits with 124 if the removal takes more than a
    minute longer than the grace period.
    """
    with invocation.api() as api:
        if not (force or yes):
            _confirm_if_running(api, ids)

        def act(api: "API", workload_id: str) -> Result:
            try:
                response = delete(
                    api, workload_id, grace=grace, is_awaited=not no_wait, version=if_version
                )
            except NotFound:
                if not force:
                    raise
                from kakuri_json import encode  # noqa: PLC0415 (only here)

                document = {"id": workload_id}
                return Result(encode(document), document, "not found")
            document = response.document
            is_gone = response.status == 200
            text = receipt_text(document) if is_gone else "is being removed"
            return Result(response.body, document, text)

        return act_on_each(invocation, api, ids, act)


def delete(
    api: "API",
    workload_id: str,
    *,
    grace: float,
    is_awaited: bool = True,
    version: int | None = None,
) -> "Response":
    """Remove a workload; raise what `API.request` raises.

    Args:
        api: The control plane.
        workload_id: The workload.
        grace: Seconds for it to end by itself.
        is_awaited: Whether to wait until it is removed, for up to a minute after the grace period.
        version: The version that it must have.

    Raises:
        CommandError: The time passed.
    """
    from kakuri._client import check_id, path_of  # noqa: PLC0415 (not for --help)
    from kakuri._watch import PAUSE_SECONDS  # noqa: PLC0415

    seconds = grace + STOP_MARGIN_SECONDS
    deadline = time.monotonic() + seconds
    headers = None if version is None else {"If-Match": f'"{version}"'}
    path = path_of(workload_id)
    wait, is_first = 0.0, True
    while True:
        params = [("grace_seconds", str(ceil(grace)))]
        if is_awaited:
            wait = max(1.0, min(MAX_WAIT_SECONDS, deadline - time.monotonic()))
            params.append(("wait", str(int(wait))))
        try:
            response = api.request("DELETE", path, params=params, headers=headers, wait=wait)
        except NotFound:
            if is_first:
                raise
            return api.get(path, [("removed", "true")])  # it was gone between two requests
        check_id(response, workload_id)
        if response.status == 200 or not is_awaited:
            return response
        if time.monotonic() >= deadline:
            raise CommandError(
                f"not removed within {span(seconds)}: {why_text(response.document)}",
                Exit.TIMEOUT,
                code="timeout",
            )
        time.sleep(PAUSE_SECONDS)
        headers, is_first = None, False  # the version has changed with the first request


def _confirm_if_running(api: "API", ids: tuple[str, ...]) -> None:
    """Ask for confirmation if any of the workloads has not ended."""
    from kakuri._client import path_of  # noqa: PLC0415 (not for --help)

    def is_running(client: "API", workload_id: str) -> bool:
        try:
            document = client.get(path_of(workload_id)).document
        except NotFound:
            return False  # the removal reports it
        return document["state"] not in ENDED and document.get("desired") != "removed"

    ids = tuple(dict.fromkeys(ids))
    found = results_of(api, ids, is_running)
    running = [each for each, is_one in zip(ids, found, strict=True) if is_one]
    if running:
        question = f"Stop and remove {joined_ids(running)} on {api.target.label}?"
        confirm(question, "--yes or -f")
