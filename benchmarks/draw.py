"""Draw the pictures of docs/measurements.md, and write its table, from results of the benchmarks.

bench_flow.py 3 2 --json results/flow.json
bench_growth.py 3 2 --json results/growth.json
draw.py
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
DOCS = HERE.parent / "docs"
PICTURES = DOCS / "pictures"
PAGE = DOCS / "measurements.md"

OURS, OTHERS, SECOND = "#2f6fb5", "#9aa5b1", "#e0a030"
WIDTH, LABELS, VALUES = 760, 190, 110
BAR, ROW, GAP, TOP = 16, 22, 16, 52
STACKS = {
    "Kakuri, memory": "Kakuri",
    "Kakuri, memory, 2 workers": "Kakuri, 2 workers",
    "Kakuri, memory, quiet log": "Kakuri, quiet log",
    "Kakuri, durable": "Kakuri, durable",
    "Go": "Go",
    "Go with a log": "Go, with a log",
    "FastAPI on uvicorn, asyncio streams": "FastAPI",
}
"""The stacks of bench_flow.py in the order of the bars, and their labels."""


@dataclass(frozen=True)
class Bar:
    """One bar of one or two parts, each with its length and color."""

    label: str
    parts: Sequence[tuple[float, str]]
    text: str


def chart(title: str, note: str, groups: dict[str, list[Bar]]) -> str:
    """Return an SVG of horizontal bars, in groups below each other."""
    longest = max(sum(v for v, _ in bar.parts) for bars in groups.values() for bar in bars)
    scale = (WIDTH - LABELS - VALUES) / longest
    body = list(_bars(groups, scale))
    height = TOP + sum(ROW * (len(bars) + 1) + GAP for bars in groups.values())
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
                f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">'
            ),
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="12" y="22" font-size="16" font-weight="bold">{escape(title)}</text>',
            f'<text x="12" y="40" fill="#555555">{escape(note)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def _bars(groups: dict[str, list[Bar]], scale: float) -> Iterator[str]:
    y = TOP
    for name, bars in groups.items():
        y += ROW
        yield f'<text x="12" y="{y - 6}" font-weight="bold">{escape(name)}</text>'
        for bar in bars:
            yield (
                f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(bar.label)}</text>'
            )
            x = float(LABELS)
            for value, color in bar.parts:
                yield (
                    f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="{BAR}" '
                    f'fill="{color}"/>'
                )
                x += value * scale
            yield f'<text x="{x + 6:.1f}" y="{y + 13}">{escape(bar.text)}</text>'
            y += ROW
        y += GAP


def rates(flow: dict[str, dict[str, dict[str, float]]]) -> str:
    groups = {
        work: [
            Bar(label, [(found[name]["rate"], _color(label))], f"{found[name]['rate']:,.0f}")
            for name, label in STACKS.items()
            if name in found
        ]
        for work, found in flow.items()
    }
    return chart("Requests a second", "Higher is better. wrk -t1 -c32, two cores.", groups)


def processor(flow: dict[str, dict[str, dict[str, float]]]) -> str:
    groups = {
        work: [
            Bar(
                label,
                [(found[name]["plane"], _color(label)), (found[name]["agent"], SECOND)],
                f"{found[name]['plane']:.0f} + {found[name]['agent']:.0f} µs",
            )
            for name, label in STACKS.items()
            if name in found
        ]
        for work, found in flow.items()
    }
    note = "Lower is better. Control plane, and agent in yellow."
    return chart("Processor time of a request", note, groups)


def growth(figures: list[dict[str, float | str]]) -> str:
    groups = {
        f"{one['work']}, store {one['store']}": [
            Bar("10,000 workloads", [(float(one["small"]), OTHERS)], f"{one['small']:.1f} ms"),
            Bar("150,000 and more", [(float(one["large"]), OURS)], f"{one['large']:.1f} ms"),
        ]
        for one in figures
    }
    note = "Lower is better; 32 connections, new workloads and random ids."
    return chart("99th percentile while the registry grows", note, groups)


def _color(label: str) -> str:
    return OURS if label.startswith("Kakuri") else OTHERS


def pictures() -> dict[str, str]:
    """Return the name and the content of each picture."""
    flow = json.loads((RESULTS / "flow.json").read_text())["works"]
    figures = json.loads((RESULTS / "growth.json").read_text())["figures"]
    return {
        "rates.svg": rates(flow), "processor.svg": processor(flow), "growth.svg": growth(figures),
    }  # fmt: skip


def table() -> str:
    """Return the table of the flow in Markdown."""
    results = json.loads((RESULTS / "flow.json").read_text())
    works = results["works"]
    rows = [
        "| stack | " + " | ".join(f"{work}, p99" for work in works) + " | CPU of a GET |",
        "| --- |" + " ---: |" * (len(works) + 1),
    ]
    for name, label in STACKS.items():
        found = [work[name] for work in works.values() if name in work]
        if found:
            cells = [f"{one['rate']:,}/s, {one['p99']} ms" for one in found]
            cpu = f"{found[-1]['plane']:.0f} + {found[-1]['agent']:.0f} µs"
            rows.append(f"| {label} | {' | '.join(cells)} | {cpu} |")
    return "\n".join(rows)


def page_with(text: str, table: str) -> str:
    """Return the page with another table of the flow."""
    begin, end = "<!-- flow.json -->", "<!-- end -->"
    return re.sub(
        f"{begin}.*?{end}", lambda _: f"{begin}\n\n{table}\n\n{end}", text, flags=re.DOTALL
    )


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, content in pictures().items():
        (PICTURES / name).write_text(content)
    PAGE.write_text(page_with(PAGE.read_text(), table()))


if __name__ == "__main__":
    main()
