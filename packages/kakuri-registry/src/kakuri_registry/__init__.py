"""Workloads, their state machine, and the registry that holds them."""

from kakuri_registry._version import __version__

__all__ = ["__version__"]
