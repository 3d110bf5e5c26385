"""The OpenAPI document that the control plane serves."""

import subprocess
import sys

import pytest
from kakuri_control_plane._api import Api
from kakuri_control_plane._log_formats import JSONLines
from kakuri_control_plane._log_views import AttemptMark, GapMark, LogLine
from kakuri_control_plane._openapi import document
from kakuri_control_plane._operations import OPERATIONS
from kakuri_control_plane._views import WorkloadView, with_state
from kakuri_json import decode, encode, loads
from kakuri_rpc import AgentClient, State, Status
from kakuri_tcp import Endpoint
from kakuri_workload import LogRecord, LogStream
from kakuri_workload.testing import workload

from .fake_agent import api

NO_AGENT = Endpoint.parse("127.0.0.1:1")


@pytest.fixture
def router():
    return Api(AgentClient(NO_AGENT)).router()


@pytest.fixture
def described(router):
    return loads(document(router)[0])


def parts_of(value, path="#"):
    """Yield every object of a document with its path."""
    if isinstance(value, dict):
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in items if isinstance(value, (dict, list)) else ():
        yield from parts_of(part, f"{path}/{name}") if isinstance(part, (dict, list)) else ()


def test_every_route_has_a_description(router):
    assert OPERATIONS.keys() == {f"{route.method} {route.pattern}" for route in router.routes}


def test_every_parameter_field_and_operation_is_explained(described):
    for path, part in parts_of(described):
        if "in" in part:
            assert part.get("description"), path
        if path.startswith("#/components/schemas/") and path.count("/") == 3:
            assert part.get("description"), path
            for name, schema in part["properties"].items():
                assert schema.get("description"), f"{path}/{name}"
        if "operationId" in part:
            assert part["summary"], path
            assert not part["summary"].endswith("."), path


def test_operations_have_ids_of_their_own_and_known_tags(described):
    operations = [part for _, part in parts_of(described) if "operationId" in part]
    assert len({each["operationId"] for each in operations}) == len(operations)
    tags = {tag["name"] for tag in described["tags"]}
    assert {tag for each in operations for tag in each["tags"]} == tags


def test_every_reference_leads_to_a_schema(described):
    for path, part in parts_of(described):
        if "$ref" in part:
            _, *names = part["$ref"].split("/")
            target = described
            for name in names:
                assert name in target, f"{path}: {part['$ref']}"
                target = target[name]


async def test_document_is_served_with_an_entity_tag():
    async with api(Status("wl-1", State.RUNNING)) as call:
        status, body, headers = await call("GET", "/openapi.json")
        assert (status, body["openapi"]) == (200, "3.1.0")
        assert headers["content-type"] == "application/json"
        again = await call.client.request(
            "GET",
            f"http://{call.endpoint}/openapi.json",
            headers={"If-None-Match": headers["etag"]},
        )
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", headers["etag"])


def test_control_plane_starts_without_what_only_the_document_needs():
    program = "import kakuri_control_plane._cli, sys; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "kakuri_control_plane._openapi_handler" in loaded
    of_document = {
        "kakuri_control_plane._operations", "kakuri_daemon.api.openapi", "kakuri_json._schema",
    }  # fmt: skip
    assert not of_document & set(loaded)


def test_lines_of_a_log_are_as_their_types_describe_them():
    form = JSONLines()
    time = "2026-11-26T14:07:25.000000001Z"
    first = LogRecord(time, "stdout", False, 1, b"a\xff")
    second = LogRecord(None, None, True, 2, b"b")
    line, *_ = form(first).splitlines()
    assert decode(line, type=LogLine) == LogLine(
        1, "a\ufffd", time, LogStream.STDOUT, base64="Yf8="
    )
    mark, line = form(second).splitlines()
    assert decode(mark, type=AttemptMark) == AttemptMark("attempt", 2)
    assert decode(line, type=LogLine) == LogLine(2, "b", partial=True)
    assert decode(form(None), type=GapMark) == GapMark("gap")


def test_existing_workload_has_the_fields_of_both_of_its_types():
    status = Status("wl-1", State.RUNNING, existing=True)
    both = loads(encode(workload("wl-1"))) | loads(encode(WorkloadView.of(status)))
    assert loads(with_state(encode(workload("wl-1")), status)) == both
