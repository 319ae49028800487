"""float32 and bfloat16: which is taken, and that the answer stays the same."""

import numpy as np
import pytest
import torch

from fociscope.devices import pick_precision
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


@pytest.mark.parametrize(
    ("capabilities", "picked"),
    [({"amx_bf16": True}, "bfloat16"), ({"avx512_bf16": True}, "float32"), ({}, "float32")],
)
def test_auto_wants_matrix_units(
    capabilities: dict[str, bool], picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
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
