"""Requests of curl through control plane and agent: every row of the tables in the contracts."""

import asyncio
import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from kakuri_tcp import Endpoint
from kakuri_tcp.testing import FaultProxy, Faults

from .processes import DEADLINE, curl, nc

WORKLOAD = {
    "id": "test-1",
    "image": "nginx:latest",
    "runtime_class": "edera-zone",
    "memory_mb": 512,
    "cpu_millicores": 500,
}


def document(**changes):
    return json.dumps(WORKLOAD | changes, separators=(",", ":"))


def until(probe, wanted):
    """Repeat a probe, each time with a new process, until it returns the expected answer."""
    for _ in range(200):
        answer = probe()
        if answer == wanted:
            return
    raise AssertionError(f"expected {wanted!r}, last got {answer!r}")


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    found = json.loads(answer.body)
    assert found["status"] == answer.status
    assert {"title", "detail", "code"} <= set(found)
    return found


def test_workload_that_is_posted_is_running_when_it_is_read(url):
    text = '{"id":"test-1","image":"nginx:latest","runtime_class":"edera-zone","memory_mb":512,"cpu_millicores":500}'
    made = curl(f"{url}/workloads", "-X", "POST", "-d", text)
    assert (made.status, made.body) == (201, text)
    assert made.headers["location"] == "/workloads/test-1"
    assert curl(f"{url}/workloads/test-1").body == '{"id":"test-1","state":"running"}'


def test_commands_of_the_readme_print_the_answers_shown_there(agent, control_plane):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (console,) = re.findall(r"```console\n(\$ curl .*?)```", readme, re.DOTALL)
    steps = re.findall(r"^\$ (.*)\n(.*)\n", console, re.MULTILINE)
    assert len(steps) == 6
    for command, answer in steps:
        real = command.replace("127.0.0.1:8080", control_plane.address).replace(
            "127.0.0.1 9000", f"127.0.0.1 {agent.port}"
        )
        done = subprocess.run(
            real, shell=True, capture_output=True, text=True, check=True, timeout=DEADLINE
        )
        shown = re.sub(r',"trace":"[0-9a-f]{32}"', "", done.stdout)  # it differs in each run
        assert shown.rstrip("\n") == answer, command


def test_equal_posts_at_once_create_one_workload(url):
    posts = [subprocess.Popen(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", document(), f"{url}/workloads"],
        stdout=subprocess.PIPE, text=True,
    ) for _ in range(20)]  # fmt: skip
    statuses = sorted(post.communicate(timeout=DEADLINE)[0] for post in posts)
    assert statuses == ["200"] * 19 + ["201"]


def test_post_with_a_content_type_and_white_space_is_201(url):
    made = curl(
        f"{url}/workloads", "-X", "POST", "-H", "Content-Type: application/json",
        "-d", json.dumps(WORKLOAD, indent=2),
    )  # fmt: skip
    assert made.status == 201
    assert json.loads(made.body) == WORKLOAD


def test_start_line_sent_by_nc_is_answered_with_pending(agent):
    assert nc(
        agent.port, '{"type":"StartWorkload","workload":' + document(id="wl-123") + "}\n"
    ) == ('{"type":"Status","id":"wl-123","state":"Pending"}\n')
    running = '{"type":"Status","id":"wl-123","state":"Running"}\n'
    until(lambda: nc(agent.port, '{"type":"GetStatus","id":"wl-123"}\n'), running)


def test_post_of_an_existing_id_is_200_with_the_same_spec_and_409_with_another(url):
    assert curl(f"{url}/workloads", "-d", document()).status == 201
    again = curl(f"{url}/workloads", "-d", document())
    assert again.status == 200
    assert again.body.startswith(document()[:-1] + ',"state":"')
    assert again.body.endswith(',"existing":true}')
    other = curl(f"{url}/workloads", "-d", document(memory_mb=1))
    assert (other.status, problem(other)["code"]) == (409, "conflict")


def test_post_with_several_faults_is_400_with_the_path_of_each(url):
    faulty = {
        "id": "Not_A_Label",
        "image": "nginx latest",
        "runtime_class": "edera-zone",
        "memory_mb": "512",
        "disk": 1,
    }
    answer = curl(f"{url}/workloads", "-d", json.dumps(faulty))
    assert answer.status == 400
    errors = problem(answer)["errors"]
    assert [error["path"] for error in errors] == [
        "$.id",
        "$.image",
        "$.memory_mb",
        "$.disk",
    ]
    assert all(error["message"] for error in errors)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "not json",
        "[]",
        "null",
        '{"id":NaN}',
        '{"id":"a","id":"b"}',
        "\ufeff{}",
        "[" * 10000,
    ],
)
def test_post_of_a_body_that_is_not_a_workload_is_400(url, text, tmp_path):
    body = tmp_path / "body"
    body.write_text(text)
    answer = curl(f"{url}/workloads", "--data-binary", f"@{body}")
    assert answer.status == 400
    problem(answer)


def test_post_of_an_unknown_runtime_class_is_400(url):
    answer = curl(f"{url}/workloads", "-d", document(runtime_class="runc"))
    assert answer.status == 400
    assert [error["path"] for error in problem(answer)["errors"]] == ["$.runtime_class"]


def test_post_of_a_media_type_that_cannot_be_json_is_415(url):
    answer = curl(f"{url}/workloads", "-H", "Content-Type: image/png", "-d", document())
    assert (answer.status, problem(answer)["code"]) == (415, "unsupported_media_type")


def test_unknown_path_is_404_and_unknown_method_405(url):
    for path in ("/version", "/workloads/nope", "/workloads/UPPER", "/workloads/a%2fb", "/x"):
        answer = curl(url + path)
        assert answer.status == 404, path
        problem(answer)
    answer = curl(f"{url}/workloads/nope", "-X", "PUT")
    assert answer.status == 405
    assert {"GET", "DELETE"} <= set(answer.headers["allow"].split(", "))


def test_list_with_a_limit_is_paged(url):
    for name in ("c", "a", "b"):
        assert curl(f"{url}/workloads", "-d", document(id=name)).status == 201
    page = json.loads(curl(f"{url}/workloads?limit=2").body)
    assert [entry["id"] for entry in page["workloads"]] == ["a", "b"]
    assert page["next"] == "b"
    rest = json.loads(curl(f"{url}/workloads?limit=2&after=b").body)
    assert [entry["id"] for entry in rest["workloads"]] == ["c"]
    assert "next" not in rest
    assert curl(f"{url}/workloads?limit=x").status == 400
    assert curl(f"{url}/workloads?limit=0").status == 400
    assert curl(f"{url}/workloads?colour=red").status == 400


def test_delete_is_202_and_then_404(url):
    curl(f"{url}/workloads", "-d", document())
    gone = curl(f"{url}/workloads/test-1", "-X", "DELETE")
    assert gone.status == 202
    until(lambda: curl(f"{url}/workloads/test-1").status, 404)
    assert curl(f"{url}/workloads/test-1", "-X", "DELETE").status == 404
    assert curl(f"{url}/workloads", "-d", document(memory_mb=1)).status == 201


def test_post_from_another_site_in_a_browser_is_403_or_421(url):
    for field in ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"):
        answer = curl(f"{url}/workloads", "-H", field, "-d", document())
        assert answer.status == 403, field
        problem(answer)
    assert curl(f"{url}/workloads", "-H", "Host: evil.example", "-d", document()).status == 421
    assert curl(f"{url}/workloads/test-1").status == 404


def test_body_target_and_head_over_the_limit_are_413_414_and_431(url, tmp_path):
    large = tmp_path / "large"
    large.write_text(" " * 2_000_000)
    assert curl(f"{url}/workloads", "-H", "Expect:", "--data-binary", f"@{large}").status == 413
    assert curl(f"{url}/{'a' * 10000}").status == 414
    assert curl(f"{url}/workloads", "-H", f"X-Large: {'a' * 100_000}").status == 431


def test_simulated_workload_ends_by_its_script(start, tmp_path):
    script = tmp_path / "script.toml"
    script.write_text(
        '[[outcome]]\nimage = "job:ok"\nstart_delay = 0\nrun_time = 0.01\n'
        '[[outcome]]\nimage = "job:*"\nstart_delay = 0\nrun_time = 0.01\nexit_code = 3\n'
        '[[outcome]]\nimage = "missing"\nstart_delay = 0\nrun_time = 0\nfailure = "ImagePullFailed"\n'
    )
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", "--simulated-script", str(script))
    plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
    expected = {
        "job:ok": {"state": "succeeded", "exit_code": 0},
        "job:bad": {"state": "failed", "reason": "Error", "exit_code": 3},
        "missing": {"state": "failed", "reason": "ImagePullFailed"},
    }
    for number, (image, outcome) in enumerate(expected.items()):
        name = f"w{number}"
        curl(f"http://{plane.address}/workloads", "-d", document(id=name, image=image))
        url = f"http://{plane.address}/workloads/{name}"
        until(lambda url=url: json.loads(curl(url).body), {"id": name} | outcome)


def test_control_plane_is_503_while_the_agent_is_down_and_recovers_after(start, tmp_path):
    durable = ["--store", "sqlite", "--state-dir", str(tmp_path / "state")]
    agent = start("kakuri-agent", "--listen", "127.0.0.1:0", *durable)
    plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", agent.address)
    url = f"http://{plane.address}"
    assert curl(f"{url}/workloads", "-d", document()).status == 201
    assert curl(f"{url}/readyz").status == 200
    agent.end(signal.SIGKILL)
    answer = curl(f"{url}/workloads/test-1", "--max-time", "1")
    assert (answer.status, problem(answer)["code"]) == (503, "agent_unreachable")
    assert int(answer.headers["retry-after"]) >= 1
    assert curl(f"{url}/readyz").status == 503
    assert curl(f"{url}/healthz").status == 200
    refused = curl(f"{url}/workloads", "-d", document(id="half"))
    assert (refused.status, problem(refused)["code"]) == (503, "agent_unreachable")
    start("kakuri-agent", "--listen", agent.address, *durable)
    until(lambda: curl(f"{url}/readyz").status, 200)
    assert curl(f"{url}/workloads/test-1").status == 200
    assert curl(f"{url}/workloads/half").status == 404
    assert curl(f"{url}/workloads", "-d", document(id="test-2")).status == 201


@pytest.fixture
async def cut_off(start, agent):
    """A control plane whose network to the agent fails, and a client that does not block it."""
    async with FaultProxy(Endpoint.parse(agent.address)) as proxy:
        options = ["--agent", str(proxy.endpoint), "--agent-timeout", "2"]
        plane = await asyncio.to_thread(
            start, "kakuri-control-plane", "--listen", "127.0.0.1:0", *options
        )
        url = f"http://{plane.address}"
        yield proxy, lambda path, *more: asyncio.to_thread(curl, url + path, *more)


async def test_workload_keeps_running_while_the_agent_is_unreachable(agent, cut_off):
    proxy, ask = cut_off
    assert (await ask("/workloads", "-d", document())).status == 201
    proxy.faults = Faults(black_hole=True)
    answer = await ask("/workloads/test-1")
    assert (answer.status, problem(answer)["code"]) == (504, "agent_timeout")
    status = await asyncio.to_thread(nc, agent.port, '{"type":"GetStatus","id":"test-1"}\n')
    assert json.loads(status)["state"] == "Running"
    proxy.faults = Faults()
    proxy.reset()
    assert json.loads((await ask("/workloads/test-1")).body)["state"] == "running"


async def test_start_whose_connection_is_reset_is_carried_out_once(agent, cut_off):
    proxy, ask = cut_off
    assert (await ask("/readyz")).status == 200
    proxy.faults = Faults(latency=0.5)
    posted = asyncio.ensure_future(ask("/workloads", "-d", document()))
    while "not_found" in await asyncio.to_thread(
        nc, agent.port, '{"type":"GetStatus","id":"test-1"}\n'
    ):
        pass
    proxy.reset()
    proxy.faults = Faults()
    assert (await posted).status == 200  # it was there already
    listed = await asyncio.to_thread(nc, agent.port, '{"type":"ListWorkloads"}\n')
    assert [each.get("attempt", 0) for each in json.loads(listed)["workloads"]] == [0]


def test_agent_that_does_not_answer_is_504(start):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        plane = start(
            "kakuri-control-plane",
            "--listen",
            "127.0.0.1:0",
            "--agent",
            address,
            "--agent-timeout",
            "0.3",
        )
        answer = curl(f"http://{plane.address}/workloads/test-1")
        assert (answer.status, problem(answer)["code"]) == (504, "agent_timeout")


def test_error_of_the_agents_runtime_is_500(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        plane = start("kakuri-control-plane", "--listen", "127.0.0.1:0", "--agent", address)
        with socket.create_connection(("127.0.0.1", plane.port)) as client:
            client.sendall(
                b"GET /workloads/test-1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE)
                assert connection.recv(1000) == b'{"type":"GetStatus","id":"test-1"}\n'
                connection.sendall(
                    b'{"type":"Error","id":"test-1","code":"runtime","message":"it broke"}\n'
                )
                client.settimeout(DEADLINE)
                answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b'"code":"runtime"' in answer
    assert b"it broke" in answer
