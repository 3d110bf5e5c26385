"""Draw docs/pictures/dashboard.svg: the dashboard with recorded values.

Grafana is not needed: the picture shows each panel of dashboards/kakuri.json in its place, with
its title, unit, legend and values, as record_dashboard.py has recorded them.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
DASHBOARD = HERE.parent / "dashboards" / "kakuri.json"
RESULTS = HERE / "results" / "dashboard.json"
PICTURE = HERE.parent / "docs" / "pictures" / "dashboard.svg"

COLUMN, ROW, GAP, TOP = 44, 30, 8, 44
COLUMNS = 24
INK, FAINT, FRAME, BACKGROUND, PAPER = "#24292f", "#6e7781", "#d0d7de", "#f6f8fa", "#ffffff"
COLORS = ("#2f6fb5", "#e0a030", "#3a8f5c", "#c0504d", "#7a5fb0", "#3aa6b9", "#b0693a", "#8a8f98")
STATES = {"green": "#3a8f5c", "red": "#c0504d", "blue": "#2f6fb5"}
CHARACTER = 5.8
"""Width of a character of the legend."""

Series = list[tuple[str, list[tuple[float, float]]]]


def picture() -> str:
    """Return the dashboard as SVG."""
    dashboard = json.loads(DASHBOARD.read_text())
    recorded = json.loads(RESULTS.read_text())
    panels = dashboard["panels"]
    width = COLUMNS * COLUMN + GAP
    height = TOP + max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels) * ROW + GAP
    title = escape(f"{dashboard['title']}: node1")
    body = [
        part
        for panel in panels
        for part in _panel(panel, recorded["panels"][panel["title"]], recorded["seconds"])
    ]
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">'
            ),
            f"<title>{escape(dashboard['description'])}</title>",
            f'<rect width="{width}" height="{height}" fill="{BACKGROUND}"/>',
            f'<text x="12" y="28" font-size="17" font-weight="bold" fill="{INK}">{title}</text>',
            *body,
            "</svg>\n",
        ]
    )


def _panel(
    panel: dict[str, Any], targets: Sequence[list[dict[str, Any]]], seconds: float
) -> Iterator[str]:
    at = panel["gridPos"]
    x, y = at["x"] * COLUMN + GAP, TOP + at["y"] * ROW
    width, height = at["w"] * COLUMN - GAP, at["h"] * ROW - GAP
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" fill="{PAPER}" '
        f'stroke="{FRAME}"/>'
    )
    yield (
        f'<text x="{x + 10}" y="{y + 17}" font-weight="bold" fill="{INK}">'
        f"{escape(panel['title'])}</text>"
    )
    series: Series = [
        (_legend(target["legendFormat"], each["labels"]), [(t, v) for t, v in each["points"]])
        for target, found in zip(panel["targets"], targets, strict=True)
        for each in found
        if each["points"]
    ]
    inner = (x + 10, y + 26, width - 20, height - 36)
    if panel["type"] == "stat":
        yield from _stats(panel, series, *inner)
    else:
        yield from _lines(panel, series, seconds, *inner)


def _legend(form: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        form = form.replace(f"{{{{{name}}}}}", value)
    return form


def _stats(
    panel: dict[str, Any], series: Series, x: float, y: float, width: float, height: float
) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    box = width / max(1, len(series))
    for place, (name, points) in enumerate(series):
        value = points[-1][1]
        text, color = _format(round(value), "short"), "green"
        for step in defaults["thresholds"]["steps"]:
            if step["value"] is None or value >= step["value"]:
                color = step["color"]
        for mapping in defaults.get("mappings", []):
            if (shown := mapping["options"].get(f"{value:g}")) is not None:
                text, color = shown["text"], shown["color"]
        left = x + place * box
        yield (
            f'<rect x="{left:.1f}" y="{y}" width="{box - 4:.1f}" height="{height}" '
            f'fill="{STATES[color]}"/>'
        )
        middle = left + box / 2 - 2
        yield _text(middle, y + 24, name, "#ffffff", size=11)
        yield _text(middle, y + 52, text, "#ffffff", size=24)


def _lines(
    panel: dict[str, Any],
    series: Series,
    seconds: float,
    x: float,
    y: float,
    width: float,
    height: float,
) -> Iterator[str]:
    defaults = panel["fieldConfig"]["defaults"]
    unit = defaults["unit"]
    legend_rows = _rows([name for name, _ in series], width)
    bottom = y + height - 14 * len(legend_rows) - 4
    top, left, right = y + 6, x + 46, x + width
    highest = max((v for _, points in series for _, v in points), default=0.0)
    limit = _round_up(highest) if highest > 0 else 1.0
    for part in range(3):
        value = limit * part / 2
        level = bottom - (bottom - top) * part / 2
        yield (
            f'<line x1="{left}" y1="{level:.1f}" x2="{right}" y2="{level:.1f}" stroke="{FRAME}"/>'
        )
        yield _text(left - 6, level + 4, _format(value, unit), FAINT, anchor="end", size=10)
    for place, (_, points) in enumerate(series):
        shown = " ".join(
            f"{left + t / seconds * (right - left):.1f},{bottom - v / limit * (bottom - top):.1f}"
            for t, v in points
        )
        yield (
            f'<polyline points="{shown}" fill="none" stroke="{COLORS[place % len(COLORS)]}" '
            'stroke-width="1.5"/>'
        )
    place = 0
    for row, names in enumerate(legend_rows):
        across, level = x, bottom + 18 + 14 * row
        for name in names:
            color = COLORS[place % len(COLORS)]
            yield f'<rect x="{across:.0f}" y="{level - 6:.0f}" width="10" height="3" fill="{color}"/>'
            yield _text(across + 14, level, name, FAINT, anchor="start", size=10)
            across += 28 + CHARACTER * len(name)
            place += 1


def _rows(names: list[str], width: float) -> list[list[str]]:
    """Return the names of a legend in rows."""
    rows: list[list[str]] = [[]]
    used = 0.0
    for name in names:
        needed = 28 + CHARACTER * len(name)
        if rows[-1] and used + needed > width:
            rows.append([])
            used = 0.0
        rows[-1].append(name)
        used += needed
    return rows


def _text(x: float, y: float, text: str, color: str, *, size: int, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _round_up(value: float) -> float:
    """Return the next larger number of the form 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= value * 0.999
    )


def _format(value: float, unit: str) -> str:
    """Return a value in the unit of a panel."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    suffixes = ("", "k", "M", "G", "T")
    step = 0
    while value >= 1000 and step < len(suffixes) - 1:
        value /= 1000
        step += 1
    ending = {"bytes": "B", "Bps": "B/s", "reqps": "/s"}.get(unit, "")
    return f"{value:.3g} {suffixes[step]}{ending}".rstrip()


if __name__ == "__main__":
    PICTURE.write_text(picture())
