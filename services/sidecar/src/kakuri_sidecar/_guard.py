"""Refusal of requests that a browser sent from a web page (CSRF, DNS rebinding).

If the sidecar listens on a loopback port, any page in a browser on this machine could send it
requests. Its clients are programs, so every request of a browser is refused: browsers add headers
(Fetch Metadata, Origin), and after DNS rebinding the Host header has the page's name.
"""

import re

from kakuri_http import Request, Response, problem

BROWSER_FIELDS = ("sec-fetch-site", "sec-fetch-mode", "origin", "referer")

_LOCAL_HOST = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?", re.IGNORECASE)


def refuse_browsers(request: Request) -> Response | None:
    """Return 403 for a request of a browser, or None."""
    for name in BROWSER_FIELDS:
        if name in request.headers:
            detail = f"expected a request of a program, got one of a browser, with {name}"
            return problem(403, code="cross_site", detail=detail)
    return None


def refuse_foreign_hosts(request: Request) -> Response | None:
    """Return 421 for a request whose Host header is not this machine, or None."""
    host = request.headers.get("host")
    if host is not None and not _LOCAL_HOST.fullmatch(host):
        detail = f"expected localhost or a loopback address as host, got {host!r}"
        return problem(421, code="misdirected_request", detail=detail)
    return None
