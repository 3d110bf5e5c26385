"""The examples of docs/contracts.md are what the code reads and writes, byte for byte."""

import re
from pathlib import Path

import pytest
from kakuri_json import decode, encode
from kakuri_registry import Workload
from kakuri_rpc import Reply, Request

PAGE = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()
EXAMPLES = [
    line
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
REQUESTS = re.findall(r"^\| `(\{\"type\":\"\w+\".*?\})`", PAGE, re.MULTILINE)
WORKLOAD = next(line for line in EXAMPLES if '"type"' not in line)


def test_there_are_examples():
    assert len(EXAMPLES) >= 6
    assert len(REQUESTS) == 6


def test_the_workload():
    assert encode(decode(WORKLOAD, type=Workload)).decode() == WORKLOAD


@pytest.mark.parametrize("line", [line for line in EXAMPLES if '"type"' in line])
def test_a_reply(line):
    assert encode(decode(line, type=Reply)).decode() == line


@pytest.mark.parametrize("line", REQUESTS)
def test_a_request(line):
    line = line.replace("{…}", WORKLOAD)
    request = decode(line, type=Request)
    assert decode(encode(request), type=Request) == request
    assert encode(request).startswith(line[:-1].encode())
