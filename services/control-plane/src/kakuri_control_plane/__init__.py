"""Kakuri's control plane: workloads over HTTP."""

from kakuri_control_plane._version import __version__

__all__ = ["__version__"]
