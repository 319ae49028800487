"""DeepInverse's FISTA: on our projector as its `LinearPhysics`, and on its own `BlurFFT`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from restored import Given, Restoration
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from fociscope.imager import LayerProjector

__all__ = ["RESTORATIONS", "operators"]

ITERATIONS = 100
#: Of the total variation's prox in each step; it goes on from where the last step left it.
INNER_ITERATIONS = 10
#: Its default step of 0.01 would leave the prox far from done after so few.
INNER_STEP = 0.3

Operator = Callable[[Tensor], Tensor]


def operators(given: Given, *, blur_fft: bool) -> tuple[Operator, Operator]:
    """Return A, layers to captures, and its adjoint: ours, or made of deepinv's `BlurFFT`.

    `BlurFFT` is periodic and convolves channel by channel: frames are set on a larger dark canvas,
    and each pair of layer and sensor of each scene is a channel.
    """
    frame_px = given.captures.shape[-2], given.captures.shape[-1]
    if not blur_fft:
        projection = LayerProjector(given.imager).at(given.depth_um, frame_px)
        return projection.A, projection.A_adjoint

    from deepinv.physics import BlurFFT

    scenes, layers, sensors, k, _ = given.kernels.shape
    height, width = frame_px
    canvas = [next_fast_len(n + k // 2, real=True) for n in frame_px]
    filters = given.kernels.reshape(1, -1, k, k)
    blur = BlurFFT(img_size=(filters.shape[1], *canvas), filter=filters)

    def through(image: Tensor, convolve: Operator) -> Tensor:
        laid = pad(image, (0, canvas[1] - width, 0, canvas[0] - height))
        pairs = laid.expand(scenes, layers, sensors, *canvas).reshape(1, -1, *canvas)
        out = convolve(pairs).reshape(scenes, layers, sensors, *canvas)
        return out[..., :height, :width]

    def ahead(x: Tensor) -> Tensor:
        return through(x[:, :, None], blur.A).sum(1)

    def back(y: Tensor) -> Tensor:
        return through(y[:, None], blur.A_adjoint).sum(2)

    return ahead, back


def _restore(given: Given, *, weight: float, tv: bool = False, blur_fft: bool = False) -> Tensor:
    """Run `deepinv.optim.FISTA`; the weight is in units of max |A^T y| of each scene."""
    from deepinv.optim import FISTA, L2, Prior, TVPrior
    from deepinv.physics import LinearPhysics

    class NotNegative(Prior):
        """L1 on x >= 0, which it does not have."""

        def prox(self, x: Tensor, *_: Any, gamma: Any = 1.0, **__: Any) -> Tensor:
            return (x - gamma).clamp(min=0)

    prior: Prior = NotNegative()
    if tv:
        prior = TVPrior(n_it_max=INNER_ITERATIONS)
        prior.TVModel.tau = INNER_STEP
    ahead, back = operators(given, blur_fft=blur_fft)
    # It takes one weight for the whole batch: scenes are brought to one scale instead.
    scale = back(given.captures).abs().amax((1, 2, 3), keepdim=True)
    _, layers, sensors = given.kernels.shape[:3]
    # An even image is what A amplifies most: by the kernels' sums, over layers and sensors.
    largest = layers * sensors * float(given.kernels.sum((-2, -1)).max()) ** 2
    model = FISTA(
        data_fidelity=L2(), prior=prior, stepsize=1 / largest, lambda_reg=weight,
        max_iter=ITERATIONS, early_stop=False,
    )  # fmt: skip
    with torch.no_grad():
        captures = given.captures / scale
        dark = torch.zeros_like(back(captures))
        found = model(captures, LinearPhysics(A=ahead, A_adjoint=back), init=(dark, dark))
    return (found * scale).clamp(min=0)


_L1 = tuple({"weight": weight} for weight in (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.2))
_TV = tuple({"weight": weight, "tv": True} for weight in (1e-5, 1e-4, 1e-3, 1e-2))

RESTORATIONS = (
    Restoration(
        "deepinv", "deepinv", "`FISTA`, x >= 0, L1, on our projector", "A, B",
        _restore, _L1, at_once=True,
    ),
    Restoration(
        "deepinv", "deepinv", "`FISTA`, x >= 0, L1, on its `BlurFFT`", "A, B",
        _restore, tuple({**one, "blur_fft": True} for one in _L1), at_once=True,
    ),
    Restoration(
        "deepinv", "deepinv", "`FISTA`, its `TVPrior`, on our projector", "A, B",
        _restore, _TV, at_once=True,
    ),
)  # fmt: skip
