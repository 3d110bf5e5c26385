"""Cases of line-delimited JSON that concern documents and not the agent protocol."""

import json
import os
from pathlib import Path

import kakuri_json
import pytest
from kakuri_json import JSONError

CASES = [
    pytest.param(case, id=case["name"])
    for case in json.loads(
        (Path(os.environ["KAKURI_CORPORA"]) / "line-json/cases.json").read_text()
    )
    if case.get("level") != "protocol"
]


def test_line_json_corpus_has_cases():
    assert len(CASES) > 20


@pytest.mark.parametrize("case", CASES)
def test_line_json_case_has_the_expected_outcome(case):
    parts = case.get("parts_latin1", [[chunk, 1] for chunk in case.get("chunks_latin1", [])])
    chunks = (text.encode("latin-1") * times for text, times in parts)
    try:
        messages = list(kakuri_json.decode_lines(chunks))
    except JSONError:
        assert case["expect"] != "accept"
    else:
        assert case["expect"] != "reject"
        assert case.get("hardened") != "reject"
        if case["expect"] == "accept":
            assert len(messages) == case.get("count", len(case.get("messages", [])))
            assert case.get("messages") in (None, messages)
