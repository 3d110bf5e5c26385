"""The verbs: where each one is defined, and the options that all of them share.

A verb's module is imported when the verb is used, so that help and completion are quick.
"""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from kakuri._exits import ClosedPipe
from kakuri._invocation import FORMATS, Invocation


class Entry(NamedTuple):
    """A verb: the module that defines it, and what the list of verbs says about it."""

    module: str
    summary: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Workloads": {
        "run": Entry("_run", "Run an image; its output, its exit code."),
        "ps": Entry("_ps", "List workloads."),
        "status": Entry("_status", "Show one workload, and why it is as it is."),
        "logs": Entry("_logs", "Show or follow output."),
        "wait": Entry("_wait", "Wait until workloads run, have ended, or are removed."),
        "history": Entry("_history", "Show what happened to a workload."),
        "events": Entry("_events", "Show or follow what happens to all of them."),
    },
    "Change": {
        "stop": Entry("_lifecycle", "Stop workloads, and keep their logs."),
        "start": Entry("_lifecycle", "Run again what has ended."),
        "restart": Entry("_lifecycle", "Stop, and run again."),
        "rm": Entry("_remove", "Stop and remove workloads."),
    },
    "Files": {
        "apply": Entry("_apply", "Make the workloads those of a file."),
        "diff": Entry("_apply", "Compare a file with what runs."),
        "plan": Entry("_apply", "Show what apply would do, and whether it fits."),
        "verify": Entry("_verify", "Check a file, without a server."),
    },
    "System": {
        "nodes": Entry("_nodes", "List nodes with their capacity."),
        "node": Entry("_nodes", "Show one node."),
        "doctor": Entry("_doctor", "Check what would go wrong."),
        "up": Entry("_up", "Start a system on this machine."),
        "context": Entry("_context", "List, add and choose control planes."),
        "completion": Entry("_completion", "Print the completion of a shell."),
        "version": Entry("_about", "Show versions of client and nodes."),
        "api": Entry("_about", "Send a request of your own."),
    },
}
VERBS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_attribute(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            setattr(_invocation_of(context), name, value)

    return set_attribute


def _set_format(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        chosen = {"json": "json", "quiet": "name"}.get(parameter.name or "", value)
        _invocation_of(context).format = chosen


def _invocation_of(context: click.Context) -> Invocation:
    return context.find_object(Invocation) or Invocation(os.environ)


def shared_options() -> list[click.Parameter]:
    """Return the options of every verb, which may also stand before it."""
    return [
        click.Option(["-o", "--output"], type=click.Choice(FORMATS), expose_value=False,
                     callback=_set_format, help="Form of the output."),
        click.Option(["--json"], is_flag=True, expose_value=False, callback=_set_format,
                     help="The same as -o json."),
        click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=_set_format,
                     help="Only ids; the same as -o name."),
        click.Option(["--host"], metavar="URL", expose_value=False, callback=_set("host"),
                     help="The control plane: http://…, https://… or unix:/PATH."),
        click.Option(["--context"], metavar="NAME", expose_value=False, callback=_set("context"),
                     help="A control plane of the configuration."),
        click.Option(["--color"], type=click.Choice(["auto", "always", "never"]),
                     expose_value=False, callback=_set("color"), help="When to use colour."),
    ]  # fmt: skip


class Verb(click.Command):
    """A command with the shared options after its own."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.params.extend(shared_options())


class Verbs(click.Group):
    """The command `kakuri`, which imports a verb when it is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of the verbs."""
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Return a verb; None if there is none of this name."""
        if name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"kakuri.{VERBS[name].module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb of a command line; suggest one for a name that is not a verb."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            aliases = {"ls": "ps", "list": "ps", "log": "logs", "inspect": "status",
                       "describe": "status", "delete": "rm", "kill": "stop --grace 0",
                       "create": "run -d", "get": "ps"}  # fmt: skip
            from difflib import get_close_matches  # noqa: PLC0415 (only this error needs it)

            near = get_close_matches(args[0], VERBS, n=1, cutoff=0.7)
            hint = aliases.get(args[0]) or (near[0] if near else None)
            tail = f": did you mean {hint}?" if hint else "; kakuri --help lists them"
            ctx.fail(f"there is no verb {args[0]!r}{tail}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipe from error

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs, without importing them."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                rows: Sequence[tuple[str, str]] = [
                    (name, entry.summary) for name, entry in entries.items()
                ]
                formatter.write_dl(rows)
