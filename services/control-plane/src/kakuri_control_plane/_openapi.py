"""`GET /openapi.json`: the OpenAPI document of the API."""

from hashlib import sha256

from kakuri_daemon.api import APIRouter
from kakuri_daemon.api.openapi import APIDescription, openapi_document
from kakuri_json import encode

from kakuri_control_plane import _operations as operations
from kakuri_control_plane._problem_kinds import COMMON
from kakuri_control_plane._version import __version__

API = APIDescription(
    title="Kakuri control plane",
    version=__version__,
    summary="Run container workloads, each in a zone of its own.",
    description=(
        "The HTTP API of one node's workloads. Requests and responses are JSON, logs and events "
        "streams; errors are problem details (RFC 9457), whose `code` is for programs. `HEAD` is "
        "answered wherever `GET` is, and `OPTIONS` everywhere. An unknown or repeated query "
        "parameter is an error. A boolean parameter is set by `?spec`, `?spec=true` or "
        "`?spec=1`.\n\n"
        "Within version 0.x, later versions add paths, optional parameters and fields, so clients "
        "have to ignore unknown fields. There are no passwords or tokens: "
        "each user who is admitted may do everything."
    ),
    tags={
        operations.WORKLOADS: "Containers, each with its image, limits and state.",
        operations.EVENTS: "What happens to workloads and to the node.",
        operations.NODES: "The machine that runs the workloads.",
        operations.SERVICE: "The control plane itself.",
    },
    ids={
        "workload": "The id of a workload.",
        "node": "The name of a node.",
        "file": "The name of a file of the web page.",
    },
    operations=operations.OPERATIONS,
    problems=COMMON,
    refused=(
        "The request could not be read, is not HTTP/1.1, or exceeds a limit of the server, such as "
        "that of its header section (408, 413, 414, 417, 431, 501, 503, 505)."
    ),
)


def document(router: APIRouter) -> tuple[bytes, str]:
    """Return the encoded document of a router's routes, and its strong entity tag."""
    content = encode(openapi_document(router, API))
    return content, f'"{sha256(content).hexdigest()[:16]}"'
