import pytest
from kakuri_cri import CallRefused, CallTimeout, NameReserved, api
from kakuri_zones._names import MAX_NAMES, create_named, named
from kakuri_zones._observed import Sandbox

CONFIG = api.PodSandboxConfig(metadata=api.PodSandboxMetadata(name="z", uid="z"), hostname="z")
RESERVED = NameReserved("RunPodSandbox", "reserved")
LATE = CallTimeout("RunPodSandbox", "late")


def sandbox(cri_attempt):
    return Sandbox("s", "z", cri_attempt, True, 1, "edera", "hash", 0)


class Runtime:
    """Fails with each of `errors`, then creates; `found` are the results of its listings."""

    def __init__(self, *errors, found=()):
        self.errors = list(errors)
        self.found = list(found)
        self.names = []

    async def create(self, config):
        self.names.append(config.metadata.attempt)
        if self.errors:
            raise self.errors.pop(0)
        return "created"

    async def find(self):
        return self.found.pop(0) if self.found else None


def test_named_changes_only_the_attempt_of_the_name():
    other = named(CONFIG, 7)
    assert other.metadata == api.PodSandboxMetadata(name="z", uid="z", attempt=7)
    assert named(other, 0) == CONFIG


@pytest.mark.parametrize(("known", "first"), [([], 0), ([sandbox(0), sandbox(4)], 5)])
async def test_first_name_follows_those_of_known_objects(known, first):
    runtime = Runtime()
    assert await create_named(CONFIG, known, runtime.create, runtime.find) == "created"
    assert runtime.names == [first]


async def test_reserved_name_is_followed_by_the_next_one():
    runtime = Runtime(RESERVED, RESERVED)
    assert await create_named(CONFIG, [], runtime.create, runtime.find) == "created"
    assert runtime.names == [0, 1, 2]


@pytest.mark.parametrize("error", [RESERVED, LATE])
async def test_object_that_exists_after_a_failure_is_adopted(error):
    runtime = Runtime(error, found=["adopted"])
    assert await create_named(CONFIG, [], runtime.create, runtime.find) == "adopted"
    assert runtime.names == [0]


@pytest.mark.parametrize("error", [LATE, CallRefused("RunPodSandbox", "no space left on device")])
async def test_other_failure_is_raised_at_once(error):
    runtime = Runtime(error)
    with pytest.raises(type(error)):
        await create_named(CONFIG, [], runtime.create, runtime.find)
    assert runtime.names == [0]


async def test_last_reserved_name_is_raised():
    runtime = Runtime(*[RESERVED] * MAX_NAMES)
    with pytest.raises(NameReserved):
        await create_named(CONFIG, [], runtime.create, runtime.find)
    assert runtime.names == list(range(MAX_NAMES))
