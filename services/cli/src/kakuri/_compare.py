"""Compares files with the workloads of the node: the changes that `apply` would make."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kakuri._client import JSON_CONTENT, path_of
from kakuri._documents import spec_of
from kakuri._exits import CommandError, Exit, NotFound
from kakuri._files import SET_LABEL, Manifest
from kakuri._results import results_of
from kakuri._text import cores_text, image_text, printable, size

if TYPE_CHECKING:
    from kakuri._client import API

CREATE, REPLACE, SAME, REMOVE = "create", "replace", "same", "remove"
_MARKS = {CREATE: "+", REPLACE: "~", SAME: " ", REMOVE: "-"}
_VARIABLES = "env"


@dataclass(slots=True)
class Change:
    """What `apply` would do to one workload.

    Attributes:
        id: The workload.
        kind: CREATE, REPLACE, SAME or REMOVE.
        desired: The specification of the file; None for REMOVE.
        current: The specification of the node; None for CREATE.
        fields: Each field that differs, with its current and its new value.
        problem: Why the node would refuse it; empty if it would not.
        image: Whether its image is on the node, if the node reports it.
    """

    id: str
    kind: str
    desired: dict[str, Any] | None = None
    current: Mapping[str, Any] | None = None
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    problem: str = ""
    image: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the change as it is printed in JSON; values of variables are left out."""
        document: dict[str, Any] = {"id": self.id, "change": self.kind}
        if self.fields:
            document["fields"] = [
                {"field": name} if name.startswith(_VARIABLES)
                else {"field": name, "current": old, "desired": new}
                for name, (old, new) in self.fields.items()
            ]  # fmt: skip
        if self.problem:
            document["problem"] = self.problem
        if self.image:
            document["image"] = self.image
        return document

    def lines(self) -> list[str]:
        """Return the change as lines of text."""
        mark = _MARKS[self.kind]
        if self.kind == REPLACE:
            lines = [f"{mark} {self.id}  replace"]
            lines += [f"    {name:<14} {_shown(name, old)} → {_shown(name, new)}"
                      for name, (old, new) in self.fields.items()]  # fmt: skip
        elif self.kind == CREATE:
            assert self.desired is not None
            limits = [_shown(key, self.desired[key]) for key in ("memory_mb", "cpu_millicores")
                      if key in self.desired]  # fmt: skip
            lines = [f"{mark} {self.id}  create   {printable(self.desired['image'])}   "
                     f"{', '.join(limits)}".rstrip()]  # fmt: skip
        else:
            lines = [f"{mark} {self.id}  {self.kind}"]
        if text := image_text(self.image):
            lines.append(f"    {text}")
        if self.problem:
            lines.append(f"    refused: {self.problem}")
        return lines


def compare(api: "API", manifest: Manifest, *, is_pruned: bool) -> list[Change]:
    """Return what would be changed, in the order of the file.

    Args:
        api: The control plane.
        manifest: The file.
        is_pruned: Whether workloads with the file's set that are not in it are removed.
    """
    desired = manifest.workloads
    changes = results_of(api, desired, lambda client, each: _compared(client, desired[each]))
    if is_pruned and manifest.set_name:
        label = f"{SET_LABEL}={manifest.set_name}"
        for page in api.pages([("label", label)]):
            changes += [Change(workload["id"], REMOVE) for workload in page.document["workloads"]
                        if workload["id"] not in manifest.workloads
                        and workload.get("desired") != "removed"]  # fmt: skip
    return changes


def _compared(api: "API", desired: dict[str, Any]) -> Change:
    workload_id = desired["id"]
    try:
        current = spec_of(api.get(path_of(workload_id), [("spec", "true")]).document)
    except NotFound:
        return Change(workload_id, CREATE, desired)
    fields = differences(current, desired)
    return Change(workload_id, REPLACE if fields else SAME, desired, current, fields)


DEFAULTS: dict[str, Any] = {
    "command": [], "args": [], "env": {}, "labels": {}, "restart_policy": "never",
    "max_restarts": 100,
}  # fmt: skip
"""Values of fields that a document leaves out."""

CHOSEN_BY_NODE = ("runtime_class", "memory_mb", "cpu_millicores")
"""Fields for which the node has defaults. They differ only if the file sets them."""


def differences(
    current: Mapping[str, Any], desired: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Return each field that differs, with both values; each variable and label on its own."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted({*current, *desired}):
        if name == "id" or (name in CHOSEN_BY_NODE and name not in desired):
            continue
        old, new = (each.get(name, DEFAULTS.get(name)) for each in (current, desired))
        if old == new:
            continue
        if name in ("env", "labels"):
            for key in sorted({*old, *new}):
                if old.get(key) != new.get(key):
                    found[f"{name}.{key}"] = (old.get(key), new.get(key))
        else:
            found[name] = (old, new)
    return found


def record_refusals(api: "API", changes: Iterable[Change]) -> None:
    """Ask the node whether it would accept each workload; set `problem` of those it would refuse.

    A replacement is submitted under another id, because its own is taken until the current workload
    is removed. A lack of room is not a problem of a replacement, because the removal makes room.
    """
    by_id = {change.id: change for change in changes}
    results_of(api, by_id, lambda client, each: _dry_run(client, by_id[each]))


def _dry_run(api: "API", change: Change) -> None:
    """Submit the workload of a change as a dry run, and record the response in the change."""
    from kakuri_json import encode  # noqa: PLC0415 (only here)

    from kakuri._run import generated_name  # noqa: PLC0415 (only here)

    if change.desired is None or change.kind == SAME:
        return
    desired = change.desired
    if change.kind == REPLACE:
        desired = {**desired, "id": generated_name(desired["image"])}
    try:
        response = api.request("POST", "/workloads", params=[("dry_run", "true")],
                               body=encode(desired), headers=JSON_CONTENT)  # fmt: skip
        change.image = response.document.get("image")
    except CommandError as error:
        if error.exit_code == Exit.UNREACHABLE:
            raise  # the workload is not the cause
        if change.kind == CREATE or error.code != "capacity":
            change.problem = error.message


def _shown(name: str, value: Any) -> str:
    if name.startswith(f"{_VARIABLES}."):
        return "(unset)" if value is None else "(set)"
    if value is None or value in ([], {}):
        return "(none)"
    if name == "memory_mb":
        return size(value)
    if name == "cpu_millicores":
        return cores_text(value)
    return printable(" ".join(map(str, value)) if isinstance(value, list) else str(value))
