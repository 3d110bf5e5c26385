"""The names that containerd derives for sandboxes, containers and images."""

import hashlib

from kakuri_cri import api


def sandbox_name(metadata: api.PodSandboxMetadata) -> str:
    """Return the name that containerd reserves for a sandbox."""
    return f"{metadata.name}_{metadata.namespace}_{metadata.uid}_{metadata.attempt}"


def container_name(sandbox: api.PodSandboxMetadata, metadata: api.ContainerMetadata) -> str:
    """Return the name that containerd reserves for a container."""
    pod = f"{sandbox.name}_{sandbox.namespace}_{sandbox.uid}"
    return f"{metadata.name}_{pod}_{metadata.attempt}"


def full_name(image: str) -> str:
    """Return an image's full reference: `nginx` is `docker.io/library/nginx:latest`."""
    if is_image_id(image):
        return image
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{image}"
    if "@" not in image and ":" not in image.rpartition("/")[2]:
        image += ":latest"
    return image


def image_id(name: str) -> str:
    """Return the id of an image by its full name."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def is_image_id(image: str) -> bool:
    """Return whether an image reference is an id."""
    return image.startswith("sha256:")
