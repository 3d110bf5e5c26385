"""Compares decoding and encoding a workload with other libraries, all with the same checks."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import kakuri_json
import msgspec
import orjson
import pydantic
from measuring import compare

ID = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
IMAGE = "[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?"


@dataclass(frozen=True, slots=True)
class Text:
    pattern: str
    max_length: int


@dataclass(frozen=True, slots=True)
class Range:
    ge: int
    le: int


@dataclass(frozen=True, slots=True)
class Workload:
    id: Annotated[str, Text(ID, 63)]
    image: Annotated[str, Text(IMAGE, 255)]
    runtime_class: Annotated[str, Text(ID, 63)]
    memory_mb: Annotated[int, Range(1, 2**31 - 1)]
    cpu_millicores: Annotated[int, Range(1, 2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Plain:
    """The same without checks: what the constructor alone takes."""

    id: str
    image: str
    runtime_class: str
    memory_mb: int
    cpu_millicores: int


FIELDS = {
    "id": "wl-123",
    "image": "nginx:latest",
    "runtime_class": "edera-zone",
    "memory_mb": 512,
    "cpu_millicores": 500,
}
USUAL = json.dumps(FIELDS, separators=(",", ":")).encode()
SPELLINGS = {
    "the usual layout": USUAL,
    "spaces after ':' and ','": json.dumps(FIELDS).encode(),
    "keys in another order": json.dumps(dict(reversed(FIELDS.items()))).encode(),
    "an escape in a string": USUAL.replace(b"nginx", b"n\\u0067inx"),
}


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(pattern=f"^{ID}$", max_length=63)]
    image: Annotated[str, msgspec.Meta(pattern=f"^{IMAGE}$", max_length=255)]
    runtime_class: Annotated[str, msgspec.Meta(pattern=f"^{ID}$", max_length=63)]
    memory_mb: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    cpu_millicores: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, pydantic.Field(pattern=f"^{ID}$", max_length=63)]
    image: Annotated[str, pydantic.Field(pattern=f"^{IMAGE}$", max_length=255)]
    runtime_class: Annotated[str, pydantic.Field(pattern=f"^{ID}$", max_length=63)]
    memory_mb: Annotated[int, pydantic.Field(ge=1, le=2**31 - 1)]
    cpu_millicores: Annotated[int, pydantic.Field(ge=1, le=2**31 - 1)]


def measure() -> dict[str, dict[str, float]]:
    """Return seconds for each work and library."""
    decoder, encoder = msgspec.json.Decoder(Struct), msgspec.json.Encoder()
    rows = {}
    for name, data in SPELLINGS.items():
        functions = {
            "kakuri-json": lambda data=data: kakuri_json.decode(data, type=Workload),
            "json + constructor, unchecked": lambda data=data: Plain(**json.loads(data)),
            "orjson + constructor, unchecked": lambda data=data: Plain(**orjson.loads(data)),
            "pydantic": lambda data=data: Model.model_validate_json(data),
            "msgspec": lambda data=data: decoder.decode(data),
        }
        rows[f"decode, {name}"] = compare(functions)
    ours, struct = kakuri_json.decode(USUAL, type=Workload), decoder.decode(USUAL)
    model = Model.model_validate_json(USUAL)
    assert kakuri_json.encode(ours) == orjson.dumps(ours) == encoder.encode(struct) == USUAL
    functions = {
        "kakuri-json": lambda: kakuri_json.encode(ours),
        "json + asdict": lambda: json.dumps(asdict(ours)).encode(),
        "orjson": lambda: orjson.dumps(ours),
        "pydantic": lambda: model.model_dump_json().encode(),
        "msgspec": lambda: encoder.encode(struct),
    }
    rows["encode"] = compare(functions)
    return rows
