"""A reconstruction as one picture, alone or beside the truth.

Colours are perceptually even and safe for colour-blind readers; every picture carries a scale bar,
and every colour bar its unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.patches
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from fociscope.figures.style import (
    CAPTURE_MAP,
    DEPTH_LABEL,
    DEPTH_MAP,
    EMPTY,
    PROBABILITY_MAP,
    STYLE,
    as_read,
    depth_colours,
    draw_image,
    draw_scale_bar,
)
from fociscope.results.result import Reconstruction
from fociscope.typing import BoolArray, Float32Array

__all__ = ["Truth", "draw_comparison", "draw_reconstruction"]

CELL_INCH = 1.75
ROW_GAP_INCH = 0.32
HEAD_INCH = 0.78


@dataclass(frozen=True)
class Truth:
    """The true layers of a simulated scene.

    Examples:
        >>> import fociscope
        >>> from fociscope.figures import Truth
        >>> scenes = fociscope.simulate(1, seed=0)
        >>> Truth(mask=scenes.mask[0], depth_um=scenes.depth_um[0]).mask.shape
        (4, 51, 51)
    """

    mask: BoolArray
    """(layer, y, x) True where there are cells."""
    depth_um: Float32Array
    """(layer,) depth of each layer, um."""


def _where_cells(mask: BoolArray, depth_um: float) -> Any:
    return np.ma.masked_where(~mask, np.full(mask.shape, depth_um))


def _captures(
    figure: Figure, grid: GridSpec, result: Reconstruction, row: int, titles: Sequence[str]
) -> None:
    """Draw the sensor images into the first columns of a row, each scaled to its own maximum.

    The grey scale is a square root, or one bright cell would leave all else black.
    """
    for sensor, image in enumerate(result.captures):
        axes = figure.add_subplot(grid[row, sensor])
        if np.isnan(image).all():  # of a map that was read back from files without them
            axes.axis("off")
            axes.set_title(f"Sensor {'AB'[sensor]}: not in the files")
            continue
        grey = PowerNorm(0.5, 0.0, float(image.max()), clip=True)
        draw_image(axes, image, CAPTURE_MAP, norm=grey)
        axes.set_title(titles[sensor])
        draw_scale_bar(axes, result.imager.square_pitch_um, image.shape[1])


def _colour_bar(
    figure: Figure, cell: Any, drawn: Any, label: str, *, downwards: bool = False
) -> None:
    """Draw a slim colour bar in its own grid cell."""
    bar = figure.colorbar(drawn, cax=figure.add_subplot(cell))
    bar.set_label(label)
    bar.outline.set_linewidth(0.6)
    bar.ax.tick_params(labelsize=8, length=2)
    if downwards:
        bar.ax.invert_yaxis()


def _side_view(axes: Axes, result: Reconstruction, depths: Normalize) -> None:
    """Draw the layers from the side, A on top: where along x there are cells, at which depth.

    A layer's band spans one standard deviation of its depth to either side of the line.
    """
    width_mm = result.mask.shape[-1] * result.imager.square_pitch_um / 1000
    half_um = 0.012 * result.imager.gap_um
    edges_mm = np.linspace(0, width_mm, result.mask.shape[-1] + 1)
    layers = zip(result.present, result.mask, result.depth_um, result.depth_std_um, strict=True)
    for present, mask, depth, std in layers:
        if not present:
            continue
        colour = DEPTH_MAP(depths(float(depth)))
        axes.axhspan(depth - std, depth + std, color=colour, alpha=0.35, linewidth=0)
        cells = np.append(mask.any(axis=0), False)
        axes.fill_between(
            edges_mm,
            depth - half_um,
            depth + half_um,
            where=cells | np.roll(cells, 1),
            color=colour,
            step="post",
            linewidth=0,
        )
    axes.set_facecolor(EMPTY)
    axes.set_xlim(0, width_mm)
    axes.set_ylim(result.imager.gap_um, 0)
    axes.set_box_aspect(result.mask.shape[-2] / result.mask.shape[-1])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.tick_params(labelsize=7, length=2, pad=2)
    axes.set_ylabel("depth (µm)", labelpad=2)
    axes.set_xticks([])
    axes.set_title("From the side (x, depth)")


def _new_figure(columns: int, rows: int, aspect: float) -> tuple[Figure, GridSpec]:
    gap, margin, bar = 0.14, 0.08, 0.85
    cell_height = CELL_INCH * aspect
    width = margin + (CELL_INCH + gap) * columns + 0.12 + bar
    height = HEAD_INCH + cell_height * rows + ROW_GAP_INCH * (rows - 1) + margin
    figure = Figure(figsize=(width, height), dpi=200)
    FigureCanvasAgg(figure)
    grid = GridSpec(
        rows,
        columns + 1,
        figure,
        width_ratios=[CELL_INCH] * columns + [0.12],
        left=margin / width,
        right=1 - bar / width,
        top=1 - HEAD_INCH / height,
        bottom=margin / height,
        wspace=gap * (columns + 1) / (CELL_INCH * columns + 0.12),
        hspace=ROW_GAP_INCH / cell_height,
    )
    return figure, grid


def _depth_text(result: Reconstruction, layer: int) -> str:
    if not result.present[layer]:
        return "absent"
    return f"{result.depth_um[layer]:.0f} ± {result.depth_std_um[layer]:.0f} µm"


def _check_single(result: Reconstruction) -> None:
    if result.captures.ndim != 3:
        raise ValueError(
            f"one capture at a time can be drawn; this reconstruction has the leading axes "
            f"{result.captures.shape[:-3]}"
        )


def draw_reconstruction(result: Reconstruction, title: str = "") -> Figure:
    """Draw one capture and its layered map.

    Top row: the captures, the map from above (the cells nearest to sensor A), and from the side.
    Below: each layer's probability and its depth map, in the order of depth.

    Args:
        result: Reconstruction of one capture, without leading axes.
        title: Line above the picture, such as the file's name.

    Returns:
        Figure, to be saved with `savefig`.

    Raises:
        ValueError: If the reconstruction has leading axes.

    Examples:
        >>> import fociscope
        >>> from fociscope.figures import draw_reconstruction
        >>> scenes = fociscope.simulate(1, seed=0)
        >>> result = fociscope.load_model("layers-ab", device="cpu").reconstruct(scenes.captures[0])
        >>> figure = draw_reconstruction(result, "a simulated capture")
        >>> figure.savefig("map.png")
    """
    _check_single(result)
    layers, height, width = result.probability.shape
    sensors = len(result.captures)
    pitch = result.imager.square_pitch_um
    depth_range = Normalize(0, result.imager.gap_um)
    with mpl.rc_context(STYLE):
        columns = max(layers, sensors + 2)
        figure, grid = _new_figure(columns, 3, height / width)
        names = ("Sensor A (on top)", "Sensor B (underneath)")
        _captures(figure, grid, result, 0, names)
        nearest = np.where(result.mask, result.depth_um[:, None, None], np.inf).min(axis=0)
        axes = figure.add_subplot(grid[0, sensors])
        draw_image(axes, np.ma.masked_invalid(nearest), depth_colours(), norm=depth_range)
        axes.set_title("From above: nearest cells")
        draw_scale_bar(axes, pitch, width)
        _side_view(figure.add_subplot(grid[0, sensors + 1]), result, depth_range)
        for layer in range(layers):
            axes = figure.add_subplot(grid[1, layer])
            shown = draw_image(axes, result.probability[layer], PROBABILITY_MAP, vmin=0, vmax=1)
            axes.set_title(f"Layer {layer + 1}: {_depth_text(result, layer)}")
            draw_scale_bar(axes, pitch, width)
        _colour_bar(figure, grid[1, columns], shown, "P(cells)")
        for layer in range(layers):
            axes = figure.add_subplot(grid[2, layer])
            cells = _where_cells(result.mask[layer], float(result.depth_um[layer]))
            shown = draw_image(axes, cells, depth_colours(), norm=depth_range)
            axes.set_title(f"cells on {100 * result.mask[layer].mean():.0f} % of the frame")
            draw_scale_bar(axes, pitch, width)
        # Beside low frames, the label has the room of two short lines.
        is_low = result.mask.shape[-2] < 0.7 * width
        label = DEPTH_LABEL.replace("below ", "below\n") if is_low else DEPTH_LABEL
        _colour_bar(figure, grid[2, columns], shown, label, downwards=True)
        _headline(figure, title, result)
    return figure


def draw_comparison(result: Reconstruction, truth: Truth, title: str = "") -> Figure:
    """Draw a reconstruction beside the truth, in the manner of the published sample figure.

    Rows: the captures; the true layers; the reconstructed ones; where the two differ.

    Args:
        result: Reconstruction of one simulated capture, without leading axes.
        truth: Layers of the same scene, as many as the reconstruction has.
        title: Line above the picture.

    Returns:
        Figure, to be saved with `savefig`.

    Raises:
        ValueError: If the reconstruction has leading axes.

    Examples:
        >>> import fociscope
        >>> from fociscope.figures import Truth, draw_comparison
        >>> scenes = fociscope.simulate(1, seed=0)
        >>> result = fociscope.load_model("layers-ab", device="cpu").reconstruct(scenes.captures[0])
        >>> truth = Truth(mask=scenes.mask[0], depth_um=scenes.depth_um[0])
        >>> figure = draw_comparison(result, truth)
        >>> figure.savefig("comparison.png")
    """
    _check_single(result)
    layers, height, width = result.probability.shape
    pitch = result.imager.square_pitch_um
    depth_range = Normalize(0, result.imager.gap_um)
    outcome_colours = ListedColormap([EMPTY, "#9fd3c7", "#e69f00", "#d55e9a"])
    with mpl.rc_context(STYLE):
        columns = max(layers, len(result.captures) + 1)
        figure, grid = _new_figure(columns, 4, height / width)
        _captures(figure, grid, result, 0, ("Sensor A (on top)", "Sensor B (underneath)"))
        legend = figure.add_subplot(grid[0, len(result.captures) : columns])
        legend.axis("off")
        handles = [
            mpl.patches.Patch(facecolor=outcome_colours(i), edgecolor="0.4", label=label)
            for i, label in enumerate(("no cells", "cells, found", "false alarm", "missed"))
        ]
        legend.legend(
            handles=handles,
            loc="center",
            frameon=False,
            title="Last row: map against truth",
            fontsize=8,
            title_fontsize=9,
            ncols=2,
        )
        for layer in range(layers):
            true_um, found_um = float(truth.depth_um[layer]), float(result.depth_um[layer])
            for row, (mask, depth, name) in enumerate(
                (
                    (truth.mask[layer], true_um, f"Truth: {true_um:.0f} µm"),
                    (result.mask[layer], found_um, f"Found: {_depth_text(result, layer)}"),
                ),
                start=1,
            ):
                axes = figure.add_subplot(grid[row, layer])
                shown = draw_image(
                    axes, _where_cells(mask, depth), depth_colours(), norm=depth_range
                )
                axes.set_title(name)
                draw_scale_bar(axes, pitch, width)
            outcome = truth.mask[layer] * (1 + 2 * ~result.mask[layer]) + 2 * (
                ~truth.mask[layer] & result.mask[layer]
            )
            axes = figure.add_subplot(grid[3, layer])
            draw_image(axes, outcome, outcome_colours, vmin=-0.5, vmax=3.5)
            right = (truth.mask[layer] == result.mask[layer]).mean()
            axes.set_title(f"{100 * right:.1f} % of pixels right")
            draw_scale_bar(axes, pitch, width)
        _colour_bar(figure, grid[1:3, columns], shown, DEPTH_LABEL, downwards=True)
        _headline(figure, title, result)
    return figure


def _headline(figure: Figure, title: str, result: Reconstruction) -> None:
    height = figure.get_figheight()
    left = 0.08 / figure.get_figwidth()
    line = f"model {result.model}, self-check residual: {result.self_check}"
    line += "; captures on a square-root grey scale"
    if not result.plausible:
        line = f"NOT TO BE TRUSTED: {result.quality_flags}"
    shown = as_read(title or "Fociscope")
    figure.text(left, 1 - 0.08 / height, shown, ha="left", va="top", fontsize=11)
    figure.text(left, 1 - 0.3 / height, line, ha="left", va="top", fontsize=8, color="0.35")
