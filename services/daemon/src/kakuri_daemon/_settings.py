"""Reads the TOML files that an operator names."""

import os
import stat
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 20
"""Bytes of a settings file: a thousand times an ordinary one."""

_TOO_LARGE = "expected integers of at most 64 bits, got a larger one"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that an operator named.

    Symbolic links are followed, because configuration is mounted and replaced by them. Devices and
    FIFOs are refused: a device may never end, and opening a FIFO may block.

    Args:
        path: The file.

    Raises:
        OSError: It can't be read, is not a regular file, or is larger than 1 MiB.
        ValueError: It is not valid UTF-8 or TOML, is nested too deeply, or has an integer that
            does not fit in 64 bits.
    """
    import tomllib  # noqa: PLC0415 (few commands read a file)

    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a regular file", str(path))
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(0, f"it is larger than {MAX_BYTES} bytes", str(path))
    text = content.decode("utf-8-sig")  # some editors write a byte order mark
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("its arrays or tables are nested too deeply") from error
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # thousands of digits
        raise ValueError(_TOO_LARGE) from error
    _check_integers(document)
    return document


def _check_integers(document: dict[str, Any]) -> None:
    """Raise ValueError for an integer of more than 64 bits, beyond the range of TOML."""
    values: list[object] = [document]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(_TOO_LARGE)
