"""Images on a real runtime: the users that they run as, and when they are pulled."""

import pytest

from tests.cri_node.layers import Layer

from .images import OwnRegistry, derive, push

ACCOUNTS = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "app:x:1000:1000::/:/bin/sh\n"
    "Debian-exim:x:105:110::/:/bin/sh\n"
    "machine$:x:2000:2000::/:/bin/sh\n"
)
GROUPS = (
    "root:x:0:root\ndisk:x:6:root\nwheel:x:10:root\napp:x:1000:\nextra:x:1500:app\n"
    "staff:x:1600:\nmail:x:110:\n"
)
SHOW_IDS = ("sh", "-c", "id -u; id -g; id -G")

USERS = {
    "app": "1000 1000 1000 1500",
    "1000": "1000 1000 1000 1500",
    "1000:1600": "1000 1600 1500 1600",
    "app:1600": "1000 1600 1500 1600",
    "app:staff": "1000 1600 1600",
    "1000:staff": "1000 1600 1600",
    "4242": "4242 0 0",
    "4242:4343": "4242 4343 4343",
    "0": "0 0 0 6 10",
    "root": "0 0 0 6 10",
}
"""Users, and their id, group and groups: those of root are root's alone."""


def ids(system, workload_id):
    """Return id, group and groups of an ended workload that has written them, sorted."""
    assert system.await_end(workload_id)["state"] == "succeeded", system.workload(workload_id)
    user, group, groups = system.log(workload_id).decode().splitlines()
    return " ".join([user, group, *sorted(groups.split(), key=int)])


@pytest.fixture(scope="module")
def accounts():
    return Layer().file("etc/passwd", ACCOUNTS).file("etc/group", GROUPS)


@pytest.fixture
def own_registry():
    registry = OwnRegistry()
    yield registry
    registry.close()


def test_user_of_an_image_has_its_own_groups(system, accounts):
    users = USERS | {":1600": "0 1600 6 10 1600"}
    for number, user in enumerate(users):
        made = derive(system.node, layer=accounts, User=user, Cmd=list(SHOW_IDS))
        push(system.node, f"user-{number}:1", made)
        assert system.submit(f"user-{number}", image=f"user-{number}:1")[0] == 201
    shown = {user: ids(system, f"user-{number}") for number, user in enumerate(users)}
    assert shown == users


def test_user_of_a_workload_comes_before_that_of_its_image(system, accounts):
    push(system.node, "someone:1", derive(system.node, layer=accounts, User="app"))
    users = USERS | {
        "1000650000": "1000650000 0 0",
        "Debian-exim": "105 110 110",
        "machine$": "2000 2000 2000",
    }
    for number, user in enumerate(users):
        system.run(f"own-{number}", *SHOW_IDS, image="someone:1", user=user)
    shown = {user: ids(system, f"own-{number}") for number, user in enumerate(users)}
    assert shown == users


def test_user_that_the_image_does_not_know_is_a_start_error(system, accounts):
    push(system.node, "ghost:1", derive(system.node, layer=accounts, User="ghost"))
    assert system.submit("ghost", image="ghost:1")[0] == 201
    status = system.await_end("ghost")
    assert (status["state"], status["reason"]) == ("failed", "StartError")
    assert "no users found" in status["message"]


def test_moved_tag_is_pulled_again_and_the_digest_that_ran_is_reported(system):
    node = system.node
    made = [derive(node, Cmd=["echo", word]) for word in ("one", "two")]
    status = []
    for image, name in zip(made, ("first", "second"), strict=True):
        push(node, "moving:latest", image)
        assert system.submit(name, image="moving")[0] == 201
        status.append(system.await_end(name)["image_digest"])
    assert status == [image.digest for image in made]
    assert (system.log("first"), system.log("second")) == (b"one\n", b"two\n")
    push(node, "moving:latest", made[0])
    assert system.submit("third", image="moving", pull="missing")[0] == 201
    assert system.await_end("third")["image_digest"] == made[1].digest


def test_image_that_lost_its_manifest_on_the_node_is_repaired(system):
    made = derive(system.node, Cmd=["echo", "whole"])
    push(system.node, "damaged:1", made)
    for name in ("before", "after"):
        assert system.submit(name, image="damaged:1", pull="missing")[0] == 201
        assert system.await_end(name)["state"] == "succeeded", system.workload(name)
        system.ctr("content", "rm", made.digest)
    assert system.log("after") == b"whole\n"


def test_policy_never_without_the_image_on_the_node_is_image_pull_failed(system):
    push(system.node, "elsewhere:1", derive(system.node, Cmd=["true"]))
    assert system.submit("never", image="elsewhere:1", pull="never")[0] == 201
    assert system.await_end("never")["reason"] == "ImagePullFailed"


def test_pull_is_retried_after_a_transient_failure_of_the_registry(system, own_registry):
    own_registry.images["app:1"] = derive(system.node, Cmd=["echo", "served"])
    own_registry.refusals += [503, 429]
    assert system.submit("stumbled", image=f"{own_registry.host}/app:1")[0] == 201
    assert system.await_end("stumbled")["state"] == "succeeded"
    assert own_registry.refusals == []


def test_pull_failure_of_one_workload_does_not_fail_the_next(system, own_registry):
    name = f"{own_registry.host}/late:1"
    assert system.submit("early", image=name)[0] == 201
    assert system.await_end("early")["reason"] == "ImagePullFailed"
    own_registry.images["late:1"] = derive(system.node, Cmd=["echo", "here"])
    assert system.submit("late", image=name)[0] == 201
    assert system.await_end("late")["state"] == "succeeded"
