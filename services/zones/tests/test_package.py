import re
from pathlib import Path

import kakuri_zones
import kakuri_zones.logs


def test_exported_names_are_these():
    assert kakuri_zones.__all__ == [
        "DEFAULT_HANDLERS", "DEFAULT_LOG_BYTES", "DEFAULT_LOG_DIR", "CollectionLimits", "Condition",
        "Health", "LogChunk", "LogCursorError", "LogError", "LogNameError", "LogStorageError",
        "MonitorTimes", "NodeLocked", "NodeUnavailable", "OptionalCalls", "PullFailed",
        "PullLimits", "RetryTimes", "RuntimeInfo", "Settings", "StartCancelled", "StartFailed",
        "UnknownLog", "UnknownRuntimeClass", "UnknownZone", "ZoneConflict", "ZoneError", "ZoneNode",
        "__version__", "error_code", "zone_node",
    ]  # fmt: skip
    assert all(hasattr(kakuri_zones, name) for name in kakuri_zones.__all__)


def test_exported_names_of_logs_are_these():
    assert sorted(kakuri_zones.logs.__all__) == [
        "EndedLogs", "LogChunk", "LogCursorError", "LogError", "LogNameError", "LogPlace",
        "LogStorageError", "LogStore", "TrimmedLog", "UnknownLog",
    ]  # fmt: skip
    assert all(hasattr(kakuri_zones.logs, name) for name in kakuri_zones.logs.__all__)


def test_readme_example_runs():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
