"""A measured angular response against closed forms, another kind, counted light and its file."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fociscope.errors import ImagerError
from fociscope.imager import AngleSelectivePsf, AngularResponsePsf, Imager

PITCH_UM = 55.0
FLAT = ((0.0, 1.0), (90.0, 1.0))
#: Peaks at an angle, and differs from one side to the other.
UNEVEN = ((-60.0, 0.0), (-40.0, 0.2), (0.0, 0.5), (35.0, 1.0), (60.0, 0.0))


def kernel_of(psf: Any, z_um: float, **more: Any) -> np.ndarray:
    return np.asarray(psf.kernel(torch.tensor(z_um, dtype=torch.float64), PITCH_UM, **more))


def flat(**fields: Any) -> AngularResponsePsf:
    fields = {"table": FLAT, "includes_projection": False, **fields}
    return AngularResponsePsf(**fields)


def test_a_flat_response_collects_the_half_space() -> None:
    psf = flat(table_medium="tissue")
    assert psf.collection_efficiency(100.0) == pytest.approx(0.5, rel=1e-9)
    for energy in (0.3, 0.7):  # the cone of angle theta holds (1 - cos theta) of a half space
        expected_um = 100.0 * math.tan(math.acos(1 - energy))
        assert psf.encircled_radius_um(100.0, energy) == pytest.approx(expected_um, rel=2e-3)


def test_a_flat_response_lights_pixels_as_their_solid_angle() -> None:
    """That of a rectangle below a point is a closed form."""
    z_um, half_um = 80.0, PITCH_UM / 2
    corner = half_um**2 / (z_um * math.sqrt(2 * half_um**2 + z_um**2))
    kernel = kernel_of(flat(table_medium="tissue"), z_um, radius_px=2)
    assert kernel[2, 2] == pytest.approx(4 * math.atan(corner) / (4 * math.pi), rel=1e-3)


@pytest.mark.parametrize(
    ("table_medium", "tissue_index", "critical"),
    [("air", "tissue", 1 / 1.37), ("water", "tissue", 1.33 / 1.37), (1.2, 1.5, 0.8)],
)
def test_beyond_the_critical_angle_it_is_dark(
    table_medium: Any, tissue_index: Any, critical: float
) -> None:
    psf = flat(table_medium=table_medium, tissue_index=tissue_index)
    expected = (1 - math.sqrt(1 - critical**2)) / 2
    assert psf.collection_efficiency(50.0) == pytest.approx(expected, rel=2e-3)
    theta = math.asin(critical)
    assert psf.transmission([theta - 0.01, theta + 0.01]) == pytest.approx([1.0, 0.0])


def test_an_angle_in_air_is_smaller_in_tissue() -> None:
    psf = AngularResponsePsf(
        table=((0.0, 1.0), (18.0, 0.5), (36.0, 0.0)), includes_projection=False
    )
    theta = math.asin(math.sin(math.radians(18.0)) / 1.37)
    assert math.degrees(theta) == pytest.approx(13.0, abs=0.05)
    assert float(psf.transmission(theta)) == pytest.approx(0.5, rel=1e-6)


def test_the_projection_is_divided_out_of_the_counts() -> None:
    angle = np.linspace(0, 90, 181)
    counts = tuple(zip(angle, np.cos(np.radians(angle)), strict=True))
    psf = AngularResponsePsf(table=counts, table_medium="tissue")
    assert psf.transmission(np.radians([0.0, 40.0, 80.0])) == pytest.approx([1.0] * 3, rel=1e-3)
    assert psf.collection_efficiency(10.0) == pytest.approx(0.5, rel=1e-3)


def test_with_the_projection_counts_fall_as_the_response_over_the_path_squared() -> None:
    """Where the light comes from the medium of the table, on pixels that are nearly points."""
    psf = AngularResponsePsf(table=UNEVEN, table_medium="air", tissue_index="air")
    z_um, pitch_um, number = 100.0, 4.0, np.array([5, 11, 25])
    kernel = np.asarray(psf.kernel(torch.tensor(z_um, dtype=torch.float64), pitch_um, radius_px=26))
    theta = np.degrees(np.arctan(number * pitch_um / z_um))
    angle, value = np.array(UNEVEN).T
    response = (np.interp(theta, angle, value) + np.interp(-theta, angle, value)) / 2
    expected = response / (z_um**2 + (number * pitch_um) ** 2)
    seen = kernel[26, 26 + number]
    assert seen / seen[0] == pytest.approx(expected / expected[0], rel=3e-3)


@pytest.mark.parametrize("z_um", [30.0, 300.0])
@pytest.mark.parametrize("offset_um", [(0.0, 0.0), (10.0, -20.0)])
def test_a_gaussian_response_is_that_of_the_angle_selective_kind(
    z_um: float, offset_um: tuple[float, float]
) -> None:
    angle = np.linspace(0, 90, 361)
    table = tuple(zip(angle, 2.0 ** -((angle / 18.0) ** 2), strict=True))
    fields: dict[str, Any] = {"tissue": {"reduced_scattering_per_mm": 0.3}, "fill_factor": 0.6}
    ours = AngularResponsePsf(
        table=table, table_medium="tissue", includes_projection=False, **fields
    )
    theirs = AngleSelectivePsf(half_angle_deg=18.0, **fields)
    kernels = [kernel_of(p, z_um, radius_px=8, offset_um=offset_um) for p in (ours, theirs)]
    assert np.abs(kernels[0] - kernels[1]).sum() < 1e-4 * kernels[1].sum()


@pytest.mark.parametrize("z_um", [20.0, 100.0])
def test_an_uneven_response_lands_as_counted(z_um: float) -> None:
    """Against the irradiance summed over small squares of each pixel."""
    psf = AngularResponsePsf(
        table=UNEVEN, even=False, table_axis_deg=30.0, table_medium="water", tissue_index=1.33
    )
    assert not psf.symmetric
    kernel = kernel_of(psf, z_um, radius_px=4, offset_um=(7.0, -12.0))
    parts = 100
    axis_um = ((np.arange(9 * parts) + 0.5) / parts - 4.5) * PITCH_UM
    y_um, x_um = np.meshgrid(axis_um - 7.0, axis_um + 12.0, indexing="ij")
    r_um = np.hypot(y_um, x_um)
    theta = np.degrees(np.arctan2(r_um, z_um))
    angle, value = np.array(UNEVEN).T
    sides = np.interp(theta, angle, value, right=0), np.interp(-theta, angle, value, left=0)
    azimuth = np.arctan2(y_um, x_um) - math.radians(30.0)
    counts = (sides[0] + sides[1]) / 2 + (sides[0] - sides[1]) / 2 * np.cos(azimuth)
    light = counts / (z_um**2 + r_um**2)
    counted = light.reshape(9, parts, 9, parts).sum((1, 3))
    difference = kernel / kernel.sum() - counted / counted.sum()
    assert np.abs(difference).sum() < 1e-3


def test_the_brighter_side_lies_along_the_axis() -> None:
    psf = AngularResponsePsf(table=UNEVEN, even=False, table_axis_deg=90.0)
    kernel = kernel_of(psf, 150.0, radius_px=3)
    assert kernel[4:].sum() > 1.5 * kernel[:3].sum()
    np.testing.assert_allclose(kernel[:, :3].sum(), kernel[:, 4:].sum(), rtol=1e-9)


def test_a_scale_stretches_the_angles() -> None:
    psf = AngularResponsePsf(table=FLAT, table_medium="tissue", includes_projection=False)
    narrow = psf.with_(angle_scale=0.5)  # flat up to 45 degrees
    assert narrow.collection_efficiency(1.0) == pytest.approx(
        (1 - math.cos(math.pi / 4)) / 2, rel=2e-3
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"table": ((0.0, 1.0),)}, "table"),
        ({"table": ((0.0, 1.0), (0.0, 0.5))}, "increase"),
        ({"table": ((5.0, 1.0), (40.0, 0.5))}, "reach from 0 degrees"),
        ({"table": ((0.0, 0.0), (40.0, 0.0))}, "no light"),
        ({"table": ((0.0, 1.0), (140.0, 0.0))}, "90"),
        ({"table_medium": "oil"}, "table_medium"),
        ({"tissue_index": "oil"}, "tissue_index"),
        ({"table": UNEVEN, "even": False, "cover_um": 10.0}, "even = true"),
    ],
)
def test_an_impossible_response_is_refused_in_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ImagerError) as caught:
        AngularResponsePsf(**{"table": FLAT, **fields})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# --- its file -----------------------------------------------------------------------------------

CSV = "angle,air,water\n40,0.2,0.3\n-40,0.1,0.3\n0,1.0,0.9\n"


def imager_file(folder: Path, csv: str, lines: str) -> Path:
    (folder / "response.csv").write_text(csv, encoding="utf-8")
    path = folder / "chip.toml"
    path.write_text(
        f'[psf]\nkind = "angular-response"\nfile = "response.csv"\n{lines}', encoding="utf-8"
    )
    return path


def test_a_response_is_read_from_a_csv_beside_the_imager(tmp_path: Path) -> None:
    path = imager_file(tmp_path, CSV, 'file_column = "water"\ntable_medium = "water"\n')
    psf = Imager.from_toml(path).psf
    assert isinstance(psf, AngularResponsePsf)
    assert psf.table == ((-40.0, 0.3), (0.0, 0.9), (40.0, 0.3))
    assert psf.file_sha256 == hashlib.sha256(CSV.encode()).hexdigest()


def test_a_written_imager_holds_the_table_and_the_checksum(tmp_path: Path) -> None:
    imager = Imager.from_toml(imager_file(tmp_path, CSV, 'file_column = "air"\n'))
    (tmp_path / "elsewhere").mkdir()
    imager.to_toml(tmp_path / "elsewhere" / "chip.toml")
    assert Imager.from_toml(tmp_path / "elsewhere" / "chip.toml") == imager


@pytest.mark.parametrize(
    ("csv", "lines", "words"),
    [
        (CSV, "", "name the column"),
        (CSV, 'file_column = "oil"\n', "its columns are angle, air, water"),
        (CSV, f'file_column = "air"\nfile_sha256 = "{"0" * 64}"\n', "checksum"),
        ("angle,air\n0,1\nforty,0\n", "", "row 3"),
        ("", "", "empty"),
    ],
)
def test_a_csv_that_is_no_response_is_refused_in_one_line(
    tmp_path: Path, csv: str, lines: str, words: str
) -> None:
    with pytest.raises(ImagerError) as caught:
        Imager.from_toml(imager_file(tmp_path, csv, lines))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
