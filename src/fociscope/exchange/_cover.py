"""The cover picture of a package: what the sensor sees, and where the cells are."""

from __future__ import annotations

import io
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure

from fociscope.exchange.facts import GraphFacts
from fociscope.figures.style import CAPTURE_MAP, DEPTH_MAP, STYLE, draw_image
from fociscope.typing import Float32Array

__all__ = ["cover_png"]

#: Width and height in inches, in the ratio that the Zoo asks for.
SIZE_INCH, DOTS_PER_INCH = (8.0, 4.0), 100


def cover_png(
    capture: Float32Array, answer: Mapping[str, Float32Array], facts: GraphFacts
) -> bytes:
    """Return a picture of one capture and its map.

    Args:
        capture: (sensor, y, x).
        answer: Outputs of the graph for it.
        facts: What the graph is.

    Returns:
        Content of a PNG file.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCH, dpi=DOTS_PER_INCH)
        FigureCanvasAgg(figure)
        left, right = (figure.add_axes((x, 0.02, 0.44, 0.88)) for x in (0.01, 0.46))
        grey = PowerNorm(0.5, 0.0, float(capture[0].max()), clip=True)
        draw_image(left, capture[0], CAPTURE_MAP, norm=grey)
        left.set_title("What sensor A sees")
        gap_um = facts.imager.gap_um
        draw_image(right, _coloured(answer, gap_um), DEPTH_MAP)
        right.set_title("Cells, coloured by depth")
        bar = figure.add_axes((0.905, 0.10, 0.018, 0.72))
        depths = ScalarMappable(Normalize(0, gap_um), DEPTH_MAP)
        figure.colorbar(depths, cax=bar, label="Depth (µm)").ax.invert_yaxis()
        stream = io.BytesIO()
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _coloured(answer: Mapping[str, Float32Array], gap_um: float) -> Float32Array:
    """Return (y, x, colour) of the uppermost layer with cells, as bright as they are sure."""
    image = np.zeros((*answer["probability"].shape[1:], 3), np.float32)
    # From the deepest layer up, so that the one nearest to sensor A covers the others.
    for probability, depth_um in reversed(
        list(zip(answer["probability"], answer["depth_um"], strict=True))
    ):
        colour = np.array(DEPTH_MAP(float(depth_um) / gap_um)[:3], np.float32)
        image = np.where(probability[..., None] > 0.5, probability[..., None] * colour, image)
    return image
