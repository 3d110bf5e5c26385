"""The web page: files of the package, served from memory.

The page is one HTML file at `/`, for clients that prefer HTML to JSON. Its style sheet, its scripts
and its icon are below `/ui/`. Nothing is built, and nothing is loaded from another server.

Its security policy lets a browser run only scripts of this server, and refuses to turn text into
HTML (Trusted Types): the page shows log lines, labels and messages that workloads chose.
"""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from kakuri_http import Headers, Request, Response, problem

from kakuri_control_plane._content import JSON
from kakuri_control_plane._headers import has_tag, quality

HTML = "text/html"
DOCUMENT = "index.html"

ASSET_NAME = r"[a-z][a-z0-9-]*\.[a-z]+"
"""The name of a file below `/ui/`."""

MEDIA_TYPES = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""What the page may load and run (Content Security Policy, level 3)."""

PROTECTION = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page, with the fields that it is sent with."""

    content: bytes
    content_type: str
    tag: str
    headers: Headers

    def response(self, request: Request) -> Response:
        """Return the file, or 304 if the client has it."""
        if has_tag(request, self.tag):
            return Response(304, headers=self.headers)
        return Response(200, self.content, headers=self.headers, content_type=self.content_type)


@cache
def assets() -> dict[str, Asset]:
    """Return the files by name; they are read at the first request for one, and all at once."""
    # Imported here: they take two MiB and ten milliseconds, and few processes serve the page.
    from hashlib import sha256  # noqa: PLC0415
    from importlib.resources import files  # noqa: PLC0415

    found = {}
    for file in files("kakuri_control_plane").joinpath("page").iterdir():
        media_type = MEDIA_TYPES.get(f".{file.name.rpartition('.')[2]}")
        if media_type is None:
            continue
        content = file.read_bytes()
        tag = f'"{sha256(content).hexdigest()[:32]}"'
        fields = {**PROTECTION, "Cache-Control": "no-cache", "ETag": tag}
        if file.name == DOCUMENT:
            fields["Vary"] = "Accept"
        found[file.name] = Asset(content, media_type, tag, Headers(fields))
    return found


def get_document(request: Request) -> Response:
    """Return the page."""
    return assets()[DOCUMENT].response(request)


def get_asset(request: Request) -> Response:
    """Return a style sheet, a script or an icon."""
    name = request.params["name"]
    asset = assets().get(name)
    if asset is None or name == DOCUMENT:
        return problem(404, code="not_found", detail=f"no file {name!r}")
    return asset.response(request)


def prefers_html(request: Request) -> bool:
    """Return whether a client prefers HTML to JSON (RFC 9110 section 12.5.1).

    Browsers do. A client that accepts both equally, such as curl with `*/*`, gets JSON.
    """
    is_named = any(HTML in each.lower() for each in request.headers.get_all("accept"))
    return is_named and quality(request, HTML) > quality(request, JSON)
