"""What a submitter may name; ids and image references by the cases beside this file."""

import json
import re
from pathlib import Path

import pytest
from kakuri_registry import IMAGE_REFERENCE, WORKLOAD_ID
from kakuri_registry._grammar import LABEL_KEY, MAX_IMAGE_LENGTH, USER

CASES = Path(__file__).parent / "cases"
IDS = json.loads((CASES / "workload-ids.json").read_text())
IMAGES = json.loads((CASES / "image-references.json").read_text())


def test_there_are_cases():
    assert len(IDS) >= 25
    assert len(IMAGES) >= 45


@pytest.mark.parametrize("case", IDS, ids=lambda case: case["name"])
def test_workload_ids(case):
    assert (re.fullmatch(WORKLOAD_ID, case["id"]) is not None) == (case["expect"] == "accept")


@pytest.mark.parametrize("case", IMAGES, ids=lambda case: case["name"])
def test_image_references(case):
    reference = case["reference"]
    fits = len(reference) <= MAX_IMAGE_LENGTH and re.fullmatch(IMAGE_REFERENCE, reference)
    assert bool(fits) == (case["grammar"] == "valid"), case


@pytest.mark.parametrize("newline", ["\n", "\r", " "])
def test_nothing_passes_behind_the_end(newline):
    assert not re.fullmatch(WORKLOAD_ID, f"web{newline}")
    assert not re.fullmatch(IMAGE_REFERENCE, f"nginx{newline}")


@pytest.mark.parametrize(
    "key",
    [
        "team", "example.com/team", "a.b-c_d", "Example.COM/Team", "containerd", "io.example/x",
        "notkubernetes.io/x", "edera",
    ],
)  # fmt: skip
def test_labels_of_submitters(key):
    assert re.fullmatch(LABEL_KEY, key)


@pytest.mark.parametrize(
    "key",
    [
        "kakuri.dev/x", "sub.kakuri.dev/x", "KAKURI.dev/x", "kubernetes.io/x", "x.k8s.io/y",
        "containerd.io/restart.status", "containerd.io/gc.root", "sub.containerd.io/x",
        "io.containerd.x", "io.cri-containerd.kind", "io.kubernetes.pod.name", "IO.Kubernetes.x",
        "dev.edera/cpu", "edera.dev/x", "nerdctl/name", "", "/x", "x/", "-x", "a/b/c", "é",
    ],
)  # fmt: skip
def test_labels_that_the_node_keeps_for_itself_or_that_are_none(key):
    assert not re.fullmatch(LABEL_KEY, key)


@pytest.mark.parametrize("user", ["0", "1000", "1000:1000", "nobody", "www-data", "_apt"])
def test_users(user):
    assert re.fullmatch(USER, user)


@pytest.mark.parametrize(
    "user", ["", "4294967296", "99999999999999999999", "1000:", ":1", "1:2:3", "Root", "a b", "a:b"]
)
def test_users_that_are_none(user):
    assert not re.fullmatch(USER, user)
