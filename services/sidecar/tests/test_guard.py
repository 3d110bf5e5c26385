import pytest
from kakuri_http import Headers
from kakuri_sidecar._guard import refuse_browsers, refuse_foreign_hosts


class Asked:
    def __init__(self, **fields):
        self.headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})


@pytest.mark.parametrize("field", ["Sec_Fetch_Site", "Origin", "Referer"])
def test_a_browser_is_refused(field):
    assert refuse_browsers(Asked(Host="localhost", **{field: "same-origin"})).status == 403


def test_a_program_passes():
    assert refuse_browsers(Asked(Host="localhost")) is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9001", "127.0.0.1:9001", "[::1]:1"])
def test_this_machine_is_meant(host):
    assert refuse_foreign_hosts(Asked(Host=host)) is None


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", ""])
def test_another_machine_is_refused(host):
    assert refuse_foreign_hosts(Asked(Host=host)).status == 421
