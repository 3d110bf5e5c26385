"""Which path is suggested for one that is not served."""

import pytest
from kakuri_control_plane._paths import MAX_PATH, Paths
from kakuri_http import Response


@pytest.fixture
def paths():
    paths = Paths()
    paths.add("GET", "/things/:id/stop", lambda request: Response(200))
    return paths


def path_of(length):
    around = "/thinks//stop"
    return around.replace("//", f"/{'x' * (length - len(around))}/")


def test_path_is_suggested_for_one_of_at_most_two_hundred_characters(paths):
    assert MAX_PATH == len(path_of(200)) == 200
    assert paths.near(path_of(200)) == path_of(200).replace("thinks", "things")
    assert paths.near(path_of(201)) is None
