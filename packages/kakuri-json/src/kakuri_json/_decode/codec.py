"""One codec for each type: compiled decoders for the layouts of peers, and the general path."""

import contextlib
import enum
import re
import sys
import threading
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypeAlias

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
"""Layouts that a codec learns in addition to the usual one. The peer controls the layout, and each
one costs a compilation, and then an attempt for every document."""
_MAX_PARSED = 32
"""Documents that are parsed a second time to determine their layout, whether or not it is new."""
_LARGE = 2**14
"""Length in characters from which a document is only tried with the last layout, and its own layout
is not learned."""
_lock = threading.Lock()
_MISSING = object()


class Codec:
    """Decodes one type.

    Attributes:
        shape: The shape of the type.
        annotation: The type.
        key: Equal for equal types: see `_type_key`.
        first: Decodes a document in the layout of the last one. Returns a value or NO_MATCH, or
            raises ValueError if the general path has to report the error.
        accepted: The limits that `is_within` accepted last, because most programs always use the
            same.
    """

    __slots__ = (
        "__weakref__", "_depth", "_known", "_parsed", "_readers", "_runs", "accepted",
        "annotation", "first", "key", "shape",
    )  # fmt: skip

    def __init__(self, shape: Shape, annotation: Any) -> None:
        self.shape = shape
        self.annotation = annotation
        self.key: Any = None
        self._depth: int | None = None
        self.accepted = DEFAULT_LIMITS
        self.first: Callable[[str], Any] = lambda _: NO_MATCH
        self._readers: list[Callable[[str], Any]] = []
        self._known: set[Layout] = set()
        self._parsed = 0
        # By the identities of the shapes of item and key, which live as long as the codec.
        self._runs: dict[tuple[int, int], Runs | None] = {}

    def read(self, text: str, *, tried: bool = False) -> Any:
        """Return the value of a document in a known layout, or NO_MATCH.

        A large document is only tried with the layout of the last one: the general path reads it in
        runs, which is nearly as fast, and an invalid document must not cost an attempt for each
        layout.

        Args:
            text: The document.
            tried: Whether `first` has already returned NO_MATCH for it.
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
            except ValueError:  # a class or a format rejects it; the general path reports why
                continue
            if value is not NO_MATCH:
                self.first = reader  # the next document probably has the same layout
                return value
        return NO_MATCH

    def is_within(self, limits: Limits) -> bool:
        """Return whether every document that the expressions accept is within the limits.

        The expressions are compiled for the default limits, and accept nothing nested deeper than
        the type.
        """
        if limits is self.accepted:
            return True
        if self._depth is None:
            self._depth = depth_of(self.shape)
        if self._depth > limits.max_depth or limits[1:] != DEFAULT_LIMITS[1:]:
            return False
        self.accepted = limits
        return True

    def runs_of(self, item: Shape, key: Shape | None) -> Runs | None:
        """Return the reader of runs for items of this type; None if no expression reads them.

        Args:
            item: The shape of the items of an array, or of the values of an object.
            key: The shape of the keys of an object; None for an array.
        """
        known = self._runs.get((id(item), id(key)), _MISSING)
        if known is not _MISSING:
            assert known is None or isinstance(known, Runs)
            return known
        runs = Runs(item, key)
        return self._runs.setdefault((id(item), id(key)), runs if runs.is_regular else None)

    def learn(self, text: str) -> None:
        """Add the layout of a valid document that no decoder accepted."""
        may_learn = self._parsed < _MAX_PARSED and len(text) <= _LARGE
        if may_learn and self._readers and len(self._known) <= MAX_LEARNED:
            self._parsed += 1
            self.learn_value(text, parse(text, DEFAULT_LIMITS, last_key_wins=False))

    def learn_value(self, text: str, value: Any) -> None:
        """Add the layout of a document whose value has been decoded."""
        if self._readers and len(self._known) <= MAX_LEARNED:
            self._add(layout_of(self.shape, text, value))

    def _add(self, layout: Layout) -> None:
        with _lock:
            if layout in self._known or len(self._known) > MAX_LEARNED:
                return  # another thread may have added it
            self._known.add(layout)
            # Only the general path can read a shape that is not regular or needs too much stack.
            with contextlib.suppress(NotRegular, RecursionError):
                self._readers = [*self._readers, compile_decoder(self.shape, layout)]


class UnionCodec(Codec):
    """Decodes a union of tagged records with the codec that the tag selects."""

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
        # This only selects the codec, whose expression contains the tag.
        member = self._members.get(text[self._start : text.find('"', self._start)])
        return NO_MATCH if member is None else member.first(text)

    def read(self, text: str, *, tried: bool = False) -> Any:
        """Return the value of a document in a known layout, or NO_MATCH."""
        found = self._find(text)
        member = None if found is None else self._members.get(found[1])
        if member is None:
            return NO_MATCH
        # `first` has tried this codec only if the tag is at its usual position.
        assert found is not None
        return member.read(text, tried=tried and found.start(1) == self._start)

    def learn(self, text: str) -> None:
        """Add the layout to the codec of the record that the tag selects."""
        if self._parsed < _MAX_PARSED * len(self._members) and len(text) <= _LARGE:
            self._parsed += 1
            value = parse(text, DEFAULT_LIMITS, last_key_wins=False)
            assert isinstance(self.shape, Union)
            member = self._members.get(value.get(self.shape.tag)) if type(value) is dict else None
            if member is not None:
                member.learn_value(text, value)


_References: TypeAlias = dict[Any, Callable[[], Codec | None]]

BY_IDENTITY: _References = {}
"""Weak references to codecs by the id() of their type, because hashing a union takes longer than
decoding a message. A codec keeps its type alive, so the id is valid while the codec exists."""
_BY_KEY: _References = {}
"""Weak references by the hash of the type's key, for types that are equal but not identical. The
key itself may refer to a class, which this table would keep alive, so only the codec has it."""
_shared: dict[int, Codec] = {}
"""Codecs of types that contain no class of the program, such as `list[int]`."""
_MAX_SHARED = 1024
_MAX_OF_A_CLASS = 256


def codec_of(annotation: Any) -> Codec:
    """Return the codec of a type, the same one each time.

    The codec is kept as long as a class in the type exists.

    Raises:
        UnsupportedTypeError: The type has no codec.
    """
    known = BY_IDENTITY.get(id(annotation), _no_codec)()
    if known is not None:
        return known
    key = _type_key(annotation)
    codec = _BY_KEY.get(hash(key), _no_codec)()
    if codec is None or codec.key != key:
        shape = shape_of(annotation)
        tagged = isinstance(shape, Union) and shape.tag is not None
        codec = (UnionCodec if tagged else Codec)(shape, annotation)  # type: ignore[arg-type]
        codec.key = key
        owner = _owner(shape)
        if owner is None:
            _keep(_shared, codec, _MAX_SHARED)
        else:
            _keep(cache_of(owner).codecs, codec, _MAX_OF_A_CLASS)
        _refer(_BY_KEY, hash(key), codec)
    if codec.annotation is annotation:
        _refer(BY_IDENTITY, id(annotation), codec)
    return codec


def _no_codec() -> None:
    """Return None, like a weak reference to an object that was freed."""


def _keep(kept: dict[int, Codec], codec: Codec, at_most: int) -> None:
    with _lock:
        if len(kept) >= at_most:
            del kept[next(iter(kept))]
        kept[id(codec)] = codec


def _refer(references: _References, key: Any, codec: Codec) -> None:
    references[key] = weakref.ref(codec, lambda _: references.pop(key, None))


def _owner(shape: Shape) -> type[Any] | None:
    """Return a class of the program that a type contains, or None.

    If there are several, prefer one that was created at run time: storing the codec on another
    class would keep that one alive.
    """
    found = list(_classes(shape))
    return next((cls for cls in found if not _is_importable(cls)), found[0] if found else None)


def _is_importable(cls: type[Any]) -> bool:
    return getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls


def _classes(shape: Shape) -> Iterator[type[Any]]:
    match shape:
        case Record() | Flags():
            yield shape.cls
        case Choice():
            yield from (type(value) for _, value in shape.rows if isinstance(value, enum.Enum))
        case Constrained():
            yield from _classes(shape.inner)
        case Sequence():
            yield from _classes(shape.item)
        case Mapping():
            yield from _classes(shape.value)
            yield from _classes(shape.key)
        case FixedTuple(items=inside) | Union(members=inside):
            for part in inside:
                yield from _classes(part)


def _type_key(annotation: Any) -> Any:
    """Return a key that is equal for equal types; it may keep classes alive that they refer to."""
    if isinstance(annotation, type):
        return id(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        parts = [Literal, *((type(value), value) for value in arguments)]
    elif origin is Annotated:
        parts = [Annotated, _type_key(annotation.__origin__), *annotation.__metadata__]
    elif origin in (typing.Union, types.UnionType):
        return typing.Union, frozenset(map(_type_key, arguments))
    elif origin is None:
        parts = [annotation]
    else:
        parts = [id(origin), annotation is typing.Tuple, *map(_type_key, arguments)]  # noqa: UP006
    try:
        hash(tuple(parts))
    except TypeError:  # metadata that cannot be hashed
        return annotation.__class__, id(annotation)
    return tuple(parts)
