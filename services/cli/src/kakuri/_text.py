"""Times, sizes and quantities, as they are shown and as they are typed."""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

# Compiled when they are first used: most verbs parse none of them.
_DURATION = r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?"
_MILLISECONDS = r"(\d+)ms"
_SIZE = r"(?i)(\d{1,15}(?:\.\d+)?)\s*(Ki|Mi|Gi|Ti|[KMGT])?(?:i?B)?"
_DECIMAL_SIZE = r"(?i)\d+(?:\.\d+)?\s*[KMGT]B"
_CPU = r"(\d{1,15}(?:\.\d{1,3})?)|(\d{1,15})m"

_MAX_DURATION = 36_500 * 86_400
"""Maximum duration in seconds: a century. Timeouts of Python's threads overflow after 292 years."""

_MAX_JOINED = 20
_UNITS = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024 * 1024}  # in MiB
_STEPS = ((86_400, "d"), (3600, "h"), (60, "m"))
_SHORT_SECONDS = 10
_IMAGES = {
    "pull": "its image would be pulled",
    "missing": "its image is not on the node, and its pull policy is never: its start would fail",
    "simulated": "nothing would really run: the runtime is simulated",
}
_GIB = 1024


def printable(text: str) -> str:
    r"""Return untrusted text for a terminal, with control characters as escapes like `\x1b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def cell_width(text: str) -> int:
    """Return how many columns of a terminal a printable text takes.

    A wide character (Unicode Standard Annex 11), such as a Chinese one or an emoji, takes two; a
    combining character takes none.
    """
    return len(text) if text.isascii() else sum(map(_cells, text))


def cut(text: str, width: int) -> str:
    """Return a text, with `…` in place of what takes more than `width` columns of a terminal."""
    if len(text) <= width and text.isascii():
        return text
    end = used = 0
    for index, char in enumerate(text, 1):
        used += _cells(char)
        if used < width:
            end = index  # there is still room for the `…`
        elif used > width:
            return f"{text[:end]}…"
    return text


def _cells(char: str) -> int:
    if char < "\u0300":  # the first character that takes none
        return 1
    import unicodedata  # noqa: PLC0415 (most text is Latin)

    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def joined_ids(ids: Sequence[str]) -> str:
    """Return ids joined by commas: the first twenty, then how many more."""
    others = len(ids) - _MAX_JOINED
    text = ", ".join(ids[:_MAX_JOINED])
    return f"{text} and {others} more" if others > 0 else text


def age(seconds: float) -> str:
    """Return a time span in its largest unit: `12s`, `4m`, `1h`, `3d`."""
    for length, unit in _STEPS:
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def span(seconds: float) -> str:
    """Return how long something took: `0.02 s`, `9.3 s`, `41 s`, `12m`."""
    if seconds >= 10 * 60:
        return age(seconds)
    if seconds >= _SHORT_SECONDS:
        return f"{seconds:.0f} s"
    return f"{seconds:.2g} s" if seconds >= 1 else f"{seconds:.2f} s"


def size(mebibytes: float) -> str:
    """Return an amount of memory: `256 MiB`, `1.5 GiB`."""
    if mebibytes >= _GIB:
        return f"{mebibytes / _GIB:.1f}".removesuffix(".0") + " GiB"
    return f"{mebibytes:g} MiB"


def byte_count(number: int) -> str:
    """Return a number of bytes: `0 B`, `12 KiB`, `3.4 MiB`, `60 GiB`."""
    if number < _GIB:
        return f"{number} B"
    kibibytes = number / _GIB
    if kibibytes < _GIB:
        return f"{kibibytes:.0f} KiB"
    mebibytes = kibibytes / _GIB
    return f"{mebibytes:.1f} MiB" if mebibytes < _GIB else f"{mebibytes / _GIB:.1f} GiB"


def cores(millicores: int) -> str:
    """Return an amount of CPU: `0.5`, `2`."""
    return f"{millicores / 1000:g}"


def cores_text(millicores: int) -> str:
    """Return an amount of CPU with its unit: `0.5 cores`, `1 core`."""
    return f"{cores(millicores)} core{'s' if millicores != 1000 else ''}"


def seconds_of(moment: str) -> float:
    """Return a time of the API (RFC 3339) as seconds since the epoch."""
    return datetime.fromisoformat(moment).timestamp()


def clock(moment: str) -> str:
    """Return a time of the API by the local clock, to the hundredth of a second."""
    local = datetime.fromisoformat(moment).astimezone()
    return local.strftime("%H:%M:%S.%f")[:-4]


def rfc3339(seconds: float) -> str:
    """Return seconds since the epoch as the API writes them."""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return moment.removesuffix("+00:00") + "Z"


def now_clock() -> str:
    """Return the local time of day, for a line of progress."""
    return time.strftime("%H:%M:%S")


def parse_duration(text: str) -> float:
    """Return the seconds of a duration like `10`, `1.5s`, `250ms`, `10m` or `1h30m`.

    Raises:
        ValueError: It is not a duration, or longer than a century.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text += "s"
    if match := re.fullmatch(_MILLISECONDS, text):
        duration = float(match[1]) / 1000
    else:
        match = re.fullmatch(_DURATION, text)
        if not text or match is None:
            raise ValueError(f"expected a duration like 30s, 10m or 1h30m, got {text!r}")
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        duration = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if duration > _MAX_DURATION:
        raise ValueError(f"expected a duration of at most 36500d, got {text!r:.60}")
    return duration


def parse_size(text: str) -> int:
    """Return the MiB of a size like `256MiB`, `256M` or `1.5G`; the units are powers of 1024.

    Raises:
        ValueError: It is not a size, or not a whole number of MiB.
    """
    if re.fullmatch(_DECIMAL_SIZE, text):
        hint = text.rstrip("Bb")
        raise ValueError(f"expected a size in MiB or GiB, got {text!r}: write {hint}iB")
    match = re.fullmatch(_SIZE, text.strip())
    if match is None or match[2] is None:
        raise ValueError(f"expected a size like 256MiB or 2GiB, got {text!r}")
    number = float(match[1]) * _UNITS[match[2][0].lower()]
    if number < 1 or number != int(number):
        raise ValueError(f"expected a whole number of MiB, at least 1, got {text!r}")
    return int(number)


def parse_cpu(text: str) -> int:
    """Return the millicores of an amount of CPU like `0.5`, `2` or `500m`.

    Raises:
        ValueError: It is not an amount of CPU.
    """
    match = re.fullmatch(_CPU, text)
    millicores = 0
    if match is not None:
        millicores = int(match[2]) if match[2] else round(float(match[1]) * 1000)
    if millicores < 1:
        raise ValueError(f"expected cores like 0.5 or 500m, at least 0.001, got {text!r}")
    return millicores


def image_text(image: Mapping[str, Any] | None) -> str:
    """Return what a dry run found out about an image; empty if nothing."""
    if not image:
        return ""
    if image.get("state") == "present":
        digest = f" ({printable(image['digest'])})" if image.get("digest") else ""
        return f"its image is on the node{digest}"
    return _IMAGES.get(image.get("state", ""), "")
