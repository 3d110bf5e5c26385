"""URLs, references and percent-encoding (RFC 3986)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from kakuri_tcp import Endpoint, EndpointError

from kakuri_http._errors import InvalidURL
from kakuri_http._limits import checked

# RFC 3986 appendix B. Groups: scheme, authority, path, query; the fragment is for the caller alone
# (RFC 9110 7.1).
_REFERENCE = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL
)
# RFC 3986 3.2 without userinfo, which RFC 9110 4.2.4 deprecates.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?::([0-9]{0,5}))?")
_PATH = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
# Includes what browsers leave unencoded in a query (WHATWG URL, "query percent-encode set").
_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|{}^`\\]|%[0-9A-Fa-f]{2})*")
_PORTS = {"http": 80, "https": 443}
_ZONE = re.compile(r"%.*\]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_TO_ENCODE = re.compile(rb"[^A-Za-z0-9\-._~]")
# What _PATH and _QUERY do not accept, and a % that begins no escape.
_UNENCODED_IN_PATH = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]|%(?![0-9A-Fa-f]{2})")
_UNENCODED_IN_QUERY = re.compile(
    r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|{}^`\\%]|%(?![0-9A-Fa-f]{2})"
)

Params = Mapping[str, str | int] | Iterable[tuple[str, str | int]]
"""Parameters of a query: a mapping, or pairs if a name occurs more than once."""


class URL(NamedTuple):
    """Where to connect and what to request there.

    Attributes:
        endpoint: Where to connect.
        host: Value of the Host field.
        target: Path and query, percent-encoded.
        origin: Scheme, host and port, as `https://example.com`.
    """

    endpoint: Endpoint
    host: str
    target: str
    origin: str


def parse_url(text: str, endpoint: Endpoint | None = None) -> URL:
    """Parse an absolute `http:` or `https:` URL.

    With an endpoint, the text may also be a relative reference, such as a path. Dot segments are
    resolved, and a fragment is dropped.

    Args:
        text: The URL, percent-encoded.
        endpoint: Where to connect regardless of the URL, such as a Unix socket. Relative references
            are resolved against the root of this server.

    Raises:
        InvalidURL: The text is not such a URL, or contains characters that have to be
            percent-encoded.
        TypeError: It is not text.
    """
    checked(text, str, "URL")
    if endpoint is not None:
        text = resolve(text, _root_of(endpoint))
    scheme, authority, path, query = _split(text)
    match = _AUTHORITY.fullmatch(authority or "")
    if scheme not in _PORTS or not authority:
        raise InvalidURL(f"expected an http or https URL, got {text!r}")
    if "@" in authority:  # not quoted: it may hold a password
        raise InvalidURL("expected a URL without user and password; send an Authorization field")
    if match is None:
        raise InvalidURL(f"expected HOST or HOST:PORT after {scheme}://, got {authority!r}")
    target = _remove_dot_segments(path) or "/"
    if not _PATH.fullmatch(target) or not _QUERY.fullmatch(query or ""):
        raise InvalidURL(f"expected a percent-encoded path and query, got {text!r}; "
                         "percent_encode() and params= encode them")  # fmt: skip
    if query is not None:
        target += f"?{query}"
    name, port = match[1].lower(), match[2]
    number = int(port) if port else _PORTS[scheme]
    make = Endpoint.tls if scheme == "https" else Endpoint.tcp
    try:
        endpoint = endpoint or make(name.strip("[]"), number)
    except EndpointError as error:
        raise InvalidURL(f"expected a host and port to connect to, got {text!r}") from error
    host = name if number == _PORTS[scheme] else f"{name}:{number}"
    return URL(endpoint, host, target, f"{scheme}://{host}")


def resolve(reference: str, base: URL) -> str:
    """Resolve a reference relative to a URL (RFC 3986 5.2.2).

    Pass the result to `parse_url`, which validates it and removes dot segments.
    """
    scheme, authority, path, query = _split(reference)
    if scheme is not None:
        return reference
    scheme, _, base_authority = base.origin.partition("://")
    if authority is None:
        authority = base_authority
        base_path, has_query, base_query = base.target.partition("?")
        if not path:
            path = base_path
            if query is None and has_query:
                query = base_query
        elif not path.startswith("/"):
            path = base_path[: base_path.rindex("/") + 1] + path
    end = "" if query is None else f"?{query}"
    return f"{scheme}://{authority}{path}{end}"


def encode_location(value: str) -> str:
    """Percent-encode what a server left unencoded in the path and query of a Location.

    Unlike in browsers, a backslash is encoded and not read as a slash.

    Args:
        value: The value of the field, in which each character is one byte.
    """
    match = _REFERENCE.fullmatch(value)
    assert match is not None  # every text has this form
    location = value[: match.start(3)] + _UNENCODED_IN_PATH.sub(_encoded, match[3])
    if match[4] is not None:
        location += "?" + _UNENCODED_IN_QUERY.sub(_encoded, match[4])
    return location


def _encoded(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _split(reference: str) -> tuple[str | None, str | None, str, str | None]:
    match = _REFERENCE.fullmatch(reference)
    assert match is not None  # every text has this form
    scheme, authority, path, query = match.groups()
    return scheme.lower() if scheme else None, authority, path, query


def _root_of(endpoint: Endpoint) -> URL:
    scheme = "https" if endpoint.scheme == "tls" else "http"
    # The zone of an IPv6 address is only meaningful on this machine (RFC 6874 section 1).
    host = "localhost" if endpoint.scheme == "unix" else _ZONE.sub("]", endpoint.address)
    return URL(endpoint, host, "/", f"{scheme}://{host}")


def _remove_dot_segments(path: str) -> str:
    """RFC 3986 5.2.4, for a path that is absolute or empty."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def percent_encode(text: str) -> str:
    """Percent-encode text for a path segment or a query: `wörld` becomes `w%C3%B6rld`.

    Everything except the unreserved characters of RFC 3986 section 2.3 is encoded as UTF-8. No
    encoding makes `.` or `..` an ordinary segment (section 5.2.4), so reject ids with these values.

    Raises:
        InvalidURL: The text has a lone surrogate.
        TypeError: It is not text.
    """
    try:
        encoded = checked(text, str, "part of a URL").encode()
    except UnicodeEncodeError as error:
        raise InvalidURL(f"expected text without lone surrogates, got {text!r}") from error
    return _TO_ENCODE.sub(lambda match: b"%%%02X" % match[0][0], encoded).decode("ascii")


def percent_decode(text: str) -> str:
    """Decode each `%XX` once, as UTF-8.

    Raises:
        ValueError: A `%` is not followed by two hexadecimal digits, or the bytes are not UTF-8.
    """
    if "%" not in text:
        return text
    parts = _ESCAPE.split(text)
    if any("%" in part for part in parts[::2]):
        raise ValueError(f"expected two hexadecimal digits after each '%', got {text!r}")
    raw = bytearray()
    for literal, escape in zip(parts[::2], [*parts[1::2], ""], strict=True):
        raw += literal.encode()
        if escape:
            raw.append(int(escape, 16))
    return raw.decode()


def encode_query(params: Params) -> str:
    """Return parameters as a query: `name=value&…`, percent-encoded as UTF-8.

    Args:
        params: A mapping, or pairs if a name occurs more than once. Values are str or int; other
            types are rejected, because services differ in how they write them.

    Raises:
        InvalidURL: A name or a value has a lone surrogate.
        TypeError: A name or a value has the wrong type.

    Example:
        >>> encode_query({"name": "wörld", "limit": 5})
        'name=w%C3%B6rld&limit=5'
    """
    return "&".join(
        f"{percent_encode(name)}={_encode_value(value)}" for name, value in _pairs_of(params)
    )


def _pairs_of(params: Any) -> Iterator[Any]:
    if isinstance(params, str | bytes) or not isinstance(params, Iterable):
        raise TypeError(f"expected a mapping or pairs as params, got {type(params).__name__}")
    for pair in params.items() if isinstance(params, Mapping) else params:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"expected a name and a value as parameter, got {pair!r:.80}")
        yield pair


def _encode_value(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)  # not str(): a subclass can override it
    return percent_encode(checked(value, str, "value of a parameter"))


def with_query(url: str, params: Params) -> str:
    """Return a URL with parameters appended to its query."""
    query = encode_query(params)
    if not query:
        return url
    base, hash_, fragment = checked(url, str, "URL").partition("#")
    separator = "" if base.endswith(("?", "&")) else "&" if "?" in base else "?"
    return f"{base}{separator}{query}{hash_}{fragment}"


@lru_cache(maxsize=256)
def parse_query(query: str) -> tuple[tuple[str, str], ...]:
    """Parse `name=value&…` into pairs, both decoded once; `+` is a space, as in forms.

    Raises:
        ValueError: A percent-escape is invalid.
    """
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            pairs.append((percent_decode(name), percent_decode(value)))
    return tuple(pairs)
