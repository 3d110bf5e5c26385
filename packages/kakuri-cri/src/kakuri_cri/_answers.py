"""Decoding answers."""

from typing import Any, TypeVar

from kakuri_protobuf import DecodeError, Method, decode

from kakuri_cri._errors import CallUnanswered, printable

A = TypeVar("A")


def name_of(method: Method[Any, Any]) -> str:
    """Return the name of a call, without its service."""
    return method.path.rpartition("/")[2]


def decode_answer(method: Method[Any, A], data: bytes) -> A:
    """Return the message of an answer.

    Raises:
        CallUnanswered: the answer is not a valid message of the method's type.

    """
    try:
        return decode(data, type=method.response)
    except DecodeError as error:
        message = printable(f"the answer is not a valid {method.response.__name__}: {error}")
        raise CallUnanswered(name_of(method), message, "INTERNAL") from error
