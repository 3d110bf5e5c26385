"""Request fields that the API reads: If-Match, If-None-Match and Idempotency-Key.

A field that is not valid is refused: a client that sends a condition, or a key, relies on it.
"""

import re
from base64 import b32encode
from collections.abc import Iterable

from kakuri_http import Request
from kakuri_workload import MAX_ID_LENGTH, CopyableError, printable

MAX_KEY_LENGTH = 255
"""Characters of an Idempotency-Key."""

KEY_DIGITS = 10
"""Base32 digits of a key's hash in an id: 50 bits. Among 10,000 keys for one image, two have the
same id with a probability of one in twenty million."""

MAX_SHOWN = 200
"""Characters of an error's list of versions."""

MAX_VERSION = 2**53
"""The largest version that an agent can have."""

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'  # an entity-tag (RFC 9110 section 8.8.3)
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_ASCII_TAG = r'(?:W/)?"[!#-~]*"'
ENTITY_TAGS = rf"\*|{_ASCII_TAG}(?:, ?{_ASCII_TAG})*"
"""The usual form of If-Match, for clients; more white space and commas are accepted."""

_WEIGHT = re.compile(r";[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*(?:;|\Z)", re.IGNORECASE)
_EACH_TAG = re.compile(_TAG)
_VERSION = re.compile(r'"(0|[1-9][0-9]{0,15})"')
_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY_LENGTH}}}")

EVENT_INDEX = "now|[0-9]{1,15}"
"""The usual form of Last-Event-ID."""


class HeaderError(CopyableError):
    """A field of a request is not valid.

    Attributes:
        name: Its name.
        message: What was expected.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class VersionMismatch(CopyableError):
    """A workload has none of the versions of a request's If-Match."""

    def __init__(self, workload_id: str, expected: Iterable[int], version: int | None) -> None:
        versions = printable(" or ".join(map(str, sorted(expected))), MAX_SHOWN)
        super().__init__(
            f"expected version {versions} of workload {workload_id!r}, got {version}"
            if versions
            else f"expected a strong entity tag of version {version} of workload {workload_id!r}"
        )


def entity_tag(version: int) -> str:
    """Return the strong entity tag of a version, as ETag and If-Match have it."""
    return f'"{version}"'


def expected_versions(request: Request) -> frozenset[int] | None:
    """Return the versions that If-Match allows, or None if any will do.

    Tags are compared strongly (RFC 9110 section 13.1.1): a weak tag, and one without a version,
    matches nothing. So the result may be empty.

    Args:
        request: The request; several fields are one list.

    Raises:
        HeaderError: The field is neither `*` nor a list of entity tags.
    """
    field = request.headers.get("if-match")
    if field is None or field == "*":
        return None
    if not _TAGS.fullmatch(field):
        raise HeaderError("If-Match", f'expected * or entity tags such as "12", got {field!r:.80}')
    versions = map(_VERSION.fullmatch, _EACH_TAG.findall(field))
    found = frozenset(int(each[1]) for each in versions if each is not None)
    return frozenset(version for version in found if version <= MAX_VERSION)


def is_unchanged(request: Request, version: int) -> bool:
    """Return whether If-None-Match contains this version, so that a 304 is enough."""
    return has_tag(request, entity_tag(version))


def has_tag(request: Request, tag: str) -> bool:
    """Return whether If-None-Match has a strong entity tag.

    Tags are compared weakly (RFC 9110 section 13.1.2). A field that is not valid has none.
    """
    field = request.headers.get("if-none-match")
    if field is None:
        return False
    tags = _EACH_TAG.findall(field)
    return field == "*" or tag in (each.removeprefix("W/") for each in tags)


def idempotency_key(request: Request) -> str:
    """Return a request's Idempotency-Key as it was sent.

    Raises:
        HeaderError: There is none or more than one, or it is not 1 to 255 printable ASCII
            characters.
    """
    keys = request.headers.get_all("idempotency-key")
    if len(keys) != 1:
        raise HeaderError("Idempotency-Key", f"expected one field, got {len(keys)}")
    (key,) = keys
    if not _KEY.fullmatch(key):
        expected = f"1 to {MAX_KEY_LENGTH} printable ASCII characters"
        raise HeaderError("Idempotency-Key", f"expected {expected}, got {key!r:.80}")
    return key


def id_of_key(key: str, image: str) -> str:
    """Return the id of the workload that is submitted with a key instead of an id.

    The same key and image always give the same id, so a repeated request finds the workload that
    the first one created, whichever process it reaches, and without any record of keys.

    Args:
        key: The Idempotency-Key.
        image: The workload's image; the last component of its name begins the id.
    """
    from hashlib import sha256  # noqa: PLC0415 (it takes half a MiB, and few clients send keys)

    path = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    name = re.sub("[^a-z0-9]+", "-", path)[: MAX_ID_LENGTH - KEY_DIGITS - 1].strip("-")
    digits = b32encode(sha256(key.encode()).digest()).decode().lower()[:KEY_DIGITS]
    return f"{name}-{digits}"


def quality(request: Request, media_type: str) -> float:
    """Return a client's preference for a media type, from 0 to 1 (RFC 9110 section 12.5.1).

    It is the weight of the most specific range of Accept that includes the type.
    """
    accept = ",".join(request.headers.get_all("accept")).lower()
    ranges: dict[str, float] = {}
    for element in accept.split(","):
        name, separator, parameters = element.partition(";")
        weight = _WEIGHT.search(separator + parameters)
        name = name.strip()
        # A client may name a type twice, with different parameters.
        ranges[name] = max(ranges.get(name, 0.0), float(weight[1]) if weight else 1.0)
    kind = media_type.partition("/")[0]
    for name in (media_type, f"{kind}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0
