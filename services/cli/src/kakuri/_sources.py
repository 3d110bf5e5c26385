"""Reads files and standard input that a user names: of a bounded size, UTF-8 in every locale."""

import sys
from typing import BinaryIO

from kakuri._exits import UsageError

MAX_BYTES = 16 << 20
"""Maximum size of a file in bytes: room for sixty workloads of the largest size."""


def read_file(path: str) -> bytes:
    """Return the content of a file that a variable or another file names; `-` is a path.

    Raises:
        OSError: It can't be read.
        ValueError: It is larger than MAX_BYTES, as an endless device such as /dev/zero is.
    """
    # Without pathlib, whose import takes longer than reading the file.
    with open(path, "rb") as file:  # noqa: PTH123
        return _read(file)


def read_argument(path: str) -> bytes:
    """Return the content of a file that the command line names; `-` is standard input.

    Raises:
        OSError: It can't be read.
        ValueError: It is larger than MAX_BYTES.
    """
    return _read(sys.stdin.buffer) if path == "-" else read_file(path)


def read_text_file(path: str) -> str:
    """Return the text of a file that a variable or another file names; `-` is a path.

    Raises:
        OSError: It can't be read.
        ValueError: It is larger than MAX_BYTES, or not UTF-8.
    """
    return _decoded(read_file(path))


def read_text_argument(path: str) -> str:
    """Return the text of a file that the command line names; `-` is standard input.

    Raises:
        OSError: It can't be read.
        ValueError: It is larger than MAX_BYTES, or not UTF-8.
    """
    return _decoded(read_argument(path))


def _decoded(content: bytes) -> str:
    return content.decode("utf-8-sig")  # some editors put a byte order mark before the text


def _read(file: BinaryIO) -> bytes:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    return content


def unreadable(name: str, error: Exception) -> UsageError:
    """Return the error to raise for a file, from the one that reading it raised."""
    return UsageError(f"{name} can't be read: {getattr(error, 'strerror', None) or error}")


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a text without their ends, `\n` or `\r\n`.

    `str.splitlines` would also end lines at form feeds and at line separators of Unicode.
    """
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
