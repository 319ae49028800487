"""What calibration refuses: saturated beads at any full scale, fits at a bound, odd depths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

from fociscope.calibration import calibrate
from fociscope.calibration._noise import saturated
from fociscope.errors import CaptureError, ImagerError

DEPTH_UM = (50.0, 200.0, 400.0, 600.0)
PITCH_UM = 55.0
BEADS_UM = ((400.0, -450.0), (-420.0, 380.0), (-390.0, -410.0), (430.0, 440.0))


def beads(brightest: float = 3200, blur_um: float = 15) -> np.ndarray:
    """Four beads in whole counts of a 12-bit converter, from a black level of 100 on."""
    rng = np.random.default_rng(0)
    edges = (np.arange(32) - 15.5) * PITCH_UM
    planes = []
    for z in DEPTH_UM:
        width = np.hypot(blur_um, 0.2 * z) * np.sqrt(2)
        light = sum(
            np.outer(np.diff(erf((edges - y) / width)), np.diff(erf((edges - x) / width)))
            for y, x in BEADS_UM
        )
        light = light / light.max() * (brightest if z == DEPTH_UM[0] else 3200)
        planes.append(100 + rng.poisson(40 * light) / 40 + rng.normal(0, 2, light.shape))
    return np.stack(planes).round().clip(0, 4095).astype(np.uint16)


@pytest.mark.parametrize("kind", ["plain", "left", "black", "offset", "unit", "electrons"])
def test_beads_that_are_cut_off_are_saturated_wherever_the_top_lies(
    tmp_path: Path, kind: str
) -> None:
    counts = beads(6300)
    assert (counts == 4095).sum() >= 3
    changed = {"plain": counts, "left": counts << 4, "black": counts - np.minimum(counts, 90),
               "offset": counts - 90.25, "unit": (counts / 4095).astype(np.float32),
               "electrons": (counts - 100.0) * 1.7}[kind]  # fmt: skip
    np.save(tmp_path / "s.npy", changed)
    with pytest.raises(CaptureError, match="is saturated"):
        calibrate(tmp_path / "s.npy", depth_um=DEPTH_UM, pixel_pitch_um=PITCH_UM, model="gaussian")


def test_brightest_pixels_that_are_alike_by_chance_are_not_saturated() -> None:
    assert not saturated(beads().astype(float), None).any()
    rng = np.random.default_rng(1)
    few_levels = rng.poisson(10, (3, 40, 40)).astype(float)
    assert not saturated(few_levels, None).any()
    assert not saturated(beads() / 4095, None).any()
    equal = 20 + rng.normal(0, 0.5, (1, 40, 40))
    equal[0, 5::10, 5::10] = 200 + rng.normal(0, 0.5, (4, 4))
    assert not saturated(equal.round(), None).any()


def test_a_fit_that_ends_at_its_bound_fails(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", beads(blur_um=60))
    with pytest.raises(ImagerError, match=r"bound of base_blur_um \(500\), .*600 µm was taken"):
        calibrate(tmp_path / "s.npy", depth_um=DEPTH_UM, pixel_pitch_um=600, model="gaussian")


@pytest.mark.parametrize(
    ("depth_um", "word"), [([0.05, 0.2, 0.4, 0.6], "mm"), ([1, 2, 3, 4], "numbers of planes"),
                           ([0, 1, 2, 3], "numbers of planes")],
)  # fmt: skip
def test_depths_that_are_none_in_um_are_asked_for(
    tmp_path: Path, depth_um: list[float], word: str
) -> None:
    np.save(tmp_path / "s.npy", beads())
    with pytest.raises(ImagerError, match=f"{word}.*expected the distance"):
        calibrate(tmp_path / "s.npy", depth_um=depth_um, pixel_pitch_um=PITCH_UM)


def test_coordinates_of_a_stage_are_no_depths(tmp_path: Path) -> None:
    import tifffile

    plane = {"PositionZ": [12_050.0, 12_200.0, 12_400.0, 12_600.0], "PositionZUnit": ["um"] * 4}
    about = {"axes": "ZYX", "Plane": plane, "PhysicalSizeX": PITCH_UM, "PhysicalSizeY": PITCH_UM}
    tifffile.imwrite(tmp_path / "s.ome.tif", beads(), ome=True, metadata=about,
                     photometric="minisblack")  # fmt: skip
    with pytest.raises(ImagerError, match="coordinates of a stage"):
        calibrate(tmp_path / "s.ome.tif")
