"""The entry point of the command `kakuri`; click is imported only for what it has to parse."""

import os
import sys

from kakuri._overview import help_columns, overview

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

COMPLETE = "_KAKURI_COMPLETE"
"""The variable with which a shell asks for completion."""

_HELP_ARGS: tuple[list[str], ...] = ([], ["-h"], ["--help"])
_CLOSED_PIPE = 128 + 13  # SIGPIPE
_INTERRUPTED = 128 + 2  # SIGINT
_USAGE = 2
_OUTPUT_ERRORS = ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EAGAIN")


def main(args: "Sequence[str] | None" = None) -> "NoReturn":
    """Run the command `kakuri` and exit.

    Args:
        args: The arguments; those of the process by default.

    Raises:
        SystemExit: With the exit code.
        OSError: It concerns neither the output nor a file, so it is a bug.
    """
    try:
        code = _run(sys.argv[1:] if args is None else list(args))
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        code = _CLOSED_PIPE
    except OSError as error:
        from errno import errorcode  # noqa: PLC0415 (only on failure)

        if error.filename is None and errorcode.get(error.errno or 0) not in _OUTPUT_ERRORS:
            raise  # it concerns neither the output nor a file: a bug, whose traceback is needed
        _discard_output()
        what = "the output can't be written" if error.filename is None else error.filename
        sys.stderr.write(f"error: {what}: {error.strerror}\n")
        code = _USAGE
    except KeyboardInterrupt:  # before or after the verb
        code = _INTERRUPTED
    sys.exit(code)


def _run(args: list[str]) -> int:
    if args in _HELP_ARGS and COMPLETE not in os.environ:
        sys.stdout.write(f"{overview(help_columns())}\n")
        return 0
    from kakuri._command import run_command  # noqa: PLC0415 (not for --help)

    return run_command(args)


def _discard_output() -> None:
    from kakuri._streams import discard_output  # noqa: PLC0415 (only on failure)

    discard_output(1)
