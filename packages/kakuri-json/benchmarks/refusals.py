"""Measure what an invalid document costs, as a multiple of a valid one of its size and shape.

    python packages/kakuri-json/benchmarks/refusals.py [BYTES]

Prints one line for each shape: milliseconds to accept, milliseconds to refuse, and the ratio.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import kakuri_json


@dataclass(frozen=True, slots=True)
class Bounds:
    max_length: int


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    name: str
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Short:
    args: Annotated[list[str], Bounds(256)]


@dataclass
class Tree:
    value: int
    children: list["Tree"] = field(default_factory=list)


def shapes(size: int) -> dict[str, tuple[Any, str, Any, str]]:
    """Return for each shape a valid and an invalid document: type, text, type, text."""

    def many(piece: str, around: int = 40) -> list[str]:
        return [piece] * ((size - around) // (len(piece) + 1))

    def array(pieces: list[str]) -> str:
        return f"[{','.join(pieces)}]"

    def members(make: Callable[[int], str]) -> list[str]:
        return [make(number) for number in range(size // (len(make(10_000)) + 1))]

    ints, texts, items = many("7"), many('"abcd"'), many('{"id":"a","count":1}')
    env = members(lambda n: f'"NAME_{n}":"value"')
    floats, flags = many("-1.5e3"), many("true")
    plain = "x" * (size - 40)
    nested = "[" * 400
    deep = '{"value":1,"children":['
    trees = many('{"value":1,"children":[{"value":2}]}')
    escaped = "\\n" * (size // 2 - 20)
    codes = "\\u00e9" * (size // 6 - 10)

    def order(**parts: str) -> str:
        return '{"name":"n"' + "".join(f',"{key}":{part}' for key, part in parts.items()) + "}"

    def joined(pieces: list[str]) -> str:
        return f"{{{','.join(pieces)}}}"

    def one(key: str, value: str) -> str:
        return f'{{"{key}":{value}}}'

    return {
        "integers, the last a string": (list[int], array(ints), list[int], array([*ints, '"x"'])),
        "integers, all strings": (list[int], array(ints), list[int], array(texts)),
        "integers, no end": (list[int], array(ints), list[int], array(ints)[:-1]),
        "integers, a comma missing at the end": (
            list[int], array(ints), list[int], array(ints)[:-1] + " 7]",
        ),
        "numbers, the last wrong": (list[float], array(floats), list[float], array([*floats, "1.5e"])),
        "booleans, the last wrong": (list[bool], array(flags), list[bool], array([*flags, "1"])),
        "strings, the last a number": (list[str], array(texts), list[str], array([*texts, "1"])),
        "strings, too many": (list[str], array(texts), Short, one("args", array(texts))),
        "objects, the last wrong": (
            list[Item], array(items), list[Item], array([*items, '{"id":1}']),
        ),
        "objects, each wrong": (
            list[Item], array(items), list[Item], array(many('{"id":"a","count":""}')),
        ),
        "objects, each with an unknown key": (
            list[Item], array(items), list[Item], array(many('{"id":"a","counts":1}')),
        ),
        "objects, no end": (list[Item], array(items), list[Item], array(items)[:-1]),
        "objects in another order, the last wrong": (
            list[Item], array(many('{"count":1,"id":"a"}')), list[Item],
            array([*many('{"count":1,"id":"a"}'), "1"]),
        ),
        "members, the last wrong": (
            dict[str, str], joined(env), dict[str, str],
            joined([*env, '"x":1']),
        ),
        "members, a key twice at the end": (
            dict[str, str], joined(env), dict[str, str],
            joined([*env, env[-1]]),
        ),
        "members, all unknown": (
            dict[str, str], joined(env), Order, joined(env),
        ),
        "members, a quote missing at the end": (
            dict[str, str], joined(env), dict[str, str],
            joined(env)[:-1],
        ),
        "fields, a long list and a wrong field": (
            Order, order(args=array(texts)), Order, order(args=array(texts), env="1"),
        ),
        "fields, an array where a string is meant": (
            Order, order(args=array(texts)), Order, one("name", array(texts)),
        ),
        "a long string with a control character at its end": (
            Order, one("name", f'"{plain}"'), Order, one("name", f'"{plain}\x01"'),
        ),
        "a long string without end": (Order, one("name", f'"{plain}"'), Order, one("name", f'"{plain}')[:-1]),
        "escapes, the last wrong": (
            Order, one("name", f'"{escaped}"'), Order, one("name", f'"{escaped}\\x"'),
        ),
        "escapes of code points, a lone surrogate": (
            Order, one("name", f'"{codes}"'), Order, one("name", f'"{codes}\\ud800"'),
        ),
        "trees, the last wrong": (list[Tree], array(trees), list[Tree], array([*trees, "1"])),
        "a deep tree, wrong inside": (
            Tree, deep * 200 + "]}" * 200, Tree, deep * 200 + "1" + "]}" * 200,
        ),
        "any value, a fault at the end": (Any, array(ints), Any, array(ints)[:-1]),
        "any value, deep, no end": (Any, array([nested + "]" * 400] * (size // 801)), Any,
                                    array([nested + "]" * 400] * (size // 801))[:-1]),
        "white space, a fault at the end": (
            list[int], f"[1{' ' * size}]", list[int], f"[1{' ' * size}}}",
        ),
        "lines, a fault in the last": (
            list[int], "[" + ",\n".join(ints[: len(ints) * 2 // 3]) + "]", list[int],
            "[" + ",\n".join(ints[: len(ints) * 2 // 3]) + ',\n"x"]',
        ),
    }  # fmt: skip


def milliseconds(kind: Any, data: bytes, rounds: int = 5) -> float:
    """Return the shortest time that a document takes to be decoded or rejected."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        with contextlib.suppress(kakuri_json.JSONError):
            kakuri_json.decode(data, type=kind)
        best = min(best, time.thread_time() - began)
    return best * 1000


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 2**18
    print(f"| documents of {size} bytes | accepted, ms | refused, ms | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for name, (kind, text, refused_by, refused) in shapes(size).items():
        kakuri_json.decode(text, type=kind)
        try:
            kakuri_json.decode(refused, type=refused_by)
        except kakuri_json.JSONError:
            pass
        else:
            raise SystemExit(f"{name}: accepted")
        good, bad = milliseconds(kind, text.encode()), milliseconds(refused_by, refused.encode())
        print(f"| {name} | {good:.1f} | {bad:.1f} | {bad / good:.2f} |", flush=True)


if __name__ == "__main__":
    main()
