import kakuri_json
import pytest

from tools import site
from tools.members import BY_NAME, MEMBERS

PAGES = {"README.md", "docs/operations.md", "docs/README.md", "packages/x/CONFORMANCE.md"}


def test_public_modules_are_found_with_their_exported_names():
    found = {module.name: module.exported for module in site.public_modules()}

    assert {"kakuri_json", "kakuri_http.blocking", "kakuri_http2.hpack"} <= found.keys()
    assert "ContainerStatus" in found["kakuri_cri.api"]
    assert not any("._" in name for name in found)
    assert sorted(found["kakuri_json"]) == sorted({*kakuri_json.__all__} - {"__version__"})


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_reference_documents_every_member(member):
    assert f"::: {member.import_name}\n" in site.reference(member)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("docs/README.md", "[a](operations.md#disk)", "[a](operations.md#disk)"),
        ("docs/README.md", "[a](https://example.org/)", "[a](https://example.org/)"),
        ("docs/README.md", "[a](#here)", "[a](#here)"),
        ("docs/README.md", "see [`t.py`](../tests/t.py).", "see `t.py`."),
        (
            "packages/x/README.md",
            "`CONFORMANCE.md`, `docs/operations.md`",
            "[`CONFORMANCE.md`](CONFORMANCE.md), [`docs/operations.md`](../../docs/operations.md)",
        ),
        ("packages/x/README.md", "`other.md`", "`other.md`"),
        ("docs/README.md", "```sh\ncat `README.md`\n```\n", "```sh\ncat `README.md`\n```\n"),
    ],
)
def test_links_of_a_page_stay_within_the_site(name, text, expected):
    assert site.with_links(name, text, PAGES) == expected


def test_navigation_has_every_page_once():
    pages = {name: "# T\n" for name in site.page_files() if name.endswith(".md")}
    pages |= {f"{each.directory.relative_to(site.ROOT)}/api.md": "# API\n" for each in MEMBERS}

    def leaves(tree):
        for entry in tree:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else leaves(value)

    assert sorted(leaves(site.navigation(pages))) == sorted(pages)


def test_faults_name_a_missing_public_name_and_a_file_of_another_host(tmp_path, monkeypatch):
    module = site.Module(BY_NAME["kakuri-json"], "kakuri_json", ("decode", "encode"))
    monkeypatch.setattr(site, "public_modules", lambda: (module,))
    page = tmp_path / "packages" / "kakuri-json" / "api.html"
    page.parent.mkdir(parents=True)
    page.write_text('<h2 id="kakuri_json.decode"></h2><script src="https://cdn.example/x.js">')
    (tmp_path / "style.css").write_text("@import url(//fonts.example/f.css)")

    assert site.faults_of(tmp_path) == [
        "kakuri_json.encode is not in packages/kakuri-json/api.html",
        "packages/kakuri-json/api.html loads https://cdn.example/x.js",
        "style.css loads //fonts.example/f.css",
    ]
