"""One codec a type: compiled readers for the layouts that come, and the slow path for the rest."""

import contextlib
import enum
import re
import threading
import types
import typing
import weakref
from collections.abc import Callable
from typing import Annotated, Any, Literal

from kakuri_json._decode.compile_decoder import NO_MATCH, compile_decoder
from kakuri_json._decode.compile_scalars import NotRegular
from kakuri_json._decode.layouts import USUAL, Layout, layout_of
from kakuri_json._decode.runs import Runs
from kakuri_json._limits import DEFAULT_LIMITS, Limits
from kakuri_json._syntax.parser import parse
from kakuri_json._types.annotations import shape_of
from kakuri_json._types.attributes import cache_of
from kakuri_json._types.shapes import (
    Choice,
    Constrained,
    FixedTuple,
    Flags,
    Mapping,
    Record,
    Sequence,
    Shape,
    Union,
    depth_of,
)

MAX_LEARNED = 4
"""Layouts that a codec learns beyond the usual one: a peer decides how it spells, and neither a
compilation nor an attempt is free."""
_MAX_PARSED = 32
"""Documents that are parsed once more for their layout, known or not."""
_LARGE = 2**14
"""Characters of a document that is not tried with every layout, nor parsed again to learn one."""
_adding = threading.Lock()
_UNKNOWN = object()


class Codec:
    """Decodes one type.

    first: reads a document in the layout that came last: gives a value or NO_MATCH, or raises
        ValueError for what the slow path has to explain.
    """

    __slots__ = (
        "__weakref__", "_depth", "_known", "_learned", "_readers", "_runs", "annotation", "first",
        "shape",
    )  # fmt: skip

    def __init__(self, shape: Shape, annotation: Any) -> None:
        self.shape = shape
        self.annotation = annotation
        self._depth: int | None = None
        self.first: Callable[[str], Any] = lambda _: NO_MATCH
        self._readers: list[Callable[[str], Any]] = []
        self._known: set[Layout] = set()
        self._learned = 0
        # By the identities of the shapes of item and key, which live as long as the codec.
        self._runs: dict[tuple[int, int], Runs | None] = {}

    def read(self, text: str, *, tried: bool = False) -> Any:
        """Return the value of a document in a known layout, or NO_MATCH.

        Of a large document only the layout that came last is tried: what does not have it is read
        in runs, nearly as fast, and a refusal must not cost one walk for each layout.

        Args:
            text: the document.
            tried: whether `first` has returned NO_MATCH for it already.
        """
        if not self._known:
            self._add(USUAL)
            tried = False
        first = self.first
        for reader in self._readers:
            if tried and reader is first:
                continue
            if len(text) > _LARGE and reader is not first and first in self._readers:
                continue
            try:
                value = reader(text)
            except ValueError:  # a class or a format refuses it; the slow path says why
                continue
            if value is not NO_MATCH:
                self.first = reader  # what came last comes next
                return value
        return NO_MATCH

    def is_within(self, limits: Limits) -> bool:
        """Return whether expressions accept no more than limits allow.

        They know only the default limits, and read nothing that is nested deeper than the type.
        """
        if limits is DEFAULT_LIMITS:
            return True
        if self._depth is None:
            self._depth = depth_of(self.shape)
        return self._depth <= limits.max_depth and limits[1:] == DEFAULT_LIMITS[1:]

    def runs_of(self, item: Shape, key: Shape | None) -> Runs | None:
        """Return the reader of runs for items inside this type; None if no expression reads them.

        Args:
            item: the shape of the items of an array, or of the values of an object.
            key: the shape of the keys of an object; None for an array.
        """
        known = self._runs.get((id(item), id(key)), _UNKNOWN)
        if known is not _UNKNOWN:
            assert known is None or isinstance(known, Runs)
            return known
        runs = Runs(item, key)
        return self._runs.setdefault((id(item), id(key)), runs if runs.is_regular else None)

    def learn(self, text: str) -> None:
        """Add the layout of a valid document that no reader has read."""
        may_learn = self._learned < _MAX_PARSED and len(text) <= _LARGE
        if may_learn and self._readers and len(self._known) <= MAX_LEARNED:
            self._learned += 1
            self.learn_value(text, parse(text, DEFAULT_LIMITS, last_key_wins=False))

    def learn_value(self, text: str, value: Any) -> None:
        """Add the layout of a document that is parsed already."""
        if self._readers and len(self._known) <= MAX_LEARNED:
            self._add(layout_of(self.shape, text, value))

    def _add(self, layout: Layout) -> None:
        with _adding:
            if layout in self._known or len(self._known) > MAX_LEARNED:
                return  # maybe another thread was quicker
            self._known.add(layout)
            with contextlib.suppress(NotRegular):  # then only the slow path reads
                self._readers = [*self._readers, compile_decoder(self.shape, layout)]


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
        return NO_MATCH if member is None else member.first(text)

    def read(self, text: str, *, tried: bool = False) -> Any:
        """Return the value of a document in a known layout, or NO_MATCH."""
        found = self._find(text)
        member = None if found is None else self._members.get(found[1])
        if member is None:
            return NO_MATCH
        # Only where the tag has its usual place has its codec been asked.
        assert found is not None
        return member.read(text, tried=tried and found.start(1) == self._start)

    def learn(self, text: str) -> None:
        """Add the layout to the codec of the record that the tag announces."""
        if self._learned < _MAX_PARSED * len(self._members) and len(text) <= _LARGE:
            self._learned += 1
            value = parse(text, DEFAULT_LIMITS, last_key_wins=False)
            assert isinstance(self.shape, Union)
            member = self._members.get(value.get(self.shape.tag)) if type(value) is dict else None
            if member is not None:
                member.learn_value(text, value)


BY_IDENTITY: dict[int, Callable[[], Codec | None]] = {}
"""References to codecs by the identity of their type: hashing a union takes longer than reading a
message. A codec keeps its type alive, so an identity is what it was while the codec lives."""
_BY_MEANING: dict[Any, Callable[[], Codec | None]] = {}
"""The same for types that are equal without being the same object."""
_shared: dict[int, Codec] = {}
"""Codecs of types without classes of a program, like `list[int]`."""
_MAX_SHARED = 1024
_MAX_OF_A_CLASS = 256


def codec_of(annotation: Any) -> Codec:
    """Return the codec of a type, the same one each time.

    It lives as long as a class in the type does.

    Raises:
        UnsupportedTypeError: the type has no codec.
    """
    known = BY_IDENTITY.get(id(annotation), no_codec)()
    if known is not None:
        return known
    meaning = _meaning(annotation)
    codec = _BY_MEANING.get(meaning, no_codec)()
    if codec is None:
        shape = shape_of(annotation)
        tagged = isinstance(shape, Union) and shape.tag is not None
        codec = (UnionCodec if tagged else Codec)(shape, annotation)  # type: ignore[arg-type]
        owner = _owner(shape)
        if owner is None:
            _keep(_shared, codec, _MAX_SHARED)
        else:
            _keep(cache_of(owner).codecs, codec, _MAX_OF_A_CLASS)
        _refer(_BY_MEANING, meaning, codec)
    if codec.annotation is annotation:
        _refer(BY_IDENTITY, id(annotation), codec)
    return codec


def no_codec() -> None:
    """Stand for a reference to nothing."""


def _keep(kept: dict[int, Codec], codec: Codec, at_most: int) -> None:
    with _adding:
        if len(kept) >= at_most:
            del kept[next(iter(kept))]
        kept[id(codec)] = codec


def _refer(references: dict[Any, Callable[[], Codec | None]], key: Any, codec: Codec) -> None:
    references[key] = weakref.ref(codec, lambda _: references.pop(key, None))


def _owner(shape: Shape) -> type[Any] | None:
    """Return a class of the program in a type, or None if it has none."""
    match shape:
        case Record() | Flags():
            return shape.cls
        case Choice():
            enums = (type(meant) for _, meant in shape.rows if isinstance(meant, enum.Enum))
            return next(enums, None)
        case Constrained():
            return _owner(shape.inner)
        case Sequence():
            return _owner(shape.item)
        case Mapping():
            return _owner(shape.value) or _owner(shape.key)
        case FixedTuple(items=inside) | Union(members=inside):
            return next(filter(None, map(_owner, inside)), None)
        case _:
            return None


def _meaning(annotation: Any) -> Any:
    """Return a key that equal types share, without keeping a class alive."""
    if isinstance(annotation, type):
        return id(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        parts = [Literal, *((type(value), value) for value in arguments)]
    elif origin is Annotated:
        parts = [Annotated, _meaning(annotation.__origin__), *annotation.__metadata__]
    elif origin in (typing.Union, types.UnionType):
        return typing.Union, frozenset(map(_meaning, arguments))
    elif origin is None:
        parts = [annotation]
    else:
        parts = [id(origin), annotation is typing.Tuple, *map(_meaning, arguments)]  # noqa: UP006
    try:
        hash(tuple(parts))
    except TypeError:  # metadata that cannot be compared by hash
        return annotation.__class__, id(annotation)
    return tuple(parts)
