"""Generate kakuri's manual pages, and the files that load its shell completion.

The wheel installs them below share/. A test fails if they are out of date.

Usage: python -m tools.command_pages [--write]
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from kakuri import __version__
from kakuri._command import kakuri

from tools.manual_files import NAME, file_page
from tools.members import BY_NAME

SHARE = BY_NAME["kakuri"].directory / "share"
COMPLETIONS = {
    "bash-completion/completions/kakuri": 'eval "$(kakuri completion bash)"\n',
    "zsh/site-functions/_kakuri": (
        '#compdef kakuri\neval "$(kakuri completion zsh)"\n_kakuri_completion "$@"\n'
    ),
    "fish/vendor_completions.d/kakuri.fish": "kakuri completion fish | source\n",
}
"""Files that the shells read when kakuri is completed for the first time."""

SEE_ALSO = "The exit codes, the forms of output and the files are in the README of kakuri."


def pages() -> dict[Path, str]:
    """Return the content of every file."""
    found = {SHARE / name: text for name, text in COMPLETIONS.items()}
    root = click.Context(kakuri, info_name="kakuri", **kakuri.context_settings)
    for context in _contexts(root):
        name = context.command_path.replace(" ", "-")
        found[SHARE / f"man/man1/{name}.1"] = manual_page(context)
    found[SHARE / f"man/man5/{NAME}.5"] = file_manual_page()
    return found


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command and of all commands below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from _contexts(click.Context(command, info_name=name, parent=context))


def manual_page(context: click.Context) -> str:
    """Return the manual page of a command, in the macros of man(7)."""
    command = context.command
    name = context.command_path.replace(" ", "-")
    summary, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{name.upper()}" "1" "" "kakuri {__version__}" "User Commands"',
        ".SH NAME",
        _text(f"{name} - {summary.replace(chr(10), ' ').rstrip('.')}"),
        ".SH SYNOPSIS",
        f".B {_text(context.command_path)}",
        _text(usage),
        ".SH DESCRIPTION",
        _text(summary),
    ]
    for paragraph in rest.split("\n\n") if rest else ():
        lines += [".PP", _text(paragraph)]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            shown = f"{name}-{verb}"
            lines += [".TP", f"\\fB{_text(shown)}\\fR(1)", _text(below.get_short_help_str(200))]
    options = [record for parameter in command.get_params(context)
               if (record := parameter.get_help_record(context)) and record[1]]  # fmt: skip
    lines.append(".SH OPTIONS")
    for option, text in options:
        lines += [".TP", f"\\fB{_text(option)}\\fR", _text(text)]
    lines += [".SH SEE ALSO", _text(SEE_ALSO)]
    return "\n".join(lines) + "\n"


def file_manual_page() -> str:
    """Return the manual page of kakuri.toml, in the macros of man(7)."""
    lines = []
    for macro, text in file_page():
        match macro:
            case "key":
                key, _, explanation = text.partition("\n")
                lines += [".TP", f"\\fB{_text(key)}\\fR", _text(explanation)]
            case "example":
                lines += [".nf", _text(text), ".fi"]
            case _:
                lines += [macro, _text(text)] if text else [macro]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Return text for roff: no character of it is a command."""
    escaped = text.strip().replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(
        f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.split("\n")
    )


def main() -> None:
    """Write the files, or compare them with what is there."""
    expected = pages()
    present = {path: path.read_text() for path in SHARE.rglob("*") if path.is_file()}
    if sys.argv[1:] == ["--write"]:
        for path in present.keys() - expected.keys():
            path.unlink()
        for path, text in expected.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    elif sys.argv[1:]:
        raise SystemExit(__doc__)
    elif present != expected:
        raise SystemExit("run python -m tools.command_pages --write")


if __name__ == "__main__":
    main()
