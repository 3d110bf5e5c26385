"""Kakuri's sidecar: zones as JSON over HTTP, in front of a CRI runtime."""

from kakuri_sidecar._service import Settings, sidecar_service
from kakuri_sidecar._version import __version__

__all__ = ["Settings", "__version__", "sidecar_service"]
