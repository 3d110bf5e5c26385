"""One codec a type: compiled readers for the layouts that come, and the slow path for the rest."""

import contextlib
import re
import threading
from collections.abc import Callable
from typing import Any

from kakuri_json._expressions import MISS, NotRegular, compile_reader
from kakuri_json._layouts import USUAL, Layout, layout_of
from kakuri_json._reading import shape_of
from kakuri_json._shapes import Shape, Union

MAX_LEARNED = 4
"""Layouts that a codec learns beyond the usual one: a peer decides how it spells, and neither a
compilation nor an attempt is free."""
_adding = threading.Lock()


class Codec:
    """Decodes one type.

    first: reads a document in the layout that came last: gives a value or MISS, or raises
        ValueError for what the slow path has to explain.
    """

    __slots__ = ("_known", "_readers", "annotation", "first", "shape")

    def __init__(self, shape: Shape, annotation: Any) -> None:
        self.shape = shape
        self.annotation = annotation
        self.first: Callable[[str], Any] = lambda _: MISS
        self._readers: list[Callable[[str], Any]] = []
        self._known: set[Layout] = set()

    def read(self, text: str) -> Any:
        """Give the value of a document in a known layout, or MISS."""
        if not self._known:
            self._add(USUAL)
        for reader in self._readers:
            try:
                value = reader(text)
            except ValueError:  # a class or a format refuses it; the slow path says why
                continue
            if value is not MISS:
                self.first = reader  # what came last comes next
                return value
        return MISS

    def learn(self, text: str, value: Any) -> None:
        """Note the layout of a document that the slow path decoded, parsed to value."""
        if self._readers and len(self._known) <= MAX_LEARNED:
            self._add(layout_of(self.shape, text, value))

    def _add(self, layout: Layout) -> None:
        with _adding:
            if layout in self._known or len(self._known) > MAX_LEARNED:
                return  # maybe another thread was quicker
            self._known.add(layout)
            with contextlib.suppress(NotRegular):  # then only the slow path reads
                self._readers = [*self._readers, compile_reader(self.shape, layout)]


class UnionCodec(Codec):
    """Decodes a union of tagged records: the tag tells whose codec reads."""

    __slots__ = ("_find", "_members", "_start")

    def __init__(self, shape: Union, annotation: Any) -> None:
        super().__init__(shape, annotation)
        assert shape.tag is not None
        tag = re.escape(shape.tag)
        self._start = len(f'{{"{shape.tag}":"')
        self._find = re.compile(rf'"{tag}"[ \t\n\r]*+:[ \t\n\r]*+"([^"\\]*+)"').search
        self._members = {tag: Codec(member, member.cls) for tag, member in shape.tagged.items()}
        self.first = self._read_usual

    def _read_usual(self, text: str) -> Any:
        # What is found here only chooses the codec; its expression has the tag in it.
        member = self._members.get(text[self._start : text.find('"', self._start)])
        return MISS if member is None else member.first(text)

    def read(self, text: str) -> Any:
        """Give the value of a document in a known layout, or MISS."""
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
BY_IDENTITY: dict[int, Codec] = {}
"""Codecs by the identity of their type: hashing a union takes longer than reading a message.
The codec keeps its type alive, so an identity stays what it was."""
_MAX_IDENTITIES = 1024


def codec_of(annotation: Any) -> Codec:
    """Give the codec of a type, the same one each time.

    Raises UnsupportedTypeError for a type that has none.
    """
    known = BY_IDENTITY.get(id(annotation))
    if known is not None:
        return known
    try:
        codec = _codecs.get(annotation)
        hashable = True
    except TypeError:  # unhashable metadata in Annotated
        codec, hashable = None, False
    if codec is None:
        shape = shape_of(annotation)
        tagged = isinstance(shape, Union) and shape.tag is not None
        codec = (UnionCodec if tagged else Codec)(shape, annotation)  # type: ignore[arg-type]
        if hashable:
            _codecs[annotation] = codec
    if codec.annotation is annotation and len(BY_IDENTITY) < _MAX_IDENTITIES:
        BY_IDENTITY[id(annotation)] = codec
    return codec
