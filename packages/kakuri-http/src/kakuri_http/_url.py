"""URLs, references and percent-encoding (RFC 3986)."""

import re
from dataclasses import dataclass
from functools import lru_cache

from kakuri_tcp import Endpoint, EndpointError

from kakuri_http._checks import checked
from kakuri_http._errors import InvalidURL

# RFC 3986 appendix B. Groups: scheme, authority, path, query; the fragment is for the caller alone
# (RFC 9110 7.1).
_REFERENCE = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL
)
# RFC 3986 3.2 without userinfo, which RFC 9110 4.2.4 deprecates.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?::([0-9]{0,5}))?")
_PATH = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
# With what browsers leave unencoded in a query (WHATWG URL, "query percent-encode set").
_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|{}^`\\]|%[0-9A-Fa-f]{2})*")
_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class URL:
    """Where to connect, what to ask there; `host` is the Host field's value."""

    endpoint: Endpoint
    host: str
    target: str
    origin: str


def parse_url(text: str, endpoint: Endpoint | None = None) -> URL:
    """Read an absolute `http:` or `https:` URL; with an endpoint also a reference, such as a path.

    Dot segments are resolved and a fragment is dropped.

    Args:
        text: the URL, percent-encoded.
        endpoint: where to connect whatever the URL says, such as a Unix socket; references are
            resolved against the root of this server.

    Raises:
        InvalidURL: it is not such a URL, or has characters that have to be percent-encoded.
        TypeError: it is not text.

    """
    checked(text, str, "URL")
    if endpoint is not None:
        text = resolve(text, _root_of(endpoint))
    scheme, authority, path, query = _split(text)
    match = _AUTHORITY.fullmatch(authority or "")
    if scheme not in _PORTS or match is None:
        raise InvalidURL(f"expected an http or https URL, got {text!r}")
    target = _remove_dot_segments(path) or "/"
    if not _PATH.fullmatch(target) or not _QUERY.fullmatch(query or ""):
        raise InvalidURL(f"expected a percent-encoded path and query, got {text!r}")
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
    """Return the URL that a reference stands for, seen from another URL (RFC 3986 5.2.2).

    The result is not checked; `parse_url` does that, and removes its dot segments.
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


def _split(reference: str) -> tuple[str | None, str | None, str, str | None]:
    match = _REFERENCE.fullmatch(reference)
    assert match is not None  # every text has this form
    scheme, authority, path, query = match.groups()
    return scheme.lower() if scheme else None, authority, path, query


def _root_of(endpoint: Endpoint) -> URL:
    scheme = "https" if endpoint.scheme == "tls" else "http"
    host = "localhost" if endpoint.scheme == "unix" else endpoint.address.removeprefix("tls://")
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


def percent_decode(text: str) -> str:
    """Decode each `%XX` once, as UTF-8.

    Raises ValueError for an escape that is none, and where the bytes are not UTF-8.
    """
    if "%" not in text:
        return text
    parts = _ESCAPE.split(text)
    if any("%" in part for part in parts[::2]):
        raise ValueError(f"expected two hexadecimal digits behind each '%', got {text!r}")
    raw = bytearray()
    for literal, escape in zip(parts[::2], [*parts[1::2], ""], strict=True):
        raw += literal.encode()
        if escape:
            raw.append(int(escape, 16))
    return raw.decode()


@lru_cache(maxsize=256)
def parse_query(query: str) -> tuple[tuple[str, str], ...]:
    """Split `name=value&…` and decode both once; `+` is a space, as forms write it.

    Raises ValueError for an escape that does not decode.
    """
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            pairs.append((percent_decode(name), percent_decode(value)))
    return tuple(pairs)
