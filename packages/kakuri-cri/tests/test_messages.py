"""Every message class: its numbers and types, and that the official library reads what it writes."""

import dataclasses
import random
import struct
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor
from kakuri_cri import api
from kakuri_protobuf import Enum, Method, decode, encode
from kakuri_protobuf._fields import Label, schema_of
from kakuri_protobuf._kinds import Kind

from .official import file_descriptor, official_class, pool

MESSAGES = {
    name: value
    for name, value in vars(api).items()
    if isinstance(value, type) and dataclasses.is_dataclass(value) and value is not Method
}
ENUMS = {
    name: value
    for name, value in vars(api).items()
    if isinstance(value, type) and issubclass(value, Enum) and value is not Enum
}
EXAMPLES = 50

_KINDS = {
    getattr(FieldDescriptor, f"TYPE_{kind.name}"): kind.value
    for kind in Kind
    if kind is not Kind.GROUP
}


def our_table(cls):
    """Return number, type and label by the name of the field in the file."""
    table = {}
    for one in schema_of(cls).fields:
        kind = one.type.__name__ if one.type is not None else one.kind.value
        if one.label is Label.MAP:
            kind = f"map<{one.key.value},{kind}>"
        name = one.name.removesuffix("_") if one.name == "exec_" else one.name
        table[name] = one.number, kind, one.label is Label.REPEATED
    return table


def official_table(descriptor):
    """Return the same from a descriptor of protoc."""

    def kind_of(field):
        if field.message_type is not None:
            return field.message_type.name
        return field.enum_type.name if field.enum_type is not None else _KINDS[field.type]

    table = {}
    for field in descriptor.fields:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
            table[field.name] = field.number, f"map<{kind_of(key)},{kind_of(value)}>", False
        else:
            table[field.name] = field.number, kind_of(field), field.is_repeated
    return table


def test_classes_are_the_messages_of_the_file():
    names = {message.name for message in file_descriptor().message_type}
    assert set(MESSAGES) == names
    assert len(names) == 160


@pytest.mark.parametrize("name", MESSAGES)
def test_fields_equal_those_of_protoc(name):
    descriptor = pool().FindMessageTypeByName(f"runtime.v1.{name}")
    theirs = {
        field: (number, kind.replace("ProfileType", "SecurityProfileProfileType"), is_repeated)
        for field, (number, kind, is_repeated) in official_table(descriptor).items()
    }
    assert our_table(MESSAGES[name]) == theirs


def test_enums_equal_those_of_protoc():
    theirs = {one.name: one for one in file_descriptor().enum_type}
    (profiles,) = (
        message for message in file_descriptor().message_type if message.name == "SecurityProfile"
    )
    theirs["SecurityProfileProfileType"] = profiles.enum_type[0]
    assert set(ENUMS) == set(theirs)
    for name, cls in ENUMS.items():
        assert {one.name: one.value for one in cls} == {
            value.name: value.number for value in theirs[name].value
        }


def test_methods_equal_those_of_protoc():
    for service in file_descriptor().service:
        ours = {
            name: value
            for name, value in vars(getattr(api, service.name)).items()
            if isinstance(value, Method)
        }
        assert set(ours) == {method.name for method in service.method}
        for method in service.method:
            mine = ours[method.name]
            assert mine.path == f"/runtime.v1.{service.name}/{method.name}"
            assert f".runtime.v1.{mine.request.__name__}" == method.input_type
            assert f".runtime.v1.{mine.response.__name__}" == method.output_type
            assert mine.server_streams == method.server_streaming
            assert not mine.client_streams


def test_numbers_and_types_are_those_of_the_protocol():
    """Compare with a list that was written from the protocol's documentation, not from the file."""
    count = 0
    for line in Path(__file__).parent.joinpath("cases/fields.txt").read_text().splitlines():
        place, number, kind = line.split(" ", 2)
        message, field = place.split(".")
        is_repeated = kind.startswith("repeated ")
        kind = kind.removeprefix("repeated ")
        if kind == "ProfileType":
            kind = "SecurityProfileProfileType"
        assert our_table(MESSAGES[message])[field] == (int(number), kind, is_repeated), place
        count += 1
    assert count == 382


# Examples.

TEXTS = ["", "a", "ä", "\0", "\U0001f600", "x" * 127, "x" * 128]


def value_of(chance, kind, cls, depth):
    """Return a value of a kind, often one at its bounds."""
    if kind is Kind.MESSAGE:
        return message_of(chance, cls, depth - 1)
    if kind is Kind.ENUM:
        return chance.choice([*cls, cls(1000)])
    if kind.bounds is not None:
        low, high = kind.bounds
        value = chance.choice(
            [low, high, 0, 1, 127, 128, chance.getrandbits(chance.randint(1, 64))]
        )
        return min(max(value, low), high)
    if kind is Kind.BOOL:
        return chance.random() < 0.5
    if kind is Kind.DOUBLE:
        return chance.choice(
            [0.0, 1.5, -1e300, float("inf"), struct.unpack("<d", bytes(7) + b"?")[0]]
        )
    text = chance.choice(TEXTS)
    return text.encode() if kind is Kind.BYTES else text


def message_of(chance, cls, depth=2):
    """Return a message with some of its fields set; nested ones are empty at the depth's end."""
    fields = schema_of(cls).fields
    if not fields or depth < 0:
        return cls()
    values = {}
    for one in chance.sample(fields, chance.randint(0, min(6, len(fields)))):
        if one.label is Label.MAP:
            value = {
                chance.choice(TEXTS): chance.choice(TEXTS) for _ in range(chance.randint(0, 3))
            }
        elif one.label is Label.REPEATED:
            count = chance.randint(0, 3)
            value = tuple(value_of(chance, one.kind, one.type, depth) for _ in range(count))
        else:
            value = value_of(chance, one.kind, one.type, depth)
        values[one.name] = value
    return cls(**values)


@pytest.mark.parametrize("name", MESSAGES)
def test_official_library_reads_what_we_write_and_we_read_what_it_writes(name):
    chance = random.Random(name)  # the same examples in each run
    cls, official = MESSAGES[name], official_class(name)
    for _ in range(EXAMPLES):
        message = message_of(chance, cls)
        theirs = official.FromString(encode(message))
        assert decode(theirs.SerializeToString(), type=cls) == message
        assert official.FromString(encode(message, deterministic=True)) == theirs


@pytest.mark.parametrize("name", MESSAGES)
def test_empty_nested_message_is_written_and_absent_one_is_not(name):
    cls, official = MESSAGES[name], official_class(name)
    for one in schema_of(cls).fields:
        if one.kind is Kind.MESSAGE and one.label is Label.OPTIONAL:
            written = official.FromString(encode(cls(**{one.name: one.type()})))
            assert written.HasField(one.name)
            assert not official.FromString(encode(cls())).HasField(one.name)


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (api.LinuxSandboxSecurityContext(seccomp=api.SecurityProfile()), "4a00"),
        (api.LinuxContainerSecurityContext(run_as_user=api.Int64Value()), "2a00"),
        (api.PodSandboxFilter(state=api.PodSandboxStateValue()), "1200"),
        (api.ContainerFilter(state=api.ContainerStateValue()), "1200"),
        (api.LinuxContainerSecurityContext(namespace_options=api.NamespaceOption()), "1a00"),
        (api.CpuUsage(usage_core_nano_seconds=api.UInt64Value()), "1200"),
        (api.RuntimeConfigResponse(linux=api.LinuxRuntimeConfiguration()), "0a00"),
        (api.LinuxContainerResources(oom_score_adj=-998), "289af8ffffffffffffff01"),
    ],
)
def test_message_whose_zero_has_a_meaning_is_written(message, data):
    assert encode(message).hex() == data
    assert decode(bytes.fromhex(data), type=type(message)) == message


def test_unknown_fields_of_newer_runtimes_are_skipped():
    newer = bytes.fromhex("0a0131") + bytes.fromhex("a23e0474657374") + bytes.fromhex("f83e01")
    assert decode(newer, type=api.ContainerStatus) == api.ContainerStatus(id="1")
