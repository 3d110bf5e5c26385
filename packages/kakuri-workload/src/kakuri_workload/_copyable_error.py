"""The base of exceptions that can be copied and pickled."""

import copyreg
from typing import Any


class CopyableError(Exception):
    """An exception that survives copy and pickle, regardless of its constructor's arguments.

    By default, they would call the class with `args`, which usually contains only the message.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]
