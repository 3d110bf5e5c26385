"""The command `kakuri` as click parses it: its verbs, and the options that all of them share.

A verb's module is imported when the verb is used, so that help and completion are quick.
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from kakuri._exits import ClosedPipe
from kakuri._invocation import Invocation
from kakuri._overview import (
    HELP_OPTION,
    SHARED_OPTIONS,
    VERBS,
    VERSION_OPTION,
    help_columns,
    overview,
)
from kakuri._version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


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
    """Return the options that every verb has; they may also come before the verb."""
    return [_shared_option(*entry) for entry in SHARED_OPTIONS.items()]


def _shared_option(
    names: tuple[str, ...], entry: tuple[str | tuple[str, ...] | None, str]
) -> click.Option:
    value, text = entry
    name = names[-1].removeprefix("--")
    sets_format = name in ("output", "json", "quiet")
    return click.Option(
        names,
        metavar=value if isinstance(value, str) else None,
        type=click.Choice(value) if isinstance(value, tuple) else None,
        is_flag=True if value is None else None,  # with False, click makes the value optional
        expose_value=False,
        callback=_set_format if sets_format else _set(name),
        help=text,
    )


def version_option() -> click.Option:
    """Return the option that prints the version of the command."""
    return _page_option(VERSION_OPTION, lambda _: f"kakuri, version {__version__}")


def _page_option(
    entry: tuple[tuple[str, ...], str], page: Callable[[click.Context], str]
) -> click.Option:
    """Return an option that prints a page instead of running the verb."""

    def print_page(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value and not context.resilient_parsing:
            click.echo(page(context), color=context.color)
            context.exit()

    names, text = entry
    return click.Option(
        names, is_flag=True, is_eager=True, expose_value=False, callback=print_page, help=text
    )


class _CommandWithHelp(click.Command):
    """A command with its own help option; click's translates its summary each time it is read."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.help_option = _page_option(HELP_OPTION, lambda context: context.get_help())

    def get_help_option(self, _ctx: click.Context) -> click.Option:
        """Return the option that shows the help of the command."""
        return self.help_option


class Verb(_CommandWithHelp):
    """A command with the shared options after its own."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        for option in self.params:
            if isinstance(option.type, click.IntRange):
                option.type.name = "integer"  # in errors; click's own is "integer range"
        self.params.extend(shared_options())


class Verbs(_CommandWithHelp, click.Group):
    """The command `kakuri`, which imports a verb when it is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of the verbs."""
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Return a verb; None if there is none of this name."""
        if name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"kakuri.{VERBS[name][0]}"), name)
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

    def get_help(self, _ctx: click.Context) -> str:
        """Return the page of `kakuri --help`, without importing the verbs."""
        return overview(help_columns())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the verbs, or the options, that begin with what was typed."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 (only for completion)

        if incomplete and not incomplete[0].isalnum():
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(verb, help=text) for verb, (_, text) in VERBS.items()
                if verb.startswith(incomplete)]  # fmt: skip
