"""The fixed pattern against EMVA 1288: non-uniformity in space, none of it in time."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fociscope.errors import ImagerError
from fociscope.imager import Camera
from fociscope.imager.fixed_pattern import FixedPattern

FRAME = (300, 400)
PRNU, DSNU_E = 0.02, 60.0
UNEVEN = Camera(prnu=PRNU, dsnu_e=DSNU_E, black_level_counts=200.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pattern_of(camera: Camera, sensors: int = 1) -> FixedPattern:
    pattern = camera.fixed_pattern(sensors, FRAME)
    assert pattern is not None
    return pattern


def stack(camera: Camera, signal_e: float, frames: int, *, seed: int = 0) -> Tensor:
    """Electrons of evenly lit frames of one sensor with its pattern: (frame, 1, y, x) float64."""
    light = torch.full((frames, 1, *FRAME), signal_e / camera.quantum_efficiency)
    pattern = camera.fixed_pattern(1, FRAME)
    counts = camera.expose(light, generator=seeded(seed), fixed_pattern=pattern).double()
    return (counts - camera.black_level_counts) * camera.gain_e_per_count


# --- what it adds to the noise ------------------------------------------------------------------


@pytest.mark.parametrize("signal_e", [0.0, 1_000.0, 5_000.0, 20_000.0, 80_000.0])
def test_one_frame_varies_in_space_by_shot_noise_prnu_and_dsnu(signal_e: float) -> None:
    expected = signal_e + UNEVEN.floor_variance_e2 + DSNU_E**2 + (PRNU * signal_e) ** 2
    assert float(stack(UNEVEN, signal_e, 1).var()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("signal_e", [0.0, 1_000.0, 20_000.0, 80_000.0])
def test_the_difference_of_two_frames_is_free_of_it(signal_e: float) -> None:
    first, second = stack(UNEVEN, signal_e, 2)
    expected = signal_e + UNEVEN.floor_variance_e2
    assert float((first - second).var() / 2) == pytest.approx(expected, rel=0.02)


def test_dsnu_and_prnu_are_those_of_emva_1288() -> None:
    def spatial_variance_e2(frames: Tensor) -> float:
        """Variance of the mean frame, less what is left in it of the temporal noise."""
        return float(frames.mean(0).var() - frames.var(0).mean() / len(frames))

    dark, half = stack(UNEVEN, 0.0, 6), stack(UNEVEN, 100_000.0, 6, seed=1)
    s2_dark, s2_half = spatial_variance_e2(dark), spatial_variance_e2(half)
    assert math.sqrt(s2_dark) == pytest.approx(DSNU_E, rel=0.01)
    prnu = math.sqrt(s2_half - s2_dark) / float(half.mean() - dark.mean())
    assert prnu == pytest.approx(PRNU, rel=0.01)


def test_double_sampling_takes_the_offset_away_and_leaves_the_rest() -> None:
    camera = Camera(
        correlated_double_sampling=True,
        prnu=PRNU,
        dsnu_e=500.0,
        hot_pixel_share=0.1,
        hot_pixel_e_per_s=1e5,
        dead_pixel_share=0.1,
        black_level_counts=200.0,
    )
    pattern = pattern_of(camera)
    dark = stack(camera, 0.0, 1)[0]
    assert float(dark[~pattern.hot].var()) == pytest.approx(camera.floor_variance_e2, rel=0.02)
    hot = dark[pattern.hot].mean() - camera.dark_e
    assert float(hot) == pytest.approx(1e5 * camera.exposure_s, rel=0.05)
    bright = stack(camera, 50_000.0, 1)[0]
    expected = 50_000 + camera.floor_variance_e2 + (PRNU * 50_000) ** 2
    assert float(bright[pattern.usable].var()) == pytest.approx(expected, rel=0.02)
    assert float(bright[pattern.dead].mean()) == pytest.approx(camera.dark_e, abs=1.0)


# --- hot and dead pixels ------------------------------------------------------------------------


def test_as_many_pixels_are_hot_and_dead_as_asked_for() -> None:
    camera = Camera(hot_pixel_share=0.03, hot_pixel_e_per_s=5_000.0, dead_pixel_share=0.01)
    pattern = pattern_of(camera, sensors=2)
    pixels = pattern.gain.numel()
    for mask, share in [(pattern.hot, 0.03), (pattern.dead, 0.01), (~pattern.usable, 0.04)]:
        four_errors = 4 * math.sqrt(share * (1 - share) / pixels)
        assert float(mask.double().mean()) == pytest.approx(share, abs=four_errors)
    assert not (pattern.hot & pattern.dead).any()
    # An exponential distribution: its mean is its standard deviation.
    extra = pattern.hot_e_per_s[pattern.hot].double()
    assert float(extra.mean()) == pytest.approx(5_000.0, abs=4 * 5_000 / math.sqrt(len(extra)))
    assert float(extra.std()) == pytest.approx(5_000.0, rel=0.1)


@pytest.mark.parametrize("exposure_s", [0.05, 0.5])
def test_a_hot_pixel_glows_with_the_exposure_and_has_shot_noise_of_it(exposure_s: float) -> None:
    camera = Camera(hot_pixel_share=1.0, hot_pixel_e_per_s=4_000.0, exposure_s=exposure_s)
    first, second = stack(camera, 0.0, 2)
    hot_e = pattern_of(camera).hot_e_per_s.double() * exposure_s
    glow_e = float((first - camera.dark_e).mean())
    assert glow_e == pytest.approx(float(hot_e.mean()), rel=0.01)
    temporal = float((first - second).var() / 2)
    assert temporal == pytest.approx(float(hot_e.mean()) + camera.floor_variance_e2, rel=0.02)


@pytest.mark.parametrize("signal_e", [0.0, 1_000.0, 500_000.0])
def test_a_dead_pixel_reads_the_dark_level_whatever_the_light(signal_e: float) -> None:
    camera = Camera(dead_pixel_share=0.3)
    dead = stack(camera, signal_e, 1)[0][pattern_of(camera).dead]
    assert float(dead.mean()) == pytest.approx(camera.dark_e, abs=0.5)
    assert float(dead.var()) == pytest.approx(camera.floor_variance_e2, rel=0.03)


# --- back to photons ----------------------------------------------------------------------------

SPOTTED = Camera(
    prnu=0.05,
    dsnu_e=20.0,
    hot_pixel_share=0.02,
    hot_pixel_e_per_s=2_000.0,
    dead_pixel_share=0.01,
    read_noise_e=4.0,
    gain_e_per_count=3.0,
)


def round_trip(camera: Camera, photons: float, *, corrected: bool, frames: int = 8) -> Tensor:
    """Photons found in evenly lit frames: (frame, 1, y, x) float64."""
    pattern = pattern_of(camera)
    light = torch.full((frames, 1, *FRAME), photons)
    counts = camera.expose(light, generator=seeded(3), fixed_pattern=pattern)
    return camera.photons(counts, pattern if corrected else None).double()


@pytest.mark.parametrize("photons", [10.0, 100.0, 1_000.0, 10_000.0, 100_000.0])
@pytest.mark.parametrize("double_sampling", [False, True], ids=["one read", "cds"])
def test_the_corrected_round_trip_is_unbiased_in_every_kind_of_pixel(
    photons: float, double_sampling: bool
) -> None:
    camera = SPOTTED.model_copy(update={"correlated_double_sampling": double_sampling})
    pattern = pattern_of(camera)
    found = round_trip(camera, photons, corrected=True)
    assert float(found[:, pattern.usable].mean()) == pytest.approx(photons, rel=0.01)
    # Hot pixels are few and noisy: four standard errors where those are more than 1 %.
    hot = found[:, pattern.hot]
    error = float(hot.std()) / math.sqrt(hot.numel())
    assert float(hot.mean()) == pytest.approx(photons, abs=max(0.01 * photons, 4 * error))
    assert (found[:, pattern.dead] == 0).all()


@pytest.mark.parametrize("photons", [1_000.0, 10_000.0, 100_000.0])
def test_without_correction_the_mean_over_the_pixels_is_right_and_the_pixels_are_not(
    photons: float,
) -> None:
    camera = Camera(prnu=0.05, dsnu_e=20.0)
    found = round_trip(camera, photons, corrected=False)
    assert float(found.mean()) == pytest.approx(photons, rel=0.01)
    spread = found.mean(0).std()
    assert float(spread) > 0.045 * photons
    assert float(round_trip(camera, photons, corrected=True).mean(0).std()) < 0.5 * float(spread)


def test_correction_leaves_temporal_noise_alone() -> None:
    frames = round_trip(SPOTTED, 20_000.0, corrected=True)
    good = frames[:, pattern_of(SPOTTED).usable]
    in_space, in_time = float(good.mean(0).var()) * len(good), float(good.var(0).mean())
    assert in_space == pytest.approx(in_time, rel=0.02)


def test_peak_snr_is_of_the_temporal_noise_and_the_pattern_comes_on_top() -> None:
    light = torch.full((2, 1, *FRAME), 0.3)
    pattern = pattern_of(UNEVEN)
    raw, corrected = (
        UNEVEN.at_peak_snr(
            light, 40.0, generator=seeded(), fixed_pattern=pattern, corrected=corrected
        ).double()
        for corrected in (False, True)
    )
    temporal = float((raw[0] - raw[1]).std()) / math.sqrt(2)
    assert 20 * math.log10(0.3 / temporal) == pytest.approx(40.0, abs=0.1)
    peak_e = float(UNEVEN.peak_photons(40.0)) * UNEVEN.quantum_efficiency
    spread = math.sqrt(0.01**2 + PRNU**2 + (DSNU_E / peak_e) ** 2)
    assert float(raw[0].std()) / 0.3 == pytest.approx(spread, rel=0.02)
    assert float(corrected[0].std()) / 0.3 == pytest.approx(0.01, rel=0.02)


# --- whose it is --------------------------------------------------------------------------------


def fields(pattern: FixedPattern) -> list[Tensor]:
    return [pattern.gain, pattern.offset_e, pattern.hot_e_per_s]


def test_a_camera_of_even_pixels_has_no_pattern() -> None:
    assert Camera().fixed_pattern(2, FRAME) is None


def test_a_chip_keeps_its_pattern_and_shares_it_with_no_other() -> None:
    pattern = pattern_of(SPOTTED, sensors=2)
    again = pattern_of(SPOTTED.model_copy(update={"exposure_s": 1.0}), sensors=2)
    other = pattern_of(SPOTTED.model_copy(update={"fixed_pattern_seed": 1}), sensors=2)
    for ours, same, theirs in zip(fields(pattern), fields(again), fields(other), strict=True):
        assert ours.dtype == torch.float32
        assert ours.shape == (2, *FRAME)
        assert torch.equal(ours, same)
        assert not torch.equal(ours, theirs)
        assert not torch.equal(ours[0], ours[1])
    for gains in [(pattern.gain[0], pattern.gain[1]), (pattern.gain, other.gain)]:
        correlation = torch.corrcoef(torch.stack([gain.flatten() for gain in gains]))[0, 1]
        assert abs(float(correlation)) < 4 / math.sqrt(gains[0].numel())


def test_sensor_a_is_the_same_beside_sensor_b_and_alone() -> None:
    alone, both = pattern_of(SPOTTED), pattern_of(SPOTTED, sensors=2)
    for one, two in zip(fields(alone), fields(both), strict=True):
        assert torch.equal(one[0], two[0])


def test_each_kind_of_difference_is_drawn_by_itself() -> None:
    plain, spotted = pattern_of(Camera(prnu=0.05)), pattern_of(SPOTTED)
    assert torch.equal(plain.gain[~spotted.dead], spotted.gain[~spotted.dead])


def test_the_pattern_neither_asks_nor_moves_the_global_generators() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first, state = pattern_of(SPOTTED), torch.random.get_rng_state()
    numbers = np.random.get_state()[1]  # noqa: NPY002
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    second = pattern_of(SPOTTED)
    assert all(torch.equal(a, b) for a, b in zip(fields(first), fields(second), strict=True))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


def test_a_pattern_of_even_pixels_changes_no_bit() -> None:
    shape = (2, 40, 50)
    even = FixedPattern(torch.ones(shape), torch.zeros(shape), torch.zeros(shape))
    light = 1e4 * torch.rand(3, *shape, generator=seeded(4))
    plain = Camera().expose(light, generator=seeded())
    assert torch.equal(Camera().expose(light, generator=seeded(), fixed_pattern=even), plain)
    assert torch.equal(Camera().photons(plain, even), Camera().photons(plain))


# --- what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [FRAME, (2, *FRAME), (1, *FRAME[::-1]), (1, 1, 1)])
def test_images_of_another_chip_are_refused(shape: tuple[int, ...]) -> None:
    pattern = pattern_of(UNEVEN)
    for use in (
        lambda: UNEVEN.expose(torch.ones(shape), fixed_pattern=pattern),
        lambda: UNEVEN.photons(torch.ones(shape), pattern),
        lambda: UNEVEN.at_peak_snr(torch.ones(shape), 30.0, fixed_pattern=pattern),
    ):
        with pytest.raises(ImagerError, match="does not fit"):
            use()


@pytest.mark.parametrize(
    "changes",
    [
        {"gain": torch.ones(1, 3, 4)},
        {"gain": torch.full((1, 3, 3), -0.1)},
        {"gain": torch.full((1, 3, 3), math.nan)},
        {"offset_e": torch.full((1, 3, 3), math.inf)},
        {"hot_e_per_s": torch.full((1, 3, 3), -1.0)},
    ],
    ids=["shape", "negative gain", "no gain", "endless offset", "negative current"],
)
def test_an_impossible_pattern_is_refused(changes: dict[str, Tensor]) -> None:
    possible = dict.fromkeys(("gain", "offset_e", "hot_e_per_s"), torch.ones(1, 3, 3))
    FixedPattern(**possible)
    with pytest.raises(ImagerError, match="fixed pattern"):
        FixedPattern(**{**possible, **changes})


@pytest.mark.parametrize(("sensors", "frame_px"), [(0, (5, 5)), (1, (0, 5))])
def test_a_pattern_without_pixels_is_refused(sensors: int, frame_px: tuple[int, int]) -> None:
    with pytest.raises(ImagerError, match="needs sensors and pixels"):
        UNEVEN.fixed_pattern(sensors, frame_px)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hot_pixel_share": 0.1}, "hot_pixel_e_per_s"),
        ({"dead_pixel_share": 0.6, "hot_pixel_share": 0.6, "hot_pixel_e_per_s": 1.0}, "more than"),
        ({"prnu": 0.5}, "prnu"),
        ({"dsnu_e": -1.0}, "dsnu_e"),
        ({"fixed_pattern_seed": -1}, "fixed_pattern_seed"),
    ],
)
def test_a_camera_that_cannot_be_is_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ImagerError, match=message):
        Camera(**fields)
