"""The labels and annotations by which sandboxes and containers are found again.

The first four belong to Kakuri. The others are those of the kubelet (pkg/kubelet/types/labels.go),
which tools such as crictl show.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from hashlib import sha256
from typing import Any

from kakuri_json import canonical, encode
from kakuri_workload import DEFAULT_RUNTIME_CLASS, ZoneSpec
from kakuri_workload import WORKLOAD_ID as WORKLOAD_ID_PATTERN

MANAGED_BY = "kakuri.dev/managed-by"
WORKLOAD_ID = "kakuri.dev/workload-id"
SPEC_HASH = "kakuri.dev/spec-hash"
ATTEMPT = "kakuri.dev/attempt"

SPEC = "kakuri.dev/spec"
"""An annotation of containers: the JSON of the ZoneSpec. Sandboxes do not have it, since it would
double the size of each list."""

IMAGE_DIGEST = "kakuri.dev/image-digest"
"""An annotation of containers: the manifest digest of the image, if it is known."""

PROFILE = "kakuri.dev/security-profile"
"""An annotation of containers: the hash of the security profile that it was created with."""

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"

OURS = {MANAGED_BY: "kakuri"}
"""Selects every object of Kakuri."""

NAMESPACE = "kakuri"

_RESTARTS = {"restart_policy", "max_restarts"}
"""Fields of a workload that its zone does not depend on."""

_VALID_ID = re.compile(WORKLOAD_ID_PATTERN)
_VALID_ATTEMPT = re.compile("[0-9]{1,9}")  # a digit fewer than allowed, so the next is valid

_HASH_DIGITS = 32
"""Digits of a SHA-256 that are kept: specs of one id do not collide, and every runtime accepts
labels of this length."""


def of_zone(zone_id: str) -> dict[str, str]:
    """Return the labels that select every object of one zone."""
    return {**OURS, WORKLOAD_ID: zone_id}


def zone_id_of(labels: Mapping[str, str]) -> str:
    """Return the zone id in the labels of an object; empty if there is none, or no valid one."""
    zone_id = labels.get(WORKLOAD_ID, "")
    return zone_id if _VALID_ID.fullmatch(zone_id) else ""


def attempt_of(labels: Mapping[str, str]) -> int:
    """Return the attempt in the labels of an object; 0 if there is none, or no valid one."""
    attempt = labels.get(ATTEMPT, "")
    return int(attempt) if _VALID_ATTEMPT.fullmatch(attempt) else 0


def spec_hash(spec: ZoneSpec) -> str:
    """Return a label value that is equal for specs whose zones differ at most in the attempt.

    When and how often a workload is restarted makes no difference to its zone. Defaults are left
    out, including the runtime class, so that zones of earlier releases keep their hash.

    This takes a few milliseconds for a large spec, so a start computes it once.
    """
    workload = spec.workload
    created_from: dict[str, Any] = {
        field.name: value
        for field in fields(workload)
        if field.name not in _RESTARTS
        and (value := getattr(workload, field.name)) not in (None, (), {})
    }
    if workload.runtime_class == DEFAULT_RUNTIME_CLASS:
        del created_from["runtime_class"]
    return sha256(canonical(created_from)).hexdigest()[:_HASH_DIGITS]


def sandbox_labels(spec: ZoneSpec, spec_hash: str) -> dict[str, str]:
    """Return the labels of a sandbox, without those of the spec, which would fill the lists."""
    return {
        **of_zone(spec.id),
        SPEC_HASH: spec_hash,
        ATTEMPT: str(spec.attempt),
        POD_NAME: spec.id,
        POD_NAMESPACE: NAMESPACE,
        POD_UID: spec.id,
    }


def container_labels(spec: ZoneSpec, spec_hash: str) -> dict[str, str]:
    """Return the labels of a container: those of the spec, which can't replace Kakuri's own."""
    return {**spec.workload.labels, **sandbox_labels(spec, spec_hash), CONTAINER_NAME: spec.id}


def container_annotations(
    spec: ZoneSpec, image_digest: str | None = None, profile: str | None = None
) -> dict[str, str]:
    """Return the annotations of a container: what it was created from."""
    annotations = {SPEC: encode(spec).decode()}
    if profile is not None:
        annotations[PROFILE] = profile
    if image_digest is not None:
        annotations[IMAGE_DIGEST] = image_digest
    return annotations
