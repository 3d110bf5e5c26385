import re
from pathlib import Path

import kakuri_sidecar


def test_the_exported_names_are_these():
    assert sorted(kakuri_sidecar.__all__) == ["GrpcioChannel", "__version__", "sidecar_service"]
    assert all(hasattr(kakuri_sidecar, name) for name in kakuri_sidecar.__all__)


def test_the_readme_example_runs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
