"""The handler of `GET /openapi.json`."""

from kakuri_daemon.api import APIRouter
from kakuri_http import Request, Response

from kakuri_control_plane._content import JSON
from kakuri_control_plane._headers import has_tag


class DocumentHandler:
    """Generates the document of a router's routes at the first request, and caches it."""

    def __init__(self, router: APIRouter) -> None:
        """Create the handler of a router, to which all routes are added before the first request.

        Args:
            router: The routes.
        """
        self._router = router
        self._content = b""
        self._entity_tag = ""

    def get(self, request: Request) -> Response:
        """Return the document."""
        if not self._content:
            # Imported late: few processes are asked for the document.
            from kakuri_control_plane._openapi import document  # noqa: PLC0415

            self._content, self._entity_tag = document(self._router)
        headers = {"ETag": self._entity_tag, "Cache-Control": "no-cache"}
        if has_tag(request, self._entity_tag):
            return Response(304, headers=headers)
        return Response(200, self._content, headers=headers, content_type=JSON)
