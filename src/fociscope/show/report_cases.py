"""Single scenes of a report: captures, truth, and the answer pixel by pixel beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.patches
import numpy as np
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure

from fociscope.show.panels import CAPTURE_MAP, EMPTY, SMALL_STYLE, draw_image, draw_scale_bar
from fociscope.show.report_style import PAGE_INCH, new_figure

if TYPE_CHECKING:
    from fociscope.evaluation.evaluate import Case

__all__ = ["draw_case"]

OUTCOMES = ("no cells", "cells, found", "false alarm", "missed")
#: Apart in lightness too, for grey paper and for colour-blind readers.
OUTCOME_COLOURS = (EMPTY, "#c4e6de", "#e69f00", "#a8327d")


def draw_case(case: Case, *, pixel_pitch_um: float, name: str) -> Figure:
    """Draw one scene: captures, true layers, and the answer pixel by pixel beside the truth."""
    layers, height, width = case.true_mask.shape
    colours = ListedColormap(list(OUTCOME_COLOURS))
    columns = layers + 1
    with mpl.rc_context(SMALL_STYLE):
        cell = PAGE_INCH / columns
        figure, grid = new_figure(0.75 + 2 * (cell * height / width + 0.16), 2, columns)
        for row in range(2):
            axes = grid[row, 0]
            if row < len(case.captures):
                image = case.captures[row]
                grey = PowerNorm(0.5, 0.0, float(image.max()), clip=True)
                draw_image(axes, image, CAPTURE_MAP, norm=grey)
                axes.set_title(f"Sensor {'AB'[row]}" + ("\n" if row else ""))
                draw_scale_bar(axes, pixel_pitch_um, width)
            else:
                axes.axis("off")
        said = case.estimate
        for layer in range(layers):
            true, found = case.true_mask[layer], said.mask[layer]
            axes = grid[0, layer + 1]
            draw_image(axes, true.astype(int), colours, vmin=-0.5, vmax=3.5)
            axes.set_title(f"True: {case.true_depth_um[layer]:.0f} µm")
            outcome = true * (1 + 2 * ~found) + 2 * (~true & found)
            axes = grid[1, layer + 1]
            draw_image(axes, outcome, colours, vmin=-0.5, vmax=3.5)
            right = 100 * (true == found).mean()
            axes.set_title(f"Said: {_depth(said, layer)}\n{right:.1f} % right")
            draw_scale_bar(axes, pixel_pitch_um, width)
        patches = [
            mpl.patches.Patch(facecolor=colour, edgecolor="0.4", label=label)
            for colour, label in zip(OUTCOME_COLOURS, OUTCOMES, strict=True)
        ]
        figure.legend(handles=patches, loc="outside lower center", ncols=4)
        title = (
            f"{case.title.capitalize()} scene of {name}, number {case.number}: "
            f"{100 * case.accuracy:.1f} % of pixels right"
        )
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", weight="bold")
    return figure


def _depth(said: Any, layer: int) -> str:
    if said.depth_um is None or np.isnan(said.depth_um[layer]):
        return "not found"
    text = f"{said.depth_um[layer]:.0f}"
    if said.depth_std_um is not None:
        text += f" ± {said.depth_std_um[layer]:.0f}"
    return f"{text} µm"
