import asyncio
from contextlib import suppress

import pytest
from kakuri_cri import Runtime, RuntimeUnavailable, api
from kakuri_cri.testing import FakeImage
from kakuri_tcp.testing import until
from kakuri_workload import ImageState, PullPolicy
from kakuri_zones._errors import PullFailed
from kakuri_zones._images import Images, digest_of
from kakuri_zones._settings import PullLimits

ALWAYS, MISSING, NEVER = PullPolicy.ALWAYS, PullPolicy.MISSING, PullPolicy.NEVER
DIGEST = "sha256:" + "a" * 64
BUSY = "error(UNKNOWN: unexpected status code [manifests 1]: 503 Service Unavailable)"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def cri(runtime):
    async with Runtime(runtime.endpoint) as client:
        while True:  # a busy machine may take longer than one attempt to connect
            with suppress(RuntimeUnavailable):
                await client.version()
                break
        yield client


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def images(cri, clock):
    limits = PullLimits(timeout=20, stall_timeout=30, first_retry=0.001, progress_interval=0.005)
    pulls = Images(cri, limits, clock, received_by=lambda path: None)
    yield pulls
    await pulls.close()


def ignore(message, received):
    pass


async def ensure(images, image="app:1", policy=None, report=ignore):
    return await images.ensure(image, policy, report, [])


async def fails(images, image="app:1", policy=None):
    with pytest.raises(PullFailed) as failure:
        await ensure(images, image, policy)
    assert failure.value.reason == "ImagePullFailed"
    return str(failure.value)


def pulls_of(runtime):
    return len(runtime.calls.of("PullImage"))


# Pull policies


@pytest.mark.parametrize(
    ("image", "policy", "pulls"),
    [
        ("app:1", None, 0),
        ("app:1", MISSING, 0),
        ("app:1", NEVER, 0),
        ("app:1", ALWAYS, 1),
        ("app", None, 1),
        ("app:latest", None, 1),
        ("host:5000/app", None, 1),
        ("app:latest", MISSING, 0),
        ("app:latest", NEVER, 0),
        (f"app@{DIGEST}", None, 0),
        (f"app@{DIGEST}", ALWAYS, 0),
        (f"app:latest@{DIGEST}", None, 0),
    ],
)
async def test_image_on_the_node_is_pulled_again_only_if_policy_and_tag_demand_it(
    runtime, images, image, policy, pulls
):
    runtime.images.set(image, FakeImage(state="present"))
    assert (await ensure(images, image, policy)).id.startswith("sha256:")
    assert pulls_of(runtime) == pulls


@pytest.mark.parametrize(
    ("image", "policy", "is_there", "state"),
    [
        ("app:1", None, True, ImageState.PRESENT),
        ("app:1", None, False, ImageState.PULL),
        ("app:1", NEVER, True, ImageState.PRESENT),
        ("app:1", NEVER, False, ImageState.MISSING),
        ("app:1", ALWAYS, True, ImageState.PULL),
        ("app", None, True, ImageState.PULL),
        ("app", MISSING, True, ImageState.PRESENT),
        (f"app@{DIGEST}", ALWAYS, True, ImageState.PRESENT),
    ],
)
async def test_check_of_an_image_returns_what_a_start_would_do_and_pulls_nothing(
    runtime, images, image, policy, is_there, state
):
    if is_there:
        runtime.images.set(image, FakeImage(state="present"))
    status = await images.check(image, policy)
    assert (status.state, status.digest is not None) == (state, is_there)
    assert pulls_of(runtime) == 0
    if state is ImageState.MISSING:
        await fails(images, image, policy)
    else:
        found = await ensure(images, image, policy)
        assert status.digest in (None, found.digest)
    assert (pulls_of(runtime) == 1) == (state is ImageState.PULL)


async def test_missing_image_with_policy_never_fails_without_a_pull(runtime, images):
    assert "app:1 is not on the node" in await fails(images, policy=NEVER)
    assert pulls_of(runtime) == 0


async def test_moved_tag_is_pulled_again(runtime, images):
    before = await ensure(images, "app")
    runtime.images.push("app:latest", FakeImage(version=2))
    after = await ensure(images, "app")
    assert after.id != before.id
    assert after.digest != before.digest
    assert (await ensure(images, "app", MISSING)) == after


async def test_image_on_the_node_runs_without_policy_while_the_registry_is_unreachable(
    runtime, images
):
    runtime.images.set("app:latest", FakeImage(state="present"))
    runtime.faults.set("PullImage", f"2*{BUSY}")
    assert (await ensure(images, "app")).id.startswith("sha256:")
    assert pulls_of(runtime) == 1
    assert (await ensure(images, "app", ALWAYS)).id.startswith("sha256:")
    assert pulls_of(runtime) == 3


async def test_image_that_its_registry_has_deleted_fails_the_start(runtime, images):
    runtime.images.set("app:latest", FakeImage(state="present"))
    runtime.images.push("app:latest", FakeImage(state="missing"))
    assert "not found" in await fails(images, "app")


async def test_pull_from_a_silent_registry_ends_soon_if_the_node_has_the_image(
    runtime, images, clock
):
    runtime.images.set("app:latest", FakeImage(state="present"))
    runtime.images.push("app:latest", FakeImage(state="hanging"))
    checking = asyncio.create_task(ensure(images, "app"))
    await runtime.calls.wait_for("ImageFsInfo")
    clock.now += 10
    assert (await checking).id.startswith("sha256:")


# Shared pulls


async def test_waiters_share_a_pull(runtime, images):
    runtime.faults.set("PullImage", "delay(50)")
    found = await asyncio.gather(*(ensure(images) for _ in range(5)))
    assert len({each.id for each in found}) == 1
    assert pulls_of(runtime) == 1


async def test_starts_during_a_pull_of_a_moving_tag_share_the_next_pull(runtime, images):
    runtime.faults.set("PullImage", "delay(50)")
    first = asyncio.create_task(ensure(images, "app"))
    await runtime.calls.wait_for("PullImage")
    later = [asyncio.create_task(ensure(images, "app")) for _ in range(5)]
    await runtime.calls.wait_for("ImageStatus", 6)
    runtime.images.push("app:latest", FakeImage(version=2))
    await asyncio.gather(first, *later)
    assert len({each.result().id for each in later}) == 1
    assert pulls_of(runtime) == 2
    assert later[0].result() == await ensure(images, "app", NEVER)


async def test_reference_without_a_tag_is_pulled_with_the_tag_latest(runtime, images):
    runtime.images.set("host:5000/app:latest", FakeImage())
    names = ["host:5000/app", "host:5000/app:latest"]
    found = await asyncio.gather(*(ensure(images, name, MISSING) for name in names))
    assert len({each.id for each in found}) == 1
    assert pulls_of(runtime) == 1


async def test_different_images_are_pulled_at_the_same_time(runtime, images):
    runtime.images.set("slow:1", FakeImage(state="hanging"))
    slow = asyncio.create_task(ensure(images, "slow:1"))
    await runtime.calls.wait_for("PullImage")
    await ensure(images)
    slow.cancel()
    await asyncio.wait({slow})


async def test_failed_pull_does_not_fail_a_later_start(runtime, images):
    runtime.images.set("app:1", FakeImage(state="missing"))
    await fails(images)
    runtime.images.push("app:1", FakeImage())
    await ensure(images)


async def test_eager_pull_that_fails_immediately_fails_its_start_once(
    runtime, images, start_tasks_eagerly
):
    start_tasks_eagerly()
    runtime.images.set("app:1", FakeImage(state="missing"))
    await fails(images)
    assert pulls_of(runtime) == 1


async def test_start_that_joined_a_failing_pull_late_has_an_attempt_of_its_own(runtime, images):
    runtime.images.set("app:1", FakeImage(state="missing"))
    runtime.faults.set("PullImage", "delay(50)")
    first = asyncio.create_task(fails(images))
    await runtime.calls.wait_for("PullImage")
    reported = []

    def report(message, received):
        reported.append(message)
        if reported.count("pulling app:1") == 2:  # the first pull has failed
            runtime.images.push("app:1", FakeImage())

    await ensure(images, report=report)
    assert "not found" in await first
    assert pulls_of(runtime) == 2


async def test_pull_is_cancelled_when_its_last_waiting_start_is_cancelled(runtime, images):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    first, second = (asyncio.create_task(ensure(images)) for _ in range(2))
    await runtime.calls.wait_for("ImageStatus", 2)
    await runtime.calls.wait_for("ImageFsInfo")
    first.cancel()
    await asyncio.wait({first})
    await runtime.calls.wait_for("ImageFsInfo", len(runtime.calls.of("ImageFsInfo")) + 2)
    second.cancel()
    await asyncio.wait({second})
    runtime.images.set("app:1", FakeImage())
    await ensure(images)
    assert pulls_of(runtime) == 2


# User and digest


@pytest.mark.parametrize(
    "user", ["app", "1000", "1000:1000", "app:staff", "app:50", "1000:staff", "0:0", "nobody"]
)
async def test_user_of_an_image_comes_with_its_group(runtime, images, user):
    runtime.images.set("app:1", FakeImage(user=user))
    assert (await ensure(images)).user == user


async def test_image_with_group_but_no_user_runs_as_root_with_that_group(runtime, images):
    runtime.images.set("app:1", FakeImage(user=":1000"))
    assert (await ensure(images)).user == "0:1000"


async def test_image_without_user_runs_as_root(runtime, images):
    assert (await ensure(images)).user == "0"


async def test_user_has_no_group_where_the_runtime_reports_only_the_user(
    runtime, images, monkeypatch
):
    async def nothing(self, image):
        return {"info": "no JSON"}

    monkeypatch.setattr(Runtime, "image_info", nothing)
    runtime.images.set("app:1", FakeImage(user="1000:1000"))
    assert (await ensure(images)).user == "1000"


@pytest.mark.parametrize(
    ("reference", "digests", "expected"),
    [
        ("app:1", [], None),
        ("app:1", ["docker.io/library/app@sha256:1"], "sha256:1"),
        ("app:1", ["quay.io/other@sha256:2", "docker.io/library/app@sha256:1"], "sha256:1"),
        ("app:1", ["quay.io/other@sha256:2"], "sha256:2"),
        ("app:1", ["docker.io/a/app@sha256:2", "docker.io/library/app@sha256:1"], "sha256:1"),
        ("a/app:1", ["docker.io/b/a/app@sha256:2", "docker.io/a/app@sha256:1"], "sha256:1"),
        ("app:1", ["quay.io/app@sha256:3", "quay.io/other@sha256:2"], "sha256:3"),
        ("h:5000/app:1", ["h:5000/app@sha256:1"], "sha256:1"),
        ("app@sha256:9", ["docker.io/library/app@sha256:1"], "sha256:9"),
        ("app:1", ["nonsense"], None),
    ],
)
def test_digest_is_that_of_the_references_repository(reference, digests, expected):
    assert digest_of(reference, api.Image(id="sha256:0", repo_digests=digests)) == expected


# Repair


@pytest.mark.parametrize("image", ["app:1", f"app@sha256:{'0' * 64}"])
async def test_image_to_be_repaired_is_pulled_again(runtime, images, image):
    await ensure(images, image)
    await ensure(images, image)
    assert pulls_of(runtime) == 1
    await images.ensure(image, None, lambda message, received: None, [], repair=True)
    assert pulls_of(runtime) == 2


async def test_failed_repair_pull_uses_the_image_on_the_node(runtime, images):
    await ensure(images)
    runtime.faults.set("PullImage", "error(UNKNOWN: 401 Unauthorized)")
    hold = []
    await images.ensure("app:1", None, lambda message, received: None, hold, repair=True)
    assert len(hold) == 1


async def test_image_with_policy_never_is_not_repaired(runtime, images):
    await ensure(images)
    never = PullPolicy.NEVER
    await images.ensure("app:1", never, lambda message, received: None, [], repair=True)
    assert pulls_of(runtime) == 1


# Failures, retries and progress


async def test_error_of_the_registry_is_reported(runtime, images):
    runtime.images.set("app:1", FakeImage(state="missing"))
    assert 'failed to resolve reference "docker.io/library/app:1"' in await fails(images)
    assert pulls_of(runtime) == 1


@pytest.mark.parametrize(
    "message",
    [
        "failed to resolve reference: unexpected status from HEAD: 503 Service Unavailable",
        "failed to copy: httpReadSeeker: failed open: unexpected status code: 500 Internal Server",
        "429 Too Many Requests - Server message: toomanyrequests: rate limit",
        "received unexpected HTTP status: 502 Bad Gateway",
        "pulling from host r.example failed with status code [manifests 1]: 520 ",
        "unexpected status from HEAD request to https://r.example/v2/app/manifests/1: 503",
        "read tcp 10.0.0.1:4-10.0.0.2:443: read: connection reset by peer",
        "failed to do request: Head: EOF",
        'failed to do request: Head "https://r.example/v2/app/manifests/1": EOF',
        "dial tcp 10.0.0.2:443: i/o timeout",
        "dial tcp 10.0.0.2:443: connect: connection refused",
        "net/http: TLS handshake timeout",
        "net/http: timeout awaiting response headers",
        "http: server closed idle connection",
        "unexpected commit digest sha256:0, expected sha256:1: failed precondition",
        "dial tcp: lookup r.example on 10.0.0.1:53: server misbehaving",
    ],
)
async def test_transient_failure_is_tried_again(runtime, images, message):
    reported = []
    runtime.faults.set("PullImage", f"2*error(UNKNOWN: {message})")
    await ensure(images, report=lambda message, received: reported.append(message))
    assert pulls_of(runtime) == 3
    assert f"can't pull app:1: {message}; trying again in 0.001 s" in reported


@pytest.mark.parametrize(
    "message",
    [
        "unexpected status code: 401 Unauthorized",
        "unexpected status code: 403 Forbidden",
        "pulling from host r.example failed with status code [manifests 520]: 404",
        "pulling from host r.example failed with status code [manifests 1]: 599",
        "failed to authorize: status 401 for user 503",
        "pull access denied, repository does not exist or may require authorization",
        "manifest unknown",
        "invalid reference format",
        "x509: certificate signed by unknown authority",
        "http: server gave HTTP response to HTTPS client",
        "dial tcp: lookup r.invalid on 10.0.0.1:53: no such host",
        "dial tcp: lookup timeout on 10.0.0.1:53: no such host",
        "no match for platform in manifest: not found",
        "failed to extract layer sha256:5030000: no space left on device",
        'failed to resolve reference "r.example/team/timeout:1": [manifests timeout]: 403 Forbidden',
        "docker://r.example/eof-service:1: reading manifest 1 in r.example/eof-service: denied",
        "unexpected status from HEAD request to https://r.example/v2/goaway/manifests/1: 401 No",
    ],
)
async def test_final_failure_is_not_tried_again(runtime, images, message):
    runtime.faults.set("PullImage", f"error(UNKNOWN: {message})")
    assert message in await fails(images)
    assert pulls_of(runtime) == 1


async def test_transient_failures_are_final_after_the_retry_window(runtime, cri, clock):
    limits = PullLimits(timeout=100, retry_window=30, first_retry=0.001, progress_interval=0.005)
    images = Images(cri, limits, clock, received_by=lambda path: None)
    runtime.faults.set("PullImage", f"100*{BUSY}")

    def report(message, received):
        clock.now += 10 if "trying again" in message else 0

    with pytest.raises(PullFailed, match="503"):
        await ensure(images, report=report)
    assert pulls_of(runtime) == 4


async def test_pull_has_a_deadline_over_all_of_its_attempts(runtime, cri, clock):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    images = Images(cri, PullLimits(timeout=0.05, stall_timeout=0, progress_interval=0.01), clock)
    assert "not done within 0.05 s" in await fails(images)
    assert pulls_of(runtime) == 1


async def test_pull_without_progress_is_ended(runtime, images, clock):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    pull = asyncio.create_task(fails(images))
    await runtime.calls.wait_for("ImageFsInfo")
    clock.now += 29
    asked = len(runtime.calls.of("ImageFsInfo"))
    await runtime.calls.wait_for("ImageFsInfo", asked + 2)
    assert not pull.done()
    clock.now += 1
    assert "no progress for 30 s" in await pull
    await until(lambda: runtime.calls.of("PullImage")[0].code != "OK")
    assert pulls_of(runtime) == 1


async def test_progress_keeps_a_pull_alive_and_is_reported(runtime, images, clock):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    reported = []
    pull = asyncio.create_task(
        ensure(images, report=lambda message, received: reported.append((message, received)))
    )
    for _ in range(4):
        await runtime.calls.wait_for("ImageFsInfo", len(runtime.calls.of("ImageFsInfo")) + 2)
        clock.now += 20
        runtime.images.used_bytes += 5_000_000
    message = "pulling app:1 for 80 s, about 20.0 MB so far"
    await until(lambda: reported[-1] == (message, 20_000_000))
    assert reported[0] == ("pulling app:1", None)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull


async def test_pull_without_reported_progress_is_limited_by_its_deadline_only(runtime, images):
    runtime.unimplemented.add("ImageFsInfo")
    runtime.faults.set("PullImage", "delay(50)")
    await ensure(images)


async def test_pull_raises_unavailable_while_the_runtime_does_not_answer(runtime, images):
    runtime.images.set("app:1", FakeImage(state="hanging"))
    pull = asyncio.create_task(ensure(images))
    await runtime.calls.wait_for("PullImage")
    await runtime.crash()
    with pytest.raises(RuntimeUnavailable):
        await pull


async def test_pull_that_is_unavailable_while_the_runtime_answers_is_tried_again(runtime, images):
    runtime.faults.set("PullImage", "error(UNAVAILABLE: registry away)")
    await ensure(images)
    assert pulls_of(runtime) == 2


# Holds


async def test_image_is_held_until_its_start_is_over(images, clock):
    with images.holding() as hold:
        image = await images.ensure("app:1", None, ignore, hold)
        with images.removing(image.id) as is_free:
            assert not is_free
        clock.now = 1234.0
    assert images.last_used == {image.id: 1234.0}
    with images.removing(image.id) as is_free:
        assert is_free


async def test_start_waits_for_the_removal_of_its_image_and_pulls_it_again(runtime, images):
    with images.holding() as hold:
        image = await images.ensure("app:1", None, ignore, hold)
    asked = len(runtime.calls.of("ImageStatus"))
    with images.removing(image.id) as is_free:
        assert is_free
        again = asyncio.create_task(ensure(images))
        await runtime.calls.wait_for("ImageStatus", asked + 1)
        runtime.images.set("app:1", FakeImage())
    assert await again == image
    assert pulls_of(runtime) == 2


class FailingPuller:
    """Fails its first pull, right after the image's status was returned to another start."""

    def __init__(self, status):
        self.status, self.pulls = status, 0

    async def pull(self, *_, has_fallback):
        self.pulls += 1
        if self.pulls == 1:
            self.status.set_result(None)
            raise PullFailed("first", is_transient=False)
        raise PullFailed("second", is_transient=False)


async def test_pull_that_has_just_failed_is_not_joined(images, monkeypatch):
    status = asyncio.get_running_loop().create_future()
    statuses = iter([None, status])

    async def image_status(_):
        found = next(statuses)
        return found if found is None else await found

    reports = []

    def report(message, received):
        reports.append(message)
        assert len(reports) < 10, "the start joins the failed pull forever"

    puller = FailingPuller(status)
    monkeypatch.setattr(images, "_puller", puller)
    monkeypatch.setattr(images._cri, "image_status", image_status)
    first = asyncio.create_task(ensure(images, report=report))
    later = asyncio.create_task(ensure(images, report=report))
    with pytest.raises(PullFailed, match="first"):
        await first
    with pytest.raises(PullFailed, match="second"):
        await later
    assert puller.pulls == 2
