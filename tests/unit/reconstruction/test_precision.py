"""float32 and bfloat16: which is taken, and that the answer stays the same."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from fociscope import devices
from fociscope.devices import Precision, pick_precision
from fociscope.errors import FociscopeError
from fociscope.reconstruction.engine import Model, load_model
from fociscope.simulation import Scenes, simulate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def in_float32() -> Model:
    return load_model("layers-ab", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def in_bfloat16() -> Model:
    return load_model("layers-ab", device="cpu", precision="bfloat16")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(24, seed=33_000)


@pytest.fixture
def anew() -> Iterator[None]:
    """Time the processor anew, and forget what was found."""
    devices.multiplies_bfloat16_faster.cache_clear()
    yield
    devices.multiplies_bfloat16_faster.cache_clear()


@pytest.mark.parametrize(
    ("instructions", "bfloat16_s", "picked"),
    [
        ("amx_bf16", 0.2, "bfloat16"),
        ("avx512_bf16", 0.5, "bfloat16"),
        ("avx512_bf16", 0.9, "float32"),  # not clearly: noise must not choose
        ("avx512f", 0.2, "float32"),  # no instructions for it: emulated
    ],
)
@pytest.mark.usefixtures("anew")
def test_auto_takes_what_is_measured_to_be_faster(
    instructions: str, bfloat16_s: float, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    took_s = {torch.bfloat16: bfloat16_s, torch.float32: 1.0}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {instructions: True}, raising=False)
    monkeypatch.setattr(devices, "_convolution_s", took_s.__getitem__)
    assert pick_precision("auto", CPU) == picked


def test_what_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert pick_precision("bfloat16", CPU) == "bfloat16"
    with pytest.raises(FociscopeError, match="'half'; choose among: auto, float32, bfloat16"):
        pick_precision("half", CPU)


def test_bfloat16_answers_as_float32_does(
    in_float32: Model, in_bfloat16: Model, scenes: Scenes
) -> None:
    exact, quick = (m.reconstruct(scenes.captures) for m in (in_float32, in_bfloat16))
    assert (quick.precision, exact.precision) == ("bfloat16", "float32")
    right, quick_right = ((r.mask == scenes.mask).mean() for r in (exact, quick))
    assert abs(quick_right - right) < 0.001
    # Measured: 0.0005 and 0.18 um.
    assert np.abs(quick.probability - exact.probability).mean() < 0.002
    assert np.abs(quick.depth_um - exact.depth_um).mean() < 0.5
    assert quick.quality_flags is not None and exact.quality_flags is not None
    np.testing.assert_array_equal(quick.quality_flags, exact.quality_flags)


@pytest.mark.parametrize(("side", "tile_px"), [(160, None), (64, 32)])
def test_large_frames_and_tiles_stay_in_float32(
    in_float32: Model, in_bfloat16: Model, side: int, tile_px: int | None
) -> None:
    captures = np.random.default_rng(0).random((2, side, side), dtype=np.float32)
    exact, same = (m.reconstruct(captures, tile_px=tile_px) for m in (in_float32, in_bfloat16))
    assert same.precision == "float32"
    np.testing.assert_array_equal(same.probability, exact.probability)
    np.testing.assert_array_equal(same.depth_um, exact.depth_um)


def test_the_summary_says_which_it_was(in_bfloat16: Model, scenes: Scenes) -> None:
    assert in_bfloat16.reconstruct(scenes.captures[0]).summary()["precision"] == "bfloat16"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_digit_hangs_on_the_number_of_threads(
    precision: Precision, in_float32: Model, in_bfloat16: Model
) -> None:
    model = in_float32 if precision == "float32" else in_bfloat16
    captures = simulate(40, seed=33_100).captures
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(model.reconstruct(captures))
    torch.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other.probability, results[0].probability)
        np.testing.assert_array_equal(other.depth_um, results[0].depth_um)
        np.testing.assert_array_equal(other.reprojection, results[0].reprojection)
