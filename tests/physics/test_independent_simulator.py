"""The simulator for testing: against physics, and against the first simulator's conventions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fociscope.evaluation.independent import FAMILIES, Optics, add_camera_noise, draw_scenes
from fociscope.evaluation.independent._families import Frame
from fociscope.evaluation.independent._optics import SUBPIXELS
from fociscope.evaluation.independent._rendering import disc_cells, gaussian_cells
from fociscope.imager import AngleSelectivePsf, Imager, LayerProjector
from fociscope.simulation import simulate

#: Two roads to one formula, in L1 relative to the light that lands; at most 1.1e-4 was measured.
KERNEL_TOLERANCE = 2e-4
SMALL = Optics(frame_px=(15, 15))


@pytest.mark.parametrize("half_angle_deg", [6.0, 10.0, 18.0, 28.0, 45.0])
@pytest.mark.parametrize("depth_um", [0.0, 3.0, 20.0, 80.0, 300.0, 1000.0])
def test_kernels_of_both_simulators_agree(half_angle_deg, depth_um):
    own = Optics(half_angle_deg=half_angle_deg).kernel(depth_um, 20)
    first = AngleSelectivePsf(half_angle_deg=half_angle_deg)
    other = np.asarray(first.kernel(depth_um, pixel_pitch_um=55.0, radius_px=20))
    assert np.abs(own - other).sum() < KERNEL_TOLERANCE * other.sum()


def test_blurred_kernels_of_both_simulators_agree():
    own = Optics(base_blur_um=44.0).kernel(300.0, 20)
    first = AngleSelectivePsf(half_angle_deg=18.0, base_blur_um=44.0)
    other = np.asarray(first.kernel(300.0, pixel_pitch_um=55.0, radius_px=20))
    # The first blurs on the grid of pixels, the second on that of sub-pixels.
    assert np.abs(own - other).sum() < 0.02 * other.sum()


@pytest.mark.parametrize("depth_um", [100.0, 400.0])
def test_energy_fractions_agree_with_a_ray_count(depth_um):
    rng = np.random.default_rng(0)
    rays = 2_000_000
    theta = np.arccos(rng.uniform(0, 1, rays))  # even over the half sphere
    azimuth = rng.uniform(0, 2 * math.pi, rays)
    passes = rng.random(rays) < 2 ** -((np.degrees(theta) / 18) ** 2)
    radius_um = depth_um * np.tan(theta[passes])
    y, x = radius_um * np.sin(azimuth[passes]), radius_um * np.cos(azimuth[passes])
    kernel = Optics().kernel(depth_um, 20)
    for half_px in (0, 1, 3):
        inside = np.maximum(np.abs(y), np.abs(x)) < (half_px + 0.5) * 55
        share = inside.sum() / (2 * rays)
        window = kernel[20 - half_px : 21 + half_px, 20 - half_px : 21 + half_px]
        assert window.sum() == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_captures_of_smooth_layers_agree_with_the_first_projector(boundary):
    y, x = np.mgrid[:15, :15]
    light = 1 + np.stack([np.sin(2 * np.pi * y / 15), np.cos(2 * np.pi * x / 15)])
    fine = np.kron(light, np.ones((1, SUBPIXELS, SUBPIXELS))) / SUBPIXELS**2
    depth_um = np.array([200.0, 650.0])
    own = Optics(frame_px=(15, 15), boundary=boundary).project(fine, depth_um)
    imager = Imager(frame_px=(15, 15), boundary=boundary)
    other = np.asarray(LayerProjector(imager).A(light, depth_um))
    # Light comes from all over a pixel here, from its middle there.
    assert np.abs(own - other).max() < 0.02 * other.max()


def test_noise_has_the_stated_level_at_the_peak():
    clean = np.full((2, 300, 300), 1.0)
    clean[1] *= 7  # each sensor's image reaches the peak SNR by itself
    noisy = add_camera_noise(np.random.default_rng(1), clean, 30.0)
    snr_db = 20 * np.log10(clean.max(axis=(1, 2)) / noisy.std(axis=(1, 2)))
    assert snr_db == pytest.approx([30.0, 30.0], abs=0.1)
    assert noisy.mean(axis=(1, 2)) == pytest.approx([1.0, 7.0], rel=1e-3)


@pytest.mark.parametrize("render", ["disc", "gaussian"])
def test_rendered_cells_keep_their_light_and_place(render):
    places, light = np.array([[20.3, 31.8]]), np.array([2.5])
    if render == "disc":
        image = disc_cells(places, light, size=(50, 60), diameter=4.6)
    else:
        image = gaussian_cells(places, light, size=(50, 60), sigma=1.2)
    y, x = ((np.arange(side) + 0.5) for side in image.shape)
    assert image.sum() == pytest.approx(2.5, rel=2e-3)
    assert (image.sum(1) @ y) / image.sum() == pytest.approx(20.3, abs=0.03)
    assert (image.sum(0) @ x) / image.sum() == pytest.approx(31.8, abs=0.03)


def test_conventions_are_those_of_the_first_simulator():
    own = draw_scenes("spectral-foci", 2, seed=3)
    other = simulate(2, seed=3)
    for name in ("layers", "mask", "depth_um", "captures"):
        ours, theirs = getattr(own, name), getattr(other, name)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name
    assert (np.diff(own.depth_um) >= 250 - 1e-3).all()
    assert own.depth_um.min() >= 0
    assert own.depth_um.max() <= 1000


def test_depth_counts_from_sensor_a():
    light = np.zeros((1, 75, 75))
    light[0, 37, 37] = 1.0
    sensor_a, sensor_b = SMALL.project(light, np.array([100.0]))
    assert sensor_a.max() > 5 * sensor_b.max()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_draws_what_it_states(family):
    frame = Frame((51, 51), 55.0)
    drawn = FAMILIES[family].draw(np.random.default_rng([5, len(family)]), frame)
    assert drawn.light.shape == (51 * SUBPIXELS, 51 * SUBPIXELS)
    assert (drawn.light >= 0).all()
    assert drawn.mask.any() == (family != "clouds")
    assert drawn.cells.sum() > 0 or family == "clouds"
    if family != "clouds":
        per_pixel = drawn.light.reshape(51, SUBPIXELS, 51, SUBPIXELS).sum((1, 3))
        assert 0.5 < per_pixel[drawn.mask].mean() < 2.0
        assert per_pixel[~drawn.mask].mean() < 0.4


def test_a_scene_does_not_depend_on_those_beside_it():
    three = draw_scenes("mixed", 3, seed=9, optics=SMALL)
    last = draw_scenes("mixed", 1, seed=9, first=2, optics=SMALL)
    for name in vars(three):
        np.testing.assert_array_equal(getattr(three, name)[2:], getattr(last, name))


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit between sensors"):
        draw_scenes("sheets", 1, seed=0, layers=6)
