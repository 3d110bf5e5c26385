"""The base of exceptions that can be copied and pickled."""

import copyreg
from typing import Any


class CopyableError(Exception):
    """An exception that copy and pickle restore, whatever arguments its class takes.

    Without it, they would call the class with `args`, which usually holds the message alone.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), {**vars(self), "args": self.args}  # type: ignore[attr-defined]
