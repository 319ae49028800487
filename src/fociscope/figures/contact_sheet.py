"""A contact sheet: several samples of a data set on one page, to see at a glance what it holds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from fociscope.figures.style import (
    CAPTURE_MAP,
    STYLE,
    as_read,
    depth_colours,
    draw_image,
    draw_scale_bar,
)
from fociscope.files.published.images_depth import ImagesDepth
from fociscope.typing import Float32Array

__all__ = ["draw_contact_sheet"]

CELL_INCH = 1.15
GAP_INCH = 0.07
GROUP_GAP_INCH = 0.22
ROW_GAP_INCH = 0.2
LEFT_INCH, RIGHT_INCH, HEAD_INCH, FOOT_INCH = 0.95, 0.15, 0.8, 0.72
HEADING_INCH = 0.19
LINE_INCH, CHARACTERS_PER_INCH = 0.15, 15
BAR_INCH, BAR_BELOW_INCH = 0.09, 0.14
LIGHT_MAP = "inferno"
CLIPPED_SHARE = 0.002
"""Of the brightest pixels: one bright cell would leave all else dark."""


def draw_contact_sheet(
    data: ImagesDepth,
    names: Sequence[str],
    *,
    title: str = "",
    line: str = "",
    pixel_pitch_um: float | None = None,
    deepest_um: float | None = None,
) -> Figure:
    """Draw one row per sample: its layers before blur, what the sensors saw, and the depth map.

    Each kind of picture has one scale for the whole sheet. Variables that a file lacks are left
    out.

    Args:
        data: Samples to show.
        names: Name of each sample.
        title: Line above the picture.
        line: Smaller line below the title.
        pixel_pitch_um: Pixel pitch, um, for the scale bar; None for no bar.
        deepest_um: End of the depth scale, um; None for the deepest layer shown.

    Returns:
        Figure, to be saved with `savefig`.

    Examples:
        >>> from importlib import resources
        >>> from fociscope.figures import draw_contact_sheet
        >>> from fociscope.files import read_images_depth
        >>> with resources.as_file(resources.files("fociscope.demo") / "truth.mat") as path:
        ...     data = read_images_depth(path)
        >>> figure = draw_contact_sheet(data, ["the demo"], pixel_pitch_um=55.0)
        >>> figure.savefig("sheet.png")
    """
    samples, sensors, height, width = data.captures.shape
    groups: list[tuple[str, int]] = [] if data.raw is None else [("raw", data.raw.shape[1])]
    groups.append(("captures", sensors))
    if data.depth_map_um is not None:
        groups.append(("depth", 1))
        deepest_um = deepest_um or float(data.depth_map_um.max()) or 1.0
    norms: dict[str, Normalize] = {"depth": Normalize(0, deepest_um or 1.0)}
    for name, images in (("raw", data.raw), ("captures", data.captures)):
        if images is not None:
            top = float(np.quantile(images, 1 - CLIPPED_SHARE)) or 1.0
            norms[name] = PowerNorm(0.5, 0.0, top, clip=True)
    with mpl.rc_context(STYLE):
        line = f"{line}; light on a square-root scale" if line else "Light on a square-root scale"
        figure, lefts, tops, cell, line = _page(groups, samples, height / width, as_read(line))
        for row in range(samples):
            column = 0
            for group, count in groups:
                for index in range(count):
                    left, top = lefts[column], tops[row]
                    axes = figure.add_axes((left, top - cell[1], *cell))
                    cmap: Any = {"raw": LIGHT_MAP, "captures": CAPTURE_MAP}.get(group)
                    image = _picture(data, group, row, index)
                    draw_image(axes, image, cmap or depth_colours(), norm=norms[group])
                    axes.set_title(_caption(data, group, row, index), fontsize=7, pad=2)
                    if pixel_pitch_um is not None and (row, column) == (0, 0):
                        draw_scale_bar(axes, pixel_pitch_um, width)
                    if column == 0:
                        name = "\n".join(as_read(part) for part in names[row].split("\n"))
                        axes.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
                    column += 1
        _headings(figure, groups, lefts, tops[0])
        _colour_bars(figure, groups, norms, lefts, tops[-1] - cell[1], cell[0])
        _headline(figure, title or "Contact sheet", line)
    return figure


def _picture(data: ImagesDepth, group: str, sample: int, index: int) -> Any:
    """Return the (y, x) of one cell of the sheet; the depth map from above, empty masked."""
    if group == "captures":
        return data.captures[sample, index]
    if group == "raw":
        assert data.raw is not None
        return data.raw[sample, index]
    assert data.depth_map_um is not None
    layers: Float32Array = data.depth_map_um[sample]
    nearest = np.where(layers > 0, layers, np.inf).min(axis=0)
    return np.ma.masked_invalid(nearest)


def _caption(data: ImagesDepth, group: str, sample: int, index: int) -> str:
    if group == "raw" and data.depth_um is not None:
        return f"{data.depth_um[sample, index]:.0f} µm"
    if group == "captures":
        return f"sensor {'AB'[index]}"
    return "from above" if group == "depth" else f"layer {index + 1}"


def _page(
    groups: list[tuple[str, int]], rows: int, aspect: float, line: str
) -> tuple[Figure, list[float], list[float], tuple[float, float], str]:
    """Return a page, its columns' left edges, its rows' tops, a cell's size, and the wrapped line.

    All in shares of the page; `aspect` is height over width of a frame.
    """
    cell_height = CELL_INCH * aspect
    edges, x = [], LEFT_INCH
    for number, (_, count) in enumerate(groups):
        x += GROUP_GAP_INCH if number else 0
        for index in range(count):
            x += GAP_INCH if index else 0
            edges.append(x)
            x += CELL_INCH
    width = max(x + RIGHT_INCH, 4.2)
    line = textwrap.fill(line, int(width * CHARACTERS_PER_INCH))
    head = HEAD_INCH + LINE_INCH * (line.count("\n") + 1)
    height = head + rows * (cell_height + ROW_GAP_INCH) + FOOT_INCH
    figure = Figure(figsize=(width, height), dpi=160)
    FigureCanvasAgg(figure)
    tops = [1 - (head + row * (cell_height + ROW_GAP_INCH)) / height for row in range(rows)]
    cell = (CELL_INCH / width, cell_height / height)
    return figure, [edge / width for edge in edges], tops, cell, line


def _colour_bars(
    figure: Figure,
    groups: list[tuple[str, int]],
    norms: dict[str, Normalize],
    lefts: list[float],
    bottom: float,
    cell_width: float,
) -> None:
    """Draw one bar with its unit below each kind of picture."""
    labels = {
        "raw": "emitted light per pixel\n(1 = mean of cells)",
        "captures": "light per pixel\n(same unit)",
        "depth": "depth (µm)",
    }
    maps: dict[str, Any] = {"raw": LIGHT_MAP, "captures": CAPTURE_MAP, "depth": depth_colours()}
    height = figure.get_figheight()
    column = 0
    for group, count in groups:
        left, right = lefts[column], lefts[column + count - 1] + cell_width
        place = (
            left,
            bottom - (BAR_BELOW_INCH + BAR_INCH) / height,
            right - left,
            BAR_INCH / height,
        )
        axes = figure.add_axes(place)
        scale = mpl.cm.ScalarMappable(norms[group], maps[group])
        extend: Any = "neither" if group == "depth" else "max"
        bar = figure.colorbar(scale, cax=axes, orientation="horizontal", extend=extend)
        bar.outline.set_linewidth(0.6)
        bar.set_ticks([0, *_ticks(norms[group], crowded=count == 1)])
        axes.tick_params(labelsize=7, length=2)
        bar.set_label(labels[group], fontsize=7)
        column += count


def _headings(
    figure: Figure, groups: list[tuple[str, int]], lefts: list[float], top: float
) -> None:
    """Write what each kind of picture is above its first column."""
    texts = {"raw": "Layers", "captures": "Captures", "depth": "Depth map"}
    column = 0
    for group, count in groups:
        y = top + HEADING_INCH / figure.get_figheight()
        figure.text(lefts[column], y, texts[group], fontsize=9, weight="bold")
        column += count


def _ticks(norm: Normalize, crowded: bool) -> list[float]:
    """Return round values that stand well apart on a bar."""
    top = float(norm.vmax or 1.0)
    if not isinstance(norm, PowerNorm):
        return [top / 2, top]
    found = [value * top for value in ((0.3, 1.0) if crowded else (0.1, 0.3, 0.6, 1.0))]
    rounds = np.outer(10.0 ** np.arange(-9, 9), (1, 1.5, 2, 3, 5, 7)).ravel()
    return sorted({float(rounds[rounds <= value * (1 + 1e-9)][-1]) for value in found})


def _headline(figure: Figure, title: str, line: str) -> None:
    height, left = figure.get_figheight(), 0.15 / figure.get_figwidth()
    figure.text(left, 1 - 0.1 / height, as_read(title), ha="left", va="top", fontsize=11)
    figure.text(left, 1 - 0.33 / height, line, ha="left", va="top", fontsize=8, color="0.35")
