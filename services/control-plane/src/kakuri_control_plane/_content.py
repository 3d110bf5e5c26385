"""The content of requests, which is JSON whatever its Content-Type says."""

import re
from dataclasses import dataclass
from typing import TypeVar

from kakuri_http import Request
from kakuri_json import Fault, ValidationError, decode
from kakuri_rpc import LIMITS, GraceSeconds

JSON = "application/json"

MAX_OPTIONS = 4096
"""Bytes of the content of a stop, a start or a restart."""

MAYBE_JSON = re.compile(
    r"(?:application/(?:[a-z0-9.+-]+\+)?json|text/json|text/plain|application/octet-stream"
    r"|application/x-www-form-urlencoded)\s*(?:;.*)?",
    re.IGNORECASE,
)
"""Media types whose content is or may be JSON; curl -d labels every body as a form."""

T = TypeVar("T")


class UnsupportedContent(Exception):
    """The content of a request is of a media type that can't be JSON, or is compressed."""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The content of a request that has no options."""


@dataclass(frozen=True, slots=True)
class StopOptions:
    """The content of a stop or a restart.

    Attributes:
        grace_seconds: Seconds between the signal and the kill.
    """

    grace_seconds: GraceSeconds = 10


def check_content_type(request: Request) -> None:
    """Check that a request's content may be JSON.

    Raises:
        UnsupportedContent: Its media type can't be JSON, or it has a content coding.
    """
    content_type = request.headers.get("content-type")
    if content_type not in (None, JSON) and not MAYBE_JSON.fullmatch(content_type):
        raise UnsupportedContent(f"expected {JSON}, got {content_type!r}")
    coding = request.headers.get("content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise UnsupportedContent(f"expected content without a coding, got {coding!r}")


def read_options(request: Request, options_type: type[T]) -> T:
    """Return a request's content; each option has its default if there is no content.

    Raises:
        UnsupportedContent: It can't be JSON.
        kakuri_json.JSONError: It is not valid.
    """
    if not request.body:
        return options_type()
    check_content_type(request)
    options: T = decode(request.body, type=options_type, limits=LIMITS)
    return options


def refuse_content(request: Request, hint: str) -> None:
    """Refuse content in a request that has no options, instead of ignoring it.

    Raises:
        kakuri_json.ValidationError: The request has content.
    """
    if request.body:
        raise ValidationError((Fault("$", f"expected no content, because {hint}"),))
