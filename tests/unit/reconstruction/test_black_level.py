"""The counts that a camera reads without light: subtracted where stated, warned of otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import fociscope
from fociscope.errors import FociscopeWarning
from fociscope.imager import Imager
from fociscope.reconstruction import ChipCorrection
from fociscope.reconstruction.black_level import (
    BlackLevel,
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.series import ReconstructionOptions
from fociscope.workflows import reconstruct_captures


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Raw counts of the reference camera at 35 dB, with its black level of 100."""
    camera = Imager.reference().camera
    light = torch.as_tensor(np.asarray(fociscope.simulate(1, seed=5).captures))
    light = light / light.amax((-3, -2, -1), keepdim=True) * float(camera.peak_photons(35.0))
    return camera.expose(light, generator=torch.Generator().manual_seed(0)).numpy()[0]


def stated(level: float) -> Imager:
    return Imager.reference().with_(camera={"black_level_counts": level})


def test_only_a_level_that_is_stated_counts() -> None:
    assert stated_black_level(None) is None
    assert stated_black_level(Imager.reference()) is None
    assert stated_black_level(stated(64.0)) == 64


def test_raw_counts_lose_the_stated_level(counts: np.ndarray) -> None:
    found = find_black_level(counts, 100.0)
    assert found.counts == 100
    assert "100 counts is subtracted" in found.notes[0]
    assert found.warnings == ()


@pytest.mark.parametrize("less", [100.0, 99.5])
def test_counts_that_lost_it_before_keep_what_is_left(counts: np.ndarray, less: float) -> None:
    found = find_black_level(counts - less, 100.0)
    assert found.counts == 0
    assert ("was before" in " ".join(found.notes)) == (less == 100)
    assert found.warnings == ()


def test_a_level_that_nobody_states_is_warned_of(counts: np.ndarray) -> None:
    found = find_black_level(counts)
    assert found.counts == 0
    assert "give a dark frame" in found.warnings[0]
    assert find_black_level(counts, has_dark=True) == BlackLevel()


def test_light_without_a_level_is_not_warned_of() -> None:
    for seed in range(3):
        captures = fociscope.simulate(1, seed=seed, peak_snr_db=35).captures[0]
        assert find_black_level(captures, 100.0) == BlackLevel()


def test_a_dark_frame_takes_the_place_of_the_level() -> None:
    captures = torch.full((1, 32, 32), 300.0)
    level = with_black_level(None, BlackLevel(100.0))
    assert level is not None
    assert float(level(captures)[0].mean()) == 200
    dark = ChipCorrection(dark=np.full((1, 32, 32), 50.0), black_level_counts=100.0)
    assert float(dark(captures)[0].mean()) == 250


def test_files_with_a_stated_level_give_what_subtracted_ones_give(
    counts: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "raw.npy", counts[None])
    np.save(tmp_path / "light.npy", counts[None] - 100)
    options = ReconstructionOptions(imager=stated(100.0), formats=("csv",), device="cpu")
    told = []
    raw = fociscope.reconstruct(
        tmp_path / "raw.npy", tmp_path / "a", options, on_plan=lambda plan: told.extend(plan.notes)
    )
    light = fociscope.reconstruct(tmp_path / "light.npy", tmp_path / "b", options)
    assert raw.first is not None
    assert light.first is not None
    np.testing.assert_allclose(raw.first.probability, light.first.probability, atol=1e-5)
    assert "100 counts is subtracted" in " ".join(told)
    assert raw.summary["black_level_counts"] == 100
    with pytest.warns(FociscopeWarning, match="darkest pixels hold"):
        fociscope.reconstruct(
            tmp_path / "raw.npy", tmp_path / "c", ReconstructionOptions(formats=("csv",))
        )


def test_captures_in_memory_say_it_with_the_result(counts: np.ndarray) -> None:
    result = reconstruct_captures(counts, ReconstructionOptions(imager=stated(100.0)))
    assert "100 counts is subtracted" in " ".join(result.warnings)
    result = reconstruct_captures(counts)
    assert "give a dark frame" in " ".join(result.warnings)
