"""A design study as a picture: each quality over the light, and the first over what varies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fociscope.design.chip import PARAMETERS
from fociscope.design.scores import QUALITIES
from fociscope.figures.style import PLOT_STYLE

if TYPE_CHECKING:
    from fociscope.design import DesignScores, DesignStudy

__all__ = ["PARAMETER_LABELS", "QUALITY_LABELS", "draw_design_study"]

QUALITY_LABELS: dict[str, str] = {
    "depth_error_um": "depth error (µm)",
    "dice": "Dice of the map",
    "cell_sensitivity": "lone cells found",
    "depth_bound_um": "depth error of Gaussian layers (µm)",
    "information_bits": "information (bits per pixel)",
}
PARAMETER_LABELS: dict[str, str] = {
    "pixel_pitch_um": "pixel pitch (µm)",
    "fill_factor": "fill factor",
    "half_angle_deg": "half angle (°)",
    "base_blur_um": "base blur (µm)",
    "gap_um": "gap (µm)",
    "exposure_s": "exposure (s)",
}
#: Okabe and Ito's blue and orange; markers tell them apart on grey paper.
SENSOR_STYLES = {2: ("#0072B2", "o"), 1: ("#D55E00", "s")}
MOST_COLUMNS = 3


def draw_design_study(study: DesignStudy) -> Figure:
    """Draw the scores of a study; designs on a front are filled, the base is a star.

    Args:
        study: Study to draw.

    Returns:
        The figure: qualities over the photons of a cell, and below over each number that varies.

    Examples:
        >>> from fociscope.design import DesignSpace, sweep
        >>> from fociscope.figures import draw_design_study
        >>> space = DesignSpace(half_angle_deg=(14, 22), designs=2, scenes=16, network=False)
        >>> len(draw_design_study(sweep(space)).axes)
        2
    """
    fronts = study.fronts()
    qualities = [name for name in QUALITIES if name in fronts]
    of_network = [n for n in qualities if n not in ("depth_bound_um", "information_bits")]
    shown = (of_network or qualities)[:MOST_COLUMNS]
    varying = [n for n in study.space.varying() if n != "exposure_s"][:MOST_COLUMNS]
    over = ["cell_photons", *varying] if _varies(study, "cell_photons") else varying
    rows = over or ["sensors"]
    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(
            figsize=(2.6 * len(shown) + 0.3, 2.1 * len(rows) + 0.7), dpi=160, layout="constrained"
        )
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(rows), len(shown), squeeze=False, sharey="col")
        for row, x in zip(grid, rows, strict=True):
            for axes, quality in zip(row, shown, strict=True):
                _draw_panel(axes, study, quality, x, fronts[quality])
        for axes, quality in zip(grid[0], shown, strict=True):
            axes.set_title(QUALITY_LABELS[quality])
        sensors = sorted({s.wires for s in study.scores}, reverse=True)
        figure.legend(handles=_legend(sensors), loc="outside lower center", ncols=5)
    return figure


def _varies(study: DesignStudy, name: str) -> bool:
    values = [float(getattr(s, name)) for s in study.scores]
    return max(values) > min(values)


def _draw_panel(
    axes: Axes, study: DesignStudy, quality: str, x: str, front: list[DesignScores]
) -> None:
    """Draw one quality over one number."""
    on_front = {scores.number for scores in front}
    for scores in study.scores:
        value = scores.quality(quality)
        if value is None:
            continue
        colour, marker = SENSOR_STYLES[scores.wires]
        is_base, is_on = scores.number == 0, scores.number in on_front
        estimate = getattr(scores.network, quality, None)
        axes.errorbar(
            _place(scores, x),
            value,
            yerr=None if estimate is None else estimate.std_error,
            color=colour,
            marker="*" if is_base else marker,
            markersize=9 if is_base else 4,
            markerfacecolor=colour if is_on or is_base else "white",
            markeredgecolor="black" if is_base else colour,
            elinewidth=0.6,
            linestyle="none",
            zorder=4 if is_base else 3 if is_on else 2,
        )
    if x == "cell_photons":
        axes.set_xscale("log")
        axes.set_xlabel("photons of a cell in an exposure")
    elif x == "sensors":
        axes.set_xlabel("sensors")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    else:
        axes.set_xlabel(PARAMETER_LABELS[x])
    axes.spines[["top", "right"]].set_visible(False)


def _place(scores: DesignScores, x: str) -> float:
    return scores.design.numbers()[x] if x in PARAMETERS else float(getattr(scores, x))


def _legend(sensors: list[int]) -> list[Line2D]:
    """Return the handles of the legend."""
    handles = []
    for count in sensors:
        colour, marker = SENSOR_STYLES[count]
        words = "two sensors" if count == 2 else "one sensor"
        handles.append(
            Line2D([], [], color=colour, marker=marker, markerfacecolor="white", linestyle="none",
                   label=words)
        )  # fmt: skip
    handles.append(Line2D([], [], color="0.3", marker="o", linestyle="none", label="on the front"))
    handles.append(
        Line2D([], [], color="0.3", marker="*", markersize=9, markeredgecolor="black",
               linestyle="none", label="base")
    )  # fmt: skip
    return handles
