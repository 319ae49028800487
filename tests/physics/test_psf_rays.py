"""Kernels against a count of rays, each traced by Snell's law from emitter to pixel."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fociscope.imager import AngleSelectivePsf

PITCH_UM = 55.0
TISSUE_INDEX = 1.38
DEPTHS_UM = [50.0, 100.0, 300.0, 800.0]
#: Of a kernel's light, in L1; the counts of widely spread light are not better than 0.5 %.
TOLERANCE = 6e-3
#: Pixels around the middle one that are compared at most.
WIDEST_PX = 20
WIDEST_OFFSET_PX = 10
TABLE = ((0.0, 0.8), (5.0, 0.76), (12.0, 0.6), (20.0, 0.3), (30.0, 0.1), (45.0, 0.02), (60.0, 0.0))

Image = NDArray[np.float64]
Transmission = Callable[[Image], Image]


def gaussian(half_angle_deg: float) -> Transmission:
    return lambda theta_rad: 2.0 ** -((theta_rad / math.radians(half_angle_deg)) ** 2)


def raised_cosine(half_angle_deg: float) -> Transmission:
    def transmission(theta_rad: Image) -> Image:
        part = theta_rad / math.radians(half_angle_deg)
        return np.where(part < 2, np.cos(math.pi / 4 * part) ** 2, 0.0)

    return transmission


def tabulated(theta_rad: Image) -> Image:
    angle_deg, value = np.array(TABLE).T
    return np.interp(np.degrees(theta_rad), angle_deg, value / value[0], right=0.0)


def leaky(transmission: Transmission, leakage: float) -> Transmission:
    return lambda theta_rad: leakage + (1 - leakage) * transmission(theta_rad)


@lru_cache(maxsize=6)
def isotropic_rays(rays: int, widest_deg: float) -> tuple[Image, Image, Image, Image]:
    """Return polar angles, cosines and sines of azimuths, and each ray's share of all light.

    Angles are stratified and weigh what an isotropic emitter sends into their stratum; the azimuth
    advances by the golden angle.
    """
    rng = np.random.default_rng(0)
    number, widest = np.arange(rays), math.radians(widest_deg)
    theta = widest * (number + rng.random(rays)) / rays
    azimuth = 2 * math.pi * (number * (math.sqrt(5) - 1) / 2 + rng.random())
    return theta, np.cos(azimuth), np.sin(azimuth), np.sin(theta) / 2 * widest / rays


def count_rays(
    z_um: float,
    transmission: Transmission,
    radius_px: int,
    *,
    widest_deg: float = 90.0,
    cover_um: float = 0.0,
    cover_index: float = 1.5,
    fill_factor: float = 1.0,
    offset_um: tuple[float, float] | None = None,
) -> Image:
    """Return (k, k): the light of the rays that land on the sensitive part of each pixel."""
    rays = 300_000 if offset_um is None else 700_000
    theta, cos, sin, weight = isotropic_rays(rays, widest_deg)
    at_grating = theta
    r_um = z_um * np.tan(np.minimum(theta, 1.5707))
    if cover_um:
        sine = TISSUE_INDEX / cover_index * np.sin(theta)
        weight = weight * (sine < 1)  # beyond the critical angle all is reflected
        at_grating = np.arcsin(np.minimum(sine, 1))
        r_um = r_um + cover_um * np.tan(np.minimum(at_grating, 1.5707))
    weight = weight * transmission(at_grating)
    y_um, x_um = offset_um or (0.0, 0.0)
    y_px, x_px = (r_um * sin + y_um) / PITCH_UM, (r_um * cos + x_um) / PITCH_UM
    column, row = np.rint(x_px), np.rint(y_px)
    beside = np.maximum(abs(x_px - column), abs(y_px - row))
    lands = (np.maximum(abs(column), abs(row)) <= radius_px) & (beside <= fill_factor**0.5 / 2)
    side = 2 * radius_px + 1
    pixel = ((row + radius_px) * side + column + radius_px)[lands].astype(int)
    counted = np.bincount(pixel, weight[lands], side**2).reshape(side, side)
    if offset_um is not None:
        return counted
    # All eight mirror images of a ray are as likely.
    counted = (counted + counted[::-1]) / 2
    counted = (counted + counted[:, ::-1]) / 2
    return (counted + counted.T) / 2


def error(
    fields: dict[str, Any],
    transmission: Transmission,
    z_um: float,
    offset_um: tuple[float, float] | None = None,
) -> float:
    """Return the L1 distance of kernel and count as a share of the counted light."""
    psf = AngleSelectivePsf(tissue_index=TISSUE_INDEX, **fields)
    widest_deg = min(90.0, 4 * psf.half_angle_deg)
    if psf.leakage or psf.cover_um:
        widest_deg = 90.0
    reach_um = psf.encircled_radius_um(z_um, 0.999) + math.hypot(*(offset_um or (0, 0)))
    widest_px = WIDEST_PX if offset_um is None else WIDEST_OFFSET_PX
    radius_px = min(math.ceil(reach_um / PITCH_UM + 0.5), widest_px)
    counted = count_rays(
        z_um,
        transmission,
        radius_px,
        widest_deg=widest_deg,
        offset_um=offset_um,
        **{n: fields[n] for n in ("cover_um", "cover_index", "fill_factor") if n in fields},
    )
    kernel = psf.kernel(
        np.array(z_um), PITCH_UM, radius_px=radius_px, offset_um=offset_um or (0.0, 0.0)
    )
    assert kernel.dtype == np.float64
    return float(np.abs(kernel - counted).sum() / counted.sum())


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("half_angle_deg", [4.0, 8.0, 12.0, 18.0, 25.0, 60.0])
def test_a_gaussian_acceptance(half_angle_deg: float, z_um: float) -> None:
    fields = {"half_angle_deg": half_angle_deg}
    assert error(fields, gaussian(half_angle_deg), z_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("half_angle_deg", [4.0, 18.0, 40.0])
def test_a_raised_cosine_acceptance(half_angle_deg: float, z_um: float) -> None:
    fields = {"half_angle_deg": half_angle_deg, "shape": "raised-cosine"}
    assert error(fields, raised_cosine(half_angle_deg), z_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
def test_a_tabulated_acceptance(z_um: float) -> None:
    assert error({"shape": "tabulated", "table": TABLE}, tabulated, z_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("leakage", [0.01, 0.1])
def test_a_leakage_floor(leakage: float, z_um: float) -> None:
    assert error({"leakage": leakage}, leaky(gaussian(18.0), leakage), z_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("cover_um", [20.0, 300.0])
@pytest.mark.parametrize("cover_index", [1.0, 1.25, 1.5, 2.0])
def test_a_cover_refracts(cover_index: float, cover_um: float, z_um: float) -> None:
    fields = {"cover_um": cover_um, "cover_index": cover_index}
    assert error(fields, gaussian(18.0), z_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("cover_index", [1.0, 1.2])
def test_rays_beyond_the_critical_angle_are_reflected(cover_index: float, z_um: float) -> None:
    """Where grazing rays pass the grating as well, those that total reflection takes away count."""
    fields = {"cover_um": 300.0, "cover_index": cover_index, "half_angle_deg": 60.0, "leakage": 0.1}
    assert error(fields, leaky(gaussian(60.0), 0.1), z_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("fill_factor", [0.3, 0.6, 0.9])
def test_light_beside_the_sensitive_part_is_lost(fill_factor: float, z_um: float) -> None:
    assert error({"fill_factor": fill_factor}, gaussian(18.0), z_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
def test_all_options_at_once(z_um: float) -> None:
    fields = {
        "half_angle_deg": 25.0,
        "shape": "raised-cosine",
        "leakage": 0.05,
        "cover_um": 120.0,
        "cover_index": 1.2,
        "fill_factor": 0.5,
    }
    assert error(fields, leaky(raised_cosine(25.0), 0.05), z_um) < TOLERANCE
    assert error(fields, leaky(raised_cosine(25.0), 0.05), z_um, (8.0, -24.0)) < TOLERANCE


OFFSETS_UM = [
    (0.0, 27.5),
    (27.5, 27.5),
    (-27.5, 13.0),
    (10.0, -20.0),
    (27.4999, 3.0),
    (70.0, -130.0),
]


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize("offset_um", OFFSETS_UM, ids=str)
def test_an_emitter_anywhere_above_the_pixels(offset_um: tuple[float, float], z_um: float) -> None:
    assert error({}, gaussian(18.0), z_um, offset_um) < TOLERANCE


@pytest.mark.parametrize("z_um", DEPTHS_UM)
@pytest.mark.parametrize(
    ("fields", "transmission"),
    [
        ({"half_angle_deg": 4.0}, gaussian(4.0)),
        ({"half_angle_deg": 60.0}, gaussian(60.0)),
        ({"cover_um": 300.0, "cover_index": 1.0}, gaussian(18.0)),
        ({"fill_factor": 0.4}, gaussian(18.0)),
    ],
    ids=["narrow", "wide", "cover", "fill factor"],
)
def test_options_with_an_emitter_off_the_middle(
    fields: dict[str, Any], transmission: Transmission, z_um: float
) -> None:
    assert error(fields, transmission, z_um, (27.5, 12.0)) < TOLERANCE
