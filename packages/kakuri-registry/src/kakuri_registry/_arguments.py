"""A check of the sizes that callers pass."""


def check_count(value: object, name: str) -> None:
    """Raise TypeError unless an argument is an integer, and ValueError if it is negative."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected an integer as {name}, got {value!r:.80}")
    if value < 0:
        raise ValueError(f"expected at least 0 as {name}, got {value!r:.80}")
