"""The entry point of the command `kakuri`, and what every error looks like."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from kakuri._exits import ClosedPipe, CommandError, Exit
from kakuri._group import Verbs, shared_options
from kakuri._invocation import Invocation
from kakuri._version import __version__


@click.command(
    cls=Verbs,
    name="kakuri",
    params=shared_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="kakuri VERB --help shows a verb. The control plane is --host, --context, KAKURI_HOST, "
    "KAKURI_CONTEXT, the current context, or http://127.0.0.1:8080.",
)
@click.version_option(__version__, prog_name="kakuri")
def kakuri() -> None:
    """Run and watch container workloads in strong isolation."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command `kakuri` and exit.

    Args:
        args: The arguments; those of the process by default.

    Raises:
        SystemExit: Always, with the exit code.
    """
    invocation = Invocation(os.environ)
    try:
        code = _run(invocation, args)
        sys.stdout.flush()
    except (BrokenPipeError, ClosedPipe):
        # Python would report the rest that can't be written when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = Exit.CLOSED_PIPE
    sys.exit(int(code))


def _run(invocation: Invocation, args: Sequence[str] | None) -> int:
    try:
        result = kakuri.main(
            None if args is None else list(args), prog_name="kakuri", obj=invocation,
            standalone_mode=False,
        )  # fmt: skip
    except CommandError as error:
        _show(invocation, error.message, error.code, error.document)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(f"{error.ctx.get_help()}\n")
        return Exit.OK
    except click.ClickException as error:
        if invocation.is_json:
            _show(invocation, error.format_message(), "usage", None)
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("\n")
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK


def _show(invocation: Invocation, message: str, code: str, document: bytes | None) -> None:
    """Print an error: a line of text, or in JSON the problem document."""
    sys.stdout.flush()
    if not invocation.is_json:
        invocation.note(f"{invocation.styled('error:', 'red', sys.stderr)} {message}")
        return
    if document is None:
        from kakuri_json import encode  # noqa: PLC0415 (only here)

        document = encode({"title": message.partition("\n")[0], "detail": message, "code": code})
    sys.stderr.buffer.write(document.rstrip(b"\n") + b"\n")
    sys.stderr.flush()
