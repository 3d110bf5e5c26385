"""The names that containerd derives, of sandboxes and containers and of images."""

import hashlib

from kakuri_cri import api


def sandbox_name(metadata: api.PodSandboxMetadata) -> str:
    """Return the name that is unique among sandboxes."""
    return f"{metadata.name}_{metadata.namespace}_{metadata.uid}_{metadata.attempt}"


def container_name(sandbox: api.PodSandboxMetadata, metadata: api.ContainerMetadata) -> str:
    """Return the name that is unique among containers."""
    pod = f"{sandbox.name}_{sandbox.namespace}_{sandbox.uid}"
    return f"{metadata.name}_{pod}_{metadata.attempt}"


def full_name(image: str) -> str:
    """Return an image's reference with registry, path and tag: `nginx` is one of Docker Hub's."""
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
    """Return the id of the image of a full name."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def is_image_id(image: str) -> bool:
    """Return whether a reference is an id and not a name."""
    return image.startswith("sha256:")
