from kakuri_registry import Loaded, WorkloadRegistry, entry_size, spec_size
from kakuri_registry._sizes import ENTRY_BYTES, TEXT_BYTES, TRANSITION_BYTES
from kakuri_workload import DesiredState, Run, Workload, WorkloadState

PENDING, RUNNING, SUCCEEDED, FAILED = WorkloadState
MB = 1 << 20


def register(registry: WorkloadRegistry, name: str, size: int = 0, *, now: float = 0.0) -> None:
    env = {"X": "x" * size} if size else {}
    registry.register(Workload(name, "nginx", "edera-zone", 1, 1, env=env), now=now)


def ids(entries) -> list[str]:
    return [entry.workload.id for entry in entries]


def test_spec_size_counts_every_text():
    small = Workload("w", "nginx", "edera-zone", 1, 1)
    assert spec_size(small) == ENTRY_BYTES + TEXT_BYTES + len("nginx")
    large = Workload(
        "w", "nginx", "edera-zone", 1, 1, ("a",) * 3, ("bb",), {"C": "ddd"}, "/e", "1", {"f": "g"}
    )
    assert spec_size(large) - spec_size(small) == (3 + 2 + 4 + 2 + 1 + 2) + 10 * TEXT_BYTES


def test_spec_size_charges_four_bytes_for_characters_outside_ascii():
    plain = Workload("w", "nginx", "edera-zone", 1, 1, args=("x" * 100,))
    wide = Workload("w", "nginx", "edera-zone", 1, 1, args=("\N{SNOWMAN}" * 100,))
    assert spec_size(wide) - spec_size(plain) == 300


def test_entry_size_counts_message_and_history():
    registry = WorkloadRegistry()
    register(registry, "a")
    entry = registry.update("a", Run(FAILED, reason="Error", message="m" * 10), now=1)
    size = entry_size(entry, registry.history("a")[1:])
    assert size == spec_size(entry.workload) + TRANSITION_BYTES + 4 * TEXT_BYTES + 2 * (5 + 10)


def test_ended_bytes_counts_ended_workloads_until_their_removal():
    registry = WorkloadRegistry()
    for name in "abc":
        register(registry, name, MB)
    assert (registry.ended_bytes, registry.removing_bytes) == (0, 0)
    registry.update("a", Run(FAILED), now=1)
    one = registry.ended_bytes
    assert one == entry_size(registry.get("a"), registry.history("a")[1:])
    registry.update("b", Run(FAILED), now=2)
    registry.set_desired("c", DesiredState.REMOVE, now=3)
    assert (registry.ended_bytes, registry.removing_bytes) == (2 * one, 0)
    registry.update("c", Run(FAILED), now=4)
    registry.set_desired("a", DesiredState.REMOVE, now=5)
    assert (registry.ended_bytes, registry.removing_bytes) == (one, 2 * one)
    for name in "abc":
        registry.remove(name)
    assert (registry.ended_bytes, registry.removing_bytes) == (0, 0)


def test_ended_bytes_are_the_same_after_a_restart():
    registry = WorkloadRegistry()
    for number, name in enumerate("abcd"):
        register(registry, name, number * 100)
        registry.update(name, Run(FAILED, reason="Error", message="é" * number), now=number)
    registry.set_desired("d", DesiredState.REMOVE, now=9)
    histories = {name: registry.history(name)[1:] for name in "abcd"}
    again = WorkloadRegistry.load(Loaded(list(registry), histories, registry.version))
    assert again.ended_bytes == registry.ended_bytes
    assert again.removing_bytes == registry.removing_bytes


def test_removable_returns_the_oldest_workloads_over_the_budget():
    registry = WorkloadRegistry()
    for number, name in enumerate("cab"):
        register(registry, name, MB)
        registry.update(name, Run(FAILED), now=number)
    one = registry.ended_bytes // 3
    kept = {"now": 10, "retention": 100}
    assert registry.removable(**kept, budget=3 * one) == []
    assert ids(registry.removable(**kept, budget=3 * one - 1)) == ["c"]
    assert ids(registry.removable(**kept, budget=one)) == ["c", "a"]
    assert ids(registry.removable(**kept, budget=0)) == ["c", "a", "b"]
    assert ids(registry.removable(**kept, budget=0, limit=2)) == ["c", "a"]
    registry.set_desired("c", DesiredState.REMOVE, now=10)
    assert registry.removable(**kept, budget=2 * one) == []
    assert ids(registry.removable(**kept, budget=one)) == ["a"]


def test_removable_returns_workloads_past_retention_and_those_over_budget():
    registry = WorkloadRegistry()
    for number, name in enumerate("abc"):
        register(registry, name, MB)
        registry.update(name, Run(FAILED), now=10 * number)
    one = registry.ended_bytes // 3
    assert ids(registry.removable(now=35, retention=20, budget=2 * one)) == ["a", "b"]
    assert ids(registry.removable(now=35, retention=50, budget=2 * one)) == ["a"]
