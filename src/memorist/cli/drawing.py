"""A neighbourhood of the fact graph as SVG, alone or in a page: where the walk starts, what it passes, where it ends.

Three columns, so that lines run one way; within a column, what is joined stands near. No script and no file from
elsewhere is needed; pointing at a thing in the page lights up what it is joined to.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from memorist.cli.render import plain
from memorist.recall.neighbourhood import Edge, Neighbourhood, Node

WIDTH, MARGIN, LINE, GAP = 1180, 24, 16, 14
COLUMNS = {"start": (MARGIN, 250), "between": (390, 250), "passage": (750, WIDTH - MARGIN - 750)}
"""Left edge and width of the boxes of each column."""

HEADINGS = {"start": "the walk starts at", "between": "passes", "passage": "ends in"}
LETTERS = {"start": 34, "between": 34, "passage": 54}
MOST_LINES = 4
SWEEPS = 6
COLOURS = {"start": "#fde7c7", "between": "#eef1f4", "passage": "#dcebfb"}
STYLE = """
svg { font: 12.5px system-ui, sans-serif; background: #fff; color: #1c2733 }
.title { font-size: 17px; font-weight: 600 } .heading, .fact { fill: #51606e } .rank { fill: #51606e; font-size: 11px }
rect { stroke: #9fb0bf; stroke-width: 1 } path { fill: none; stroke: #8496a6; stroke-width: 1.3; opacity: .75 }
path.fact { stroke: #c27c1a; fill: none } path.like { stroke: #5a8f4e; stroke-dasharray: 5 4 }
svg:has(.node:hover) path { opacity: .12 } svg:has(.node:hover) .node { opacity: .45 }
.node:hover { opacity: 1 !important }
"""

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body {{ margin: 0 }} svg {{ max-width: 100%; height: auto }} {lights}</style></head>
<body>
{svg}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A node where it is drawn."""

    node: Node
    column: str
    lines: tuple[str, ...]
    top: float

    @property
    def height(self) -> float:
        """Its height, a line for the rank of a passage included."""
        return LINE * (len(self.lines) + (self.column == "passage")) + 10

    @property
    def middle(self) -> float:
        """Where lines arrive."""
        return self.top + self.height / 2


def page(found: Neighbourhood) -> str:
    """The drawing as an HTML page."""
    lights = []
    joined: dict[int, set[int]] = {}
    for place, edge in enumerate(found.edges):
        for end, other in ((edge.source, edge.target), (edge.target, edge.source)):
            lights.append(f"svg:has(#n{end}:hover) #e{place} {{ opacity: 1; stroke-width: 2 }}")
            joined.setdefault(end, set()).add(other)
    for node, others in joined.items():
        names = ", ".join(f"#n{other}" for other in sorted(others))
        lights.append(f"svg:has(#n{node}:hover) :is({names}) {{ opacity: 1 }}")
    return PAGE.format(title=escape(plain(found.query)), lights="\n".join(lights), svg=svg(found))


def svg(found: Neighbourhood) -> str:
    """The drawing as one SVG element."""
    title = textwrap.wrap(plain(found.query), 110)[:2] or [""]
    told = [line for fact in found.facts for line in textwrap.wrap(f"– {plain(fact)}", 150)[:1]]
    top = MARGIN + 22 * len(title) + LINE * len(told) + 40
    boxes = placed(found, top)
    height = max([top, *(box.top + box.height for box in boxes.values())]) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}"'
        f' height="{height:.0f}" role="img" aria-label="{escape(plain(found.query))}"><style>{STYLE}</style>',
        f'<rect width="{WIDTH}" height="{height:.0f}" style="fill:#fff;stroke:none"/>',
    ]
    parts += [text(MARGIN, MARGIN + 14 + 22 * place, line, "title") for place, line in enumerate(title)]
    begin = MARGIN + 22 * len(title) + 8
    parts += [text(MARGIN, begin + LINE * place, line, "fact") for place, line in enumerate(told)]
    parts += [text(left, top - 10, HEADINGS[name], "heading") for name, (left, _) in COLUMNS.items()]
    parts += [line_of(place, edge, boxes) for place, edge in enumerate(found.edges)]
    parts += [drawn(box) for box in boxes.values()]
    return "\n".join([*parts, "</svg>"])


def placed(found: Neighbourhood, top: float) -> dict[int, Box]:
    """A box for each node, those of a column below each other, in an order in which few lines cross."""
    columns: dict[str, list[Node]] = {name: [] for name in COLUMNS}
    for node in found.nodes:
        columns["passage" if node.kind == "passage" else "start" if node.start else "between"].append(node)
    columns["passage"].sort(key=lambda node: -node.rank)
    joined: dict[int, list[int]] = {node.number: [] for node in found.nodes}
    for edge in found.edges:
        joined[edge.source].append(edge.target)
        joined[edge.target].append(edge.source)
    boxes = stacked(columns, top)
    for _ in range(SWEEPS):
        for name in ("between", "start"):
            columns[name].sort(key=lambda node: height_of(node, joined, boxes))
            boxes = stacked(columns, top)
    return boxes


def height_of(node: Node, joined: Mapping[int, Sequence[int]], boxes: Mapping[int, Box]) -> float:
    """The mean height of what a node is joined to."""
    heights = [boxes[other].middle for other in joined[node.number]]
    return sum(heights) / len(heights) if heights else boxes[node.number].middle


def stacked(columns: Mapping[str, Sequence[Node]], top: float) -> dict[int, Box]:
    """Boxes from the nodes of each column in their order; short columns stand at the middle of the longest."""
    boxes: dict[str, list[Box]] = {}
    for name, nodes in columns.items():
        below, made = top, []
        for node in nodes:
            lines = textwrap.wrap(" ".join(plain(node.name).split()), LETTERS[name]) or [""]
            if len(lines) > MOST_LINES:
                lines = [*lines[: MOST_LINES - 1], lines[MOST_LINES - 1][: LETTERS[name] - 2] + " …"]
            made.append(Box(node, name, tuple(lines), below))
            below = made[-1].top + made[-1].height + GAP
        boxes[name] = made
    longest = max((made[-1].top + made[-1].height for made in boxes.values() if made), default=top)
    found: dict[int, Box] = {}
    for made in boxes.values():
        shift = (longest - made[-1].top - made[-1].height) / 2 if made else 0
        found |= {box.node.number: Box(box.node, box.column, box.lines, box.top + shift) for box in made}
    return found


def drawn(box: Box) -> str:
    """A node's box with its lines."""
    left, width = COLUMNS[box.column]
    lines = [text(left + 10, box.top + LINE * (place + 1), line, "") for place, line in enumerate(box.lines)]
    if box.column == "passage":
        lines.append(text(left + 10, box.top + LINE * (len(box.lines) + 1), f"{box.node.rank:.4f}", "rank"))
    rect = (
        f'<rect x="{left}" y="{box.top:.0f}" width="{width}" height="{box.height:.0f}" rx="6"'
        f' fill="{COLOURS[box.column]}"/>'
    )
    name = escape(plain(box.node.name))
    return f'<g class="node" id="n{box.node.number}"><title>{name}</title>{rect}{"".join(lines)}</g>'


def line_of(place: int, edge: Edge, boxes: Mapping[int, Box]) -> str:
    """An edge: from column to column, or beside its column."""
    one, other = sorted((boxes[edge.source], boxes[edge.target]), key=lambda box: COLUMNS[box.column][0])
    left, width = COLUMNS[one.column]
    x, y = left + width, one.middle
    to, down = COLUMNS[other.column][0], other.middle
    if one.column == other.column:
        x = to = left + width
        bend = x + 30 + abs(down - y) / 8
        curve = f"M{x} {y:.0f} C{bend:.0f} {y:.0f} {bend:.0f} {down:.0f} {to} {down:.0f}"
    else:
        half = (x + to) / 2
        curve = f"M{x} {y:.0f} C{half:.0f} {y:.0f} {half:.0f} {down:.0f} {to} {down:.0f}"
    return f'<path id="e{place}" class="{edge.relation}" d="{curve}"/>'


def text(x: float, y: float, words: str, kind: str) -> str:
    """A line of text."""
    return f'<text x="{x}" y="{y:.0f}" fill="currentColor" class="{kind}">{escape(words)}</text>'
