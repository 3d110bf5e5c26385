"""The verbs `apply`, `diff` and `plan`."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from kakuri._exits import CommandError, Exit, NotFound, UsageError
from kakuri._group import Verb
from kakuri._invocation import Invocation
from kakuri._options import grace_option
from kakuri._results import Result, act_in_groups, confirm
from kakuri._text import joined_ids
from kakuri._verify import DEFAULT_FILE, FILES

if TYPE_CHECKING:
    from kakuri._client import API
    from kakuri._compare import Change
    from kakuri._files import Manifest

_ENDING_KINDS = ("replace", "remove")
_PRUNED = "workloads of the file's set that are not in the file."
_PRUNE = click.option("--prune", is_flag=True, help=f"Also remove {_PRUNED}")
_SHOW_PRUNED = click.option("--prune", is_flag=True, help=f"Include the removal of {_PRUNED}")


@click.command(cls=Verb)
@FILES
@_SHOW_PRUNED
@click.pass_obj
def diff(invocation: Invocation, *, files: tuple[str, ...], prune: bool) -> int:
    """Compare files with the workloads of the node; exit with 1 if something differs."""
    manifest = _manifest(files, is_pruned=prune)
    with invocation.api() as api:
        changes = _changes(api, manifest, is_pruned=prune)
    _print_changes(invocation, changes)
    return Exit.NO if any(change.kind != "same" for change in changes) else Exit.OK


@click.command(cls=Verb)
@FILES
@_SHOW_PRUNED
@click.option("--exit-code", is_flag=True, help="Exit with 1 if something would change.")
@click.pass_obj
def plan(invocation: Invocation, *, files: tuple[str, ...], prune: bool, exit_code: bool) -> int:
    """Show what apply would do, and whether the node would accept it. Changes nothing."""
    from kakuri._compare import record_refusals  # noqa: PLC0415 (not for --help)

    manifest = _manifest(files, is_pruned=prune)
    with invocation.api() as api:
        changes = _changes(api, manifest, is_pruned=prune)
        record_refusals(api, changes)
    _print_changes(invocation, changes)
    if refused := [change.id for change in changes if change.problem]:
        message = f"the node would refuse {joined_ids(refused)}"
        raise CommandError(message, Exit.NO_ROOM, code="refused")
    has_changes = any(change.kind != "same" for change in changes)
    return Exit.NO if exit_code and has_changes else Exit.OK


@click.command(cls=Verb)
@FILES
@_PRUNE
@click.option("--yes", is_flag=True, help="Replace and remove without asking.")
@grace_option("Grace period for replaced and removed workloads.")
@click.pass_obj
def apply(
    invocation: Invocation, *, files: tuple[str, ...], prune: bool, yes: bool, grace: float
) -> int:
    """Make the node match files: create missing workloads, replace those that differ.

    A workload that differs is stopped and removed before the new one is started. After a failure,
    no further change is begun. Exits with 124 if a removal takes more than a minute longer than the
    grace period; apply the file again later.
    """
    manifest = _manifest(files, is_pruned=prune)
    with invocation.api() as api:
        changes = _changes(api, manifest, is_pruned=prune)
        _check_replacements(api, changes)
        by_id = {change.id: change for change in changes}
        ended = [change.id for change in changes if change.kind in _ENDING_KINDS]
        if ended and not yes:
            _explain(invocation, changes)
            confirm(f"Stop and remove {joined_ids(ended)} on {api.target.label}?", "--yes")

        def act(api: "API", workload_id: str) -> Result:
            return _carry_out(invocation, api, by_id[workload_id], grace)

        # A new workload must not take the room of a replaced one, and workloads that are not in the
        # file stay until all others are applied.
        groups = [
            [change.id for change in changes if change.kind in kinds]
            for kinds in (["replace"], ["create", "same"], ["remove"])
        ]
        code = act_in_groups(invocation, api, groups, act)
    if not code and not invocation.is_json and not invocation.is_name:
        changed = sum(change.kind != "same" for change in changes)
        invocation.note(f"{changed} changed, {len(changes) - changed} same")
    return code


def _check_replacements(api: "API", changes: list["Change"]) -> None:
    """Raise, before anything is removed, if the node would never accept a workload."""
    from kakuri._compare import record_refusals  # noqa: PLC0415 (not for --help)

    record_refusals(api, [change for change in changes if change.kind == "replace"])
    if refused := [f"{change.id}: {change.problem}" for change in changes if change.problem]:
        message = "\n".join([*refused, "nothing was changed"])
        raise CommandError(message, Exit.NO_ROOM, code="refused")


def _manifest(files: tuple[str, ...], *, is_pruned: bool) -> "Manifest":
    from kakuri._files import read_manifest  # noqa: PLC0415 (not for --help)

    manifest = read_manifest(files or DEFAULT_FILE)
    if is_pruned and not manifest.set_name:
        raise UsageError('--prune needs a set: write set = "NAME" into the file')
    return manifest


def _changes(api: "API", manifest: "Manifest", *, is_pruned: bool) -> list["Change"]:
    from kakuri._compare import compare  # noqa: PLC0415 (not for --help)

    return compare(api, manifest, is_pruned=is_pruned)


def _print_changes(invocation: Invocation, changes: list["Change"]) -> None:
    if invocation.format == "json":
        invocation.out_value([change.as_json() for change in changes])
        return
    for change in changes:
        if invocation.is_json:
            invocation.out_value(change.as_json())
        elif invocation.is_name:
            if change.kind != "same":
                invocation.out(change.id)
        else:
            for line in change.lines():
                invocation.out(line)


def _explain(invocation: Invocation, changes: list["Change"]) -> None:
    for change in changes:
        if change.kind != "same":
            for line in change.lines():
                invocation.note(line)


def _carry_out(invocation: Invocation, api: "API", change: "Change", grace: float) -> Result:
    """Carry out a change."""
    from kakuri._remove import delete  # noqa: PLC0415 (not for --help)
    from kakuri._run import submit  # noqa: PLC0415

    if change.kind in _ENDING_KINDS:
        with suppress(NotFound):  # another client removed it
            delete(api, change.id, grace=grace)
    document: dict[str, Any] = {"id": change.id, "change": change.kind}
    if change.kind in ("create", "replace"):
        assert change.desired is not None
        document["workload"] = submit(invocation, api, change.desired).document
    text = {"create": "created", "replace": "replaced", "remove": "removed"}.get(
        change.kind, "same"
    )
    return Result(b"", document, text)
