"""Random .proto files: the tables of protoc, and refused where protoc refuses them."""

import os
import random
import re
import sys
import tempfile
import types
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from kakuri_protobuf import ProtoSyntaxError
from kakuri_protobuf.compiler import compile_text

from tools.fuzzing import seeds

from .descriptors import compared

SCALARS = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "float", "double", "bool", "string", "bytes",
]  # fmt: skip
NAMES = ["a", "b", "value", "item_list", "message", "optional", "x1", "_y", "class", "map", "Z"]
TYPES = ["Alpha", "Beta", "Gamma", "Inner", "message", "Kind"]
TOKEN = re.compile(r'"[^"]*"|\w+|\s+|[^\w\s]')

DEFAULTS = [
    "1", "-1", "0x7F", "017", "1.5", "-2e3", ".5", "inf", "-inf", "nan", "true", "false", '"x"',
    r"'\001\xff\n'", "4294967296", "-2147483648", "18446744073709551615", "ALPHA_0", "KIND_0",
]  # fmt: skip

LENIENT = [
    'Expected "{"',  # protoc does not take 'message' as the type of a field without label
    "already defined",  # values of enums are siblings of their enum in C++
    "Option", "option", "Extension", "extension", "json", "JSON",
    "eserved", "octal", "identifier", "is not used", "overlap",
]  # fmt: skip
"""Words of protoc's errors about what this compiler reads and leaves out, or lets pass."""


class Generator:
    """Writes a random file."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.is_proto3 = chance.random() < 0.6
        self.types: list[str] = []

    def file(self) -> str:
        chance = self.chance
        version = "proto3" if self.is_proto3 else "proto2"
        parts = [f'syntax = "{version}";\n']
        if chance.random() < 0.5:
            parts.append("package p.q;\n")
        names = chance.sample(TYPES, chance.randint(1, 4))
        self.types = list(names)
        for name in names:
            parts.append(self.enum(name) if chance.random() < 0.3 else self.message(name, 2))
        if chance.random() < 0.2:
            parts.append("// comment\n/* and\nanother */;\n")
        if chance.random() < 0.2:
            one, other = chance.choice(names), chance.choice(names)
            stream = chance.choice(["", "stream "])
            parts.append(f"service S {{ rpc Do ({stream}{one}) returns (.{other}); }}\n")
        return "".join(parts)

    def enum(self, name: str) -> str:
        chance = self.chance
        values = [f"{name.upper()}_{n} = {n};" for n in range(chance.randint(1, 4))]
        if chance.random() < 0.3:
            values.append(f"{name.upper()}_N = -0x7;")
        return f"enum {name} {{ {' '.join(values)} }}\n"

    def message(self, name: str, depth: int) -> str:
        chance = self.chance
        body, number = [], 0
        for index in range(chance.randint(0, 6)):
            number += chance.choice([1, 1, 1, 5, 20_000])
            field = f"{chance.choice(NAMES)}{index}" if chance.random() < 0.9 else "a"
            body.append(self.member(field, number))
        if depth and chance.random() < 0.4:
            inner = chance.choice(TYPES)
            body.insert(0, self.message(inner, depth - 1))
            self.types.append(inner)
        if depth and chance.random() < 0.2:
            body.append(self.enum(chance.choice(TYPES)))
        if chance.random() < 0.2:
            body.append(chance.choice(["reserved 900, 1000 to max;", 'reserved "gone", "lost";']))
        if chance.random() < 0.2:
            members = [f"{self.type()} m{n} = {500 + n};" for n in range(chance.randint(1, 3))]
            body.append(f"oneof choice {{ {' '.join(members)} }}")
        return f"message {name} {{\n  " + "\n  ".join(body) + "\n}\n"

    def type(self) -> str:
        chance = self.chance
        if chance.random() < 0.7:
            return chance.choice(SCALARS)
        prefix = chance.choice(["", "", "", ".", "p.q.", ".p.q."])
        return prefix + chance.choice(self.types)

    def member(self, name: str, number: int) -> str:
        chance = self.chance
        kind = chance.randrange(10)
        if kind == 0:
            return f"map<{chance.choice(SCALARS)}, {self.type()}> {name} = {number};"
        if kind == 1 and not self.is_proto3:
            label = chance.choice(["optional", "repeated"])
            return f"{label} group G{name.replace('_', '')} = {number} {{ optional int32 g = 1; }}"
        labels = (
            ["", "optional ", "repeated "]
            if self.is_proto3
            else ["optional ", "required ", "repeated "]
        )
        label = chance.choice(labels)
        options = ""
        if label == "repeated " and chance.random() < 0.3:
            options = f" [packed = {chance.choice(['true', 'false'])}]"
        elif chance.random() < 0.1:
            options = f' [deprecated = true, json_name = "j{number}"]'
        elif label != "repeated " and not self.is_proto3 and chance.random() < 0.3:
            options = f" [default = {chance.choice(DEFAULTS)}]"
        return (
            f"{label}{self.type()} {name} = {chance.choice([str(number), hex(number)])}{options};"
        )


def mutated(chance: random.Random, text: str) -> str:
    """Return a file with a token removed, repeated, replaced or moved."""
    tokens = TOKEN.findall(text)
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        place, other = chance.randrange(len(tokens)), chance.randrange(len(tokens))
        match chance.randrange(4):
            case 0:
                tokens[place] = ""
            case 1:
                tokens[place] += " " + tokens[place]
            case 2:
                tokens[place] = tokens[other]
            case _:
                tokens[place], tokens[other] = tokens[other], tokens[place]
    return "".join(tokens)


def described(text: str, directory: Path) -> tuple[descriptor_pb2.FileDescriptorSet | None, str]:
    """Return what protoc says of a file: its descriptors, or None and the errors."""
    (directory / "f.proto").write_text(text)
    out, errors = directory / "set", directory / "errors"
    saved = os.dup(2)
    try:
        with errors.open("wb") as opened:
            os.dup2(opened.fileno(), 2)
            status = protoc.main(
                ["protoc", f"-I{directory}", f"--descriptor_set_out={out}", "f.proto"]
            )
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    if status:
        return None, errors.read_text()
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()), ""


def test_random_files_have_the_tables_of_protoc_or_are_rejected_as_by_protoc():
    with tempfile.TemporaryDirectory() as name:
        for seed in seeds(250):
            chance = random.Random(seed)
            text = mutated(chance, Generator(chance).file())
            theirs, errors = described(text, Path(name))
            try:
                source = compile_text(text, "f.proto")
            except ProtoSyntaxError as error:
                if theirs is not None and not is_ours_alone(error):
                    raise
                continue
            module = types.ModuleType("compiled_random")
            sys.modules[module.__name__] = module  # where annotations are looked up
            exec(compile(source, "f.py", "exec"), module.__dict__)
            if theirs is None:
                assert any(word in errors for word in LENIENT), (seed, errors, text)
            else:
                compared(module, theirs)


def is_ours_alone(error: ProtoSyntaxError) -> bool:
    """Return whether an error is about Python's names, which protoc knows nothing of."""
    return "would both be" in error.message
