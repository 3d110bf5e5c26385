"""Push images to a registry (OCI distribution specification, "Push")."""

from kakuri_http import Response
from kakuri_http.blocking import BlockingClient

from tests.cri_node.layers import MANIFEST, Image


def push(registry: str, name: str, image: Image) -> None:
    """Push an image to the registry at HOST:PORT as REPOSITORY:TAG; skip blobs that it has."""
    repository, _, tag = name.rpartition(":")
    base = f"http://{registry}/v2/{repository}"
    with BlockingClient() as client:
        for digest, data in image.blobs.items():
            if client.request("HEAD", f"{base}/blobs/{digest}").status == 200:
                continue
            begun = _expect(202, client.request("POST", f"{base}/blobs/uploads/"))
            location = begun.headers.get("location") or ""
            separator = "&" if "?" in location else "?"
            url = f"{location}{separator}digest={digest}"
            headers = {"Content-Type": "application/octet-stream"}
            _expect(201, client.request("PUT", url, body=data, headers=headers))
        headers = {"Content-Type": MANIFEST}
        url = f"{base}/manifests/{tag}"
        _expect(201, client.request("PUT", url, body=image.manifest, headers=headers))


def _expect(status: int, response: Response) -> Response:
    if response.status != status:
        raise SystemExit(f"expected {status} of the registry, got {response.status}")
    return response
