"""The camera against the statistics of photons: transfer line, round trip, saturation, SNR."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fociscope.imager import Camera

CAMERAS = [
    Camera(),
    Camera(quantum_efficiency=0.8, gain_e_per_count=1.5, read_noise_e=6.0, black_level_counts=60.0),
    Camera(quantum_efficiency=0.3, gain_e_per_count=12.0, read_noise_e=40.0, exposure_s=1.0),
]
PIXELS = 200_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exposures(camera: Camera, photons: list[float], seed: int = 0) -> Tensor:
    """Counts of many pixels at each level: (level, pixel)."""
    return camera.expose(torch.tensor(photons)[:, None].expand(-1, PIXELS), generator=seeded(seed))


@pytest.mark.parametrize("camera", CAMERAS, ids=["default", "fine", "coarse"])
def test_the_photon_transfer_line(camera: Camera) -> None:
    brightest = 0.4 * camera.full_well_e / camera.quantum_efficiency
    counts = exposures(camera, [brightest * share for share in (0.05, 0.1, 0.25, 0.5, 1.0)])
    counts = counts.double()
    signal, variance = counts.mean(-1) - camera.black_level_counts, counts.var(-1)
    # Shot noise: a variance of one electron per electron, and 1 / gain counts^2 per count.
    gain = camera.gain_e_per_count
    floor = (camera.read_noise_e / gain) ** 2 + 1 / 12
    assert ((variance - floor) / signal).numpy() == pytest.approx(1 / gain, rel=0.015)


NOISY = {"read_noise_e": 9.0, "reset_noise_e": 40.0, "dark_current_e_per_s": 3_000.0}


@pytest.mark.parametrize("double_sampling", [False, True], ids=["one read", "cds"])
@pytest.mark.parametrize("gain", [1.5, 6.0])
def test_the_photon_transfer_line_has_its_slope_and_its_intercept(
    double_sampling: bool, gain: float
) -> None:
    camera = Camera(gain_e_per_count=gain, correlated_double_sampling=double_sampling, **NOISY)
    signal_e = np.array([0, 60, 200, 600, 2_000, 6_000, 20_000, 60_000], dtype=float)
    counts = exposures(camera, (signal_e / camera.quantum_efficiency).tolist()).double().numpy()
    dark = camera.black_level_counts + camera.dark_e / gain
    # The variance of n samples is itself known to sqrt(2 / n) of its value.
    variance = counts.var(axis=-1, ddof=1)
    (slope, intercept), covariance = np.polyfit(
        counts.mean(-1) - dark,
        variance,
        deg=1,
        w=1 / (variance * math.sqrt(2 / PIXELS)),
        cov="unscaled",
    )
    # 3,000 e/s for 0.05 s; one read and the reset, or two reads; a step of the converter.
    readout_e2 = 2 * 9.0**2 if double_sampling else 9.0**2 + 40.0**2
    floor = (150 + readout_e2) / gain**2 + 1 / 12
    slope_error, intercept_error = np.sqrt(np.diag(covariance))
    assert slope_error < 0.004 / gain
    assert intercept_error < 0.004 * floor
    assert slope == pytest.approx(1 / gain, rel=0.02)
    assert intercept == pytest.approx(floor, rel=0.02)
    assert camera.floor_variance_e2 == pytest.approx(floor * gain**2)


def test_a_full_well_silences_the_shot_noise() -> None:
    camera = Camera(full_well_e=50_000.0, dark_current_e_per_s=0.0)
    below, at, above = exposures(camera, [90_000.0, 100_000.0, 110_000.0]).double().var(-1)
    floor = (camera.read_noise_e / camera.gain_e_per_count) ** 2 + 1 / 12
    assert float(below) > 100 * floor
    # Half of a normal distribution piles up in one value: (1 - 1 / pi) / 2 of the variance stays.
    at_the_brim = 50_000 / camera.gain_e_per_count**2 * (1 - 1 / math.pi) / 2
    assert float(at) == pytest.approx(at_the_brim + floor, rel=0.05)
    assert float(above) == pytest.approx(floor, rel=0.02)


def test_double_sampling_reads_twice_and_takes_the_reset_noise_away() -> None:
    def read_noise_e(**changes: object) -> float:
        camera = Camera(dark_current_e_per_s=0.0, gain_e_per_count=1.0, **changes)
        return float(exposures(camera, [0.0]).double().std())

    assert read_noise_e() == pytest.approx(15.0, rel=0.01)
    assert read_noise_e(reset_noise_e=20.0) == pytest.approx(25.0, rel=0.01)
    twice = {"correlated_double_sampling": True}
    assert read_noise_e(**twice) == pytest.approx(15.0 * math.sqrt(2), rel=0.01)
    assert read_noise_e(reset_noise_e=20.0, **twice) == read_noise_e(**twice)


@pytest.mark.parametrize("camera", CAMERAS, ids=["default", "fine", "coarse"])
def test_in_the_dark_only_the_floor_is_left(camera: Camera) -> None:
    counts = exposures(camera, [0.0]).double()
    dark = camera.dark_current_e_per_s * camera.exposure_s
    gain = camera.gain_e_per_count
    noise_e2 = dark + camera.read_noise_e**2
    assert float(counts.var()) == pytest.approx(noise_e2 / gain**2 + 1 / 12, rel=0.015)
    assert camera.floor_variance_e2 == pytest.approx(noise_e2 + gain**2 / 12)
    mean_error = math.sqrt(noise_e2 / PIXELS) / gain
    expected = camera.black_level_counts + dark / gain
    assert float(counts.mean()) == pytest.approx(expected, abs=4 * mean_error + 1e-3)


@pytest.mark.parametrize("camera", CAMERAS, ids=["default", "fine", "coarse"])
def test_counts_turn_back_into_photons_without_bias(camera: Camera) -> None:
    levels = [300.0, 3_000.0, 30_000.0]
    found = camera.photons(exposures(camera, levels)).double().mean(-1)
    assert found.tolist() == pytest.approx(levels, rel=0.01)


@pytest.mark.parametrize("photons", [10.0, 100.0, 1_000.0, 10_000.0, 100_000.0])
@pytest.mark.parametrize("double_sampling", [False, True], ids=["one read", "cds"])
def test_the_round_trip_is_unbiased_from_ten_photons_on(
    photons: float, double_sampling: bool
) -> None:
    camera = Camera(
        read_noise_e=4.0,
        reset_noise_e=6.0,
        gain_e_per_count=3.0,
        correlated_double_sampling=double_sampling,
    )
    light = torch.full((1_000, 1_000), photons)
    found = camera.photons(camera.expose(light, generator=seeded())).double().mean()
    # The bound of 1 % is at least four standard errors of this many pixels.
    noise = math.sqrt(photons * 0.5 + camera.floor_variance_e2) / 0.5
    assert 4 * noise / 1_000 < 0.01 * photons
    assert float(found) == pytest.approx(photons, rel=0.01)


def test_photons_may_come_out_negative_in_the_dark() -> None:
    found = Camera().photons(exposures(Camera(), [0.0]))
    assert float(found.min()) < 0
    assert float(found.mean()) == pytest.approx(0.0, abs=0.3)


def test_counts_are_whole_and_in_range() -> None:
    camera = Camera(adc_bits=8, black_level_counts=3.0)
    counts = exposures(camera, [0.0, 500.0, 1e9])
    assert counts.dtype == torch.float32
    assert torch.equal(counts, counts.round())
    assert float(counts.min()) == 0  # the read noise reaches below the black level of 3
    assert float(counts.max()) == camera.largest_count == 255


def test_a_full_well_holds_no_more() -> None:
    camera = Camera(read_noise_e=0.0, full_well_e=40_000.0, gain_e_per_count=4.0)
    counts = exposures(camera, [1e6, 1e7])
    assert counts.unique().tolist() == [40_000 / 4 + camera.black_level_counts]


def test_the_converter_saturates() -> None:
    camera = Camera(adc_bits=10)
    assert exposures(camera, [1e5]).unique().tolist() == [2**10 - 1]


def test_without_light_and_noise_there_is_the_black_level() -> None:
    camera = Camera(read_noise_e=0.0, dark_current_e_per_s=0.0, black_level_counts=64.0)
    assert exposures(camera, [0.0]).unique().tolist() == [64.0]


# --- peak signal to noise -----------------------------------------------------------------------


def measured_snr_db(noisy: Tensor, level: float) -> float:
    return 20 * math.log10(level / float((noisy - level).std()))


@pytest.mark.parametrize("camera", CAMERAS, ids=["default", "fine", "coarse"])
@pytest.mark.parametrize("peak_snr_db", [15.0, 25.0, 40.0, 48.0])
def test_the_peak_has_the_snr_that_is_asked_for(camera: Camera, peak_snr_db: float) -> None:
    light = torch.full((400, 400), 0.037)
    light[:, :200] = 0.01  # with less light there is less shot noise
    noisy = camera.at_peak_snr(light, peak_snr_db, generator=seeded())
    assert noisy.shape == light.shape
    assert measured_snr_db(noisy[:, 200:], 0.037) == pytest.approx(peak_snr_db, abs=0.3)
    assert float(noisy[:, :200].mean()) == pytest.approx(0.01, rel=0.01)
    peak_e = float(camera.peak_photons(peak_snr_db)) * camera.quantum_efficiency
    noise = [math.sqrt(peak_e * share + camera.floor_variance_e2) for share in (0.01 / 0.037, 1.0)]
    ratio = float(noisy[:, :200].std() / noisy[:, 200:].std())
    assert ratio == pytest.approx(noise[0] / noise[1], rel=0.02)


def test_each_image_reaches_its_own_peak_snr() -> None:
    levels, snr_db = [[5.0, 0.02], [300.0, 1.0]], [[20.0, 45.0], [30.0, 40.0]]
    light = torch.tensor(levels)[..., None, None].expand(2, 2, 200, 200)
    noisy = Camera().at_peak_snr(light, torch.tensor(snr_db), generator=seeded())
    for i, j in np.ndindex(2, 2):
        assert measured_snr_db(noisy[i, j], levels[i][j]) == pytest.approx(snr_db[i][j], abs=0.3)


def test_an_image_without_light_stays_dark() -> None:
    light = torch.stack([torch.zeros(200, 200), torch.ones(200, 200)])
    noisy = Camera().at_peak_snr(light, 40.0, generator=seeded())
    assert torch.isfinite(noisy).all()
    assert float(noisy[0].mean()) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("double_sampling", [False, True], ids=["one read", "cds"])
def test_reset_noise_and_double_sampling_count_toward_the_peak_snr(double_sampling: bool) -> None:
    camera = Camera(correlated_double_sampling=double_sampling, **NOISY)
    noisy = camera.at_peak_snr(torch.ones(400, 400), 20.0, generator=seeded())
    assert measured_snr_db(noisy, 1.0) == pytest.approx(20.0, abs=0.05)


@pytest.mark.parametrize("camera", CAMERAS, ids=["default", "fine", "coarse"])
@pytest.mark.parametrize("peak_snr_db", [10.0, 40.0, 50.0])
def test_peak_photons_solve_the_definition(camera: Camera, peak_snr_db: float) -> None:
    electrons = float(camera.peak_photons(peak_snr_db)) * camera.quantum_efficiency
    snr = electrons / math.sqrt(electrons + camera.floor_variance_e2)
    assert 20 * math.log10(snr) == pytest.approx(peak_snr_db, abs=1e-4)


@pytest.mark.parametrize(
    ("camera", "room_e"),
    [
        (Camera(full_well_e=50_000.0), 50_000.0),  # the well fills first
        (Camera(adc_bits=12), (2**12 - 1 - 100) * 4.0),  # the converter does
    ],
    ids=["well", "converter"],
)
def test_the_highest_peak_snr_fills_the_pixel(camera: Camera, room_e: float) -> None:
    photons = camera.peak_photons(camera.highest_peak_snr_db())
    electrons = float(photons) * camera.quantum_efficiency + camera.dark_e
    assert electrons == pytest.approx(room_e, rel=1e-4)


# --- randomness ---------------------------------------------------------------------------------


def test_one_seed_gives_one_exposure_and_leaves_the_global_generator_alone() -> None:
    light = torch.rand(2, 30, 40, generator=seeded(9))
    before = torch.random.get_rng_state()
    first, again, other = (
        Camera().at_peak_snr(light, 30.0, generator=seeded(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)
