"""The messages between Kakuri's control plane and its agents, and both ends of the conversation."""

from kakuri_rpc._version import __version__

__all__ = ["__version__"]
