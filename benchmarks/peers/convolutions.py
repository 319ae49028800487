"""Many images convolved and summed, by other packages: the kernels are given, one per pair.

Each function takes images (scene, from, y, x), kernels (scene, from, to, k, k) with k odd, and the
part of the convolution to return, `same`, `valid` or `full` as in SciPy; it returns
(scene, to, y, x).
"""

import importlib
from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

__all__ = ["Convolution", "installed_peers", "scipy_at_once", "scipy_per_layer", "torch_direct"]

Convolution = Callable[[Tensor, Tensor, str], Tensor]


def scipy_per_layer(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Call `scipy.signal.fftconvolve` once per scene, layer and sensor."""
    x, k = images.numpy(), kernels.numpy()
    scenes, inputs, outputs = k.shape[:3]
    return torch.from_numpy(
        np.stack(
            [
                [
                    sum(fftconvolve(x[s, i], k[s, i, o], mode=mode) for i in range(inputs))
                    for o in range(outputs)
                ]
                for s in range(scenes)
            ]
        )
    )


def scipy_at_once(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Call `scipy.signal.fftconvolve` once for the whole batch."""
    x = _per_pair(images, kernels).numpy()
    return torch.from_numpy(fftconvolve(x, kernels.numpy(), mode=mode, axes=(-2, -1)).sum(1))


def torch_direct(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Sum in the pixel domain: `torch.nn.functional.conv2d`, one group per scene."""
    scenes, _, outputs, k, _ = kernels.shape
    channels = images.flatten(0, 1)[None]
    if mode == "full":  # conv2d with so much padding falls back to code 20 times as slow
        out = conv_transpose2d(channels, kernels.flatten(0, 1), groups=scenes)
    else:
        weight = kernels.transpose(1, 2).flip(-2, -1).flatten(0, 1)
        padding = {"same": k // 2, "valid": 0}[mode]
        out = conv2d(channels, weight, padding=padding, groups=scenes)
    return out.reshape(scenes, outputs, *out.shape[-2:])


def installed_peers() -> tuple[dict[str, Convolution], dict[str, str]]:
    """Return the peers' operators by name, and in words those that are absent."""
    here: dict[str, Convolution] = {}
    absent: dict[str, str] = {}
    for name, module, operator in (
        ("deepinv `Blur`, by FFT", "deepinv.physics", _deepinv),
        ("LenslessPiCam `RealFFTConvolve2D`", "lensless.recon.rfft_convolve", _lensless),
    ):
        try:
            importlib.import_module(module)
            here[name] = operator
        except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision beside a CPU torch
            absent[name] = str(error).splitlines()[0]
    return here, absent


def _deepinv(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Take each pair of layer and sensor as a channel of `deepinv.physics.Blur`."""
    from deepinv.physics import Blur

    channels, filters = _per_pair(images, kernels).flatten(1, 2), kernels.flatten(1, 2)
    if mode == "full":
        blur = Blur(filter=filters.flip(-2, -1), padding="valid", use_fft=True)
        out = blur.A_adjoint(channels)
    else:
        padding = {"same": "constant", "valid": "valid"}[mode]
        out = Blur(filter=filters, padding=padding, use_fft=True).A(channels)
    return out.unflatten(1, kernels.shape[1:3]).sum(1)


def _lensless(images: Tensor, kernels: Tensor, mode: str) -> Tensor:
    """Take each pair of layer and sensor as a depth of `RealFFTConvolve2D`.

    It wants kernels as large as the images: both are laid on a canvas, of even side, since on an
    odd one with an even grid its result comes out one pixel aside.
    """
    from lensless.recon.rfft_convolve import RealFFTConvolve2D

    k, (height, width) = kernels.shape[-1], images.shape[-2:]
    grown = {"same": 0, "valid": 1 - k, "full": k - 1}[mode]
    wanted = height + grown, width + grown
    canvas = [2 * -(-max(k, n, m) // 2) for n, m in zip(wanted, (height, width), strict=True)]
    psf = _centred(kernels.flatten(1, 2), canvas)[..., None]
    x = _centred(_per_pair(images, kernels).flatten(1, 2), canvas)[..., None]
    out = RealFFTConvolve2D(psf, norm="backward").convolve(x)[..., 0]
    top, left = (c // 2 - n // 2 for c, n in zip(canvas, wanted, strict=True))
    out = out[..., top : top + wanted[0], left : left + wanted[1]]
    return out.unflatten(1, kernels.shape[1:3]).sum(1)


def _per_pair(images: Tensor, kernels: Tensor) -> Tensor:
    """Repeat images (scene, from, y, x) for each output: (scene, from, to, y, x)."""
    return images[:, :, None].expand(-1, -1, kernels.shape[2], -1, -1)


def _centred(images: Tensor, canvas: list[int]) -> Tensor:
    """Lay images on a dark canvas, the middle pixel n // 2 of each side on the canvas's own."""
    height, width = images.shape[-2:]
    top, left = canvas[0] // 2 - height // 2, canvas[1] // 2 - width // 2
    return pad(images, (left, canvas[1] - width - left, top, canvas[0] - height - top))
