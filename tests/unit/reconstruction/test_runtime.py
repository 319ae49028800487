"""torch or OpenVINO: which is taken, and that the map stays the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fociscope.errors import FociscopeError
from fociscope.networks import openvino_net
from fociscope.reconstruction import _runtime, load_model
from fociscope.reconstruction._runtime import pick_runtime
from fociscope.reconstruction.engine import Model
from fociscope.simulation import Scenes, simulate


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(12, seed=34_000)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model for which twelve captures are many, and OpenVINO is faster."""
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    monkeypatch.setattr(_runtime, "MANY_PIXELS", 12 * 51 * 51)
    monkeypatch.setattr(_runtime, "is_faster", lambda *_: True)
    return load_model("layers-ab", device="cpu", precision="float32")


def taken(model: Model) -> list[type]:
    return [type(net) for net in model._compiled._nets.values()]


def test_many_captures_are_computed_by_openvino_and_give_the_same_map(
    model: Model, scenes: Scenes
) -> None:
    found = model.reconstruct(scenes.captures)
    assert taken(model) == [openvino_net.OpenVinoNet]
    in_torch = load_model("layers-ab", device="cpu", precision="float32", runtime="torch")
    expected = in_torch.reconstruct(scenes.captures)
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-4)
    np.testing.assert_allclose(found.depth_um, expected.depth_um, atol=1e-2)
    np.testing.assert_allclose(found.depth_std_um, expected.depth_std_um, atol=1e-2)
    np.testing.assert_allclose(found.intensity, expected.intensity, atol=1e-5)
    np.testing.assert_allclose(found.presence, expected.presence, atol=1e-5)


def test_few_captures_are_computed_by_torch(model: Model, scenes: Scenes) -> None:
    model.reconstruct(scenes.captures[:11])
    assert taken(model) == []


def test_few_captures_of_many_calls_are_computed_by_openvino(model: Model, scenes: Scenes) -> None:
    model.expect_many()
    model.reconstruct(scenes.captures[0])
    assert taken(model) == [openvino_net.OpenVinoNet]


@pytest.mark.parametrize("fails", ["is_faster", "agrees"])
def test_what_is_slower_or_differs_is_not_taken(
    model: Model, scenes: Scenes, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setattr(_runtime, fails, lambda *_: False)
    model.reconstruct(scenes.captures)
    assert taken(model) == [type(None)]


def test_without_openvino_torch_computes(
    model: Model, scenes: Scenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_runtime, "openvino_is_installed", lambda: False)
    assert model.reconstruct(scenes.captures).probability.shape == (12, 4, 51, 51)
    assert taken(model) == []


def test_what_is_named_and_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_net, "find_spec", lambda _: None)
    with pytest.raises(FociscopeError, match=r"\[fast\]") as caught:
        load_model("layers-ab", runtime="openvino")
    assert caught.value.fields == ("runtime",)


def test_runtimes_go_with_devices() -> None:
    cuda = torch.device("cuda")
    assert pick_runtime("auto", cuda) == "torch"
    assert pick_runtime("auto", torch.device("cpu")) == "auto"
    with pytest.raises(FociscopeError, match="tensorrt"):
        pick_runtime("tensorrt", cuda)
