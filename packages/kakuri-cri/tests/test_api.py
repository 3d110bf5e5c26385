"""The messages: the checked-in module is what the compiler writes from the `.proto` file."""

from pathlib import Path

import kakuri_cri
from kakuri_protobuf.compiler import compile_file

_DIRECTORY = Path(kakuri_cri.__file__).parent


def test_generated_module_is_up_to_date():
    written = (_DIRECTORY / "api.py").read_text()
    assert written == compile_file(_DIRECTORY / "api.proto"), (
        "run python -m kakuri_protobuf compile api.proto -o api.py"
    )
