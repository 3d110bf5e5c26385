"""RFC 8259 JSON: a strict parser and serializer, and codecs compiled from dataclasses."""

from kakuri_json._version import __version__

__all__ = ["__version__"]
