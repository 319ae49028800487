r"""The PSF-width estimator: how wide the imager's PSF is, from the captures alone.

Two sensors on both sides of the tissue see each layer through blurs that add up over the gap, so
their images determine the width of the PSF, and a wrong imager differs from the right one. With a
single sensor, a wider PSF looks like a greater depth, so models for one have no such estimator.

Its inputs are the context of the layer network and the capture statistics, which are computed in
any case, so it costs a few small products. It is fitted after training, on scenes of the training
family half of which are conditioned on another imager than theirs, by the likelihood of Gaussian
widths,

$$\mathcal{L} = \frac{(w - \hat w)^2}{2 \sigma^2} + \ln \sigma,$$

with the true width $w$, the estimate $\hat w$ and its standard deviation $\sigma$, in octaves.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "LEAST_STD",
    "WIDTH_FEATURES",
    "PsfWidthEstimate",
    "PsfWidthEstimator",
    "fit_psf_width_estimator",
    "width_features",
]

#: The features of the optics that it estimates: 80 % of the light, near a sensor and half-way.
#: The first depends on the base blur, the second on the acceptance, the pitch and the gap.
WIDTH_FEATURES = (1, 7)
_HIDDEN = (128, 64)
#: Inputs are limited to this many spreads: beyond them nothing was fitted.
_LARGEST_DEVIATION = 4.0
_EPOCHS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 40, 128, 2e-3, 1e-2, 0.1
_LEAST_LOG_STD, _LARGEST_LOG_STD = -4.0, 2.0
#: Least standard deviation, in octaves: the accuracy of the tabulated widths.
LEAST_STD = 0.02


def width_features(optics: Tensor) -> Tensor:
    """(..., feature) of an imager -> (..., 2) the widths that a PSF-width estimator estimates."""
    return optics[..., list(WIDTH_FEATURES)]


class PsfWidthEstimate(NamedTuple):
    """Widths of the PSF, estimated from captures."""

    widths: Tensor
    """(batch, 2) the features `WIDTH_FEATURES` of the optics: octaves of radii in pixels."""
    std: Tensor
    """(batch, 2) their standard deviations."""


class PsfWidthEstimator(nn.Module):
    """Context of a network and features of the capture statistics -> `PsfWidthEstimate`."""

    centre: Tensor
    spread: Tensor
    answer: Tensor

    def __init__(self, inputs: int) -> None:
        """Build it with random weights.

        Args:
            inputs: Number of values of the context and of the features together.
        """
        super().__init__()
        first, second = _HIDDEN
        self.layers = nn.Sequential(
            nn.Linear(inputs, first),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, 2 * len(WIDTH_FEATURES)),
        )
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        # Named value by value: a copy of an expanded tensor without memory takes torch 0.2 s.
        features = len(WIDTH_FEATURES)
        self.register_buffer("answer", torch.tensor([[0.0] * features, [1.0] * features]))

    def forward(self, context: Tensor, features: Tensor) -> PsfWidthEstimate:
        """(batch, context), (batch, feature) -> the estimate."""
        x = (torch.cat([context, features], dim=1) - self.centre) / self.spread
        x = x.clamp(-_LARGEST_DEVIATION, _LARGEST_DEVIATION)
        place, log_std = self.layers(x).chunk(2, dim=1)
        centre, spread = self.answer
        std = spread * log_std.clamp(_LEAST_LOG_STD, _LARGEST_LOG_STD).exp()
        return PsfWidthEstimate(centre + spread * place, std.clamp(min=LEAST_STD))


def fit_psf_width_estimator(
    context: Tensor, features: Tensor, widths: Tensor, *, seed: int
) -> PsfWidthEstimator:
    """Fit a PSF-width estimator by the maximum likelihood of Gaussian widths.

    Args:
        context: Context of a network, (scene, context), for scenes of which many are conditioned on
            a wrong imager.
        features: Features of the capture statistics, (scene, feature).
        widths: True widths, (scene, 2), see `PsfWidthEstimate`.
        seed: Seed of weights and order.

    Returns:
        The estimator, ready for inference.
    """
    inputs = torch.cat([context, features], dim=1)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        psf_width = PsfWidthEstimator(inputs.shape[1])
        psf_width.centre.copy_(inputs.mean(dim=0))
        psf_width.spread.copy_(inputs.std(dim=0) + 1e-6)
        psf_width.answer.copy_(
            torch.stack([widths.mean(dim=0), widths.std(dim=0).clamp(min=LEAST_STD)])
        )
        optimizer = torch.optim.AdamW(
            psf_width.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
        )
        steps = _EPOCHS * math.ceil(len(inputs) / _BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(_EPOCHS):
            order = torch.randperm(len(inputs))
            for start in range(0, len(order), _BATCH):
                some = order[start : start + _BATCH]
                estimate = psf_width(context[some], features[some])
                off = (estimate.widths - widths[some]) / estimate.std
                loss = (0.5 * off.square() + estimate.std.log()).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return psf_width.eval()
