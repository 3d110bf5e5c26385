"""Imports between distributions, and between the layers of kakuri-zones."""

import re
import subprocess
import sys

import pytest

from tools.imports import (
    PAGE,
    cycles,
    diagram,
    graph,
    module_graph,
    modules_of,
    reachable,
    reduced,
    with_diagram,
)
from tools.members import BY_NAME, MEMBERS, ROOT, Member

ZONES = ROOT / "services" / "zones" / "src" / "kakuri_zones"
UNUSUAL = {"tomllib", "ctypes", "hashlib"}
"""Modules that few processes need and that are expensive to import."""
DESIGN = ROOT / "docs" / "design" / "zones.md"


def layers():
    """Return the layers of kakuri-zones as its design page lists them, the lowest first."""
    rows = re.findall(r"^\| \d+ \| [^|]+ \| ([^|]+) \|$", DESIGN.read_text(), re.MULTILINE)
    return [re.findall(r"`([\w/]+)`", row) for row in reversed(rows)]


def test_diagram_of_the_architecture_page_matches_the_imports():
    text = PAGE.read_text()
    drawn = with_diagram(text, diagram(reduced(graph())))
    assert drawn == text, "run python -m tools.imports --write"


def test_imports_between_members_have_no_cycle():
    edges = graph()
    assert [name for name in edges if name in reachable(edges, name)] == []


def test_module_graph_of_a_package_that_imports_its_own_module_has_no_edge_to_itself(tmp_path):
    package = tmp_path / "src" / "kakuri_shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from kakuri_shop._pay import pay")
    (package / "_pay.py").write_text("from kakuri_shop import _bill\nimport kakuri_shop._bill")
    (package / "_bill.py").write_text("from kakuri_shop import pay, _pay")
    edges = module_graph(Member("kakuri-shop", tmp_path))
    assert edges == {
        "kakuri_shop": {"kakuri_shop._pay"},
        "kakuri_shop._pay": {"kakuri_shop._bill"},
        "kakuri_shop._bill": {"kakuri_shop", "kakuri_shop._pay"},
    }
    assert cycles(edges) == [set(edges)]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_imports_between_modules_of_a_member_have_no_cycle(member):
    assert [sorted(each) for each in cycles(module_graph(member))] == []


@pytest.mark.parametrize("member", [each.name for each in MEMBERS])
def test_imported_members_are_declared(member):
    assert graph()[member] <= BY_NAME[member].siblings


def test_libraries_import_no_service():
    libraries = {each.name for each in MEMBERS if each.directory.parent.name == "packages"}
    edges = graph()
    assert all(edges[name] <= libraries for name in libraries)


def test_zones_import_neither_http_nor_a_service_that_uses_them():
    assert graph()["kakuri-zones"] == {
        "kakuri-cri", "kakuri-daemon", "kakuri-json", "kakuri-tcp", "kakuri-workload",
    }  # fmt: skip


@pytest.mark.parametrize(
    "package", ["kakuri_workload", "kakuri_rpc", "kakuri_control_plane._cli", "kakuri_zones"]
)
def test_member_without_a_store_does_not_load_a_database(package):
    command = [sys.executable, "-c", f"import sys, {package}; print(*sys.modules)"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert package in loaded
    assert {"sqlite3", "kakuri_registry"}.isdisjoint(loaded)


def test_command_of_the_agent_loads_no_runtime_before_it_is_chosen():
    command = [sys.executable, "-c", "import sys, kakuri_agent._cli; print(*sys.modules)"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "kakuri_agent.runtimes._choice" in loaded
    clients = {"kakuri_http", "kakuri_http2", "kakuri_grpc", "kakuri_cri.api", "kakuri_zones._node"}
    assert (clients | {"sqlite3"} | UNUSUAL).isdisjoint(loaded)


def test_simulated_runtime_and_durable_store_load_no_unusual_module():
    code = "import sys, kakuri_agent.runtimes._simulated, kakuri_registry._sqlite"
    command = [sys.executable, "-c", f"{code}; print(*sys.modules)"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "kakuri_registry._write_ahead_log" in loaded
    assert UNUSUAL.isdisjoint(loaded)


def test_codecs_load_no_decimal_before_a_program_does():
    code = "import sys; from kakuri_json import decode, encode; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert "kakuri_json._decode.decode" in loaded.stdout.split()
    assert "decimal" not in loaded.stdout.split()


def test_command_of_the_control_plane_loads_no_module_that_few_requests_need():
    command = [sys.executable, "-c", "import sys, kakuri_control_plane._cli; print(*sys.modules)"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "kakuri_control_plane._api" in loaded
    assert ({"kakuri_http.client"} | UNUSUAL).isdisjoint(loaded)


def test_workload_types_do_no_io():
    command = [sys.executable, "-c", "import sys, kakuri_workload; print(*sys.modules)"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert {"asyncio", "socket", "ssl", "subprocess"}.isdisjoint(loaded)


def test_grpcio_is_imported_by_one_module_alone():
    using = [
        str(path.relative_to(ROOT))
        for member in MEMBERS
        for path, modules in modules_of(member.directory / "src")
        if {module.partition(".")[0] for module in modules} & {"grpc", "google", "grpc_tools"}
    ]
    assert using == ["services/sidecar/src/kakuri_sidecar/_grpcio.py"]


def test_modules_of_zones_import_only_from_their_layer_and_those_below():
    rank = {module: number for number, layer in enumerate(layers()) for module in layer}
    files = {
        str(path.relative_to(ZONES).with_suffix("")): modules for path, modules in modules_of(ZONES)
    }
    ranked = {name: modules for name, modules in files.items() if not name.endswith("__init__")}
    assert sorted(rank) == sorted(ranked.keys() - {"_version"})
    upwards = []
    for name, modules in ranked.items():
        for module in modules:
            imported = module.removeprefix("kakuri_zones.").replace(".", "/")
            if module.startswith("kakuri_zones.") and rank.get(imported, -1) > rank.get(name, 99):
                upwards.append(f"{name} imports {imported}")
    assert upwards == []
