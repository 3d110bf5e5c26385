"""Completion of ids in a shell: within 300 ms, or nothing."""

import os

import click

from kakuri._exits import CommandError
from kakuri._invocation import Invocation

_SECONDS = 0.3
_CONNECT_SECONDS = 0.1


def complete_ids(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids of workloads that begin with what was typed.

    Returns nothing if the control plane does not answer in time, or refuses: a shell that is
    waiting must not hang, and has no place for an error. The request has the token and trusts
    the authorities of the context, as a verb's does.
    """
    from kakuri_http import Timeouts  # noqa: PLC0415 (only for completion)

    from kakuri._client import API  # noqa: PLC0415

    timeouts = Timeouts(connect=_CONNECT_SECONDS, read=_SECONDS, total=_SECONDS)
    invocation = context.find_object(Invocation) or Invocation(os.environ)
    try:
        with API(invocation.target, timeouts) as api:
            found = api.get("/workloads", _after(incomplete)).document["workloads"]
            ids = [workload["id"] for workload in found]
    except CommandError:
        return []
    return [workload_id for workload_id in ids if workload_id.startswith(incomplete)]


def _after(incomplete: str) -> list[tuple[str, str]]:
    """Return the query for ids from this prefix on: `after` the last id below it."""
    if not incomplete:
        return []
    last = chr(ord(incomplete[-1]) - 1)
    return [("after", f"{incomplete[:-1]}{last}~")]
