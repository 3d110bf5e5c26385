"""URLs that the client asks for."""

import re
from dataclasses import dataclass

from kakuri_tcp import Endpoint, EndpointError

from kakuri_http._errors import InvalidUrl

# RFC 3986 appendix B, cut down to http, without userinfo.
_URL = re.compile(
    r"(?:(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?::([0-9]{1,5}))?)?(/[^?#]*)?(\?[^#]*)?"
)
_TARGET = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """Where to connect, what to ask there; `host` is the Host field's value."""

    endpoint: Endpoint
    host: str
    target: str
    origin: str


def parse_url(text: str, through: Endpoint | None = None) -> Url:
    """Read an absolute `http:` or `https:` URL, or, with `through`, also a path alone.

    `through` is where to connect in any case, as for Unix sockets. Raises InvalidUrl, also for
    white space, controls and characters that have to be percent-encoded.
    """
    match = _URL.fullmatch(text)
    if match is None or not (match[1] or (through is not None and match[4])):
        raise InvalidUrl(f"expected an http or https URL, got {text!r}")
    scheme, name, port, path, query = match.groups()
    target = (path or "/") + (query or "")
    if not _TARGET.fullmatch(target):
        raise InvalidUrl(f"expected a percent-encoded path and query, got {target!r}")
    if scheme is None:
        assert through is not None
        host = "localhost" if through.scheme == "unix" else through.address
        return Url(through, host, target, f"http://{host}")
    number = int(port) if port else _PORTS[scheme]
    make = Endpoint.tls if scheme == "https" else Endpoint.tcp
    try:
        endpoint = through or make(name.strip("[]"), number)
    except EndpointError as error:
        raise InvalidUrl(f"expected a host and port to connect to, got {text!r}") from error
    host = name if number == _PORTS[scheme] else f"{name}:{number}"
    return Url(endpoint, host, target, f"{scheme}://{host}")
