"""The network inside a zone on a real runtime: names, resolvers and ports."""

import subprocess

import pytest

from .system import await_that


@pytest.fixture
def resolver_of_the_host(tmp_path):
    """Replace the host's resolver configuration."""
    path = tmp_path / "resolv.conf"

    def put(text):
        path.write_text(text)

    put("")
    subprocess.run(["mount", "--bind", str(path), "/etc/resolv.conf"], check=True)
    yield put
    subprocess.run(["umount", "/etc/resolv.conf"], check=True)


def output(system, workload_id, script, **more):
    system.run(workload_id, "sh", "-c", script, **more)
    status = system.await_end(workload_id)
    assert status["state"] == "succeeded", status
    return system.log(workload_id).decode()


def test_zone_has_its_own_name_and_address_in_a_hosts_file_of_its_own(system):
    script = "hostname; cat /etc/hosts; ping -c1 -w1 $(hostname) 2>/dev/null | head -1"
    shown = output(system, "named", script)
    address = system.workload("named")["address"]
    assert shown.startswith("named\n127.0.0.1\tlocalhost\n")
    assert f"\n{address}\tnamed\nPING named ({address})" in shown
    refusal = output(system, "writer", "echo x >> /etc/hosts; true")
    assert refusal.endswith("can't create /etc/hosts: Read-only file system\n")


def test_hosts_file_of_a_zone_is_readable_for_every_user(system):
    assert "localhost" in output(system, "reader", "cat /etc/hosts", user="4242:4343")


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", "search .\noptions edns0\n"),
        ("nameserver ::1\nnameserver 10.88.7.1\n", "nameserver 10.88.7.1\noptions ndots:1\n"),
        ("", "options ndots:1\n"),
    ],
)
def test_resolvers_on_the_loopback_of_the_host_are_left_out(
    system, resolver_of_the_host, host, zone
):
    resolver_of_the_host(host)
    assert output(system, "resolver", "cat /etc/resolv.conf") == zone


def test_user_that_is_not_root_binds_port_80(system):
    script = "trap 'exit 0' TERM; httpd -f -p 80 & wait"
    system.run("port", "sh", "-c", script, user="1000")
    system.await_state("port", "running")
    address = system.workload("port")["address"]

    def answers():
        done = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", f"http://{address}/"], capture_output=True
        )
        return done.returncode == 0

    await_that("an answer from port 80", answers)
