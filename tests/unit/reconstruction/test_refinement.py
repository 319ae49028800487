"""The light that is fitted to the captures, against light that is known."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from fociscope.imager import Imager, LayerProjector
from fociscope.reconstruction._refinement import refined_light
from fociscope.reconstruction.engine import load_model
from fociscope.simulation import simulate

IMAGER = Imager.reference()
PROJECTOR = LayerProjector(IMAGER)
DEPTH_UM = torch.tensor([[50.0, 400.0, 900.0]])
GAIN = torch.tensor([3.0, 0.5])[:, None, None]


def light() -> Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.random((1, 3, 40, 44)).astype(np.float32)) ** 4


def seen(layers: Tensor) -> Tensor:
    return torch.as_tensor(PROJECTOR.A(layers / IMAGER.psf.collection_efficiency(), DEPTH_UM))


def test_light_that_explains_the_captures_stays_as_it_is() -> None:
    truth = light()
    kept = refined_light(PROJECTOR, truth, DEPTH_UM, seen(truth))
    torch.testing.assert_close(kept, truth, rtol=1e-3, atol=1e-4)


def test_it_comes_nearer_to_the_captures_and_to_the_truth() -> None:
    scene = simulate(1, seed=31_101, layers=3, imager=IMAGER, peak_snr_db=None)
    truth = torch.from_numpy(scene.layers) * IMAGER.psf.collection_efficiency()
    depth_um = torch.from_numpy(scene.depth_um)
    captures = torch.from_numpy(scene.captures) * GAIN
    # Smoothed and dimmer where it is bright, as the mean of what is possible.
    smooth = gaussian_filter(truth.numpy(), 0.8, axes=(-2, -1))
    rough = torch.from_numpy(0.8 * smooth + 0.05 * smooth.mean())
    fitted = refined_light(PROJECTOR, rough, depth_um, captures)
    # Sensor A's gain is in the light.
    assert (fitted / 3 - truth).norm() < 0.8 * (rough - truth).norm()

    def apart(light: Tensor) -> Tensor:
        again = torch.as_tensor(PROJECTOR.A(light / IMAGER.psf.collection_efficiency(), depth_um))
        return (again[:, 0] - captures[:, 0]).norm()

    assert apart(fitted) < 0.2 * apart(3 * rough)


def test_no_light_is_negative_and_dark_layers_stay_dark() -> None:
    truth = light()
    rough = truth.clone()
    rough[:, 1] = 0
    fitted = refined_light(PROJECTOR, rough, DEPTH_UM, seen(truth))
    assert float(fitted.min()) >= 0
    assert float(fitted[:, 1].abs().max()) == 0


def test_bad_pixels_do_not_count() -> None:
    truth = light()
    captures = seen(truth)
    good = torch.ones_like(captures[0])
    good[0, 10, 10] = 0
    spoilt = captures.clone()
    spoilt[0, 0, 10, 10] = 1e6
    torch.testing.assert_close(
        refined_light(PROJECTOR, truth, DEPTH_UM, spoilt, good=good),
        refined_light(PROJECTOR, truth, DEPTH_UM, captures, good=good),
    )


def test_a_model_that_refines_changes_light_and_residual_alone() -> None:
    captures = simulate(4, seed=31_100).captures
    plain = load_model("layers-ab", device="cpu").reconstruct(captures)
    refined = load_model("layers-ab", device="cpu", refine=True).reconstruct(captures)
    for name in ("probability", "presence", "depth_um", "depth_std_um", "quality_flags"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(refined, name))
    assert (refined.residual < 0.5 * plain.residual).all()
