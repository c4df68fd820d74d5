"""Plots as SVG text, for a report that is one file: lines over a number, bars by category, and a heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 130, 28, 40
COLOURS = (
    "#0b6bcb", "#c4314b", "#1f7a1f", "#8a4fbf", "#b35c00", "#00838f", "#6d6d6d", "#ad1457", "#5d6d00", "#37474f",
    "#5b8def", "#e0798a", "#7cb77c", "#c3a1e0", "#dca060", "#6fc2cb",
)  # fmt: skip
TICKS = 4

Point = tuple[float, float]


def lines(title: str, across: str, series: Mapping[str, Sequence[Point]]) -> str:
    """Points of each series joined in the order of x; y from 0 to 1 (or its largest)."""
    points = [point for some in series.values() for point in some]
    if not points:
        return ""
    most_x, most_y = rounded_up(max(x for x, _ in points)), max(1.0, *(y for _, y in points))

    def at(point: Point) -> Point:
        return LEFT + point[0] / most_x * inner_width(), TOP + (1 - point[1] / most_y) * inner_height()

    parts = [axes(across, most_x, most_y)]
    for number, (name, some) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [at(point) for point in sorted(some)]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for (x, y), point in zip(placed, sorted(some)):
            told = f"{name}: {number_of(point[0])} {across}, {point[1]:.3f}"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{escape(told)}</title></circle>'
            )
    return framed(title, [*parts, legend(list(series))])


def bars(title: str, categories: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> str:
    """For each category a bar of each series."""
    if not categories or not series:
        return ""
    most = max(1.0, *(value for values in series.values() for value in values if value is not None))
    slot = inner_width() / len(categories)
    thick = slot * 0.8 / len(series)
    parts = [axes("", None, most)]
    for place, category in enumerate(categories):
        middle = LEFT + (place + 0.5) * slot
        parts.append(words(middle, HEIGHT - BOTTOM + 14, category[: max(3, int(slot / 5))], "middle", category))
        for number, (name, values) in enumerate(series.items()):
            value = values[place]
            if value is None:
                continue
            high = value / most * inner_height()
            x, y = LEFT + place * slot + slot * 0.1 + number * thick, TOP + inner_height() - high
            told = escape(f"{name}, {category}: {value:.3f}")
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(thick - 1, 1):.1f}" height="{high:.1f}" '
                f'fill="{COLOURS[number % len(COLOURS)]}"><title>{told}</title></rect>'
            )
    return framed(title, [*parts, legend(list(series))])


def heat(title: str, rows: Mapping[str, Sequence[float]]) -> str:
    """A number in each cell, darker when it is nearer to 1."""
    columns = max((len(values) for values in rows.values()), default=0)
    if not columns:
        return ""
    wide, high, left = 56, 24, 90
    parts = []
    for column in range(columns):
        parts.append(words(left + (column + 0.5) * wide, TOP + 10, f"part {column + 1}", "middle"))
    for line, (name, values) in enumerate(rows.items()):
        y = TOP + 16 + line * high
        parts.append(words(left - 6, y + 16, name, "end"))
        for column, value in enumerate(values):
            shade = max(0.0, min(1.0, value))
            ink = "#fff" if shade > 0.55 else "#222"
            x = left + column * wide
            box = f'x="{x}" y="{y}" width="{wide - 2}" height="{high - 2}" fill="{COLOURS[0]}" stroke="#ccc"'
            parts.append(f'<rect {box} fill-opacity="{shade:.2f}"/>')
            told = f'x="{x + wide / 2:.0f}" y="{y + 16}" text-anchor="middle" fill="{ink}"'
            parts.append(f"<text {told}>{value:.2f}</text>")
    return framed(title, parts, left + columns * wide + 10, TOP + 26 + len(rows) * high)


def framed(title: str, parts: Sequence[str], width: float = WIDTH, height: float = HEIGHT) -> str:
    """The drawing, under its title."""
    head = f'<text x="8" y="16" class="title">{escape(title)}</text>'
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">{head}{"".join(parts)}</svg>'


def axes(across: str, most_x: float | None, most_y: float) -> str:
    """Both axes with ticks; without `most_x` the lower one has none."""
    low, right = TOP + inner_height(), LEFT + inner_width()
    parts = [f'<path d="M{LEFT} {TOP}V{low}H{right}" fill="none" stroke="#888"/>']
    for tick in range(TICKS + 1):
        y = low - tick / TICKS * inner_height()
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#eee"/>')
        parts.append(words(LEFT - 6, y + 4, f"{tick / TICKS * most_y:.2f}", "end"))
        if most_x is not None:
            parts.append(
                words(LEFT + tick / TICKS * inner_width(), low + 14, number_of(tick / TICKS * most_x), "middle")
            )
    return "".join(parts) + words(LEFT + inner_width() / 2, HEIGHT - 8, across, "middle")


def legend(names: Sequence[str]) -> str:
    """Names beside their colours."""
    parts = []
    high = min(16, (HEIGHT - TOP - 12) / max(len(names), 1))
    for number, name in enumerate(names):
        y = TOP + 6 + number * high
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<rect x="{WIDTH - RIGHT + 10}" y="{y:.1f}" width="9" height="9" fill="{colour}"/>')
        parts.append(words(WIDTH - RIGHT + 24, y + 9, name[:18], "start", name))
    return "".join(parts)


def words(x: float, y: float, text: str, anchor: str, whole: str = "") -> str:
    """A text, and when it is cut the whole on hovering."""
    told = f"<title>{escape(whole)}</title>" if whole and whole != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{told}</text>'


def inner_width() -> int:
    """Pixels between the axes' ends."""
    return WIDTH - LEFT - RIGHT


def inner_height() -> int:
    """Pixels between the axes' ends."""
    return HEIGHT - TOP - BOTTOM


def rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … at or above a value."""
    if value <= 0:
        return 1.0
    scale = 10 ** math.floor(math.log10(value))
    return float(next(step * scale for step in (1, 2, 5, 10) if step * scale >= value * 0.999999))


def number_of(value: float) -> str:
    """A number, short."""
    return f"{value:,.0f}" if value >= 20 else f"{value:.3g}"
