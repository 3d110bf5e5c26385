"""The process of the command `kakuri`, also started by `python -m kakuri`.

Only modules that every Python process has loaded are imported here. `main` handles Ctrl-C, which
would print a traceback before that, so nothing slow may come before the call of `main`.
"""

import gc
import io
import os
import sys

from kakuri._main import main

_FAULT = 70  # EX_SOFTWARE of sysexits.h

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from typing import NoReturn, TextIO


def run() -> "NoReturn":
    """Run the command with the arguments of this process, and end the process.

    Garbage is collected rarely, and `os._exit` ends the process without releasing its objects. Both
    together save a tenth of the time of `kakuri ps`. No other cleanup is skipped: verbs close what
    they open, and threads are daemons.
    """
    gc.set_threshold(100_000)
    _open_missing_streams()
    sys.stderr = _LossyStderr(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        if isinstance(sys.stdout.buffer, io.RawIOBase):
            sys.stdout = _buffered(sys.stdout)
        sys.stdout.reconfigure(errors="backslashreplace")  # the encoding may lack a character
    code: int | str | None
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except Exception:  # noqa: BLE001 (with any of them, Python would exit with 1: a negative answer)
        from contextlib import suppress  # noqa: PLC0415 (only on failure)

        with suppress(OSError):
            sys.stdout.flush()
        sys.excepthook(*sys.exc_info())
        code = _FAULT
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _buffered(stream: "TextIO") -> io.TextIOWrapper:
    """Return a buffered stream for one that PYTHONUNBUFFERED made unbuffered.

    An unbuffered write may write only part of its data without an error: a full disk, or a reader
    that closes a pipe, would cut off the output of a command that exits with 0.

    The old stream closes the common buffer when it is released; `sys.__stdout__` keeps it.
    """
    return io.TextIOWrapper(io.BufferedWriter(stream.buffer), stream.encoding, line_buffering=True)


class _LossyStderr(io.TextIOWrapper):
    """Standard error that drops what can't be written: a failed write changes no exit code."""

    def __init__(self, stream: "TextIO") -> None:
        super().__init__(stream.buffer, stream.encoding, "backslashreplace", line_buffering=True)
        self._stream = stream  # kept, because it closes the buffer when it is released

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what can't be written."""
        try:  # noqa: SIM105 (`suppress` would have to be imported)
            super().flush()
        except OSError:
            pass


def _open_missing_streams() -> None:
    """Open /dev/null for standard streams that the caller closed: no socket may replace them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 (until the end)


if __name__ == "__main__":
    run()
