"""The size limits of a workload's document and of the strings in it.

A document has one budget for everything in it. The limits of Linux are checked in addition:
execve(2) fails for an argument or an environment variable of more than MAX_ARG_STRLEN bytes. The
total needs no check: all strings of a document, with a pointer for each, stay below the 2 MiB that
execve(2) allows under the usual stack limit.
"""

MAX_DOCUMENT_BYTES = 262_144
"""Bytes of a workload in its compact JSON encoding, in UTF-8 and without whitespace."""

MAX_STRING_BYTES = 131_071
"""Bytes of one argument or of one `NAME=value`: MAX_ARG_STRLEN without the final NUL."""

MAX_PATH_BYTES = 4_095
"""Bytes of a path: PATH_MAX without the final NUL."""
