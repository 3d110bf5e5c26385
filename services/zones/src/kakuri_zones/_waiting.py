"""The type of the context that operations enter while they wait for containers."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

WhileWaiting: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
"""Returns a context in which an operation waits for containers or a start to end. Outside it, the
operation makes calls that return soon, which a caller may want to bound."""
