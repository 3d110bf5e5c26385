"""Reads TOML, and raises ValueError for every fault, unlike the standard library."""

from typing import Any

_TOO_LARGE = "expected integers of at most 64 bits, got a larger one"


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML document.

    Raises:
        ValueError: The text is not valid TOML, is nested too deeply, or has an integer that does
            not fit in 64 bits.
    """
    import tomllib  # noqa: PLC0415 (only where there is a file)

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
