"""The public names, so that a change of them is a decision."""

import kakuri_json


def test_exports():
    assert sorted(kakuri_json.__all__) == [
        "Fault",
        "JSONError",
        "JSONSyntaxError",
        "LimitError",
        "Limits",
        "Options",
        "StructureError",
        "UnprintableError",
        "UnsupportedTypeError",
        "__version__",
        "convert",
        "decode",
        "dumps",
        "encode",
        "loads",
    ]
    for name in kakuri_json.__all__:
        assert getattr(kakuri_json, name) is not None
