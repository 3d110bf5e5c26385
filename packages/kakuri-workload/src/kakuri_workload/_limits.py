"""The size limits of a workload's document and of the strings in it.

A document has one budget. Linux has limits of its own, which are checked in addition: execve(2)
refuses an argument or an environment entry of more than MAX_ARG_STRLEN bytes. Their sum needs no
check: the strings of a document, with a pointer for each, stay below the 2 MiB that execve(2)
allows under the usual stack limit.
"""

MAX_DOCUMENT_BYTES = 262_144
"""Bytes of a workload in its compact JSON encoding, in UTF-8 and without whitespace."""

MAX_STRING_BYTES = 131_071
"""Bytes of one argument or of one `NAME=value`: MAX_ARG_STRLEN without the final NUL."""

MAX_PATH_BYTES = 4_095
"""Bytes of a path: PATH_MAX without the final NUL."""
