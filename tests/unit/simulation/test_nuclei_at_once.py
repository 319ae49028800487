"""Nuclei are drawn many at a time; here one after the other, point by point, as the reference."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from fociscope.simulation import DrawnFrame, Nuclei
from fociscope.simulation.structures import SUBPIXELS
from fociscope.typing import BoolArray, Float64Array


def add_one(
    kind: Nuclei,
    rng: np.random.Generator,
    light: Float64Array,
    mask: BoolArray,
    centre: Float64Array,
    pitch_um: float,
) -> None:
    """Draw one nucleus, with random numbers in the order in which scenes have always had them."""
    spread = max(0.2, 1 + kind.diameter_cv * rng.normal())
    radius_px = max(kind.cell_diameter_um / pitch_um * spread / 2, 1e-3)
    stretch, turn = rng.uniform(1, 1 + kind.irregularity), rng.uniform(0, math.pi)
    brightness = rng.lognormal(-(kind.brightness_sigma**2) / 2, kind.brightness_sigma)
    step = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS
    y, x = (
        (np.arange(n)[:, None] + step).ravel() - c for n, c in zip(light.shape, centre, strict=True)
    )
    along = (math.cos(turn) * y[:, None] + math.sin(turn) * x) / stretch
    across = (math.cos(turn) * x - math.sin(turn) * y[:, None]) * stretch
    place = across + 1j * along
    edge = np.ones(place.shape)
    for wave in (2, 3, 4):
        amplitude, phase = rng.uniform(0, kind.irregularity / 3), rng.uniform(0, 2 * math.pi)
        edge += (amplitude * cmath.exp(1j * phase) * (place / np.abs(place)) ** wave).real
    inside = np.abs(place) <= radius_px * edge
    share = inside.reshape(light.shape[0], SUBPIXELS, light.shape[1], SUBPIXELS).mean((1, 3))
    light += brightness * share
    mask |= share >= 0.5
    home = tuple(math.floor(c) for c in centre)
    if all(0 <= c < n for c, n in zip(home, light.shape, strict=True)):
        mask[home] |= share.any()


@pytest.mark.parametrize(
    "kind",
    [
        Nuclei(),
        Nuclei(nuclei_per_mm2=120, cell_diameter_um=60, separation=0),
        Nuclei(nuclei_per_mm2=200, cell_diameter_um=12, irregularity=0),
        Nuclei(nuclei_per_mm2=3, cell_diameter_um=900, irregularity=0.8, diameter_cv=0.5),
    ],
    ids=["usual", "dense and overlapping", "smaller than a pixel", "larger than the frame"],
)
def test_nuclei_are_those_drawn_one_by_one(kind: Nuclei) -> None:
    frame, layers = DrawnFrame((31, 24), 55.0), 2
    rng = np.random.default_rng(7)
    light, mask = np.zeros((layers, 31, 24)), np.zeros((layers, 31, 24), dtype=np.bool_)
    for layer in range(layers):
        for centre in kind.places_px(rng, frame):
            add_one(kind, rng, light[layer], mask[layer], centre, frame.pixel_pitch_um)
    light += kind.draw_autofluorescence(rng, light.shape, frame.pixel_pitch_um)

    again = np.random.default_rng(7)
    drawn = kind.draw(again, layers, frame)

    np.testing.assert_array_equal(drawn.light, light.astype(np.float32))
    np.testing.assert_array_equal(drawn.mask, mask)
    assert again.random() == rng.random()
