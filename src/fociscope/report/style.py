"""What a report's plots share: colours and markers of methods, axes, legends.

Methods have Okabe and Ito's colours, which colour-blind readers can tell apart, and a marker
each, which grey paper keeps apart. Limits are black.
"""

from __future__ import annotations

from typing import Any, Literal

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fociscope.evaluation.results import EvaluationResults
from fociscope.report.labels import ORACLE
from fociscope.solvers import SOLVERS

__all__ = [
    "PAGE_INCH",
    "logarithmic",
    "method_style",
    "new_figure",
    "shared_legend",
    "tidy",
]

#: Width of the text on A4 paper, in inches.
PAGE_INCH = 7.5

EVALUATED, CONSTANT = "#0072B2", "#7f7f7f"
LIMIT = ("#000000", "*")
OTHER = ("#56B4E9", "P")


def method_style(results: EvaluationResults, name: str) -> dict[str, Any]:
    """Return colour, marker and line of a method; an oracle is hollow and dashed."""
    if name == "constant":
        return {"color": CONSTANT, "marker": "x", "linestyle": ":"}
    if name == results.evaluated and results.methods[name].kind == "model":
        return {"color": EVALUATED, "marker": "o", "linestyle": "-"}
    if results.methods[name].kind == "limit":
        return {"color": LIMIT[0], "marker": LIMIT[1], "linestyle": "--"}
    solver = name.removesuffix(ORACLE)
    colour, marker = OTHER
    if solver in SOLVERS:
        colour, marker = SOLVERS[solver].colour, SOLVERS[solver].marker
    if results.methods[name].oracle:
        return {"color": colour, "marker": marker, "linestyle": "--", "markerfacecolor": "white"}
    return {"color": colour, "marker": marker, "linestyle": "-"}


def new_figure(height_inch: float, rows: int, columns: int, **options: Any) -> tuple[Figure, Any]:
    """Return a figure as wide as a page, and its axes (row, column)."""
    figure = Figure(figsize=(PAGE_INCH, height_inch), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def tidy(axes: Axes) -> None:
    """Take the box's upper and right side off."""
    axes.spines[["top", "right"]].set_visible(False)


def logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2, 5, 10 ..."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(mpl.ticker.NullLocator())


def shared_legend(figure: Figure, axes: Axes, *, columns: int) -> None:
    """Draw one legend below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
