"""The messages: the checked-in module is what the compiler writes from the `.proto` file."""

from pathlib import Path

import kakuri_cri
from kakuri_protobuf.compiler import compile_file

_FOLDER = Path(kakuri_cri.__file__).parent


def test_generated_module_is_up_to_date():
    written = (_FOLDER / "api.py").read_text()
    assert written == compile_file(_FOLDER / "api.proto"), (
        "run python -m kakuri_protobuf compile api.proto -o api.py"
    )
