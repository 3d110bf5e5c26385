"""What `kakuri --help` shows: the verbs, and the options that all of them share.

Only modules that every Python process has loaded are imported, so that the page is as quick as
Python itself.
"""

import os
import sys

USAGE = "kakuri [OPTIONS] COMMAND [ARGS]..."
SUMMARY = "Run and watch container workloads in strong isolation."
EPILOG = (
    "kakuri VERB --help explains a verb. The control plane is --host, --context, KAKURI_HOST, "
    "KAKURI_CONTEXT, the current context, or http://127.0.0.1:8080."
)

FORMATS = ("table", "wide", "json", "jsonl", "name")
COLORS = ("auto", "always", "never")
SHARED_OPTIONS: dict[tuple[str, ...], tuple[str | tuple[str, ...] | None, str]] = {
    ("-o", "--output"): (FORMATS, "Output format."),
    ("--json",): (None, "The same as -o json."),
    ("-q", "--quiet"): (None, "Only ids; the same as -o name."),
    ("--host",): ("URL", "The control plane: http://…, https://… or unix:/PATH."),
    ("--context",): ("NAME", "A named control plane from the configuration."),
    ("--color",): (COLORS, "When to use colour."),
}
"""The names of each option; its value, which is a placeholder, choices or nothing; its summary."""

VERSION_OPTION = (("--version",), "Show the version and exit.")
HELP_OPTION = (("-h", "--help"), "Show this message and exit.")

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Workloads": {
        "run": ("_run", "Run an image; show its output, exit with its code."),
        "ps": ("_ps", "List workloads."),
        "status": ("_status", "Show one workload, its state and the reason."),
        "logs": ("_logs", "Show or follow output."),
        "wait": ("_wait", "Wait until workloads run, have ended, or are removed."),
        "history": ("_history", "Show what happened to a workload."),
        "events": ("_events", "Show or follow what happens to all workloads."),
    },
    "Change": {
        "stop": ("_lifecycle", "Stop workloads and keep their logs."),
        "start": ("_lifecycle", "Run ended workloads again."),
        "restart": ("_lifecycle", "Stop workloads and run them again."),
        "rm": ("_remove", "Stop and remove workloads."),
    },
    "Files": {
        "apply": ("_apply", "Make the node match a file."),
        "diff": ("_apply", "Compare a file with what runs."),
        "plan": ("_apply", "Show what apply would do, and whether it fits."),
        "verify": ("_verify", "Check a file without a server."),
    },
    "System": {
        "nodes": ("_nodes", "List nodes with their capacity."),
        "node": ("_nodes", "Show one node."),
        "doctor": ("_doctor", "Find what prevents workloads from running."),
        "up": ("_up", "Start a system on this machine."),
        "context": ("_context", "List, add and choose control planes."),
        "completion": ("_completion", "Print the completion script of a shell."),
        "version": ("_about", "Show versions of client and nodes."),
        "api": ("_about", "Send a request of your own."),
    },
}
"""The verbs by section: the module that defines each one, and its summary."""

VERBS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

_INDENT = 2
_MAX_TERM_WIDTH = 30
_MIN_WIDTH, _MAX_WIDTH = 50, 100
_DEFAULT_COLUMNS = 80


def overview(columns: int) -> str:
    """Return the page of `kakuri --help`.

    Args:
        columns: The width of the terminal; the page's is between 50 and 98 characters.
    """
    width = max(_MIN_WIDTH, min(columns, _MAX_WIDTH) - _INDENT)
    options = [(_synopsis(names, value), text) for names, (value, text) in SHARED_OPTIONS.items()]
    options += [(", ".join(names), text) for names, text in (VERSION_OPTION, HELP_OPTION)]
    lines = [f"Usage: {USAGE}", "", *_paragraph(SUMMARY, _INDENT, width)]
    lines += _section("Options", options, width)
    for title, verbs in SECTIONS.items():
        lines += _section(title, [(name, text) for name, (_, text) in verbs.items()], width)
    return "\n".join([*lines, "", *_paragraph(EPILOG, _INDENT, width)])


def _synopsis(names: tuple[str, ...], value: str | tuple[str, ...] | None) -> str:
    if value is None:
        return ", ".join(names)
    shown = value if isinstance(value, str) else f"[{'|'.join(value)}]"
    return f"{', '.join(names)} {shown}"


def _section(title: str, rows: list[tuple[str, str]], width: int) -> list[str]:
    """Return the lines of terms with their texts beside them, or below a term that is long."""
    lines = ["", f"{title}:"]
    column = _INDENT + min(_MAX_TERM_WIDTH, max(len(term) for term, _ in rows)) + _INDENT
    for term, text in rows:
        beside = _paragraph(text, column, width)
        shown = " " * _INDENT + term
        if len(shown) + _INDENT > column:
            lines.append(shown)
        else:
            beside[0] = shown.ljust(column) + beside[0].lstrip()
        lines += beside
    return lines


def _paragraph(text: str, indent: int, width: int) -> list[str]:
    """Return the lines of a text, each indented, and wrapped at spaces."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and indent + len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [" " * indent + each for each in [*lines, line]]


def help_columns() -> int:
    """Return the columns for a page of help: those of COLUMNS or of the terminal, else 80."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and (columns := int(given[:9])):
        return columns
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _DEFAULT_COLUMNS
    except (OSError, ValueError):  # not a terminal, or closed
        return _DEFAULT_COLUMNS
