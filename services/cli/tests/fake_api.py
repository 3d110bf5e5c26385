"""A control plane that each test scripts: the documents of the HTTP API, without an agent.

Its responses are compared with the OpenAPI document of the real one.
"""

import asyncio
import json
import re
import threading
import time
from datetime import UTC, datetime
from inspect import isawaitable

from kakuri_http import Response, Router, problem, serve

from tests.openapi.checker import check_response

START = "2026-11-26T14:01:00.000000Z"
INDEX = {
    "name": "kakuri-control-plane", "version": "0.1.0", "workloads": "/workloads",
    "nodes": "/nodes", "events": "/events", "ready": "/readyz",
}  # fmt: skip
NODE = {
    "name": "node1", "state": "ready", "version": "0.1.0", "runtime": "cri", "simulated": False,
    "runtime_available": True, "workloads": 2, "handlers": {"edera-zone": "edera"},
    "memory_mb": 16384, "memory_mb_used": 4915, "cpu_millicores": 8000,
    "cpu_millicores_used": 1600, "store": "sqlite", "started_at": START, "event_index": 3,
    "last_heard": "2026-11-26T14:01:16.600000Z",
}  # fmt: skip
SPEC = {
    "image": "nginx:1.27", "runtime_class": "edera-zone", "memory_mb": 256,
    "cpu_millicores": 500,
}  # fmt: skip
RECEIPT = {
    "zone": "5f0c11223344556677", "container": "9a3e11223344556677", "log_bytes": 0,
    "verified_by": "list",
}  # fmt: skip


class FakeAPI:
    """Serves documents that a test sets; a change wakes the requests that wait for it."""

    def __init__(self):
        self.workloads, self.tombstones, self.histories, self.logs = {}, {}, {}, {}
        self.nodes = [dict(NODE)]
        self.events = []
        self.requests = []  # method and target of each
        self.is_asked = threading.Event()  # set by the first
        self._actions = []  # for when the first stream waits
        self.received = []  # the same requests as a whole
        self.overrides = {}
        self.once = {}  # overrides of one request each
        self.image = None
        self.version = 10
        self.release = "0.1.0"
        self.is_later_release = False  # which may send what this one does not
        self.is_removal_slow = False
        self.on_post = lambda api, document: None
        self.on_stop = lambda api, workload_id, grace: None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)

    @property
    def url(self):
        return f"http://{self.endpoint}"

    def add(self, workload_id, state="running", *, spec=None, log=(), steps=None, **fields):
        """Add a workload; `log` has (time, stream, attempt, text) of each line."""
        self.version += 1
        document = {"id": workload_id, "state": state, **fields}
        document |= {"version": self.version, "created_at": START, "changed_at": START}
        document["spec"] = {"id": workload_id, **SPEC, **(spec or {})}
        self.workloads[workload_id] = document
        self.logs[workload_id] = list(log)
        self.histories[workload_id] = steps or [{"at": START, "state": state}]
        return document

    def change(self, workload_id, **fields):
        """Change a workload, from any thread; a field that is None is removed."""

        def apply():
            self.version += 1
            document = self.workloads[workload_id]
            document |= fields | {"version": self.version}
            for name in [name for name, value in document.items() if value is None]:
                del document[name]
            self._announce()

        self._loop.call_soon_threadsafe(apply)

    def write(self, workload_id, *lines):
        """Add lines to a log, from any thread."""

        def apply():
            self.logs[workload_id] += lines
            self._announce()

        self._loop.call_soon_threadsafe(apply)

    def remove(self, workload_id):
        """Remove a workload, from any thread."""
        self._loop.call_soon_threadsafe(self._bury, workload_id)

    def publish(self, **event):
        """Add an event, from any thread."""

        def apply():
            self.events.append(event)
            self._announce()

        self._loop.call_soon_threadsafe(apply)

    def _bury(self, workload_id):
        document = self.workloads.pop(workload_id)
        self.tombstones[workload_id] = document | {
            "removed_at": "2026-11-26T14:01:10.000000Z", "removal": RECEIPT,
        }  # fmt: skip
        self._announce()

    def _announce(self):
        self._changed.set()
        self._changed = asyncio.Event()

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        self._changed, self._ending = asyncio.Event(), asyncio.Event()
        router = Router()
        for method, path, handler in (
            (
                "GET",
                "/",
                lambda request: answer({**INDEX, "version": self.release}),
            ),
            ("GET", "/healthz", lambda request: answer({"status": "ok"})),
            ("GET", "/readyz", lambda request: answer({"status": "ok"})),
            ("GET", "/nodes", lambda request: answer({"nodes": self.nodes})),
            ("GET", "/nodes/:name", self._node),
            ("GET", "/events", self._events),
            ("GET", "/workloads", self._list),
            ("POST", "/workloads", self._create),
            ("GET", "/workloads/:id", self._get),
            ("DELETE", "/workloads/:id", self._delete),
            ("GET", "/workloads/:id/history", self._history),
            ("GET", "/workloads/:id/log", self._log),
            ("POST", "/workloads/:id/stop", self._stop),
            ("POST", "/workloads/:id/start", self._start),
            ("POST", "/workloads/:id/restart", self._start),
        ):
            router.add(method, path, self._checked(handler))
        router.check(self._record)
        async with await serve("127.0.0.1:0", router) as server:
            self.endpoint = server.endpoint
            self._started.set()
            await self._ending.wait()

    def _checked(self, handler):
        async def handle(request):
            response = handler(request)
            if isawaitable(response):
                response = await response
            if not self.is_later_release:
                headers = dict(response.headers) | {"content-type": response.content_type}
                body = response.body if isinstance(response.body, bytes) else None
                check_response(request.method, request.target, response.status, headers, body)
            return response

        return handle

    def once_followed(self, action):
        """Call a function once a stream has sent what there is, and waits for more."""
        self._actions.append(action)

    async def _wait_for_change(self):
        for action in self._actions:
            action()
        self._actions.clear()
        await self._changed.wait()

    def _record(self, request):
        self.requests.append((request.method, request.target))
        self.is_asked.set()
        self.received.append(request)
        key = request.method, request.path
        return self.once.pop(key, None) or self.overrides.get(key)

    def _found(self, request):
        source = self.tombstones if "removed" in request.query else self.workloads
        return source.get(request.params["id"])

    def _node(self, request):
        for node in self.nodes:
            if node["name"] == request.params["name"]:
                return answer(node)
        return problem(404, code="not_found", detail=f"no node {request.params['name']!r}")

    def _list(self, request):
        source = self.tombstones if "removed" in request.query else self.workloads
        after, label = request.query.get("after", ""), request.query.get("label")
        found = [one for _, one in sorted(source.items()) if one["id"] > after]
        if label:
            key, _, value = label.partition("=")
            found = [one for one in found if one["spec"].get("labels", {}).get(key) == value]
        if state := request.query.get("state"):
            found = [one for one in found if one["state"] == state]
        page = found[:100]
        more = {"next": page[-1]["id"]} if len(found) > len(page) else {}
        return answer({"workloads": [view(one, request) for one in page], **more})

    async def _create(self, request):
        given = json.loads(request.body)
        document = {"id": given["id"], **SPEC, **given}
        present = self.workloads.get(given["id"])
        if present is not None and present["spec"] != document:
            return problem(409, code="conflict", detail=f"workload {given['id']!r} exists",
                           errors=[{"path": "$.image", "message": "differs"}])  # fmt: skip
        if "dry_run" in request.query:
            change = "none" if present else "create"
            image = {} if present or not self.image else {"image": self.image}
            return answer({"dry_run": True, "change": change, "workload": document, **image})
        if present is not None:
            return answer({**document, "state": present["state"], "existing": True})
        self.add(given["id"], "pending", spec=given)
        self.on_post(self, document)
        return answer(document, 201)

    async def _get(self, request):
        found = self._found(request)
        if "wait" in request.query:
            end = self._loop.time() + float(request.query["wait"])
            while found and found["version"] <= int(request.query["after"]):
                try:
                    await asyncio.wait_for(self._changed.wait(), end - self._loop.time())
                except TimeoutError:
                    break
                found = self._found(request)
        if found is None:
            return missing(request)
        return answer(view(found, request), headers={"ETag": f'"{found["version"]}"'})

    async def _delete(self, request):
        found = self._found(request)
        if found is None:
            return missing(request)
        if refused := self._mismatch(request, found):
            return refused
        if self.is_removal_slow:
            found["desired"] = "removed"
            return answer(view(found, request), 202)
        self._bury(found["id"])
        return answer({"id": found["id"], "removed": RECEIPT, "state": found["state"]})

    async def _history(self, request):
        if self._found(request) is None:
            return missing(request)
        steps = self.histories[request.params["id"]]
        return answer({"id": request.params["id"], "transitions": steps})

    async def _stop(self, request):
        found = self._found(request)
        if found is None:
            return missing(request)
        if refused := self._mismatch(request, found):
            return refused
        grace = json.loads(request.body or b"{}").get("grace_seconds", 10)
        if found["state"] in ("succeeded", "failed"):
            return answer(view(found, request))
        self.on_stop(self, found["id"], grace)
        return answer({**view(found, request), "desired": "stopped"}, 202)

    async def _start(self, request):
        found = self._found(request)
        if found is None:
            return missing(request)
        if refused := self._mismatch(request, found):
            return refused
        if found["state"] == "running" and request.path.endswith("/start"):
            return answer(view(found, request))
        return answer({**view(found, request), "state": "pending"}, 202)

    def _mismatch(self, request, found):
        expected = request.headers.get("if-match")
        if expected is None or expected == f'"{found["version"]}"':
            return None
        return problem(412, code="version_mismatch", detail="another version")

    async def _log(self, request):
        if self._found(request) is None:
            return missing(request)
        is_json = request.query.get("format") == "ndjson"
        kind = "application/x-ndjson" if is_json else "text/plain; charset=utf-8"
        return Response(200, self._pieces(request), content_type=kind)

    async def _pieces(self, request):
        query, workload_id = request.query, request.params["id"]
        position, since, attempt = 0, earliest(query.get("since", "")), None
        if "tail" in query:
            position = max(0, len(self.logs[workload_id]) - int(query["tail"]))
        while True:
            lines = self.logs[workload_id]
            for at, stream, run, text in lines[position:]:
                position += 1
                if at < since or query.get("stream", stream) != stream:
                    continue
                if query.get("attempt", str(run)) != str(run):
                    continue
                if query.get("format") == "ndjson":
                    if attempt is not None and run != attempt:
                        yield encoded({"type": "attempt", "attempt": run})
                    attempt = run
                    yield encoded({"at": at, "stream": stream, "attempt": run, "line": text})
                else:
                    stamp = f"{at} " if "timestamps" in query else ""
                    yield f"{stamp}{text}\n".encode()
            found = self._found(request)
            if "follow" not in query or found is None or found["state"] in ("succeeded", "failed"):
                if position == len(self.logs[workload_id]):
                    return
                continue
            await self._wait_for_change()

    async def _events(self, request):
        return Response(200, self._lines(request), content_type="application/x-ndjson")

    async def _lines(self, request):
        after = request.query.get("after")
        newest = max((one["index"] for one in self.events), default=0)
        if after is None:
            for one in self.workloads.values():
                yield encoded({"type": "state", "id": one["id"], "state": one["state"]})
            yield encoded({"type": "synced", "index": newest})
        index = newest if after in (None, "now") else int(after)
        if after == "now" and (tail := int(request.query.get("tail", 0))):
            for one in [one for one in self.events if _is_admitted(one, request)][-tail:]:
                yield encoded(one)
        yield encoded({"type": "heartbeat", "index": index})
        while True:
            for one in [one for one in self.events if one["index"] > index]:
                index = one["index"]
                if _is_admitted(one, request):
                    yield encoded(one)
            await self._wait_for_change()


def _is_admitted(event, request):
    return request.query.get("workload", event.get("id")) == event.get("id")


def earliest(since):
    """Return the beginning of the times that `since` selects, a time or a duration like 1d5s."""
    found = re.fullmatch("(?:([0-9]+)d)?([0-9]+)s", since)
    if found is None:
        return since.rstrip("Z")
    seconds = int(found[1] or 0) * 86_400 + int(found[2])
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()[:19]


def answer(document, status=200, headers=None):
    content = encoded(_without_none(document))[:-1]
    return Response(status, content, headers=headers or {}, content_type="application/json")


def _without_none(value):
    """Return a document without the fields that a test has removed by setting them to None."""
    if isinstance(value, dict):
        return {name: _without_none(each) for name, each in value.items() if each is not None}
    return list(map(_without_none, value)) if isinstance(value, list) else value


def encoded(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def missing(request):
    return problem(404, code="not_found", detail=f"no workload {request.params['id']!r}")


def view(document, request):
    """Return a workload as the query asks for it."""
    if "spec" in request.query or "removed" in request.query:
        return document
    details = ("spec", "version", "created_at", "changed_at")
    return {name: value for name, value in document.items() if name not in details}
