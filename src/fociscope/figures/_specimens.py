"""Pictures of specimens: what glows, where the cells are, and what sensor A sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.collections
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fociscope.figures.style import (
    DEPTH_LABEL,
    STYLE,
    as_read,
    depth_colours,
    draw_image,
    draw_scale_bar,
)
from fociscope.imager.geometry import Imager
from fociscope.simulation.base import DrawnLayers, Specimen
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.frame import DrawnFrame, project
from fociscope.simulation.surfaces import Surface, project_surfaces
from fociscope.simulation.tissue import PerlinFoci

__all__ = ["draw_specimen", "draw_surface"]

LIGHT_MAP, CAPTURE_MAP, OUTLINE = "magma", "gray", "#5ec8ff"
LIGHT_LABEL = "light per pixel"
Scale = Literal["square-root", "linear"]
PANEL_INCH, GAP_INCH, MARGIN_INCH = 2.5, 0.3, 0.1
HEAD_INCH, FOOT_INCH, BAR_INCH = 0.72, 0.52, 0.1

Image = NDArray[Any]


def draw_specimen(
    specimen: Specimen,
    *,
    imager: Imager | None = None,
    depths_um: Sequence[float] = (100.0, 500.0),
    peak_snr_db: float = REFERENCE_PEAK_SNR_DB,
    seed: int = 0,
    title: str = "",
    scale: Scale = "square-root",
) -> Figure:
    """Draw one layer of a specimen, with its mask outlined, and sensor A's image at depths.

    Args:
        specimen: Specimen of which one layer is drawn.
        imager: Instrument; the reference imager by default.
        depths_um: Depths in um at which the layer is imaged.
        peak_snr_db: Peak SNR of the captures in dB.
        seed: Seed of the specimen and the noise.
        title: Line above the picture; the kind of the specimen by default.
        scale: Scale of the light; cells of very unequal brightness need the square root.

    Returns:
        A matplotlib figure.

    Examples:
        >>> from fociscope.figures import draw_specimen
        >>> from fociscope.simulation import Rings
        >>> figure = draw_specimen(Rings(), depths_um=(100.0, 500.0))
        >>> len(figure.axes)  # the light and two captures, each with its colour bar
        6
    """
    imager = imager or Imager.reference()
    drawn = DrawnFrame.around(imager)
    light, mask = _one_layer(specimen, drawn, seed)
    captures = []
    for depth_um in depths_um:
        clean = project(imager, light[None], np.array([[depth_um]], np.float32), drawn=drawn)
        captures.append(_noisy(clean, imager, peak_snr_db, seed))
    light, mask = light[drawn.inside], mask[drawn.inside]
    with mpl.rc_context(STYLE):
        line = f"captures at {peak_snr_db:g} dB peak SNR; light on a {scale} scale"
        figure, panels = _panels(1 + len(captures), light.shape, title or specimen.kind, line)
        _light_panel(figure, panels[0], light[0], mask[0], imager, _norm(light[0], scale))
        for panel, depth_um, capture in zip(panels[1:], depths_um, captures, strict=True):
            name = f"Sensor A, layer at {depth_um:g} µm"
            _capture_panel(figure, panel, capture, imager, name, _norm(capture, scale))
    return figure


def draw_surface(
    surface: Surface,
    *,
    specimen: Specimen | None = None,
    imager: Imager | None = None,
    depth_um: float = 300.0,
    peak_snr_db: float = REFERENCE_PEAK_SNR_DB,
    seed: int = 0,
    title: str = "",
) -> Figure:
    """Draw a layer that is tilted or curved, its depth, and its image beside that of a flat one.

    Args:
        surface: Tilt and curvature of the layer.
        specimen: Specimen of the layer; `PerlinFoci` by default.
        imager: Instrument; the reference imager by default.
        depth_um: Depth in um of the layer's middle, and of the flat layer.
        peak_snr_db: Peak SNR of the captures in dB.
        seed: Seed of the specimen, the surface and the noise.
        title: Line above the picture.

    Returns:
        A matplotlib figure.

    Examples:
        >>> from fociscope.figures import draw_surface
        >>> from fociscope.simulation import Surface
        >>> figure = draw_surface(Surface(tilt_deg=8.0))
        >>> len(figure.axes)  # light, depth and two captures, each with its colour bar
        8
    """
    imager = imager or Imager.reference()
    drawn = DrawnFrame.around(imager)
    light, mask = _one_layer(specimen or PerlinFoci(), drawn, seed)
    middle = np.array([depth_um], np.float32)
    depth = surface.draw(
        np.random.default_rng(seed),
        middle,
        drawn=drawn,
        deepest_um=imager.gap_um,
    )
    curved = project_surfaces(imager, light[None], depth[None], drawn=drawn)
    flat = project(imager, light[None], middle[None], drawn=drawn)
    light, mask, depth = light[drawn.inside], mask[drawn.inside], depth[drawn.inside]
    with mpl.rc_context(STYLE):
        line = f"captures at {peak_snr_db:g} dB peak SNR; light on a square-root scale"
        figure, panels = _panels(4, light.shape, title or "tilted and curved", line)
        _light_panel(figure, panels[0], light[0], mask[0], imager, _norm(light[0]))
        _depth_panel(figure, panels[1], depth[0], mask[0], imager)
        seen = [_noisy(clean, imager, peak_snr_db, seed) for clean in (curved, flat)]
        norm = _norm(np.stack(seen))
        for panel, image, name in zip(
            panels[2:], seen, ("this layer", f"flat, at {depth_um:g} µm"), strict=True
        ):
            _capture_panel(figure, panel, image, imager, f"Sensor A, {name}", norm)
    return figure


def _one_layer(specimen: Specimen, drawn: DrawnFrame, seed: int) -> DrawnLayers:
    return specimen.draw_scene(np.random.default_rng(seed), 1, drawn)


def _noisy(clean: torch.Tensor, imager: Imager, peak_snr_db: float, seed: int) -> Image:
    """Return sensor A's (y, x) image with noise."""
    noise = torch.Generator().manual_seed(seed)
    return imager.camera.at_peak_snr(clean[0], peak_snr_db, generator=noise)[0].numpy()


def _panels(
    count: int, shape: tuple[int, ...], title: str, line: str
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Make a row of pictures, each with a colour bar underneath."""
    height_inch = PANEL_INCH * shape[-2] / shape[-1]
    width = 2 * MARGIN_INCH + count * PANEL_INCH + (count - 1) * GAP_INCH
    height = HEAD_INCH + height_inch + FOOT_INCH
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    panels = []
    for number in range(count):
        left = MARGIN_INCH + number * (PANEL_INCH + GAP_INCH)
        box = (left / width, FOOT_INCH / height, PANEL_INCH / width, height_inch / height)
        below = (FOOT_INCH - 0.08 - BAR_INCH) / height
        bar = (left / width, below, PANEL_INCH / width, BAR_INCH / height)
        panels.append((figure.add_axes(box), figure.add_axes(bar)))
    left, top = MARGIN_INCH / width, 1 - 0.08 / height
    figure.text(left, top, as_read(title), ha="left", va="top", fontsize=11)
    figure.text(left, top - 0.22 / height, line, ha="left", va="top", fontsize=8, color="0.35")
    return figure, panels


def _norm(light: Image, scale: Scale = "square-root") -> PowerNorm:
    return PowerNorm(0.5 if scale == "square-root" else 1.0, 0, float(light.max()), clip=True)


def _bar(figure: Figure, axes: Axes, shown: Any, label: str) -> None:
    """Draw a colour bar; of light with ticks at 0 and round numbers that its scale spreads well."""
    ticks = None
    if isinstance(shown.norm, PowerNorm):
        greatest = float(shown.norm.vmax or 1.0)
        decade = 10 ** np.floor(np.log10(greatest))
        step = next(s * decade for s in (5, 2, 1) if s * decade <= greatest)
        shares = (0, 0.1, 0.4, 1) if shown.norm.gamma < 1 else (0, 0.5, 1)
        ticks = [share * step for share in shares]
    bar = figure.colorbar(shown, cax=axes, orientation="horizontal", ticks=ticks, format="%g")
    bar.outline.set_linewidth(0.6)
    bar.ax.tick_params(labelsize=7, length=2, pad=2)
    bar.ax.minorticks_off()
    bar.set_label(label, fontsize=8, labelpad=1)


def _light_panel(
    figure: Figure,
    panel: tuple[Axes, Axes],
    light: Image,
    mask: Image,
    imager: Imager,
    norm: PowerNorm,
) -> None:
    axes, below = panel
    shown = draw_image(axes, light, LIGHT_MAP, norm=norm)
    _outline(axes, mask)
    axes.set_title("Emitted light, outline: mask")
    draw_scale_bar(axes, imager.square_pitch_um, light.shape[1])
    _bar(figure, below, shown, LIGHT_LABEL)


def _capture_panel(
    figure: Figure,
    panel: tuple[Axes, Axes],
    capture: Image,
    imager: Imager,
    title: str,
    norm: PowerNorm,
) -> None:
    axes, below = panel
    shown = draw_image(axes, capture, CAPTURE_MAP, norm=norm)
    axes.set_title(title)
    draw_scale_bar(axes, imager.square_pitch_um, capture.shape[1])
    _bar(figure, below, shown, LIGHT_LABEL)


def _depth_panel(
    figure: Figure, panel: tuple[Axes, Axes], depth: Image, mask: Image, imager: Imager
) -> None:
    axes, below = panel
    norm = Normalize(float(depth.min()), float(depth.max()))
    shown = draw_image(axes, depth, depth_colours(), norm=norm)
    lines = axes.contour(depth, levels=6, colors="black", linewidths=0.6)
    axes.clabel(lines, fontsize=6, fmt="%g")
    _outline(axes, mask, "white")
    axes.set_title("Depth, outline: mask")
    draw_scale_bar(axes, imager.square_pitch_um, depth.shape[1])
    _bar(figure, below, shown, DEPTH_LABEL)


def _outline(axes: Axes, mask: Image, colour: str = OUTLINE) -> None:
    """Draw the edges between the pixels of a mask and the others."""
    padded = np.pad(mask, 1).astype(int)
    segments = []
    for row, column in np.argwhere(np.diff(padded, axis=0)):
        segments.append([(column - 1.5, row - 0.5), (column - 0.5, row - 0.5)])
    for row, column in np.argwhere(np.diff(padded, axis=1)):
        segments.append([(column - 0.5, row - 1.5), (column - 0.5, row - 0.5)])
    # Dark underneath, to stand off from bright light too.
    for shade, width in (("black", 1.3), (colour, 0.6)):
        lines = mpl.collections.LineCollection(segments, colors=shade, linewidths=width)
        axes.add_collection(lines, autolim=False)
