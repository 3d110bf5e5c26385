"""Workloads with hostile texts, for property tests."""

from hypothesis import strategies as st
from kakuri_workload import PullPolicy, RestartPolicy, Workload

TEXT = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["", "\n", "\\n", "\\", "\0", "\ud800"]
)
MAPPING = st.dictionaries(TEXT, TEXT, max_size=4)
ID = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)


def workloads(runtime_classes, numbers):
    """Return workloads with these runtime classes and numbers."""
    return st.builds(
        Workload,
        id=ID,
        image=st.sampled_from(["nginx", "ghcr.io/a/b:1", "localhost:5000/x@sha256:" + "0" * 64]),
        runtime_class=runtime_classes,
        memory_mb=numbers,
        cpu_millicores=numbers,
        command=st.lists(TEXT, max_size=4).map(tuple),
        args=st.lists(TEXT, max_size=4).map(tuple),
        env=MAPPING,
        working_dir=st.none() | TEXT,
        user=st.none() | TEXT,
        labels=MAPPING,
        restart_policy=st.sampled_from(RestartPolicy),
        max_restarts=numbers,
        pull=st.none() | st.sampled_from(PullPolicy),
    )
