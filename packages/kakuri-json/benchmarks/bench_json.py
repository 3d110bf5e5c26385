"""Compares kakuri-json with other libraries; writes docs/benchmarks.md and benchmarks.svg.

Documents: those of KAKURI_CORPORA/json-bench if that is set, otherwise synthetic ones. The
compiled wheel is built for the comparison, which needs hatch-mypyc and a C compiler.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import documents
import kakuri_json
import matplotlib as mpl
import workloads
from matplotlib import pyplot
from measuring import import_time, peak_memory, stream_memory
from rich.console import Console
from rich.table import Table

DOCS = Path(__file__).resolve().parent.parent / "docs"


def table(rows: dict[str, dict[str, float]], unit: Callable[[str, float], str]) -> list[list[str]]:
    columns = list(dict.fromkeys(peer for row in rows.values() for peer in row))
    lines = [["", *columns]]
    for name, row in rows.items():
        lines.append([name, *(unit(name, row[peer]) if peer in row else "" for peer in columns)])
    return lines


def shorten(title: str, lines: list[list[str]]) -> str:
    shown = Table(title=title)
    for number, column in enumerate(lines[0]):
        shown.add_column(column, justify="right" if number else "left")
    for line in lines[1:]:
        shown.add_row(*line)
    Console(width=160).print(shown)
    head, *rest = lines
    marked = [head, ["---", *("---:" for _ in head[1:])], *rest]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in marked) + "\n"


COLORS = {
    "kakuri-json": "#d1495b",
    "kakuri-json, compiled": "#8f2d56",
    "json": "#66829e",
    "orjson": "#9db4c0",
    "pydantic": "#c2b280",
    "msgspec": "#b8c4bb",
}


def picture(
    codecs: dict[str, dict[str, float]], rows: dict[str, dict[str, float]], sizes: dict[str, int]
) -> None:
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "kakuri", "svg.fonttype": "none"}
    figure, axes = pyplot.subplots(
        1, 2, figsize=(12, 0.55 * max(len(rows), len(codecs)) * 2 + 1.5), layout="constrained"
    )
    bars(
        axes[0],
        {name: {peer: 1e6 * s for peer, s in row.items()} for name, row in codecs.items()},
        "µs per workload (shorter is better)",
    )
    kept = ("kakuri-json", "kakuri-json, compiled", "json", "json, pure Python")
    speeds = {
        name: {peer: sizes[name] / s / 1e6 for peer, s in row.items() if peer in kept}
        for name, row in rows.items()
    }
    bars(axes[1], speeds, "MB/s (longer is better)")
    figure.savefig(DOCS / "benchmarks.svg", metadata={"Date": None})


def bars(axes: Any, rows: dict[str, dict[str, float]], title: str) -> None:
    place, ticks = 0.0, []
    for name, row in rows.items():
        first = place
        for peer, figure in row.items():
            color = next(
                (
                    COLORS[key]
                    for key in sorted(COLORS, key=len, reverse=True)
                    if peer.startswith(key)
                ),
                "#cccccc",
            )
            axes.barh(place, figure, color=color)
            axes.text(figure, place, f" {figure:.3g}  {peer}", va="center", fontsize=7)
            place += 1
        ticks.append(((first + place - 1) / 2, name))
        place += 1
    axes.set_yticks([tick for tick, _ in ticks], [name for _, name in ticks], fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def python_build() -> str:
    return "the system's" if sys.base_prefix == "/usr" else "not the system's"


def main() -> None:
    growth, seconds = stream_memory(100_000_000)
    codecs = workloads.measure()
    rows, sizes = documents.measure()
    largest = max(documents.documents().values(), key=len)
    bare = import_time("pass")
    imports = {
        "import json": import_time("import json") - bare,
        "import kakuri_json": import_time("import kakuri_json") - bare,
        "… and loads": import_time("from kakuri_json import loads") - bare,
        "… and decode": import_time("from kakuri_json import decode") - bare,
    }
    memory = {
        "json.loads": peak_memory(lambda: json.loads(largest)),
        "kakuri_json.loads": peak_memory(lambda: kakuri_json.loads(largest)),
    }
    stream = [
        ["the process grows by, kB", f"{growth / 1e3:.0f}"],
        ["MB/s", f"{100 / seconds:.1f}"],
    ]
    intro = (
        f"Python {platform.python_version()} ({python_build()}), {platform.machine()}; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores; processor time, the fastest of seven interleaved rounds. "
        "Written by `nox -s bench -- kakuri-json`.\n"
    )
    parts = [
        "# Benchmarks of kakuri-json\n",
        intro,
        "![bars](benchmarks.svg)\n",
        shorten("A workload: microseconds", table(codecs, lambda _, s: f"{s * 1e6:.2f}")),
        shorten("Documents: MB/s", table(rows, lambda name, s: f"{sizes[name] / s / 1e6:.1f}")),
        shorten("Import: ms", [["", "ms"], *([n, f"{s * 1e3:.1f}"] for n, s in imports.items())]),
        shorten(
            "Peak of memory while the largest document is read: MB",
            [["", "MB"], *([name, f"{size / 1e6:.1f}"] for name, size in memory.items())],
        ),
        shorten("100 MB through the incremental parser", [["", ""], *stream]),
    ]
    DOCS.mkdir(exist_ok=True)
    (DOCS / "benchmarks.md").write_text("\n".join(parts))
    picture(codecs, rows, sizes)


if __name__ == "__main__":
    main()
