import re
from pathlib import Path

import kakuri_registry


def test_the_exported_names_are_these():
    assert sorted(kakuri_registry.__all__) == [
        "DuplicateWorkload", "IMAGE_REFERENCE", "IllegalTransition", "ImageReference", "MAX_PAGE",
        "MAX_WORKLOADS", "Quantity", "Range", "RegistryError", "RegistryFull", "RuntimeClass",
        "TRANSITIONS", "Text", "UnknownWorkload", "WORKLOAD_ID", "Workload", "WorkloadEntry",
        "WorkloadId", "WorkloadRegistry", "WorkloadState", "ZoneHandle", "__version__",
    ]  # fmt: skip
    assert all(hasattr(kakuri_registry, name) for name in kakuri_registry.__all__)


def test_the_readme_example_runs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
