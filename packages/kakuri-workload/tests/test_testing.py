from kakuri_workload import Workload
from kakuri_workload.testing import workload


def test_workload_builder_returns_the_example_with_the_changes():
    assert workload() == Workload("wl-1", "nginx:latest", "edera-zone", 512, 500)
    changed = workload("a", memory_mb=64, labels={"team": "blue"})
    assert (changed.id, changed.memory_mb, changed.labels) == ("a", 64, {"team": "blue"})
