"""Images derived from busybox, and a registry of the tests that fails on purpose."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kakuri_http import Limits
from kakuri_http.blocking import BlockingClient

from tests.cri_node import registry
from tests.cri_node.images import ARCHITECTURE, BUSYBOX
from tests.cri_node.layers import MANIFEST, Blob, Image, Layer, image

MAX_BLOB = 2**24
"""Bytes of the largest layer that is read."""


def derive(node, *, layer: Layer | None = None, **config) -> Image:
    """Make an image of busybox's layers and one more, with its own configuration."""
    repository, _, tag = BUSYBOX.partition(":")
    base = f"http://{node.registry}/v2/{repository}"
    with BlockingClient(limits=Limits(body=MAX_BLOB)) as client:

        def read(path):
            return client.request("GET", f"{base}/{path}", headers={"Accept": MANIFEST}).body

        manifest = json.loads(read(f"manifests/{tag}"))
        document = json.loads(read(f"blobs/{manifest['config']['digest']}"))
        layers = [
            Blob(read(f"blobs/{described['digest']}"), diff_id)
            for described, diff_id in zip(
                manifest["layers"], document["rootfs"]["diff_ids"], strict=True
            )
        ]
    if layer is not None:
        layers.append(layer.finish())
    return image(ARCHITECTURE, layers, document["config"] | config)


def push(node, name: str, made: Image) -> None:
    """Push an image to the node's registry; `app:1` is library/app there."""
    registry.push(node.registry, f"library/{name}", made)


class OwnRegistry:
    """Serves images, after it has refused a number of requests."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.refusals: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                status, content, kind = outer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str) -> tuple[int, bytes, str]:
        """Return status, content and media type for a path."""
        _, _, wanted = path.rpartition("/")
        if self.refusals and "/manifests/" in path:
            return self.refusals.pop(0), b"", "text/plain"
        for name, made in self.images.items():
            if path == f"/v2/{name.replace(':', '/manifests/')}" or wanted == made.digest:
                return 200, made.manifest, MANIFEST
            if wanted in made.blobs:
                return 200, made.blobs[wanted], "application/octet-stream"
        return 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', "application/json"

    def close(self) -> None:
        """Serve nothing more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
