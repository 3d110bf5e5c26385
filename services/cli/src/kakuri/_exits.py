"""Exit codes, and the errors that end a command with one."""

import copyreg
from enum import IntEnum
from typing import Any

import click


class Exit(IntEnum):
    """What each exit code means; `run` and `wait --exit-code` also exit with the workload's own.

    No error exits with 1, so that scripts can trust the answer "no" of `diff`, `wait` and `doctor`.
    """

    OK = 0
    NO = 1
    """A negative answer: a difference, a hopeless wait, a failed check, a declined question."""
    USAGE = 2
    """The command line or a file is wrong, the output can't be written, the system allows no more
    threads, or the control plane refused the request."""
    NOT_FOUND = 3
    CONFLICT = 4
    """Another specification or version, or the workload is being removed."""
    NO_ROOM = 5
    """The node has no room now, or can never run the workload."""
    UNREACHABLE = 6
    """No response, or none in time; for a write, the message says that its outcome is unknown."""
    FAULT = 70
    """A fault of the command itself, whose traceback is printed."""
    TIMEOUT = 124
    """The time of --timeout passed, or a workload was not stopped or removed within a minute after
    its grace period."""
    NOT_RUN = 125
    """`run` failed before the workload's command ran, or can no longer follow it."""
    INTERRUPTED = 130
    """Ctrl-C: 128 and the number of SIGINT."""
    CLOSED_PIPE = 141
    """The reader of the output has closed it: 128 and the number of SIGPIPE."""


class ClosedPipe(Exception):
    """The reader of the output has closed it. For an OSError, click would exit with 1."""


class CommandError(click.ClickException):
    """An error that ends a command with a message of one line and an exit code.

    Attributes:
        code: Short, stable name of the cause.
        document: The API's problem document, which is printed in place of the message when the
            output is JSON.
    """

    def __init__(
        self,
        message: str,
        exit_code: Exit,
        *,
        code: str = "",
        document: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code: int = int(exit_code)  # type: ignore[misc]  # click has it on the class
        self.code = code
        self.document = document

    def __reduce__(self) -> tuple[Any, ...]:
        # copy and pickle would call the class with `args`, but it takes other arguments.
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]


class UsageError(CommandError):
    """The command line, a variable or a file is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.USAGE, code="usage")


class Unreachable(CommandError):
    """The control plane or its agent did not answer."""

    def __init__(self, message: str, *, code: str, document: bytes | None = None) -> None:
        super().__init__(message, Exit.UNREACHABLE, code=code, document=document)


class NotFound(CommandError):
    """There is no such workload, node, or path."""

    def __init__(self, message: str, *, document: bytes | None = None) -> None:
        super().__init__(message, Exit.NOT_FOUND, code="not_found", document=document)
