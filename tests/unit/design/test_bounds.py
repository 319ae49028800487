"""Bounds against closed forms, differences and symmetries."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fociscope.design import ImagerDesign, gaussian_information_bits, layer_bounds
from fociscope.design._layers import _multiplicity, _of_depths
from fociscope.design._spectrum import LightSpectrum, light_spectrum
from fociscope.errors import CaptureError, ImagerError
from fociscope.imager import Imager
from fociscope.localization import EmitterResponse, emitter_bound
from fociscope.simulation import PerlinFoci

SMALL = Imager.reference().with_(frame_px=(32, 32))
NOTHING_KNOWN = np.zeros((2, 2))


def one_layer(prior: np.ndarray, transfer: np.ndarray, slope: np.ndarray, noise: float):
    """Return the bounds of a layer that one sensor sees."""
    return _of_depths(
        transfer[None, None], slope[None, None], prior, np.array([noise]), (8, 8), NOTHING_KNOWN
    )


def test_information_of_a_layer_is_the_capacity_of_parallel_gaussian_channels() -> None:
    rng = np.random.default_rng(0)
    prior, transfer = rng.uniform(0.5, 2, (8, 5)), rng.uniform(0.1, 1, (8, 5))
    _, _, _, bits = one_layer(prior, transfer, transfer, 0.3)
    channels = 0.5 * np.log2(1 + prior * transfer**2 / 0.3).ravel()
    assert bits == pytest.approx(float(_multiplicity((8, 8)) @ channels))


def test_light_that_stays_unknown_is_the_error_of_a_wiener_filter() -> None:
    rng = np.random.default_rng(1)
    prior, transfer = rng.uniform(0.5, 2, (8, 5)), rng.uniform(0.1, 1, (8, 5))
    _, _, unknown, _ = one_layer(prior, transfer, transfer, 0.3)
    times = _multiplicity((8, 8))
    error = prior * 0.3 / (prior * transfer**2 + 0.3)
    assert unknown == pytest.approx(float(times @ error.ravel() / (times @ prior.ravel())))


def test_depth_of_a_layer_by_the_whittle_likelihood_of_its_spectrum() -> None:
    rng = np.random.default_rng(2)
    prior, transfer = rng.uniform(0.5, 2, (8, 5)), rng.uniform(0.1, 1, (8, 5))
    slope = rng.normal(0, 0.01, (8, 5))
    bound, after, _, _ = one_layer(prior, transfer, slope, 0.3)
    spectrum = prior * transfer**2 + 0.3
    by_depth = (2 * prior * transfer * slope / spectrum).ravel()
    by_brightness = (2 * prior * transfer**2 / spectrum).ravel()
    times = _multiplicity((8, 8)) / 2
    own, both = times @ by_depth**2, times @ (by_depth * by_brightness)
    left = own - both**2 / (times @ by_brightness**2)
    assert bound[0] == pytest.approx(left**-0.5)
    assert after[0] == pytest.approx(bound[0])  # nothing is known beforehand


def test_each_frequency_of_the_half_plane_counts_as_often_as_it_stands_in_the_plane() -> None:
    image = np.random.default_rng(3).normal(size=(6, 7))
    for columns in (6, 7):
        power = np.abs(np.fft.rfft2(image[:, :columns])) ** 2
        whole = _multiplicity((6, columns)) @ power.ravel()
        assert whole == pytest.approx(6 * columns * (image[:, :columns] ** 2).sum())


def test_the_spectrum_of_pixels_has_the_variance_of_drawn_layers() -> None:
    """Of a pitch that the spectrum was not measured at."""
    spectrum = light_spectrum(PerlinFoci())
    power = spectrum.on_pixels(55.0, (64, 64))
    variance = _multiplicity((64, 64)) @ power.ravel() / 64**2
    from fociscope.simulation import DrawnFrame

    frame = DrawnFrame((64, 64), pixel_pitch_um=55.0)
    drawn = [PerlinFoci().draw_scene(np.random.default_rng(n), 4, frame).light for n in range(12)]
    assert variance == pytest.approx(np.var(drawn), rel=0.15)


def test_white_light_stays_white_on_pixels() -> None:
    """A flat spectral density P is one of P / pitch^2 on pixels: aliases make up for the sinc."""
    flat = LightSpectrum(1.0, np.array([0.0, 1.0]), np.array([50.0, 50.0]), 1.0)
    power = flat.on_pixels(10.0, (16, 16))
    assert power[0, 0] == pytest.approx(0.5)
    assert power == pytest.approx(0.5, rel=0.17)  # aliases beyond the second are left out


def test_more_light_tells_more_and_never_less() -> None:
    bounds = [layer_bounds(SMALL, cell_photons_per_s=p) for p in (1e5, 2e5, 1e6)]
    for one, other in pairwise(bounds):
        assert one.information_kbit < other.information_kbit
        assert one.light_unknown > other.light_unknown
        assert one.depth_error_um > other.depth_error_um


def test_twice_the_exposure_is_twice_the_brightness_of_cells() -> None:
    """But for the dark current, which the exposure alone adds to."""
    camera = {**SMALL.camera.model_dump(), "dark_current_e_per_s": 0.0}
    still = SMALL.with_(camera=camera)
    longer = SMALL.with_(camera={**camera, "exposure_s": 0.1})
    one = layer_bounds(longer, cell_photons_per_s=1e5)
    other = layer_bounds(still, cell_photons_per_s=2e5)
    assert one.information_kbit == pytest.approx(other.information_kbit)
    assert one.depth_error_um == pytest.approx(other.depth_error_um)


def test_a_second_sensor_tells_more() -> None:
    both = layer_bounds(SMALL, cell_photons_per_s=1.5e6)
    alone = layer_bounds(SMALL.with_(sensors=1), cell_photons_per_s=1.5e6)
    assert both.information_kbit > alone.information_kbit
    assert both.depth_error_um < alone.depth_error_um


def test_the_emitters_bound_is_the_inverse_of_information_from_differences() -> None:
    """Against the imager's own response and its differences, at one of the four places."""
    place = np.array([[1375.0, 1375.0, 300.0]])
    imager = Imager.reference().with_(frame_px=(21, 21), sensors=1)
    place[0, :2] = 550.0
    photons, step = 1e5, 0.5
    steps = step * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    seen = np.asarray(imager.pixel_response(place + steps), np.float64).reshape(7, -1)
    rows = np.stack(
        [*(photons * (seen[1:4] - seen[4:7]) / (2 * step)), seen[0], np.ones_like(seen[0])]
    )
    camera = imager.camera
    floor = camera.floor_variance_e2 / camera.quantum_efficiency**2
    variance = photons * seen[0] / camera.quantum_efficiency + floor
    wanted = np.sqrt(np.diag(np.linalg.inv(rows / variance @ rows.T)))
    import fociscope.localization._bound as module

    middle = pytest.MonkeyPatch()
    middle.setattr(module, "PLACES", ((0.0, 0.0),))
    bound = emitter_bound(imager, [300.0], photons=photons)
    middle.undo()
    assert bound.x_std_um[0] == pytest.approx(wanted[0], rel=0.01)
    assert bound.depth_std_um[0] == pytest.approx(wanted[2], rel=0.01)
    assert bound.light_std[0] == pytest.approx(wanted[3] / photons, rel=0.01)
    assert EmitterResponse(imager, (21, 21)).pixels == 441


def test_the_emitters_bound_falls_with_the_root_of_bright_light() -> None:
    one, other = (emitter_bound(SMALL, [400.0], photons=p) for p in (1e12, 4e12))
    assert other.depth_std_um[0] == pytest.approx(one.depth_std_um[0] / 2, rel=1e-3)


def test_mirrored_sensors_give_mirrored_bounds() -> None:
    bound = emitter_bound(SMALL, [300.0, 700.0], photons=1e5)
    assert bound.depth_std_um[0] == pytest.approx(bound.depth_std_um[1], rel=1e-3)
    assert bound.x_std_um == pytest.approx(bound.y_std_um, rel=1e-3)


def test_an_emitter_too_near_a_sensor_is_refused() -> None:
    with pytest.raises(ImagerError, match="20 to 980 µm deep"):
        emitter_bound(SMALL, [5.0], photons=1e5)
    with pytest.raises(ImagerError, match="more than 0 photons"):
        emitter_bound(SMALL, [300.0], photons=0.0)


@pytest.mark.parametrize("snr", [0.5, 3.0, 100.0])
def test_information_of_white_captures_is_the_capacity_of_a_gaussian_channel(snr: float) -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(0, np.sqrt(1 + snr), (96, 2, 32, 32))
    bits = gaussian_information_bits(seen, 1.0, patch_px=4)
    assert bits == pytest.approx(0.5 * np.log2(1 + snr), abs=0.01)


def test_noise_alone_tells_nothing() -> None:
    seen = np.random.default_rng(1).normal(0, 2, (64, 1, 32, 32))
    assert gaussian_information_bits(seen, 4.0) == pytest.approx(0, abs=0.01)


def test_what_two_sensors_have_in_common_counts_once() -> None:
    """Two sensors that see the same light x: I = log2(1 + 2 S / N) / 2 for both together."""
    rng = np.random.default_rng(2)
    light = rng.normal(0, 3, (96, 1, 32, 32))
    seen = light + rng.normal(0, 1, (96, 2, 32, 32))
    both = gaussian_information_bits(seen, 1.0, patch_px=4)
    assert both == pytest.approx(0.5 * np.log2(1 + 2 * 9) / 2, abs=0.01)


def test_information_does_not_depend_on_the_unit_of_light() -> None:
    seen = np.random.default_rng(3).normal(0, 2, (16, 2, 32, 32))
    one = gaussian_information_bits(seen, 1.0, patch_px=4)
    assert gaussian_information_bits(7 * seen, 49.0, patch_px=4) == pytest.approx(one)


def test_too_few_captures_for_a_covariance_are_refused() -> None:
    with pytest.raises(CaptureError, match="too few"):
        gaussian_information_bits(np.zeros((2, 2, 32, 32)), 1.0)
    with pytest.raises(CaptureError, match="above 0"):
        gaussian_information_bits(np.zeros((2, 2, 32, 32)), 0.0)


def test_a_design_makes_the_imager_that_it_came_from() -> None:
    base = Imager.reference()
    made = ImagerDesign.of(base).imager(base)
    assert made.with_(name=base.name) == base
