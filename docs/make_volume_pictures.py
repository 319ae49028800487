"""Make the pictures of docs/volumes.md: truth, map and error of volumes; what depth can be told.

python docs/make_volume_pictures.py [MODEL]
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from fociscope.evaluation.limits import depth_resolution_um
from fociscope.figures import STYLE, draw_image, draw_scale_bar
from fociscope.figures.style import CAPTURE_MAP, DEPTH_LABEL, EMPTY, depth_colours
from fociscope.figures.volume import (
    LEAST_DRAWN,
    draw_volume_from_above,
    draw_volume_from_the_side,
)
from fociscope.imager import Imager
from fociscope.reconstruction import load_volume_model
from fociscope.simulation import (
    FociInDepth,
    PerlinFoci,
    StrandsInDepth,
    Surface,
    TiltedSheets,
    simulate_volumes,
)

IMAGES = Path(__file__).parent / "images"
TISSUE = PerlinFoci(coverage=(0.4, 0.5))
SHOWN = {
    "a tilted sheet": (
        TiltedSheets(sheets=(1, 1), surface=Surface(tilt_deg=14.0), tissue=TISSUE),
        9010,
    ),
    "a curved sheet": (
        TiltedSheets(sheets=(1, 1), surface=Surface(sagitta_um=500.0), tissue=TISSUE),
        9007,
    ),
    "scattered cells": (FociInDepth(foci=(14, 14), separation_um=250.0), 9001),
    "a strand": (StrandsInDepth(strands=(1, 1), diameter_um=(60.0, 80.0)), 9008),
}
#: Colours of the error of a depth end here, in um.
LARGEST_ERROR_UM = 150.0


def draw_maps(model_name: str) -> Figure:
    """Draw a row for each specimen: capture, truth, map, error, and both from the side."""
    model = load_volume_model(model_name, device="cpu")
    imager = model.imager
    pitch_um, gap_um = imager.square_pitch_um, imager.gap_um
    place = {"gap_um": gap_um, "pitch_um": pitch_um}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.4, 8.2), dpi=110, layout="constrained")
        axes = figure.subplots(len(SHOWN), 6, width_ratios=(1, 1, 1, 1, 1.5, 1.5), squeeze=False)
        for row, (name, (specimen, seed)) in zip(axes, SHOWN.items(), strict=True):
            scenes = simulate_volumes(1, seed=seed, imager=imager, specimen=specimen)
            volume = model.reconstruct(scenes.captures[0])
            mask, z = scenes.mask[0], np.asarray(scenes.slice_um)
            true = (mask * scenes.depth_um[0]).sum(0) / np.maximum(mask.sum(0), 1)
            held, found = mask.any(0), volume.column_probability >= LEAST_DRAWN
            image = scenes.captures[0, 0]
            draw_image(row[0], np.sqrt(np.maximum(image, 0)), CAPTURE_MAP)
            draw_scale_bar(row[0], pitch_um, image.shape[1])
            row[0].set_ylabel(name)
            above = draw_volume_from_above(row[1], true, held, **place)
            draw_volume_from_above(row[2], volume.depth_map_um, found, **place)
            error = np.ma.masked_where(~(held & found), volume.depth_map_um - true)
            colours = mpl.colormaps["RdBu_r"].with_extremes(bad=EMPTY)
            norm = Normalize(-LARGEST_ERROR_UM, LARGEST_ERROR_UM)
            wrong = draw_image(row[3], error, colours, norm=norm)
            row[3].set_xlabel(f"mean {np.abs(error).mean():.0f} µm", fontsize=8)
            draw_volume_from_the_side(row[4], mask.astype(np.float32), **place)
            side = draw_volume_from_the_side(row[5], volume.probability, **place)
            row[5].set_ylabel("")
            assert len(z) == len(mask)
        titles = ("Sensor A", "Truth", "Map", "Map less truth", "Truth, side", "Map, side")
        for one, title in zip(axes[0], titles, strict=True):
            one.set_title(title)
        for drawn, label, columns in (
            (above, DEPTH_LABEL, axes[:, 1:3]),
            (wrong, "error of the depth (µm)", axes[:, 3]),
            (side, "probability", axes[:, 4:]),
        ):
            bar = figure.colorbar(
                drawn, ax=columns, location="bottom", fraction=0.03, shrink=0.8, aspect=30
            )
            bar.set_label(label, fontsize=8)
            bar.ax.tick_params(labelsize=7, length=2)
    return figure


def draw_resolution() -> Figure:
    """Draw how exactly the depth of structure can be told, by its depth and period."""
    imager = Imager.reference()
    depth_um = np.linspace(10, imager.gap_um - 10, 99)
    period_um = np.geomspace(2 * imager.square_pitch_um, 2500, 80)
    std_um = depth_resolution_um(imager, depth_um, period_um)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.6), dpi=130, layout="constrained")
        axes = figure.subplots()
        drawn = axes.pcolormesh(
            period_um,
            depth_um,
            np.clip(std_um, 1, 300),
            norm=LogNorm(1, 300),
            cmap=depth_colours(),
            shading="nearest",
            rasterized=True,
        )
        lines = axes.contour(
            period_um, depth_um, std_um, levels=(5, 25, 100), colors="white", linewidths=0.9
        )
        axes.clabel(lines, fmt="%g µm", fontsize=7)
        axes.set_xscale("log")
        axes.set_xticks([110, 200, 500, 1000, 2000], ["110", "200", "500", "1000", "2000"])
        axes.minorticks_off()
        axes.set_ylim(imager.gap_um, 0)
        axes.set_xlabel("period of the structure (µm)")
        axes.set_ylabel(DEPTH_LABEL)
        axes.set_title("Sensors A and B, 40 dB, outline unknown")
        bar = figure.colorbar(drawn, ax=axes, extend="both")
        bar.set_label("least standard deviation of its depth (µm)")
    return figure


def main() -> None:
    """Draw both pictures."""
    torch.set_num_threads(1)
    draw_resolution().savefig(IMAGES / "volume-resolution.png")
    name = sys.argv[1] if len(sys.argv) > 1 else "volume-ab"
    draw_maps(name).savefig(IMAGES / "volumes.png")


if __name__ == "__main__":
    main()
