"""LenslessPiCam's restorations: one sensor, one scene at a time.

Its stacks of PSFs are not one model of one capture: in 1.0.8 `RealFFTConvolve2D.convolve` keeps
the depths apart, and the gradient compares each of them with the whole capture. What comes out is
the capture deblurred for each depth.
"""

from __future__ import annotations

import torch
from restored import Given, Restoration, cropped
from scipy.fftpack import next_fast_len  # its own choice of a grid
from torch import Tensor

__all__ = ["RESTORATIONS", "psf_stack"]


def psf_stack(kernels: Tensor, frame_px: tuple[int, int]) -> Tensor:
    """Return kernels (layer, k, k) as its PSFs: (layer, y, x, 1), of the frame's size.

    The kernel's middle goes where its convolution leaves an image in place: on an odd frame whose
    padded grid is even, one pixel beside the frame's middle. What does not fit is cut off.
    """
    stack = kernels.new_zeros(len(kernels), *frame_px)
    middle = []
    for n in frame_px:
        padded = next_fast_len(2 * n - 1)
        middle.append(padded // 2 - (padded - n) // 2)
    reach = min(
        kernels.shape[-1] // 2, *(min(m, n - 1 - m) for m, n in zip(middle, frame_px, strict=True))
    )
    (top, left), side = (m - reach for m in middle), 2 * reach + 1
    stack[:, top : top + side, left : left + side] = cropped(kernels, reach)
    return stack[..., None]


def _fista(given: Given, *, iterations: int, summed: bool = False) -> Tensor:
    from lensless import FISTA

    class Summed(FISTA):  # type: ignore[misc]
        """Its gradient, with the depths summed before they are compared with the capture."""

        def _grad(self) -> Tensor:
            seen = self._convolver.convolve(self._image_est).sum(1, keepdim=True)
            return self._convolver.deconvolve((seen - self._data).expand(self._image_est.shape))

    found, given = [], given.of_unit_gain()
    layers = given.kernels.shape[1]
    kind, share = (Summed, layers) if summed else (FISTA, 1)
    for capture, kernels in zip(given.captures[:, 0], given.kernels[:, :, 0], strict=True):
        psf = psf_stack(kernels, (capture.shape[0], capture.shape[1]))
        # Its own step, 1.8 times as long, is too long for accelerated steps: they diverge here.
        solver = kind(psf, norm="backward", lip_fact=1 / share)
        solver.set_data(capture[..., None])
        found.append(solver.apply(n_iter=iterations)[..., 0])
    return torch.stack(found)


def _admm(given: Given, *, tau: float, mu: float, iterations: int) -> Tensor:
    from lensless import ADMM

    found, given = [], given.of_unit_gain()
    for capture, kernels in zip(given.captures[:, 0], given.kernels[:, :, 0], strict=True):
        psf = psf_stack(kernels, (capture.shape[0], capture.shape[1]))
        peak = capture.max()  # its weights are meant for captures of at most 1
        solver = ADMM(psf, mu1=mu, mu2=mu / 10, mu3=mu / 10, tau=tau)
        solver.set_data(capture[..., None] / peak)
        found.append(solver.apply(n_iter=iterations)[..., 0] * peak)
    return torch.stack(found)


_ITERATIONS = (1, 3, 10, 30, 100, 300)

RESTORATIONS = (
    Restoration(
        "lensless", "lensless", "`FISTA`, x >= 0", "A",
        _fista, tuple({"iterations": n} for n in _ITERATIONS), at_once=False,
    ),
    Restoration(
        "lensless", "lensless", "`FISTA`, x >= 0, depths summed by us", "A",
        _fista, tuple({"iterations": n, "summed": True} for n in _ITERATIONS), at_once=False,
        only_layers=4,
    ),
    Restoration(
        "lensless", "lensless", "`ADMM`, x >= 0, TV", "A", _admm,
        tuple(
            {"tau": tau, "mu": mu, "iterations": 100}
            for tau in (1e-6, 1e-5, 1e-4, 1e-3)
            for mu in (1e-3, 1e-2, 1e-1)
        ),
        at_once=False,
        only_layers=1,
    ),
)  # fmt: skip
