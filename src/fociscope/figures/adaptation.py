"""An adaptation as one picture: the tissue that was found, and what old and new models do on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from fociscope.adaptation import ModelScores, TissueMatch
from fociscope.figures.style import CAPTURE_MAP, PLOT_STYLE, as_read, draw_image
from fociscope.typing import Float32Array

__all__ = ["draw_adaptation"]

#: Of the models, in their order.
COLOURS = ("#8a8a93", "#6a9fd0", "#2f5d9e")
#: Captures in a row of the picture.
SHOWN = 5


def draw_adaptation(
    tissue: TissueMatch,
    scores: Mapping[Any, ModelScores],
    seen: Float32Array,
    simulated: Float32Array,
    title: str = "",
) -> Figure:
    """Draw real captures above simulated ones, the shares of the tissue, and the models' scores.

    Args:
        tissue: Specimens with their shares.
        scores: Name of a model -> its scores, the one before first.
        seen: Real captures, (capture, sensor, y, x).
        simulated: Captures of the matched tissue, of the same shape but for their number.
        title: Title of the picture.

    Returns:
        The picture.

    Examples:
        >>> import numpy as np
        >>> import fociscope
        >>> from fociscope.adaptation import ModelScores, TissueMatch
        >>> from fociscope.figures import draw_adaptation
        >>> from fociscope.simulation import PerlinFoci
        >>> captures = fociscope.simulate(5, seed=0).captures
        >>> scores = ModelScores(np.full(9, 0.9), np.full(9, 20.0), np.full(5, 0.1))
        >>> match = TissueMatch((PerlinFoci(),), np.ones(1), 0.1, 0.5)
        >>> figure = draw_adaptation(match, {"before": scores}, captures, captures, "mine")
        >>> len(figure.axes)
        14
    """
    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(8.4, 6.2), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(as_read(title) or "Adaptation", fontsize=10)
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.55, 1.0))
        _draw_captures(parts[0, 0], seen, simulated)
        axes = parts[1, 0].subplots(1, 4, width_ratios=(1.6, 1, 1, 1))
        _draw_shares(axes[0], tissue)
        accuracy = {name: 100 * each.accuracy for name, each in scores.items()}
        depth = {name: each.depth_error_um for name, each in scores.items()}
        residual = {name: 100 * each.residual for name, each in scores.items()}
        _draw_bars(axes[1], "Pixels wrong (%)", {k: 100 - v for k, v in accuracy.items()})
        _draw_bars(axes[2], "Depth error (µm)", depth)
        _draw_bars(axes[3], "Unexplained (%)", residual, median=True)
    return figure


def _draw_captures(figure: SubFigure, seen: Float32Array, simulated: Float32Array) -> None:
    """Draw a row of real captures and one of simulated ones, sensor A, each on its own scale."""
    axes = figure.subplots(2, SHOWN, squeeze=False)
    rows = (("captures", seen), ("matched tissue", simulated))
    for row, (name, captures) in zip(axes, rows, strict=True):
        chosen = np.linspace(0, len(captures) - 1, SHOWN).astype(int)
        for panel, number in zip(row, chosen, strict=True):
            draw_image(panel, captures[number, 0], CAPTURE_MAP)
        row[0].set_ylabel(name)


def _draw_shares(axes: Axes, tissue: TissueMatch) -> None:
    """Draw the share of each kind of specimen, the largest on top."""
    shares = {kind: share for kind, share in tissue.by_kind.items() if share >= 0.005}
    names = list(shares)[::-1]
    axes.barh(names, [100 * shares[name] for name in names], color=COLOURS[-1], height=0.65)
    axes.set_title("Matched tissue (%)")
    axes.grid(axis="y", visible=False)


def _draw_bars(
    axes: Axes, title: str, values: Mapping[str, np.ndarray], *, median: bool = False
) -> None:
    """Draw a figure of each model, with two standard errors of the mean."""
    for place, (colour, each) in enumerate(zip(COLOURS, values.values(), strict=False)):
        known = each[np.isfinite(each)]
        if not known.size:
            continue
        height = float(np.median(known) if median else known.mean())
        error = 2 * float(known.std() / np.sqrt(known.size))
        axes.bar(place, height, yerr=error, color=colour, width=0.7, ecolor="0.2")
        axes.annotate(f"{height:.3g}", (place, height / 2), ha="center", va="center", color="white")
    axes.set_xticks(range(len(values)), list(values), rotation=30)
    axes.set_title(title)
    axes.grid(axis="x", visible=False)
