"""Nobody asks through a browser.

Where the sidecar listens on a loopback port, any page that somebody on this machine opens could
reach it. No client of the sidecar is a browser, so whatever a browser sends is refused: it marks
its requests (Fetch Metadata, Origin), and those that a rebound name brings here carry that name.
"""

import re

from kakuri_http import Request, Response, problem

BROWSER_FIELDS = ("sec-fetch-site", "sec-fetch-mode", "origin", "referer")

_LOCAL_HOST = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?", re.IGNORECASE)


def refuse_browsers(request: Request) -> Response | None:
    """Give the refusal of what comes from a browser, or None."""
    for name in BROWSER_FIELDS:
        if name in request.headers:
            detail = f"expected a request of a program, got one of a browser, with {name}"
            return problem(403, code="cross_site", detail=detail)
    return None


def refuse_foreign_hosts(request: Request) -> Response | None:
    """Give the refusal of a request that names another host than this machine, or None."""
    host = request.headers.get("host")
    if host is not None and not _LOCAL_HOST.fullmatch(host):
        detail = f"expected localhost or a loopback address as host, got {host!r}"
        return problem(421, code="misdirected_request", detail=detail)
    return None
