"""Serving an API, and the answers to invalid documents."""

import pytest
from kakuri_daemon.api import document_problem, serving
from kakuri_http import Client, Response, Router
from kakuri_json import JSONError, ValidationError, decode
from kakuri_tcp import Endpoint


async def test_api_is_served_while_its_context_is_entered():
    router = Router()
    router.add("GET", "/x", lambda request: Response(200, b"hello"))
    async with (
        serving(Endpoint.parse("127.0.0.1:0"), router, drain_seconds=1) as endpoint,
        Client() as client,
    ):
        response = await client.get(f"http://{endpoint}/x")
    assert (response.status, response.body) == (200, b"hello")


@pytest.mark.parametrize(
    ("document", "error", "expected"),
    [
        ("[1", JSONError, b"expected"),
        ('"x"', ValidationError, b"the document has 1 fault"),
    ],
)
def test_invalid_document_is_400_with_its_fault_on_one_line(document, error, expected):
    with pytest.raises(error) as caught:
        decode(document, int)
    response = document_problem(caught.value)
    assert response.status == 400
    assert expected in response.body
    assert b"\\n" not in response.body
