"""Rejection of requests that web pages cause (CSRF, DNS rebinding).

An API on a loopback port can be reached by every page that a browser on this machine shows, and
such a page may send any JSON as text/plain. Three header fields reveal it:

- Browsers send the site that a request comes from (Fetch Metadata, Origin); pages can't forge it.
- After DNS rebinding, a page reaches this server under a name of the attacker's, which the browser
  sends as Host (RFC 9110 section 7.4). The Host of a rebound page is therefore never an address.
- The page of this server marks each request that changes something with the field Kakuri-Request.
  Forms and links cannot send it; a page of another origin would need a preflight, which fails here.
"""

import ipaddress
from collections.abc import Iterable

from kakuri_http import Request, Response, problem

LOCAL_NAMES = frozenset({"localhost"})

MAX_REMEMBERED_HOSTS = 64
"""Accepted values of Host that are cached: parsing an address takes longer than routing."""

ENTRY_PATH = "/"
"""The path that pages of other sites may link to: what it returns is the same for everyone."""

PAGE_FIELD = "kakuri-request"
"""The field, with the value 1, of requests of this server's own page that change something."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""

BROWSER_FIELDS = ("sec-fetch-site", "sec-fetch-mode", "origin", "referer")


class HostGuard:
    """A check for `Router.check`: rejects requests whose Host is not a name of this server (421).

    Requests without Host pass: HTTP/1.0 clients may omit it, and browsers never do.
    """

    def __init__(
        self, names: Iterable[str] = (), *, loopback_only: bool = False, hint: str = ""
    ) -> None:
        """Create a check.

        Args:
            names: The server's names other than localhost.
            loopback_only: Whether a Host that is an IP address has to be loopback.
            hint: How an operator allows one more name, such as "the server needs --allowed-host";
                the refused name is appended.
        """
        self._names = LOCAL_NAMES | {name.lower() for name in names}
        self._loopback_only = loopback_only
        self._hint = hint
        self._accepted: set[str] = set()

    def __call__(self, request: Request) -> Response | None:
        """Return the refusal, or None if the request may pass."""
        host = request.headers.get("host")
        if host is None or host in self._accepted:
            return None
        name = _name_of(host)
        if name in self._names or self._accepts_address(name):
            if len(self._accepted) < MAX_REMEMBERED_HOSTS:
                self._accepted.add(host)
            return None
        names = ", ".join(sorted(self._names))
        address = "a loopback address" if self._loopback_only else "an IP address"
        detail = f"expected {names} or {address} as host, got {host!r}"
        if self._hint:
            detail += f"; to be reached by that name, {self._hint} {name or 'NAME'}"
        return problem(421, code="misdirected_request", detail=detail)

    def _accepts_address(self, name: str) -> bool:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback_only


def refuse_other_sites(request: Request) -> Response | None:
    """Return 403 for a request from a page of another site or origin; None for all others.

    Requests from programs pass, and so do those that a browser makes without a page, such as for
    an address typed by hand. A link on another site may open the entry page.

    A request from a browser that changes something must also have `Sec-Fetch-Site: same-origin` and
    `Kakuri-Request: 1`. A browser omits Sec-Fetch-Site if the connection is neither encrypted nor
    local, and can then only read.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is None and origin is None:
        return None
    if site not in (None, "same-origin", "none") and not _opens_entry(request):
        return _rejected(f"sent by a page of another site (Sec-Fetch-Site: {site})")
    if origin is not None:
        host = headers.get("host")
        if not host or _authority_of(origin) != host.lower():
            return _rejected(f"sent by a page of another origin ({origin})")
    if request.method in SAFE_METHODS:
        return None
    if site != "same-origin":
        return _rejected(
            "sent without Sec-Fetch-Site: same-origin, which a browser sends only over HTTPS or to "
            "localhost, and which each change needs"
        )
    if headers.get(PAGE_FIELD) != "1":
        return _rejected("sent without the field Kakuri-Request: 1, which each change needs")
    return None


def refuse_browsers(request: Request) -> Response | None:
    """Return 403 for every request from a browser, or None; for an API that only programs use."""
    for name in BROWSER_FIELDS:
        if name in request.headers:
            return _rejected(f"sent by a browser (field {name}); this API is for programs")
    return None


def _opens_entry(request: Request) -> bool:
    """Return whether a link was followed to the entry page, as a page of its own."""
    headers = request.headers
    return (
        request.path == ENTRY_PATH
        and request.method in SAFE_METHODS
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _rejected(fault: str) -> Response:
    return problem(403, code="cross_site", detail=f"rejected: the request was {fault}")


def _name_of(host: str) -> str:
    """Return the name or address in Host, lower case, without port, brackets and final dot."""
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host.partition(":")[0].removesuffix(".").lower()


def _authority_of(origin: str) -> str:
    """Return what follows the scheme in Origin; empty if it is opaque (`null`)."""
    return origin.partition("://")[2].lower()
