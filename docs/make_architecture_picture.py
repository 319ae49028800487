"""Draw docs/images/architecture.svg: the rooms and what each imports, read from the imports.

    python docs/make_architecture_picture.py

The drawing carries the data that it was made from, and a test compares them with the imports as
they stand. Needs the extra `test`, whose import-linter brings grimp.
"""

from __future__ import annotations

import ast
import json
import textwrap
import tomllib
from pathlib import Path
from typing import TypedDict

import grimp
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

PACKAGE = "fociscope"
ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

#: Height of a row and width of a column, and of the head with the slanted names.
STEP, HEAD_INCH = 0.28, 1.35
NAME_X, STORY_X, MATRIX_X = 0.1, 1.65, 8.9
STORY_LETTERS = 85
BAND, LINE, BLUE, GREY = "#eef3f8", "#d5dde5", "#1f5f99", "#66707a"


class Room(TypedDict):
    """A room: its name, its floor (0 is the ground), its story, and the rooms that it imports."""

    name: str
    floor: int
    story: str
    imports: list[str]


def rooms() -> list[Room]:
    """Return the rooms from the top floor down, as the imports make them.

    Floors are those of the import rules in pyproject.toml.
    """
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    floors = _floors()
    imports: dict[str, set[str]] = {name: set() for name in floors}
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            here, there = _room(module), _room(other)
            if here and there and here != there:
                imports[here].add(there)
    order = list(floors)
    return [
        Room(
            name=name,
            floor=floors[name],
            story=_story(name),
            imports=sorted(imports[name], key=order.index),
        )
        for name in order
    ]


def drawn() -> list[Room]:
    """Return the rooms that the committed picture shows."""
    text = PICTURE.read_text(encoding="utf-8")
    start = text.index("<dc:description>") + len("<dc:description>")
    body = text[start : text.index("</dc:description>")]
    found: list[Room] = json.loads(
        body.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    )
    return found


def draw(house: list[Room]) -> None:
    """Write the picture of these rooms, with the data in it."""
    width, height = MATRIX_X + STEP * len(house) + 0.7, STEP * len(house) + HEAD_INCH
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": PACKAGE, "font.size": 11}):
        figure = Figure(figsize=(width, height), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height - HEAD_INCH, -HEAD_INCH))
        axes.set_axis_off()
        axes.text(NAME_X, -0.2, "room", color=GREY)
        axes.text(STORY_X, -0.2, "what it holds", color=GREY)
        for row, room in enumerate(house):
            _draw_row(axes, room, row, [other["name"] for other in house])
        FigureCanvasSVG(figure).print_svg(
            str(PICTURE), metadata={"Description": json.dumps(house), "Date": None}
        )


def _draw_row(axes: Axes, room: Room, row: int, order: list[str]) -> None:
    y = STEP * (row + 0.5)
    columns = [MATRIX_X + STEP * (order.index(other) + 0.5) for other in room["imports"]]
    own = MATRIX_X + STEP * (row + 0.5)
    if room["floor"] % 2:
        axes.axhspan(y - STEP / 2, y + STEP / 2, color=BAND, lw=0)
    axes.text(NAME_X, y, room["name"], va="center", weight="bold")
    axes.text(STORY_X, y, room["story"], va="center")
    axes.text(own - 0.06, -0.1, room["name"], rotation=60, va="bottom", color=GREY)
    axes.plot([own, own], [0, y], color=LINE, lw=0.8, zorder=0.5)
    axes.plot([own], [y], "s", ms=6, color=GREY, mfc="white")
    axes.plot(columns, [y] * len(columns), "o", ms=7, color=BLUE)


def _floors() -> dict[str, int]:
    """Return room -> floor, from the top down."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = rules["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c.get("containers") == [PACKAGE])
    floors = {}
    for floor, layer in zip(reversed(range(len(layers))), layers, strict=True):
        for name in layer.replace(":", "|").split("|"):
            floors[name.strip()] = floor
    return floors


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def _story(room: str) -> str:
    """Return the first sentence of a room's docstring."""
    source = ROOT / "src" / PACKAGE / room / "__init__.py"
    if not source.exists():
        source = ROOT / "src" / PACKAGE / f"{room}.py"
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return textwrap.shorten(text.splitlines()[0], STORY_LETTERS, placeholder=" ...")


if __name__ == "__main__":
    draw(rooms())
