"""Python's door: no array of plain numbers is refused in a line; torch's settings do not matter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fociscope
from fociscope.errors import CaptureError, FociscopeError, ImagerError, ModelError
from fociscope.files import atomic_folder, atomic_path, atomic_tree
from fociscope.files.safe.locks import locked_folder
from fociscope.imager import Imager, LayerProjector
from fociscope.reconstruction import Model, Preparation, load_model
from fociscope.series import ReconstructionOptions
from fociscope.workflows import reconstruct_captures

CAPTURES = np.random.default_rng(0).uniform(1, 2, (2, 51, 51)).astype(np.float32)
MASKED = np.ma.masked_array(CAPTURES, mask=CAPTURES > 1.9)
NO_NUMBERS: dict[str, Any] = {
    "complex": CAPTURES + 1j,
    "complex tensor": torch.tensor(CAPTURES + 1j),
    "masked": MASKED,
    "masked list": list(MASKED),
    "sparse": torch.tensor(CAPTURES).to_sparse(),
    "meta": torch.empty(2, 51, 51, device="meta"),
    "text": np.array(["a"]),
    "object": object(),
    "none": None,
    "dict": {},
    "ragged": [[1], [2, 3]],
    "dates": np.zeros((2, 51, 51), "M8[s]"),
}


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab")


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("prepared", [False, True])
def test_what_is_no_array_of_numbers_is_a_plain_error(
    model: Model, kind: str, prepared: bool
) -> None:
    options = ReconstructionOptions(preparation=Preparation(flip_b="x" if prepared else "none"))
    for reconstruct in (model.reconstruct, lambda it: reconstruct_captures(it, options)):
        with pytest.raises(CaptureError) as raised:
            reconstruct(NO_NUMBERS[kind])
        assert "\n" not in str(raised.value)


def test_a_tensor_with_a_gradient_is_reconstructed(model: Model) -> None:
    options = ReconstructionOptions(preparation=Preparation(flip_b="x"))
    with_gradient = torch.tensor(CAPTURES, requires_grad=True)
    found = reconstruct_captures(with_gradient, options, model=model)
    expected = reconstruct_captures(CAPTURES, options, model=model)
    np.testing.assert_array_equal(found.probability, expected.probability)


@pytest.mark.parametrize("value", [2.5, "2", True, [2], object(), np.float32(2), float("nan")])
def test_numbers_that_are_not_whole(model: Model, value: object) -> None:
    for name in ("layers", "tile_px"):
        with pytest.raises(FociscopeError, match=f"{name} must be a whole number"):
            model.reconstruct(CAPTURES, **{name: value})  # type: ignore[arg-type]
        with pytest.raises(FociscopeError, match=f"{name} must be a whole number"):
            ReconstructionOptions(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2.5, 0, True, [2], object()])
def test_models_and_imagers_of_another_type(value: Any) -> None:
    with pytest.raises(ModelError, match="expected a model's name or path, got"):
        load_model(value)
    with pytest.raises(ImagerError, match="expected an imager, or the path of its file, got"):
        load_model("layers-ab", imager=value)


def _map(model: Model) -> np.ndarray:
    return model.reconstruct(CAPTURES).probability


def _scenes(_: Model) -> np.ndarray:
    return np.asarray(fociscope.simulate(2, seed=0).captures)


def _projected(_: Model) -> np.ndarray:
    return np.asarray(LayerProjector(Imager.reference()).A(CAPTURES, np.float32([300, 500])))


@pytest.mark.parametrize("compute", [_map, _scenes, _projected])
@pytest.mark.parametrize("setting", [torch.float64, torch.float16, "autocast"])
def test_settings_of_torch_do_not_matter(
    model: Model, compute: Callable[[Model], np.ndarray], setting: Any
) -> None:
    expected = compute(model)
    if setting == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = compute(model)
    else:
        torch.set_default_dtype(setting)
        try:
            found = compute(model)
        finally:
            torch.set_default_dtype(torch.float32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("write", [atomic_folder, atomic_path, atomic_tree, locked_folder])
@pytest.mark.parametrize("name", ["loop", "loop/x", "other/x/y"])
def test_links_that_lead_round_in_a_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Any], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("other").symlink_to("back")
    Path("back").symlink_to("other")
    refused = pytest.raises(FociscopeError, match="cannot be written: its links lead round")
    with refused, write(Path(name)):
        pass
