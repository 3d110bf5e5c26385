"""Every example of the README runs."""

import re
from pathlib import Path

import pytest

_README = Path(__file__).parent.parent / "README.md"
_EXAMPLES = re.findall(r"^```python\n(.*?)^```", _README.read_text(), re.MULTILINE | re.DOTALL)


def test_the_readme_has_examples():
    assert len(_EXAMPLES) >= 1


@pytest.mark.parametrize("example", _EXAMPLES)
def test_example(example):
    exec(compile(example, str(_README), "exec"), {"__name__": "example"})
