"""The table of paths, and suggestions for a path that is not in it."""

from difflib import SequenceMatcher, get_close_matches

from kakuri_http import Request, Response, Route, Router, problem

MAX_PATH = 200
"""Characters of a path for which others like it are looked for: comparing is quadratic."""

SIMILARITY = 0.75
"""From 0 to 1: `/workload` and `/workloads/` are like `/workloads`, `/jobs` is not."""

SEGMENT_SIMILARITY = 0.6
"""The same of each segment: the others are long, and `/workloads/a/stop` is like no other path."""

_NOT_FOUND = 404


class Paths(Router):
    """A router whose 404 suggests a similar path."""

    def resolve(self, request: Request) -> Route | Response:
        """Return the route of a request, or the answer if there is none."""
        answer = super().resolve(request)
        if isinstance(answer, Route) or answer.status != _NOT_FOUND:
            return answer
        detail = f"nothing is at {request.path}"
        if near := self.near(request.path):
            detail += f"; did you mean {near}?"
        else:
            detail += f"; there are {', '.join(dict.fromkeys(r.pattern for r in self.routes))}"
        return problem(_NOT_FOUND, code="not_found", detail=detail)

    def near(self, path: str) -> str | None:
        """Return the path that is most like this one, with the parameters that it has."""
        if len(path) > MAX_PATH:
            return None
        given = path.split("/")
        candidates = {}
        for route in self.routes:
            segments = route.pattern.split("/")
            for place, segment in enumerate(segments):
                if segment.startswith(":") and place < len(given) and given[place]:
                    segments[place] = given[place]
            if _may_be(segments, given):
                candidate = "/".join(segments)
                candidates[candidate.lower()] = candidate
        found = get_close_matches(path.lower(), candidates, n=1, cutoff=SIMILARITY)
        return candidates[found[0]] if found else None


def _may_be(segments: list[str], given: list[str]) -> bool:
    """Return whether each segment is like the one given, if there are as many."""
    return len(segments) != len(given) or all(
        SequenceMatcher(None, one.lower(), other.lower()).ratio() >= SEGMENT_SIMILARITY
        for one, other in zip(segments, given, strict=True)
    )
