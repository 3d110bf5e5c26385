"""Kakuri's node agent: it runs the workloads of one machine."""

from kakuri_agent._version import __version__

__all__ = ["__version__"]
