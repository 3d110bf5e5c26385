import re
from pathlib import Path

import kakuri_registry


def test_the_exported_names_are_these():
    assert sorted(kakuri_registry.__all__) == [
        "Arguments", "Change", "ChangedWorkload", "DEFAULT_RUNTIME_CLASS",
        "DuplicateWorkload", "Environment",
        "History", "IMAGE_REFERENCE", "IllegalTransition", "ImageReference", "JOURNAL_STEPS",
        "Journal", "LABEL_KEY", "Labels", "Loaded", "LogEvent", "LogGrown", "LogsWatched", "MAX_DOCUMENT_BYTES", "MAX_FEED",
        "MAX_HISTORY", "MAX_PAGE",
        "MAX_RESTARTS", "MAX_SPEC_BYTES", "MAX_STRING_BYTES", "MAX_WORKLOADS", "MaxLength",
        "MemoryStore", "Problem", "PullPolicy", "Quantity", "RESERVE_BYTES",
        "Range", "RegistryError", "RegistryFull", "RestartPolicy", "RuntimeClass", "RuntimeHealth",
        "SQLiteStore", "STORE_STEPS", "Store", "StoreError", "StoreFailed", "StoreFull",
        "StoreLocked", "StoreMismatch", "StoreReport", "StoreTooNew", "TRANSITIONS", "Text", "TooLate", "Transition",
        "UnknownWorkload", "User", "VERSION_GAP", "WORKLOAD_ID", "Wanted", "WorkingDirectory",
        "Workload", "WorkloadEntry", "WorkloadId", "WorkloadRegistry", "WorkloadState",
        "ZoneChanged", "ZoneEvent", "ZoneGone", "ZoneHandle", "ZoneSpec", "ZoneStatus",
        "ZonesListed", "__version__", "check_store", "entry_size", "open_private_folder", "oversized_strings",
        "printable", "spec_size",
    ]  # fmt: skip
    assert all(hasattr(kakuri_registry, name) for name in kakuri_registry.__all__)


def test_the_readme_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
