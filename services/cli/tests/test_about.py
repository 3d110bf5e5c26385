import json

import pytest
from kakuri import __version__
from kakuri_http import problem


def test_version_has_client_control_plane_and_nodes(kakuri):
    assert kakuri("version").out == (
        f"client          {__version__}\n"
        "control plane   0.1.0\n"
        "node            0.1.0   node1, cri\n"
    )


def test_version_warns_about_the_version_skew_of_a_node(kakuri, api):
    api.nodes[0]["version"] = "0.9.0"
    assert "warning: node1 has version 0.9.0, more than one minor" in kakuri("version").err


def test_version_warns_about_the_version_skew_of_a_control_plane(kakuri, api):
    api.release = "0.9.0"
    assert "warning: the control plane has version 0.9.0" in kakuri("version").err


def test_version_as_json_has_the_control_plane(kakuri):
    assert json.loads(kakuri("version", "--json").out) == {
        "client": __version__,
        "control_plane": "0.1.0",
        "nodes": [{"name": "node1", "version": "0.1.0", "runtime": "cri"}],
    }


def test_version_without_a_server_still_has_the_client(kakuri, environment):
    environment.setenv("KAKURI_HOST", "http://127.0.0.1:1")
    result = kakuri("version")
    assert (result.code, result.out) == (6, f"client          {__version__}\n")


def test_version_option_prints_the_version_of_the_client(kakuri):
    assert kakuri("--version").out == f"kakuri, version {__version__}\n"


def test_api_prints_the_content_as_it_came(kakuri, api):
    assert json.loads(kakuri("api", "get", "/nodes").out) == {"nodes": api.nodes}


@pytest.mark.parametrize("data", ["text", "@file", "-"])
def test_api_sends_content_from_each_source(kakuri, api, tmp_path, data):
    document = '{"id":"web","image":"nginx"}'
    (tmp_path / "file").write_text(document)
    given = document if data == "text" else data
    result = kakuri("api", "POST", "/workloads", "-d", given, stdin=document)
    assert result.code == 0
    assert "web" in api.workloads


def test_api_shows_status_and_fields_if_asked(kakuri, api):
    api.add("web")
    lines = kakuri("api", "-i", "GET", "/workloads/web").out.splitlines()
    assert lines[0] == "HTTP/1.1 200"
    assert 'etag: "11"' in [line.lower() for line in lines]


def test_api_maps_problems_to_exit_codes(kakuri):
    assert kakuri("api", "GET", "/workloads/nothing").code == 3


def test_api_sends_additional_headers(kakuri, api):
    api.add("web", "failed")
    assert kakuri("api", "POST", "/workloads/web/stop", "-H", 'If-Match: "1"').code == 4


@pytest.mark.parametrize("arguments", [["GET", "nodes"], ["GET", "/nodes", "-H", "x"]])
def test_api_with_wrong_arguments_is_a_usage_error(kakuri, arguments):
    assert kakuri("api", *arguments).code == 2


def test_nodes_are_a_table(kakuri):
    assert kakuri("nodes", width=200).out.replace("\x1b[32mready\x1b[0m", "ready") == (
        "NAME    STATE   RUNTIME   CLASS → HANDLER      MEMORY              CPU        WORKLOADS"
        "   SEEN\n"
        "node1   ready   cri       edera-zone → edera   4.8 GiB of 16 GiB   1.6 of 8   2        "
        "   0s\n"
    )


def test_node_is_one_screen(kakuri):
    assert kakuri("node", "node1").out == (
        "node1\n"
        "  state      ready\n"
        "  runtime    cri\n"
        "  class      edera-zone → handler edera\n"
        "  memory     4.8 GiB of 16 GiB\n"
        "  cpu        1.6 of 8\n"
        "  workloads  2\n"
        "  agent      version 0.1.0, store sqlite\n"
        "  started    2026-11-26T14:01:00.000000Z\n"
        "  events     index 3\n"
    )


@pytest.mark.parametrize("verb", [["nodes"], ["node", "node1"]])
def test_nodes_as_json_are_documents_of_the_api(kakuri, api, verb):
    document = json.loads(kakuri(*verb, "--json").out)
    assert document in ({"nodes": api.nodes}, api.nodes[0])


def test_unknown_node_is_not_found(kakuri):
    assert kakuri("node", "other").code == 3


def test_token_is_sent_with_every_request(kakuri, api, tmp_path, environment):
    (tmp_path / "token").write_text("s3cret\n")
    environment.delenv("KAKURI_HOST")
    kakuri("context", "add", "lab", api.url, "--token-file", str(tmp_path / "token"))
    seen = []
    api.overrides = Recording(seen)
    assert kakuri("--context", "lab", "ps").code == 0
    assert kakuri("--context", "lab", "api", "GET", "/nodes").code == 0


class Recording(dict):
    def __init__(self, seen):
        super().__init__()
        self._seen = seen

    def get(self, key, default=None):
        self._seen.append(key)
        return default


def test_token_file_that_is_missing_is_a_usage_error(kakuri, api):
    kakuri("context", "add", "lab", api.url, "--token-file", "/no/such")
    result = kakuri("--context", "lab", "ps")
    assert result.code == 2
    assert "the token can't be read" in result.err


def test_context_that_is_chosen_is_used(kakuri, api, environment):
    kakuri("context", "add", "lab", api.url)
    environment.delenv("KAKURI_HOST")
    assert kakuri("context", "use", "lab").code == 0
    assert kakuri("context", "show").out.startswith(f"lab ({api.url}), from ")
    assert kakuri("context").out == f"    NAME   HOST\n*   lab    {api.url}\n"
    assert json.loads(kakuri("context", "ls", "--json").out)["contexts"] == [
        {"name": "lab", "host": api.url, "current": True}
    ]


@pytest.mark.parametrize("variable", ["KAKURI_HOST", "KAKURI_CONTEXT"])
def test_context_is_not_chosen_while_a_variable_overrides_it(kakuri, api, environment, variable):
    kakuri("context", "add", "lab", api.url)
    environment.delenv("KAKURI_HOST")
    environment.setenv(variable, "lab" if variable == "KAKURI_CONTEXT" else api.url)
    result = kakuri("context", "use", "lab")
    assert result.code == 2
    assert f"{variable}=" in result.err
    assert "overrides the current context" in result.err


def test_removed_context_is_no_longer_current(kakuri, api, environment):
    environment.delenv("KAKURI_HOST")
    kakuri("context", "add", "lab", api.url)
    kakuri("context", "use", "lab")
    assert kakuri("context", "rm", "lab").code == 0
    assert kakuri("context", "show").out == "http://127.0.0.1:8080, from default\n"


@pytest.mark.parametrize("verb", ["use", "rm"])
def test_unknown_context_is_not_found(kakuri, environment, verb):
    environment.delenv("KAKURI_HOST")
    assert kakuri("context", verb, "nothing").code == 3


def test_refusal_of_a_proxy_is_shown(kakuri, api):
    api.overrides[("GET", "/nodes")] = problem(401, code="unauthorized", detail="no token")
    assert kakuri("nodes").err == "error: no token\n"
