"""The process of the command `kakuri`, also started by `python -m kakuri`.

It imports only modules that every Python process has loaded: Ctrl-C is handled from the call of
`main` on, and while another module is loaded before that, it would be a traceback.
"""

import gc
import io
import os
import sys

from kakuri._main import main

TYPE_CHECKING = False  # as type checkers know it, without the import of typing
if TYPE_CHECKING:
    from typing import NoReturn, TextIO


def run() -> "NoReturn":
    """Run the command with the arguments of this process, and end the process.

    Imported modules live until the process ends, so garbage collection is deferred, and so is the
    release of all objects at the end: together, they would add a tenth to the time of `kakuri ps`.
    Nothing else is left to do then, because verbs close what they open, and threads are daemons.
    """
    gc.set_threshold(100_000)
    _open_missing_streams()
    sys.stderr = _LossyStderr(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may lack a character
        sys.stdout.reconfigure(errors="backslashreplace")
    code: int | str | None = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


class _LossyStderr(io.TextIOWrapper):
    """Standard error that drops what can't be written, so that no exit code changes."""

    def __init__(self, stream: "TextIO") -> None:
        super().__init__(stream.buffer, stream.encoding, "backslashreplace", line_buffering=True)
        self._stream = stream  # it would close the buffer when it is released

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
    """Open the standard streams that the caller has closed, so that no socket takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 (until the end)


if __name__ == "__main__":
    run()
