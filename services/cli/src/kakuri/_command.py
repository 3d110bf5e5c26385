"""The command `kakuri` as click runs it, and what every error looks like."""

import os
import sys
from collections.abc import Sequence

import click

from kakuri._exits import ClosedPipe, CommandError, Exit, UsageError
from kakuri._group import Verbs, shared_options, version_option
from kakuri._invocation import Invocation
from kakuri._overview import EPILOG, SUMMARY

kakuri = Verbs(
    name="kakuri",
    help=SUMMARY,
    epilog=EPILOG,
    params=[*shared_options(), version_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def run_command(args: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        args: The arguments after `kakuri`.

    Raises:
        BrokenPipeError: The reader of the output has closed it.
    """
    invocation = Invocation(os.environ)
    try:
        _check_encoding(args)
        result = kakuri.main(list(args), prog_name="kakuri", obj=invocation, standalone_mode=False)
    except ClosedPipe as error:
        raise BrokenPipeError from error
    except CommandError as error:
        invocation.error(error.message, error.code, error.document)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(f"{error.ctx.get_help()}\n")
        return Exit.OK
    except click.ClickException as error:
        if invocation.is_json:
            invocation.error(error.format_message(), "usage")
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):  # click has printed a line feed
        import signal  # noqa: PLC0415 (only here)

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.OK


def _check_encoding(args: Sequence[str]) -> None:
    """Raise UsageError for an argument that is not valid UTF-8."""
    for each in args:
        try:
            each.encode()
        except UnicodeEncodeError:
            raise UsageError(f"expected arguments in UTF-8, got {each!r}") from None
