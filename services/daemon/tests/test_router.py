"""APIRouter: typed ids, queries, exceptions of handlers, and suggestions for unknown paths."""

from dataclasses import dataclass

import pytest
from kakuri_daemon.api import APIRouter, json_response
from kakuri_daemon.api._router import MAX_PATH
from kakuri_http import Headers, Request, Response, Route, RouteConflict, problem
from kakuri_json import Fault, ValidationError, loads


@dataclass(frozen=True)
class ListQuery:
    limit: int = 10


class Full(Exception):
    pass


def router(**options):
    return APIRouter(
        {Full: lambda error: problem(503, code="full", detail=str(error))},
        ids={"thing": "[a-z]{1,3}"},
        **options,
    )


async def respond(router, method, target):
    path, _, query = target.partition("?")
    request = Request(method, target, Headers(), path, query)
    found = router.resolve(request)
    try:
        response = found.handler(request) if isinstance(found, Route) else found
        if not isinstance(response, Response):
            response = await response
    except Exception as error:
        response = router.respond_to(error)
        if response is None:
            raise
    return response.status, loads(response.body)


async def get_thing(request):
    return json_response({"id": request.params["id"]})


@pytest.fixture
def things():
    routes = router()
    routes.add("GET", "/things", lambda request, query: json_response(query), query=ListQuery)
    routes.add("GET", "/things/:id<thing>", get_thing)
    routes.add("GET", "/things/:id<thing>/stop", get_thing)
    return routes


async def test_handler_with_a_query_type_gets_the_query(things):
    assert await respond(things, "GET", "/things?limit=3") == (200, {"limit": 3})
    assert await respond(things, "GET", "/things") == (200, {"limit": 10})


async def test_invalid_query_is_400_with_its_path(things):
    status, body = await respond(things, "GET", "/things?limit=x")
    assert (status, body["detail"]) == (400, "the query has 1 fault")
    assert [each["path"] for each in body["errors"]] == ["query.limit"]


async def test_handler_without_a_query_type_refuses_every_parameter(things):
    status, body = await respond(things, "GET", "/things/a?x=1&y")
    assert (status, [each["path"] for each in body["errors"]]) == (400, ["query.x", "query.y"])
    assert body["detail"] == "the query has 2 faults"


async def test_valid_id_reaches_the_handler(things):
    assert await respond(things, "GET", "/things/abc") == (200, {"id": "abc"})


@pytest.mark.parametrize(("path", "value"), [("A", "A"), ("abcd", "abcd"), ("a%20b", "a b")])
async def test_id_that_cannot_exist_is_404_and_names_the_kind_of_resource(things, path, value):
    for target in (f"/things/{path}", f"/things/{path}/stop"):
        status, body = await respond(things, "GET", target)
        assert (status, body["code"], body["detail"]) == (404, "not_found", f"no thing {value!r}")


async def test_method_that_a_typed_path_lacks_is_405(things):
    assert (await respond(things, "DELETE", "/things/A"))[0] == 405


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Full("no room"), 503, "full"),
        (ValidationError((Fault("$.a", "wrong"),)), 400, "bad_request"),
    ],
)
async def test_expected_exception_of_a_handler_becomes_its_problem(error, status, code):
    routes = router()

    def at_once(request):
        raise error

    async def later(request):
        raise error

    routes.add("GET", "/sync", at_once)
    routes.add("GET", "/async", later)
    for path in ("/sync", "/async"):
        got, body = await respond(routes, "GET", path)
        assert (got, body["code"]) == (status, code)


async def test_unexpected_exception_of_a_handler_is_passed_on():
    routes = router()

    def fail(request):
        raise KeyError("x")

    routes.add("GET", "/", fail)
    with pytest.raises(KeyError):
        await respond(routes, "GET", "/")


async def test_problem_of_a_subclass_is_used_before_that_of_its_base():
    routes = APIRouter({ValidationError: lambda error: problem(422, code="own")})

    async def fail(request):
        raise ValidationError(())

    routes.add("GET", "/", fail)
    assert (await respond(routes, "GET", "/"))[0] == 422


def test_router_conflicts_are_raised_as_usual(things):
    with pytest.raises(RouteConflict):
        things.add("GET", "/things/:id<thing>", get_thing)


async def test_unknown_path_suggests_a_similar_one_with_the_given_id(things):
    _, body = await respond(things, "GET", "/thinks/a")
    assert body["detail"] == "unknown path /thinks/a; did you mean /things/a?"


async def test_unknown_path_that_resembles_none_lists_all_without_types(things):
    _, body = await respond(things, "GET", "/jobs")
    assert (
        body["detail"] == "unknown path /jobs; the paths are /things, /things/:id, /things/:id/stop"
    )


def path_of(length):
    around = "/thinks//stop"
    return around.replace("//", f"/{'x' * (length - len(around))}/")


def test_similar_path_is_looked_up_for_at_most_two_hundred_characters(things):
    assert MAX_PATH == len(path_of(200)) == 200
    assert things.similar(path_of(200)) == path_of(200).replace("thinks", "things")
    assert things.similar(path_of(201)) is None
