"""Kakuri's sidecar: zones as JSON over HTTP, in front of a CRI runtime."""

from kakuri_sidecar._grpcio import GrpcioChannel
from kakuri_sidecar._service import sidecar_service
from kakuri_sidecar._version import __version__

__all__ = ["GrpcioChannel", "__version__", "sidecar_service"]
