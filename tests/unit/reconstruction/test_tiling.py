"""Frames in tiles: the whole frame's answer, and what happens when the memory runs out."""

import warnings

import numpy as np
import pytest
import torch

from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.networks.conditioning import OPTICS_FEATURES
from fociscope.networks.inference import InferenceNet
from fociscope.networks.layer_net import Architecture, LayerNet, LayerNetOutput
from fociscope.reconstruction._tiling import Reach, in_tiles, with_smaller_tiles
from fociscope.reconstruction.engine import Model, load_model

PATCH_1 = {"patch_px": 1, "widths": (6, 8, 12), "blocks": (1, 2, 2)}
PATCH_2 = {"patch_px": 2, "widths": (8, 12), "blocks": (1, 3)}


def folded(**architecture: object) -> InferenceNet:
    """A network whose context matters, as it does once trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = LayerNet(Architecture(**architecture)).eval()
        for modulation in [*network.modulate, *network.focus]:
            torch.nn.init.normal_(modulation.linear.weight, std=0.3)
    return InferenceNet(network, torch.full((OPTICS_FEATURES,), 0.3), 3)


def uneven_light(*shape: int) -> torch.Tensor:
    """Noise that gets brighter across the frame, so that no part is like the whole."""
    noise = torch.rand(*shape, generator=torch.Generator().manual_seed(2))
    return noise * torch.linspace(0.2, 3, shape[-1]) + torch.linspace(0, 1, shape[-2])[:, None]


def together(network: InferenceNet, captures: torch.Tensor, tile_px: int) -> LayerNetOutput:
    tiles = list(in_tiles(network, captures, tile_px))
    *_, last = tiles
    count = torch.zeros(captures.shape[-2:])
    maps = torch.full((2, len(captures), 3, *captures.shape[-2:]), torch.nan)
    for y, x, output in tiles:
        count[y, x] += 1
        maps[0, ..., y, x], maps[1, ..., y, x] = output.logit, output.intensity
        for one, other in zip(output[2:], last.output[2:], strict=True):
            assert torch.equal(one, other)
    assert (count == 1).all()
    return LayerNetOutput(maps[0], maps[1], *last.output[2:])


@pytest.mark.parametrize("architecture", [PATCH_1, PATCH_2], ids=["patch 1", "patch 2"])
@pytest.mark.parametrize("sensors", [1, 2])
@pytest.mark.parametrize(("frame", "tile_px"), [((150, 200), 48), ((97, 131), 33), ((32, 301), 64)])
def test_tiles_give_the_whole_frames_answer(
    architecture: dict[str, object], sensors: int, frame: tuple[int, int], tile_px: int
) -> None:
    network, captures = folded(sensors=sensors, **architecture), uneven_light(2, sensors, *frame)
    whole = network(captures)
    assert float(whole.logit.std()) > 0.05
    for one, other in zip(whole, together(network, captures, tile_px), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", [PATCH_1, PATCH_2], ids=["patch 1", "patch 2"])
def test_a_pixel_beyond_the_reach_is_not_seen(architecture: dict[str, object]) -> None:
    """With the context held, an answer changes within the stated reach alone."""
    network = folded(**architecture)
    reach = Reach.from_architecture(network.architecture)
    total = reach.encoder + reach.deep + reach.decoder
    contrast = uneven_light(1, 2, 40, 4 * (total // 4) * 2 + 80)
    other = contrast.clone()
    other[..., 40] += 5
    context = torch.ones(1, network.architecture.context)

    def logit(x: torch.Tensor) -> torch.Tensor:
        *skips, deep = network.encoded(x)
        return network.decoded(skips, network.deepened(deep, context), context)[0]

    with torch.inference_mode():
        changed = (logit(contrast) - logit(other)).abs().amax(dim=(0, 1, 2)) > 1e-5
    farthest = int(torch.nonzero(changed).max())
    assert 40 < farthest <= 40 + total + network.architecture.stride


def test_a_frame_no_larger_than_a_tile_goes_through_whole() -> None:
    (tile,) = in_tiles(folded(**PATCH_1), uneven_light(1, 2, 40, 90), 60)
    assert (tile.y, tile.x) == (slice(0, 40), slice(0, 90))


# --- through a model -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("layers-ab", device="cpu")


def test_a_reconstruction_in_tiles_is_the_untiled_one(model: Model) -> None:
    captures = uneven_light(2, 150, 200).numpy()
    whole, tiled = model.reconstruct(captures), model.reconstruct(captures, tile_px=64)
    for name in ("probability", "presence", "intensity", "reprojection"):
        np.testing.assert_allclose(
            getattr(tiled, name), getattr(whole, name), rtol=1e-4, atol=1e-5, err_msg=name
        )
    np.testing.assert_allclose(tiled.depth_um, whole.depth_um, atol=0.01)
    assert tiled.quality_flags == whole.quality_flags


def test_tiles_that_are_mostly_margin_are_refused(model: Model) -> None:
    with pytest.raises(FociscopeError, match="at least 32"):
        model.reconstruct(uneven_light(2, 40, 40), tile_px=31)


def test_when_memory_runs_out_it_goes_on_in_smaller_tiles(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures = uneven_light(2, 150, 200)
    whole = model.reconstruct(captures)
    encoded = InferenceNet.encoded

    def scarce(self: InferenceNet, contrast: torch.Tensor) -> list[torch.Tensor]:
        if contrast.shape[-2] * contrast.shape[-1] > 130**2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory")
        return encoded(self, contrast)

    monkeypatch.setattr(InferenceNet, "encoded", scarce)
    with pytest.warns(FociscopeWarning, match="tiles of 64"):
        tiled = model.reconstruct(captures, tile_px=128)
    np.testing.assert_allclose(tiled.probability, whole.probability, rtol=1e-4, atol=1e-5)


def test_it_says_so_when_even_small_tiles_are_too_much() -> None:
    def hungry(tile_px: int) -> None:
        raise MemoryError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FociscopeWarning)
        with pytest.raises(FociscopeError, match="not enough memory"):
            with_smaller_tiles(hungry, 256)


def test_other_errors_are_not_taken_for_want_of_memory() -> None:
    def broken(tile_px: int) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        with_smaller_tiles(broken, 256)
