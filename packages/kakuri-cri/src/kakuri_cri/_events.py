"""What a runtime sends in a call that streams."""

from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from kakuri_cri._channel import ChannelError
from kakuri_cri._errors import failure_of

A = TypeVar("A")


class Events(Generic[A]):
    """The messages of a streaming call, as an async iterator.

    It ends when the runtime ends the call, and raises CriError when the call fails. Used as an
    async context manager, or closed with `aclose`, it cancels the call. The call starts with the
    first message that is asked for.

    >>> async def follow(runtime: Runtime) -> None:
    ...     async with runtime.events() as events:
    ...         async for event in events:
    ...             print(event.container_id, event.container_event_type)

    """

    def __init__(
        self,
        name: str,
        message: type[A],
        answers: AsyncGenerator[bytes, None],
        decode: Callable[[str, bytes, type[A]], A],
    ) -> None:
        self._name = name
        self._message = message
        self._answers = answers
        self._decode = decode

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> A:
        try:
            data = await anext(self._answers)
        except ChannelError as error:
            raise failure_of(self._name, error) from error.with_traceback(None)
        return self._decode(self._name, data, self._message)

    async def aclose(self) -> None:
        """Cancel the call, unless it has ended."""
        await self._answers.aclose()
