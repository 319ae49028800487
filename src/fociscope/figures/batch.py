"""A batch on one sheet: a row for each capture, with its map from above and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from fociscope.results.result import Reconstruction
from fociscope.typing import Float32Array

__all__ = ["BatchRow", "draw_batch"]

LONGEST_SIDE_PX = 256
CELL_INCH, GAP_INCH, HEAD_INCH, FOOT_INCH = 1.15, 0.12, 0.55, 0.5
NAME_INCH, TEXT_INCH = 1.7, 2.5


@dataclass(frozen=True)
class BatchRow:
    """What a sheet shows of a capture: small pictures, and lines of text."""

    name: str
    captures: Float32Array
    """(sensor, y, x)."""
    nearest_um: Float32Array
    """(y, x) depth of the cells nearest to sensor A, um; NaN where there are none."""
    lines: tuple[str, ...]
    pixel_um: float
    """Side of a pixel of these pictures."""
    gap_um: float

    @classmethod
    def of(cls, result: Reconstruction, name: str) -> BatchRow:
        """Return the row of one capture; of large frames, every so many pixels are one.

        Args:
            result: Map of one capture, without leading axes.
            name: Name of the capture.
        """
        step = -(-max(result.probability.shape[-2:]) // LONGEST_SIDE_PX)
        nearest = np.where(result.mask, result.depth_um[:, None, None], np.inf).min(axis=0)
        small = _blocks(nearest, step, np.inf).min(axis=(1, 3))
        captures = [_blocks(image, step, np.nan) for image in result.captures]
        lines = [
            f"{depth:.0f} ± {std:.0f} µm: cells on {100 * mask.mean():.1f} %"
            for present, depth, std, mask in zip(
                result.present, result.depth_um, result.depth_std_um, result.mask, strict=True
            )
            if present
        ]
        lines.append(f"residual {result.self_check}")
        if not result.plausible:
            lines.append(f"NOT TO BE TRUSTED: {result.quality_flags}")
        return cls(
            name=name,
            captures=np.stack([np.nanmean(image, axis=(1, 3)) for image in captures]),
            nearest_um=np.where(np.isfinite(small), small, np.nan).astype(np.float32),
            lines=tuple(lines),
            pixel_um=step * result.imager.square_pitch_um,
            gap_um=result.imager.gap_um,
        )


def draw_batch(rows: Sequence[BatchRow], title: str, captures: int) -> Figure:
    """Draw a row for each capture: sensor images, each to its own maximum, and the map from above.

    Args:
        rows: Rows, from `BatchRow.of`.
        title: Line above the picture.
        captures: Number of captures of the batch, of which these are the first.

    Returns:
        Figure, to be saved with `savefig`.
    """
    pictures = max(len(row.captures) for row in rows) + 1
    width = NAME_INCH + pictures * (CELL_INCH + GAP_INCH) + TEXT_INCH
    height = HEAD_INCH + len(rows) * (CELL_INCH + GAP_INCH) + FOOT_INCH
    depths = Normalize(0, max(row.gap_um for row in rows))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=110)
        FigureCanvasAgg(figure)
        for number, row in enumerate(rows):
            top = height - HEAD_INCH - number * (CELL_INCH + GAP_INCH)
            middle = (top - CELL_INCH / 2) / height
            figure.text(
                (NAME_INCH - 0.1) / width, middle, _broken(row.name), ha="right", va="center",
                fontsize=7,
            )  # fmt: skip
            for place, image in enumerate((*row.captures, row.nearest_um)):
                left = NAME_INCH + place * (CELL_INCH + GAP_INCH)
                if place == len(row.captures):
                    left = NAME_INCH + (pictures - 1) * (CELL_INCH + GAP_INCH)
                box = (left / width, (top - CELL_INCH) / height)
                axes = figure.add_axes((*box, CELL_INCH / width, CELL_INCH / height))
                if place < len(row.captures):
                    grey = PowerNorm(0.5, 0.0, float(image.max()) or 1.0, clip=True)
                    draw_image(axes, image, CAPTURE_MAP, norm=grey)
                else:
                    masked = np.ma.masked_invalid(image)
                    draw_image(axes, masked, depth_colours(), norm=depths)
                    draw_scale_bar(axes, row.pixel_um, image.shape[1])
            text = "\n".join(as_read(line) for line in row.lines)
            left = NAME_INCH + pictures * (CELL_INCH + GAP_INCH)
            figure.text(left / width, middle, text, ha="left", va="center", fontsize=6.5)
        _frame(figure, depths, title if captures == len(rows) else _part(title, rows, captures))
    return figure


def _frame(figure: Figure, depths: Normalize, title: str) -> None:
    """Write the title above, and draw the scale of depths below."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.1 / height, as_read(title), ha="left", va="top", fontsize=11)
    line = "sensor images on a square-root grey scale, each to its maximum; map from above"
    figure.text(0.1 / width, 1 - 0.32 / height, line, ha="left", va="top", fontsize=7, color="0.35")
    place = (NAME_INCH / width, 0.3 / height, 2 * CELL_INCH / width, 0.09 / height)
    scale = mpl.cm.ScalarMappable(depths, depth_colours())
    bar: Any = figure.colorbar(scale, cax=figure.add_axes(place), orientation="horizontal")
    bar.ax.tick_params(labelsize=6, length=2)
    bar.set_label("depth (µm)", fontsize=6, labelpad=1)


def _part(title: str, rows: Sequence[BatchRow], captures: int) -> str:
    return f"{title} (the first {len(rows)} of {captures})"


def _blocks(image: Float32Array, step: int, edge: float) -> Any:
    """Return (y, step, x, step) blocks of an image; what is missing at the edges is filled up."""
    y, x = (-side % step for side in image.shape)
    padded = np.pad(np.asarray(image, np.float64), ((0, y), (0, x)), constant_values=edge)
    return padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)


def _broken(name: str) -> str:
    """Return a name in lines that fit beside the pictures."""
    name = as_read(name)
    return "\n".join(name[at : at + 26] for at in range(0, len(name), 26))
