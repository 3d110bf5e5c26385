"""The differences between two OpenAPI documents, and which of them break clients."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LIMITS = {
    "minimum": 1, "exclusiveMinimum": 1, "minLength": 1, "minItems": 1, "minProperties": 1,
    "maximum": -1, "exclusiveMaximum": -1, "maxLength": -1, "maxItems": -1, "maxProperties": -1,
}  # fmt: skip
"""For each limit, the direction in which it becomes narrower."""


@dataclass(frozen=True, slots=True)
class Change:
    """A difference.

    Attributes:
        place: Where it is, such as `GET /nodes: response 200: nodes`.
        what: What is different.
        is_breaking: Whether clients may depend on what was before.
    """

    place: str
    what: str
    is_breaking: bool

    def __str__(self) -> str:
        """Return the change as a line."""
        return f"{'breaks' if self.is_breaking else 'adds  '} {self.place}: {self.what}"


def _breaks(place: str, what: str) -> Change:
    return Change(place, what, is_breaking=True)


def _adds(place: str, what: str) -> Change:
    return Change(place, what, is_breaking=False)


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return the differences between two documents in paths, requests and responses.

    Args:
        old: The document that clients were written for.
        new: The current one.
    """
    return list(dict.fromkeys(_Comparison(old, new).paths()))


class _Comparison:
    """Follows two documents in parallel."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old = old
        self._new = new
        self._compared: set[tuple[str, str, bool]] = set()

    def paths(self) -> Iterator[Change]:
        for path, operations in self._old["paths"].items():
            for method, operation in operations.items():
                place = f"{method.upper()} {path}"
                present = self._new["paths"].get(path, {}).get(method)
                if present is None:
                    yield _breaks(place, "removed")
                else:
                    yield from self._operation(place, operation, present)
        for path, operations in self._new["paths"].items():
            for method in operations.keys() - self._old["paths"].get(path, {}).keys():
                yield _adds(f"{method.upper()} {path}", "new")

    def _operation(self, place: str, old: Any, new: Any) -> Iterator[Change]:
        yield from self._parameters(place, old, new)
        yield from self._body(place, old.get("requestBody"), new.get("requestBody"))
        for status, response in old["responses"].items():
            where = f"{place}: response {status}"
            present = new["responses"].get(status)
            if present is None:
                yield _breaks(where, "removed")
            else:
                yield from self._response(
                    where, _resolved(self._old, response), _resolved(self._new, present)
                )
        for status in new["responses"].keys() - old["responses"].keys():
            # Clients treat an unknown status like others of its class.
            yield Change(f"{place}: response {status}", "new", status.startswith(("2", "3")))

    def _parameters(self, place: str, old: Any, new: Any) -> Iterator[Change]:
        before = self._named_parameters(self._old, old)
        after = self._named_parameters(self._new, new)
        for key, parameter in before.items():
            where = f"{place}: {key}"
            if key not in after:
                yield _breaks(where, "removed")
                continue
            if after[key].get("required") and not parameter.get("required"):
                yield _breaks(where, "required now")
            yield from self._schema(
                where, parameter["schema"], after[key]["schema"], is_request=True
            )
        for key, parameter in after.items():
            if key not in before:
                is_required = bool(parameter.get("required"))
                yield Change(f"{place}: {key}", "new, required" if is_required else "new",
                             is_required)  # fmt: skip

    @staticmethod
    def _named_parameters(document: Any, operation: Any) -> dict[str, Any]:
        parameters = (_resolved(document, each) for each in operation.get("parameters", ()))
        return {f"{each['in']} {each['name']}": each for each in parameters}

    def _body(self, place: str, old: Any, new: Any) -> Iterator[Change]:
        where = f"{place}: request"
        if old is None or new is None:
            if old is not new:
                is_breaking = new is None or bool(new.get("required"))
                yield Change(where, "removed" if new is None else "new", is_breaking)
            return
        if new.get("required") and not old.get("required"):
            yield _breaks(where, "required now")
        yield from self._content(where, old, new, is_request=True)

    def _response(self, place: str, old: Any, new: Any) -> Iterator[Change]:
        for name in old.get("headers", {}).keys() - new.get("headers", {}).keys():
            yield _breaks(f"{place}: header {name}", "removed")
        for code in set(old.get("x-codes", ())) - set(new.get("x-codes", ())):
            yield _breaks(f"{place}: code {code}", "removed")
        for code in set(new.get("x-codes", ())) - set(old.get("x-codes", ())):
            yield _adds(f"{place}: code {code}", "new")
        yield from self._content(place, old, new, is_request=False)

    def _content(self, place: str, old: Any, new: Any, *, is_request: bool) -> Iterator[Change]:
        before, after = old.get("content", {}), new.get("content", {})
        for media_type, media in before.items():
            if media_type not in after:
                yield _breaks(f"{place}: {media_type}", "removed")
                continue
            for name in ("schema", "x-itemSchema"):
                if name in media or name in after[media_type]:
                    yield from self._schema(
                        place, media.get(name, {}), after[media_type].get(name, {}),
                        is_request=is_request,
                    )  # fmt: skip
        for media_type in after.keys() - before.keys():
            yield _adds(f"{place}: {media_type}", "new")

    def _schema(self, place: str, old: Any, new: Any, *, is_request: bool) -> Iterator[Change]:
        if "$ref" in old or "$ref" in new:
            key = (str(old.get("$ref", place)), str(new.get("$ref", place)), is_request)
            if key in self._compared:
                return
            self._compared.add(key)
            old, new = _resolved(self._old, old), _resolved(self._new, new)
            # A class is compared once, so the place is that of its fields in any operation.
            kind = "request" if is_request else "response"
            place = f"{kind} {old['title']}" if "title" in old else place
        yield from self._fields(place, old, new, is_request=is_request)
        for name in ("items", "additionalProperties", "propertyNames"):
            if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
                yield from self._schema(f"{place}[]", old[name], new[name], is_request=is_request)
        for name in ("anyOf", "oneOf", "allOf"):
            yield from self._members(
                place, old.get(name), new.get(name), name, is_request=is_request
            )
        yield from _values(place, old, new, is_request=is_request)

    def _members(
        self, place: str, old: Any, new: Any, name: str, *, is_request: bool
    ) -> Iterator[Change]:
        if old is None or new is None or len(old) != len(new):
            if old != new:
                yield _breaks(place, f"{name} is different")
            return
        for before, after in zip(old, new, strict=True):
            yield from self._schema(place, before, after, is_request=is_request)

    def _fields(self, place: str, old: Any, new: Any, *, is_request: bool) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        required = set(new.get("required", ())), set(old.get("required", ()))
        for name, schema in before.items():
            where = f"{place}.{name}"
            if name not in after:
                yield _breaks(where, "removed")
                continue
            if is_request and name in required[0] - required[1]:
                yield _breaks(where, "required now")
            if not is_request and name in required[1] - required[0]:
                yield _breaks(where, "may be absent now")
            yield from self._schema(where, schema, after[name], is_request=is_request)
        for name in after.keys() - before.keys():
            is_breaking = is_request and name in required[0]
            yield Change(f"{place}.{name}", "new, required" if is_breaking else "new", is_breaking)


def _values(place: str, old: Any, new: Any, *, is_request: bool) -> Iterator[Change]:
    """Yield the differences between two schemas in types, values and limits."""
    for name in ("type", "pattern", "format", "contentEncoding", "uniqueItems", "multipleOf"):
        if old.get(name) != new.get(name):
            # Requests may become freer, and responses stricter.
            is_freer = name in old and name not in new
            is_stricter = name in new and name not in old
            is_harmless = is_freer if is_request else is_stricter
            shown = f"{name} {old.get(name)!r} is now {new.get(name)!r}"
            yield Change(place, shown, not is_harmless)
    for name, direction in _LIMITS.items():
        before, after = old.get(name), new.get(name)
        if before != after:
            is_narrower = after is not None and (before is None or (after - before) * direction > 0)
            shown = f"{name} {before} is now {after}"
            yield Change(place, shown, is_narrower if is_request else not is_narrower)
    before, after = _choices(old), _choices(new)
    if before is not None and after is not None:
        for value in sorted(before - after):
            yield Change(place, f"value {value} removed", is_request)
        for value in sorted(after - before):
            yield Change(place, f"value {value} new", not is_request)
    elif before != after:
        is_harmless = after is None if is_request else before is None
        yield Change(place, "one of some values is now any, or the reverse", not is_harmless)
    if old.get("additionalProperties") is not False and new.get("additionalProperties") is False:
        yield Change(place, "unknown fields are refused now", is_request)


def _choices(schema: Any) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return set(map(repr, schema["enum"])) if "enum" in schema else None


def _resolved(document: Any, part: Any) -> Any:
    """Return what a part of a document refers to, or the part itself."""
    while "$ref" in part:
        target = document
        for name in part["$ref"].split("/")[1:]:
            target = target[name]
        part = target
    return part
