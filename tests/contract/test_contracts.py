"""The code reads and writes the examples of docs/contracts.md, byte for byte."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from kakuri_control_plane._nodes import NodeView
from kakuri_control_plane._views import RemovedWorkload, WorkloadDetails
from kakuri_json import decode, encode
from kakuri_rpc import Reply, Request
from kakuri_workload import (
    Event,
    Removal,
    Transition,
    Workload,
    WorkloadState,
    ZoneEvent,
    ZoneSpec,
    ZoneStatus,
)
from kakuri_workload.metrics import MetricFamily

PAGE = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def examples(section, kind):
    """Return the examples of a section that are of a kind: with a type, a state, or neither."""
    lines = [
        line
        for block in re.findall(r"```json\n(.*?)```", SECTIONS[section], re.DOTALL)
        for line in block.splitlines()
    ]
    return [line for line in lines if kind(line)]


def is_typed(line):
    return line.startswith('{"type"')


def is_status(line):
    return '"state":' in line and not is_typed(line)


def is_spec(line):
    return not is_typed(line) and not is_status(line)


WORKLOADS = examples("Workload", is_spec)
REPLIES = examples("Agent protocol", is_typed)
ZONE_SPECS = examples("Sidecar API", is_spec)
ZONE_STATUSES = examples("Sidecar API", is_status)
ZONE_EVENTS = examples("Sidecar API", is_typed)
TABLE = r"\| field \| type \| meaning \| present \|\n\| --- [^\n]*\n((?:\| [^\n]*\n)+)"
TABLES = {
    name: re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)
    for name, rows in [
        *re.findall(rf"^`(\w+)`\n\n{TABLE}", PAGE, re.MULTILINE),
        *re.findall(
            rf"^(ZoneStatus)$.*?{TABLE}", PAGE.replace("### ", ""), re.MULTILINE | re.DOTALL
        ),
        *re.findall(rf"^A (transition) in `transitions`\n\n{TABLE}", PAGE, re.MULTILINE),
        *re.findall(rf"^An (event) in `events`\n\n{TABLE}", PAGE, re.MULTILINE),
        *re.findall(rf"^A (family) in `families`.*\n\n{TABLE}", PAGE, re.MULTILINE),
        *re.findall(rf"^A (receipt) in `removal`\n\n{TABLE}", PAGE, re.MULTILINE),
    ]
}
"""The fields that the page lists for each reply, for their parts and for the status of a zone."""
REQUESTS = re.findall(r"^\| `(\{\"type\":\"\w+\".*?\})`", PAGE, re.MULTILINE)


def test_contracts_have_an_example_of_each_kind():
    counts = [WORKLOADS, REPLIES, REQUESTS, ZONE_SPECS, ZONE_STATUSES, ZONE_EVENTS]
    assert [len(lines) for lines in counts] == [2, 22, 14, 2, 3, 6]


@pytest.mark.parametrize("line", WORKLOADS)
def test_workload_example_is_decoded_and_encoded_byte_for_byte(line):
    assert encode(decode(line, type=Workload)).decode() == line


@pytest.mark.parametrize("line", REPLIES)
def test_reply_example_is_decoded_and_encoded_byte_for_byte(line):
    assert encode(decode(line, type=Reply)).decode() == line


@pytest.mark.parametrize("line", ZONE_SPECS)
def test_zone_spec_example_is_decoded_and_encoded_byte_for_byte(line):
    assert encode(decode(line, type=ZoneSpec)).decode() == line


@pytest.mark.parametrize("line", ZONE_STATUSES)
def test_zone_status_example_is_decoded_and_encoded_byte_for_byte(line):
    assert encode(decode(line, type=ZoneStatus)).decode() == line


@pytest.mark.parametrize("line", ZONE_EVENTS)
def test_zone_event_example_is_decoded_and_encoded_byte_for_byte(line):
    assert encode(decode(line, type=ZoneEvent)).decode() == line


def test_reason_of_the_contracts_belongs_to_an_existing_state():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (\w+) \| ", SECTIONS["Workload"], re.MULTILINE)
    states = {state for reasons, state in rows if reasons[1].isupper()}
    assert states == {WorkloadState.PENDING.value, WorkloadState.FAILED.value}


@pytest.mark.parametrize("line", REQUESTS)
def test_request_example_is_decoded_and_encoded_byte_for_byte(line):
    line = line.replace("{…}", WORKLOADS[0])
    request = decode(line, type=Request)
    assert decode(encode(request), type=Request) == request
    assert encode(request).startswith(line[:-1].encode())


@pytest.mark.parametrize("reply", get_args(Reply), ids=lambda reply: reply.__name__)
def test_table_of_a_reply_has_each_of_its_fields(reply):
    expected = [field.name for field in fields(reply)]
    assert TABLES[reply.__name__.removesuffix("Reply")] == expected


def test_tables_of_parts_of_replies_have_each_of_their_fields():
    assert TABLES["event"] == [field.name for field in fields(Event)]
    assert TABLES["receipt"] == [field.name for field in fields(Removal)]
    assert TABLES["transition"] == [field.name for field in fields(Transition)]
    assert TABLES["family"] == [field.name for field in fields(MetricFamily)]
    assert TABLES["ZoneStatus"] == [field.name for field in fields(ZoneStatus)]


def api_fields(heading):
    """Return the fields in the first table of a section of the control plane's API."""
    section = PAGE.split(f"### {heading}\n")[1].split("\n### ")[0]
    (rows, *_) = re.findall(TABLE, section)
    cells = re.findall(r"^\| (.*?) \|", rows, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize(
    ("heading", "view"), [("Workload status", WorkloadDetails), ("Nodes", NodeView)]
)
def test_table_of_the_api_has_each_field_of_its_answer(heading, view):
    assert sorted(api_fields(heading)) == sorted(field.name for field in fields(view))


@pytest.mark.parametrize(
    ("heading", "answer"),
    [("Nodes", NodeView), ("Stop, start, restart and removal", RemovedWorkload)],
)
def test_example_of_the_api_has_the_fields_of_its_answer_in_their_order(heading, answer):
    section = PAGE.split(f"### {heading}\n")[1].split("\n### ")[0]
    (line,) = re.findall(r"```json\n(.*)\n```", section)
    assert encode(decode(line, type=answer)).decode() == line
