"""Kakuri's control plane: workloads over HTTP."""

from kakuri_control_plane._api import Api
from kakuri_control_plane._cli import control_plane_service
from kakuri_control_plane._guard import Guard
from kakuri_control_plane._version import __version__

__all__ = ["Api", "Guard", "__version__", "control_plane_service"]
