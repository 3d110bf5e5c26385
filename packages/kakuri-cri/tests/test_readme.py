"""Every example of the README runs."""

import re
from pathlib import Path

import pytest

_README = Path(__file__).parent.parent / "README.md"
_EXAMPLES = re.findall(r"^```python\n(.*?)^```", _README.read_text(), re.MULTILINE | re.DOTALL)
_SOCKET = "/run/containerd/containerd.sock"


def test_readme_has_examples():
    assert len(_EXAMPLES) >= 2


@pytest.mark.parametrize("example", _EXAMPLES)
def test_example_runs(example, tmp_path, capsys):
    """A runtime of this machine is not called: the examples find none."""
    code = example.replace(_SOCKET, f"{tmp_path}/none.sock")
    exec(compile(code, str(_README), "exec"), {"__name__": "example"})
    assert (_SOCKET in example) == ("no runtime: " in capsys.readouterr().out)
