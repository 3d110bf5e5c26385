"""Workload ids and image references, by the cases beside this file."""

import json
import re
from pathlib import Path

import pytest
from kakuri_registry import IMAGE_REFERENCE, WORKLOAD_ID
from kakuri_registry._grammar import MAX_IMAGE_LENGTH

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
