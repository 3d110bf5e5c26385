"""The public names, so that a change of them is a decision."""

import kakuri_protobuf


def test_exports():
    assert sorted(kakuri_protobuf.__all__) == [
        "DecodeError", "Default", "Double", "EncodeError", "Enum", "Fixed32", "Fixed64", "Float",
        "Group", "Int32", "Int64", "LimitError", "Limits", "Method", "OneOf", "ProtoSyntaxError",
        "ProtobufError", "Required", "SFixed32", "SFixed64", "SInt32", "SInt64", "UInt32", "UInt64",
        "Unknown", "Unpacked", "UnsupportedTypeError", "__version__", "dataclass", "decode",
        "encode", "inspect",
    ]  # fmt: skip
    for name in kakuri_protobuf.__all__:
        assert getattr(kakuri_protobuf, name) is not None
