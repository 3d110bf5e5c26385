"""One codec a type: compiled readers for the layouts that come, and the slow path for the rest."""

import re
from collections.abc import Callable
from typing import Any

from kakuri_json._expressions import MISS, NotRegular, compile_reader
from kakuri_json._layouts import USUAL, Layout, layout_of
from kakuri_json._reading import shape_of
from kakuri_json._shapes import Record, Shape, Union

MAX_LEARNED = 4
"""Layouts that a codec learns beyond the usual one: a peer decides how it spells, and neither a
compilation nor an attempt is free."""


class Codec:
    """Decodes one type."""

    __slots__ = ("_known", "_readers", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._readers: list[Callable[[str], Any]] = []
        self._known: set[Layout] = set()
        self._add(USUAL)

    def read(self, text: str) -> Any:
        """Give the value of a document in a known layout, or MISS."""
        for reader in self._readers:
            try:
                value = reader(text)
            except ValueError:  # a class or a format refuses it; the slow path says why
                continue
            if value is not MISS:
                if reader is not self._readers[0]:
                    # What came last comes next. A copy, so that another thread's loop is safe.
                    others = [other for other in self._readers if other is not reader]
                    self._readers = [reader, *others]
                return value
        return MISS

    def learn(self, text: str, value: Any) -> None:
        """Note the layout of a document that the slow path decoded, parsed to value."""
        if self._readers and len(self._known) <= MAX_LEARNED:
            layout = layout_of(self.shape, text, value)
            if layout not in self._known:
                self._add(layout)

    def _add(self, layout: Layout) -> None:
        self._known.add(layout)
        try:
            self._readers = [*self._readers, compile_reader(self.shape, layout)]
        except NotRegular:
            pass


class UnionCodec(Codec):
    """Decodes a union of tagged records: the tag tells whose codec reads."""

    __slots__ = ("_find", "_members", "_start")

    def __init__(self, shape: Union) -> None:
        super().__init__(shape)
        assert shape.tag is not None
        tag = re.escape(shape.tag)
        self._start = len(f'{{"{shape.tag}":"')
        self._find = re.compile(rf'"{tag}"[ \t\n\r]*+:[ \t\n\r]*+"([^"\\]*+)"').search
        self._members = {tag: Codec(member) for tag, member in shape.tagged.items()}

    def read(self, text: str) -> Any:
        """Give the value of a document in a known layout, or MISS."""
        # What is found here only chooses the codec; its expression has the tag in it.
        member = self._members.get(text[self._start : text.find('"', self._start)])
        if member is None:
            found = self._find(text)
            member = None if found is None else self._members.get(found[1])
        return MISS if member is None else member.read(text)

    def learn(self, text: str, value: Any) -> None:
        """Let the codec that the tag announces learn the layout."""
        shape = self.shape
        assert isinstance(shape, Union)
        member = self._members.get(value.get(shape.tag)) if type(value) is dict else None
        if member is not None:
            member.learn(text, value)


_codecs: dict[Any, Codec] = {}
_by_identity: dict[int, tuple[Any, Codec]] = {}
_MAX_IDENTITIES = 1024


def codec_of(annotation: Any) -> Codec:
    """Give the codec of a type, the same one each time.

    Raises UnsupportedTypeError for a type that has none.
    """
    # Hashing a union takes longer than reading a short message. The tuple keeps the type alive,
    # so its identity stays its own.
    known = _by_identity.get(id(annotation))
    if known is not None:
        return known[1]
    try:
        codec = _codecs.get(annotation)
        hashable = True
    except TypeError:  # unhashable metadata in Annotated
        codec, hashable = None, False
    if codec is None:
        shape = shape_of(annotation)
        tagged = isinstance(shape, Union) and shape.tag is not None
        codec = UnionCodec(shape) if tagged else Codec(shape)
        if hashable:
            _codecs[annotation] = codec
    if len(_by_identity) < _MAX_IDENTITIES:
        _by_identity[id(annotation)] = (annotation, codec)
    return codec
