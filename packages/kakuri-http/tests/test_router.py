"""Routes: patterns, lookups, conflicts, listing."""

import pytest
from kakuri_http import Headers, Request, Response, RouteConflict, RouteError, Router
from kakuri_http._messages import RepeatedHead


def ok(request):
    return Response(200)


def ask(router, method, path):
    request = Request(method, path, Headers(), path)
    return router.resolve(request), request.params


def router_of(*patterns):
    router = Router()
    for pattern in patterns:
        router.add("GET", pattern, ok)
    return router


@pytest.mark.parametrize(
    ("patterns", "path", "pattern", "params"),
    [
        (["/"], "/", "/", {}),
        (["/a", "/a/"], "/a/", "/a/", {}),
        (["/w/:id"], "/w/x", "/w/:id", {"id": "x"}),
        (["/w/:id"], "/w/a%2Fb", "/w/:id", {"id": "a/b"}),
        (["/w/:id"], "/w/%2541", "/w/:id", {"id": "%41"}),
        (["/w/:id"], "/%77/x", "/w/:id", {"id": "x"}),
        (["/w/:id", "/w/new"], "/w/new", "/w/new", {}),
        (["/w/:id", "/w/new"], "/w/old", "/w/:id", {"id": "old"}),
        (["/w/:id/log", "/w/new/x"], "/w/new/log", "/w/:id/log", {"id": "new"}),
        (["/n/:n<int>"], "/n/-7", "/n/:n<int>", {"n": -7}),
        (["/l/:l<label>"], "/l/a-b", "/l/:l<label>", {"l": "a-b"}),
        (["/:a/:b/:c"], "/1/2/3", "/:a/:b/:c", {"a": "1", "b": "2", "c": "3"}),
    ],
)
def test_route_of_a_matching_path_is_found_with_its_params(patterns, path, pattern, params):
    route, got = ask(router_of(*patterns), "GET", path)
    assert route.pattern == pattern
    assert dict(got) == params


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/w/:id", "/w/"), ("/w/:id", "/w"), ("/w/:id", "/w/a/b"), ("/w", "/w/"), ("/w", "/W"),
        ("/w", "//w"), ("/n/:n<int>", "/n/x"), ("/n/:n<int>", "/n/007"), ("/n/:n<int>", "/n/+1"),
        ("/n/:n<int>", "/n/\uff11"), ("/n/:n<int>", "/n/" + "1" * 5000), ("/l/:l<label>", "/l/A"),
        ("/l/:l<label>", "/l/a%0A"), ("/w/:id", "/w/%ff"), ("/w", "*"),
    ],
)  # fmt: skip
def test_path_without_a_route_is_404(pattern, path):
    answer, _ = ask(router_of(pattern), "GET", path)
    assert answer.status == 404


@pytest.mark.parametrize(
    "pattern",
    ["", "a", "/a%41", "/:", "/:1", "/a:b", "/:a<>", "/:a<float>", "/:a/:a", "/a b", "/..", "/ä"],
)
def test_invalid_pattern_raises_route_error(pattern):
    with pytest.raises(RouteError):
        router_of(pattern)


@pytest.mark.parametrize("method", ["", "get", "TRACE", "CONNECT", "GÉT"])
def test_invalid_method_raises_route_error(method):
    with pytest.raises(RouteError):
        Router().add(method, "/", ok)


@pytest.mark.parametrize(
    ("one", "two"), [("/a", "/a"), ("/:a", "/:a"), ("/:a", "/:b"), ("/:a", "/:a<int>/x")]
)
def test_route_with_the_same_paths_raises_route_conflict(one, two):
    with pytest.raises(RouteConflict):
        router_of(one, two)


def test_converter_of_the_router_decides_whether_a_path_exists():
    router = Router({"even": lambda text: int(text) if int(text) % 2 == 0 else int("")})
    router.add("GET", "/:n<even>", ok)
    assert ask(router, "GET", "/4")[1] == {"n": 4}
    assert ask(router, "GET", "/5")[0].status == 404


def test_method_of_a_route_is_known_to_other_paths():
    router = Router()
    router.add("PROPFIND", "/", ok)
    assert ask(router, "PROPFIND", "/")[0].handler is ok
    assert ask(router, "GET", "/")[0].status == 405
    assert ask(router, "MKCOL", "/")[0].status == 501


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_common_method_that_no_route_has_is_405(method):
    response, _ = ask(router_of("/"), method, "/")
    assert (response.status, response.headers.get("allow")) == (405, "GET, HEAD, OPTIONS")


def test_routes_are_listed_in_the_order_of_adding():
    router = router_of("/a", "/b/:c")
    assert [(route.method, route.pattern) for route in router.routes] == [
        ("GET", "/a"),
        ("GET", "/b/:c"),
    ]


def test_lookup_time_does_not_depend_on_the_number_of_routes():
    asked = 0

    def counts(text):
        nonlocal asked
        asked += 1
        return text

    router = Router({"counted": counts})
    for number in range(2000):
        router.add("GET", f"/r{number}/:id<counted>/x", ok)
    assert ask(router, "GET", "/r1999/7/x")[1] == {"id": "7"}
    assert asked == 1


def test_route_decorator_adds_the_function_and_returns_it():
    router = Router()

    @router.route("POST", "/w/:id", streaming=True, body_limit=5)
    def submit(request):
        return Response(201)

    (route,) = router.routes
    assert (route.method, route.pattern, route.handler) == ("POST", "/w/:id", submit)
    assert (route.streaming, route.body_limit) == (True, 5)


def repeated(path, **fields):
    """Return a function that makes requests with the same head."""
    parts = ("GET", path, Headers(fields), path, "", "a", 0)
    head = RepeatedHead(parts)

    def make():
        request = Request(*parts)
        request.repeated_head = head
        return request

    return make


def test_cacheable_check_is_called_once_for_a_repeated_head():
    router, calls = router_of("/w/:id"), []
    router.check(lambda request: calls.append("each"))
    router.check(lambda request: calls.append("cached"), cacheable=True)
    make = repeated("/w/x")
    for expected in (["each", "cached"], ["each"], ["each"]):
        request = make()
        assert router.resolve(request).pattern == "/w/:id"
        assert request.params == {"id": "x"}
        assert calls == expected
        calls.clear()


def test_parameters_shared_by_repeated_heads_are_read_only():
    router, make = router_of("/w/:id"), repeated("/w/x")
    for _ in range(2):
        request = make()
        router.resolve(request)
        with pytest.raises(TypeError):
            request.params["id"] = "y"


def test_converter_is_called_once_for_a_repeated_head():
    calls = []
    router = Router({"kind": lambda text: calls.append(text) or text.upper()})
    router.add("GET", "/w/:id<kind>", ok)
    make = repeated("/w/x")
    for _ in range(3):
        request = make()
        router.resolve(request)
        assert request.params == {"id": "X"}
    assert calls == ["x"]


@pytest.mark.parametrize("cacheable", [False, True])
def test_refusal_of_a_repeated_head_is_not_cached(cacheable):
    router, calls = router_of("/w"), []
    router.check(lambda request: calls.append(1) or Response(403), cacheable=cacheable)
    make = repeated("/w")
    assert [router.resolve(make()).status for _ in range(3)] == [403] * 3
    assert len(calls) == 3


def test_check_that_is_not_cacheable_may_refuse_a_head_that_it_accepted():
    router, refused = router_of("/w"), []
    router.check(lambda request: Response(403) if refused else None)
    make = repeated("/w")
    for _ in range(2):
        assert router.resolve(make()).pattern == "/w"
    refused.append(1)
    assert router.resolve(make()).status == 403


def test_check_that_is_added_later_is_called_for_a_repeated_head():
    router, make = router_of("/w"), repeated("/w")
    router.resolve(make())
    router.check(lambda request: Response(403), cacheable=True)
    assert router.resolve(make()).status == 403


def test_route_that_is_added_later_is_found_for_a_repeated_head():
    router, make = router_of("/:x"), repeated("/w")
    assert router.resolve(make()).pattern == "/:x"
    router.add("GET", "/w", ok)
    assert router.resolve(make()).pattern == "/w"
    assert router.checks == ()


def test_unknown_path_of_a_repeated_head_is_404_until_it_has_a_route():
    router, make = Router(), repeated("/w")
    assert [router.resolve(make()).status for _ in range(2)] == [404] * 2
    router.add("GET", "/w", ok)
    assert router.resolve(make()).pattern == "/w"


def test_routers_do_not_share_cached_routes_of_a_repeated_head():
    first, second, make = router_of("/w"), router_of("/:x"), repeated("/w")
    for _ in range(2):
        assert first.resolve(make()).pattern == "/w"
        assert second.resolve(make()).pattern == "/:x"
