"""Reading TOML, with one error for all that the standard library raises."""

from typing import Any


def parse_toml(text: str) -> dict[str, Any]:
    """Return a document of TOML.

    Raises:
        ValueError: It is not one.
    """
    import tomllib  # noqa: PLC0415 (only where there is a file)

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("its arrays or tables are nested too deeply") from error
