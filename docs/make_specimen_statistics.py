"""Measure every kind of specimen at its defaults, and print the table of specimens.md.

python docs/make_specimen_statistics.py [layers]

A layer is the frame of the reference imager, 51 x 51 pixels of 55 um; layer n of a kind comes from
the seed (2019, n), so that a table of fewer layers holds the same ones.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from scipy import ndimage

from fociscope.simulation import SPECIMEN_KINDS, DrawnFrame, Specimen, load_specimen

FRAME = DrawnFrame((51, 51), pixel_pitch_um=55.0)
LAYERS, SEED = 200, 2019
#: The lags at which the correlation is measured, in pixels: half of the frame.
LAGS_PX = np.arange(26)
COLUMNS = (
    "kind",
    "coverage in %, mean (5 to 95 % of layers)",
    "light inside",
    "light outside",
    "coefficient of variation inside",
    "correlation length in µm",
    "foci per mm²",
    "median focus in 1000 µm²",
)


def main() -> None:
    """Print the table as Markdown."""
    layers = int(sys.argv[1]) if len(sys.argv) > 1 else LAYERS
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for kind in SPECIMEN_KINDS:
        if kind not in ("user-layers", "varied"):  # yours; and of any kind
            print("| " + " | ".join(row(kind, load_specimen(kind), layers)) + " |", flush=True)


def row(kind: str, specimen: Specimen, layers: int = LAYERS) -> list[str]:
    """Return the cells of a kind's row of the table."""
    found = measured(specimen, layers)
    low, high = found["coverage, 5 and 95 %"]
    return [
        f"`{kind}`",
        f"{100 * found['coverage']:.1f} ({100 * low:.1f} to {100 * high:.1f})",
        *(
            "-" if np.isnan(found[name]) else f"{found[name]:{digits}}"
            for name, digits in (
                ("light inside", ".2f"),
                ("light outside", ".3f"),
                ("variation inside", ".2f"),
                ("correlation length um", ".0f"),
                ("foci per mm2", ".2f"),
                ("median focus um2", ".0f"),
            )
        ),
    ]


def measured(specimen: Specimen, layers: int) -> dict[str, float]:
    """Measure layers of a specimen, each a scene of its own.

    The light is averaged over the layers that have cells, or none of them. The coefficient of
    variation is that of the pixels inside a layer's mask. The correlation length is the lag at
    which the correlation of the mask with itself, along rows and columns, falls below 1/e. Foci
    are groups of pixels that touch at an edge or a corner, as in the maps.
    """
    drawn = [specimen.draw_scene(np.random.default_rng((SEED, n)), 1, FRAME) for n in range(layers)]
    light = np.concatenate([one.light for one in drawn]).astype(np.float64)
    mask = np.concatenate([one.mask for one in drawn])
    coverage = mask.mean((1, 2))
    inside = [image[cells] for image, cells in zip(light, mask, strict=True) if cells.any()]
    outside = [image[~cells] for image, cells in zip(light, mask, strict=True) if not cells.all()]
    touching = np.zeros((3, 3, 3), dtype=np.int8)
    touching[1] = 1
    labels, foci = ndimage.label(mask, touching)
    area_um2 = np.bincount(labels.ravel())[1:] * FRAME.pixel_pitch_um**2
    frame_mm2 = mask[0].size * (FRAME.pixel_pitch_um / 1000) ** 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no layer at all: NaN
        return {
            "coverage": coverage.mean(),
            "coverage, 5 and 95 %": np.quantile(coverage, (0.05, 0.95)),
            "light inside": np.mean([values.mean() for values in inside]),
            "light outside": np.mean([values.mean() for values in outside]),
            "variation inside": np.mean([values.std() / values.mean() for values in inside]),
            "correlation length um": correlation_length_px(mask) * FRAME.pixel_pitch_um,
            "foci per mm2": foci / frame_mm2 / layers,
            "median focus um2": np.median(area_um2) / 1000,
        }


def correlation_length_px(mask: np.ndarray) -> float:
    """Return the lag at which the autocorrelation of (layer, y, x) masks falls below 1/e."""
    share = mask.mean((1, 2), keepdims=True)
    centred = (mask - share)[(share[:, 0, 0] > 0) & (share[:, 0, 0] < 1)]
    if not len(centred):
        return float("nan")
    each = np.array(
        [
            [
                (part[..., lag:] * part[..., : part.shape[-1] - lag]).mean((1, 2))
                for part in (centred, centred.swapaxes(1, 2))
            ]
            for lag in LAGS_PX
        ]
    ).mean(1)
    correlation = (each / each[0]).mean(1)
    after = int(np.argmax(correlation < 1 / np.e))
    steps = correlation[[after, after - 1]]  # rising, as interp needs it
    return float(np.interp(1 / np.e, steps, [after, after - 1]))


if __name__ == "__main__":
    main()
