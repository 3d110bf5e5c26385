"""The examples in docs/learning that use several distributions work."""

import re
from pathlib import Path

import pytest

LEARNING = Path(__file__).resolve().parents[2] / "docs" / "learning"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "name", ["grpc-from-the-socket-up.md", "tasks-and-generated-code.md", "who-owns-what.md"]
)
def test_examples_of_a_learning_page_run(name):
    blocks = BLOCK.findall((LEARNING / name).read_text(encoding="utf-8"))
    assert blocks
    exec(compile("\n".join(blocks), name, "exec"), {"__name__": "post"})
