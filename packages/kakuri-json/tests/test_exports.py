"""The public names, so that a change of them is a decision."""

import kakuri_json


def test_exports():
    assert sorted(kakuri_json.__all__) == [
        "Event",
        "EventKind",
        "Fault",
        "IncrementalParser",
        "JSONError",
        "JSONSyntaxError",
        "LimitError",
        "Limits",
        "Options",
        "StructureError",
        "UnprintableError",
        "UnsupportedTypeError",
        "__version__",
        "canonical",
        "convert",
        "decode",
        "decode_lines",
        "dumps",
        "encode",
        "loads",
        "schema",
    ]
    for name in kakuri_json.__all__:
        assert getattr(kakuri_json, name) is not None
