"""From captures to a reconstruction: layers looked for, presence, and what speaks against it."""

import numpy as np
import pytest

from fociscope.errors import FociscopeError
from fociscope.imager import Imager
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model, load_model
from fociscope.simulation import simulate

SEED = 31_000


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab", device="cpu")


@pytest.fixture(scope="module")
def captures() -> np.ndarray:
    return np.asarray(simulate(40, seed=SEED).captures)


def test_as_many_layers_come_back_as_are_looked_for(model: Model, captures: np.ndarray) -> None:
    for layers in (1, 4, 6):
        result = model.reconstruct(captures[:3], layers=layers)
        assert result.probability.shape == result.intensity.shape == (3, layers, 51, 51)
        assert result.presence.shape == result.depth_um.shape == (3, layers)
        assert (np.diff(result.depth_um, axis=-1) >= 0).all()


@pytest.mark.parametrize("layers", [0, 7, -1])
def test_other_numbers_are_refused(model: Model, captures: np.ndarray, layers: int) -> None:
    with pytest.raises(FociscopeError, match="1 to 6"):
        model.reconstruct(captures[:1], layers=layers)


def test_an_absent_layer_is_said_to_be_absent(model: Model) -> None:
    scenes = simulate(40, seed=SEED + 1, layers=2)
    result = model.reconstruct(scenes.captures, layers=4)
    found = result.present.sum(axis=1)
    assert (found == 2).mean() > 0.5  # measured: 0.6, against 0 of a network that never says so
    assert (found < 4).mean() > 0.8
    assert not result.mask[~result.present].any()
    assert (np.diff(result.presence, axis=1) <= 1e-6).all()


def test_gains_play_no_part(captures: np.ndarray) -> None:
    model = load_model("layers-ab", device="cpu", precision="float32")
    gained = captures * np.array([3.0, 0.2], dtype=np.float32)[:, None, None]
    plain, scaled = model.reconstruct(captures), model.reconstruct(gained)
    np.testing.assert_allclose(plain.depth_um, scaled.depth_um, atol=0.1)
    assert (plain.mask == scaled.mask).mean() > 0.999


def test_bad_pixels_that_are_named_cost_next_to_nothing(model: Model) -> None:
    scenes = simulate(40, seed=SEED + 2)
    bad = np.random.default_rng(0).random((2, 51, 51)) < 0.005
    broken = np.where(bad, 50 * scenes.captures.max(), scenes.captures)
    whole = (model.reconstruct(scenes.captures).mask == scenes.mask).mean()
    mended = model.reconstruct(broken, correction=ChipCorrection(bad_pixels=bad))
    assert (mended.mask == scenes.mask).mean() > whole - 0.01


def test_it_is_silent_on_valid_captures(model: Model, captures: np.ndarray) -> None:
    assert model.reconstruct(captures).plausible.mean() > 0.95


def saturated(captures: np.ndarray) -> np.ndarray:
    return np.minimum(captures, np.quantile(captures, 0.8, axis=(-2, -1), keepdims=True))


def noise(captures: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, captures.shape).astype(np.float32)


def checkerboard(captures: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:51, :51]
    return np.broadcast_to(1.0 + (y // 4 + x // 4) % 2, captures.shape).astype(np.float32)


@pytest.mark.parametrize("spoiled", [saturated, noise, checkerboard], ids=lambda f: f.__name__)
def test_it_speaks_up_on_what_is_no_capture(model: Model, captures: np.ndarray, spoiled) -> None:
    result = model.reconstruct(spoiled(captures))
    assert result.plausible.mean() < 0.1
    assert all(str(text) for text in result.quality_flags[~result.plausible])


@pytest.mark.parametrize(("half_angle_deg", "says"), [(9.0, "0."), (34.0, "1.")])
def test_it_speaks_up_on_captures_of_another_imager(
    model: Model, half_angle_deg: float, says: str
) -> None:
    reference = Imager.reference()
    other = reference.with_(psf=reference.psf.with_(half_angle_deg=half_angle_deg))
    result = model.reconstruct(simulate(30, seed=31_102, imager=other, peak_snr_db=40.0).captures)
    assert result.plausible.mean() < 0.3
    told_apart = [text for text in result.quality_flags if "its blur is that of a PSF" in text]
    assert len(told_apart) > 15
    assert all(f"PSF {says}" in text for text in told_apart)


def test_half_the_pitch_and_gap_is_the_same_picture(captures: np.ndarray) -> None:
    """In pixels nothing differs, so the map is the same and depths are half as great."""
    whole = load_model("layers-ab", device="cpu").reconstruct(captures[:5])
    small = Imager(pixel_pitch_um=27.5, gap_um=500.0)
    half = load_model("layers-ab", imager=small, device="cpu").reconstruct(captures[:5])
    np.testing.assert_allclose(2 * half.depth_um, whole.depth_um, atol=0.5)
    np.testing.assert_allclose(half.probability, whole.probability, atol=1e-2)
