import json
import os

import pytest
from kakuri import __version__
from kakuri._contexts import read_contexts
from kakuri_http import Response, problem


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


@pytest.mark.parametrize(
    ("other", "is_warned_about"),
    [
        ("1.5.9", False), ("1.4.0", False), ("1.6.0", False), ("1.3.9", True), ("1.7.0", True),
        ("0.5.2", True), ("2.5.2", True), ("2.6.0", True), ("?", False), ("", False),
        ("1", False), ("1.x", False), ("1." + "9" * 5000, True),
    ],
)  # fmt: skip
def test_version_warns_about_more_than_one_minor_version_of_skew(
    kakuri, api, environment, other, is_warned_about
):
    environment.setattr("kakuri._about.__version__", "1.5.2")
    api.release = "1.5.0"
    api.nodes[0]["version"] = other
    result = kakuri("version")
    assert result.code == 0
    assert ("warning: node1 has version" in result.err) == is_warned_about


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_version_with_an_unreachable_node_has_client_and_control_plane(kakuri, api, options):
    detail = "no agent at /run/x"
    api.overrides[("GET", "/nodes")] = problem(503, code="agent_unreachable", detail=detail)
    result = kakuri("version", *options)
    assert result.code == 6
    if options:
        assert json.loads(result.out) == {
            "client": __version__, "control_plane": "0.1.0", "nodes": [], "problem": detail,
        }  # fmt: skip
    else:
        assert result.out == f"client          {__version__}\ncontrol plane   0.1.0\n"
        assert result.err == f"nodes: {detail}\n"


def test_version_shows_that_a_node_is_simulated(kakuri, api):
    api.nodes[0]["simulated"] = True
    assert kakuri("version").out.endswith("node            0.1.0   node1, simulated\n")


def test_version_option_prints_the_version_of_the_client(kakuri):
    assert kakuri("--version").out == f"kakuri, version {__version__}\n"


def test_api_prints_the_content_unchanged(kakuri, api):
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


def test_api_escapes_control_characters_of_header_fields(kakuri, api):
    headers = {"Via": "\x9b31m proxy"}
    api.overrides[("GET", "/nodes")] = Response(
        200, b"{}", headers=headers, content_type="application/json"
    )
    lines = kakuri("api", "-i", "GET", "/nodes").out.lower().splitlines()
    assert r"via: \x9b31m proxy" in lines


def test_api_maps_problems_to_exit_codes(kakuri):
    assert kakuri("api", "GET", "/workloads/nothing").code == 3


def test_api_sends_additional_headers(kakuri, api):
    api.add("web", "failed")
    assert kakuri("api", "POST", "/workloads/web/stop", "-H", 'If-Match: "1"').code == 4


def test_api_sends_headers_without_the_space_around_them(kakuri, api):
    kakuri("api", "GET", "/nodes", "-H", " Kakuri-Test :  a:b ")
    assert api.received[-1].headers.get("kakuri-test") == "a:b"


def test_api_prints_status_headers_and_an_empty_line_before_the_content(kakuri, api):
    head, _, body = kakuri("api", "-i", "GET", "/nodes").out.partition("\n\n")
    assert head.splitlines()[0] == "HTTP/1.1 200"
    assert all(": " in line for line in head.splitlines()[1:])
    assert json.loads(body) == {"nodes": api.nodes}


def test_api_with_content_that_cannot_be_read_is_a_usage_error(kakuri, api):
    result = kakuri("api", "POST", "/workloads", "-d", "@missing")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: missing can't be read: No such file or directory\n"
    assert api.requests == []


def test_api_with_a_path_that_is_not_a_url_is_a_usage_error(kakuri, api):
    result = kakuri("api", "GET", "/a b")
    assert (result.code, api.requests) == (2, [])
    assert "/a b" in result.err


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


def test_node_shows_its_state_capacity_and_versions(kakuri):
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
    kakuri("context", "add", "lab", api.url, "--token-file", "~/token")
    for verb in (["ps"], ["api", "GET", "/nodes"], ["api", "-i", "GET", "/nodes"]):
        assert kakuri("--context", "lab", *verb).code == 0
    sent = [request.headers.get("authorization") for request in api.received]
    assert len(sent) >= 3
    assert set(sent) == {"Bearer s3cret"}


def test_token_file_that_is_missing_is_a_usage_error(kakuri, api):
    kakuri("context", "add", "lab", api.url, "--token-file", "/no/such")
    result = kakuri("--context", "lab", "ps")
    assert result.code == 2
    assert result.err == "error: the token file /no/such can't be read: No such file or directory\n"


@pytest.mark.parametrize("option", ["--token-file", "--ca"])
def test_empty_path_of_a_context_is_a_usage_error(kakuri, api, option):
    result = kakuri("context", "add", "lab", api.url, option, "")
    assert result.code == 2
    assert f"{option}: expected the path of a file, got an empty string" in result.err


@pytest.mark.parametrize("option", ["--token-file", "--ca"])
def test_standard_input_as_a_file_of_a_context_is_a_usage_error(kakuri, api, option):
    result = kakuri("context", "add", "lab", api.url, option, "-", stdin="s3cret")
    assert result.code == 2
    assert f"{option}: expected a file that later commands can read, got '-'" in result.err


def test_context_with_a_file_that_cannot_be_read_is_added_with_a_warning(kakuri, api, tmp_path):
    (tmp_path / "ca.pem").touch()
    files = ("--token-file", f"{tmp_path}/token", "--ca", f"{tmp_path}/ca.pem")
    result = kakuri("context", "add", "lab", api.url, *files)
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines()[0] == f"warning: {tmp_path}/token can't be read"
    assert result.err.splitlines()[1].startswith("added lab")


def test_relative_paths_of_a_context_name_the_same_files_from_every_directory(
    kakuri, api, environment, tmp_path
):
    (tmp_path / "token").write_text("s3cret")
    environment.chdir(tmp_path)
    kakuri("context", "add", "lab", api.url, "--token-file", "token", "--ca", "ca.pem")
    environment.chdir("/")
    assert kakuri("--context", "lab", "ps").code == 0
    assert api.received[-1].headers.get("authorization") == "Bearer s3cret"
    assert read_contexts(os.environ).named["lab"].ca == str(tmp_path / "ca.pem")


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
    api.overrides[("GET", "/nodes")] = Response(401, b"<html>", content_type="text/html")
    assert kakuri("nodes").err == (
        "error: HTTP 401 Unauthorized: a proxy asks for credentials; "
        "kakuri context add has --token-file\n"
    )


@pytest.mark.parametrize("status", [502, 504])
def test_change_without_a_response_behind_a_proxy_has_an_unknown_outcome(kakuri, api, status):
    for method in ("GET", "POST"):
        response = Response(status, b"<html>", content_type="text/html")
        api.overrides[(method, "/workloads/web/stop")] = response
    unknown = "it is not known whether the request was carried out"
    assert unknown in kakuri("api", "POST", "/workloads/web/stop").err
    assert unknown not in kakuri("api", "GET", "/workloads/web/stop").err


def test_refusal_of_a_token_by_a_proxy_names_its_file(kakuri, api, tmp_path, environment):
    (tmp_path / "token").write_text("revoked\n")
    environment.delenv("KAKURI_HOST")
    kakuri("context", "add", "lab", api.url, "--token-file", f"{tmp_path}/token")
    api.overrides[("GET", "/nodes")] = Response(401, b"<html>", content_type="text/html")
    result = kakuri("--context", "lab", "nodes")
    assert result.err == (
        f"error: HTTP 401 Unauthorized: a proxy does not accept the token of {tmp_path}/token\n"
    )


def test_context_with_a_token_that_would_be_sent_unencrypted_is_not_added(kakuri, tmp_path):
    token = ("--token-file", f"{tmp_path}/token")
    result = kakuri("context", "add", "lab", "http://kakuri.example", *token)
    assert result.code == 2
    assert result.err == (
        "error: http://kakuri.example: the token would be sent to another machine unencrypted: "
        "use https\n"
    )
    assert "lab" not in kakuri("context", "ls").out


def test_https_host_that_is_not_reached_is_named_as_it_was_given(kakuri):
    result = kakuri("--host", "https://127.0.0.1:1", "nodes")
    assert result.code == 6
    assert result.err.startswith("error: can't connect to https://127.0.0.1:1: connection refused")


@pytest.mark.parametrize("options", [["--json"], ["-q"], ["-o", "jsonl"], []])
def test_context_verbs_print_the_name_in_each_format(kakuri, api, options):
    for verb in (["add", "lab", api.url], ["rm", "lab"]):
        result = kakuri("context", *verb, *options)
        assert result.code == 0
        if options == []:
            assert (result.out, "lab" in result.err) == ("", True)
        elif options == ["-q"]:
            assert result.out == "lab\n"
        else:
            assert json.loads(result.out) == {"name": "lab"}


def test_contexts_are_listed_in_each_format(kakuri, api, environment):
    kakuri("context", "add", "lab", api.url)
    kakuri("context", "add", "home", "http://127.0.0.1:1")
    kakuri("context", "add", "home", "http://127.0.0.1:2")
    rows = [
        {"name": "lab", "host": api.url, "current": False},
        {"name": "home", "host": "http://127.0.0.1:2", "current": False},
    ]
    lines = kakuri("context", "ls", "-o", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert kakuri("context", "ls", "-q").out == "lab\nhome\n"
    assert json.loads(kakuri("context", "ls", "--json").out) == {
        "contexts": rows, "host": api.url, "source": "KAKURI_HOST",
    }  # fmt: skip
    assert kakuri("context", "ls").err == f"in use: {api.url} (from KAKURI_HOST)\n"
    assert kakuri("--context", "lab", "context", "ls").err == ""


def test_context_is_shown_in_each_format(kakuri, api, environment):
    assert kakuri("context", "show", "-q").out == f"{api.url}\n"
    kakuri("context", "add", "lab", api.url)
    environment.delenv("KAKURI_HOST")
    kakuri("context", "use", "lab")
    assert kakuri("context", "show", "-q").out == "lab\n"
    shown = json.loads(kakuri("context", "show", "--json").out)
    assert (shown["name"], shown["host"]) == ("lab", api.url)
    assert shown["source"].endswith("/.config/kakuri/config.toml")


def test_removal_of_another_context_keeps_the_current_one(kakuri, api, environment):
    environment.delenv("KAKURI_HOST")
    for name in ("lab", "home"):
        kakuri("context", "add", name, api.url)
    kakuri("context", "use", "lab")
    assert kakuri("context", "rm", "home").code == 0
    assert kakuri("context", "show", "-q").out == "lab\n"


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", ".a", "a" * 64])
def test_context_with_a_wrong_name_is_a_usage_error(kakuri, api, name):
    result = kakuri("context", "add", "--", name, api.url)
    assert result.code == 2
    assert "expected a name of letters, digits, '-', '_' and '.'" in result.err
    assert kakuri("context", "ls", "-q").out == ""


def test_context_name_may_have_63_characters(kakuri, api):
    assert kakuri("context", "add", "a" * 63, api.url).code == 0


@pytest.mark.parametrize(
    "hint", ["", "; start kakuri-control-plane with --allow-user to admit this user"]
)
def test_user_who_may_not_use_the_server_is_an_error_that_names_the_option(kakuri, api, hint):
    refused = problem(403, code="forbidden_user", detail=f"user 7 may not use this server{hint}")
    api.overrides[("GET", "/nodes")] = refused
    result = kakuri("nodes")
    expected = hint or "; start the control plane with --allow-user to admit this user"
    assert result.err == f"error: user 7 may not use this server{expected}\n"
    assert result.code == 2
