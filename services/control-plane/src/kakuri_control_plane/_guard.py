"""Who may call: nobody through a visitor's browser.

The API listens on loopback and takes JSON whatever its media type is called, so any page that a
visitor of this machine opens could post to it. Browsers say where a request comes from, and the
name that they looked up; both are checked (Fetch Metadata; RFC 9110 section 7.4). A Host that is
an IP address passes: whoever rebinds a name of theirs to our address has the browser send the name.
"""

import ipaddress
from collections.abc import Iterable

from kakuri_http import Request, Response, problem

LOOPBACK_HOSTS = frozenset({"localhost"})


class Guard:
    """Decides whether a request may reach a handler."""

    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self._allowed_hosts = LOOPBACK_HOSTS | {host.lower() for host in allowed_hosts}

    def __call__(self, request: Request) -> Response | None:
        """Give the refusal, or None if the request may pass."""
        headers = request.headers
        host = headers.get("host")
        # HTTP/1.0 may leave it out; a browser never does.
        if host is not None and not self._is_ours(_name_of(host)):
            expected = ", ".join(sorted(self._allowed_hosts))
            detail = (
                f"expected {expected} or an IP address as host, got {host!r}; to be reached by "
                f"that name, the control plane needs --allowed-host {_name_of(host) or 'NAME'}"
            )
            return problem(421, code="misdirected_request", detail=detail)
        site = headers.get("sec-fetch-site")
        if site is not None and site not in ("same-origin", "none"):
            return _cross_site(f"a page of another site, {site!r}")
        origin = headers.get("origin")
        if origin is not None and not (host and _authority_of(origin) == host.lower()):
            return _cross_site(f"a page of another origin, {origin!r}")
        return None

    def _is_ours(self, name: str) -> bool:
        if name in self._allowed_hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _cross_site(got: str) -> Response:
    detail = f"expected a request of this site or of no page, got one of {got}"
    return problem(403, code="cross_site", detail=detail)


def _name_of(host: str) -> str:
    """Give the name or address of a Host field: no port, no brackets, no final dot, lower case."""
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host.partition(":")[0].removesuffix(".").lower()


def _authority_of(origin: str) -> str:
    """Give what an Origin field names behind its scheme; nothing if it is opaque, `null`."""
    return origin.partition("://")[2].lower()
